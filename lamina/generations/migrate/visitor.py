"""The rewriting of one source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider, ScopeProvider

from ... import callbacks, layers, losses, metrics, models
from ...translation import migrating
from ...translation.absent import hint
from ...translation.known import METHODS
from ...translation.table import Class
from ...translation.words import signature_of
from ..arithmetic import FORMATS
from ..dialect import Dialect
from .calls import (
    COMMA,
    OLD_SIGMOID,
    SHAPES,
    STEPS,
    NoneOfOurs,
    Speaker,
    Spoken,
    Unclear,
    argument,
    module_of,
    parameters,
    text_of,
    value_of,
    written,
)  # fmt: skip
from .imports import Imports, Unused, complete
from .names import Names, Reader

# Words that only Keras gives to methods of that name.
_TELLING = frozenset(
    "nb_epoch epochs batch_size callbacks validation_data validation_split show_accuracy steps_per_epoch loss "
    "optimizer samples_per_epoch nb_val_samples val_samples max_q_size nb_worker workers max_queue_size".split()
)
# Of NumPy up to 1.23.
_OF_PYTHON = frozenset(f"numpy.{name}" for name in ("bool", "complex", "float", "int", "object", "str"))
_SEEN_TO = ("predict_classes", "flow_from_directory", "flow_from_dataframe")  # methods that go another way
_BY_CALLBACK = r"\b(LearningRateScheduler|ReduceLROnPlateau)\("  # what sets the rate in training, and logs it
_OF_LAYERS = ("inbound_nodes", "uses_learning_phase", "compiled_metrics")
_OF_OPTIMIZERS = ("minimize", "get_weights", "set_weights")
_OF_KERAS = ("fit_generator", "evaluate_generator", "predict_generator", "predict_classes", "train_on_batch")


@dataclass(frozen=True, order=True)
class Note:
    """What needs a person: where, what, why, and what to do."""

    line: int
    what: str
    why: str
    suggestion: str


class Rewriter(Imports):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, dialect: Dialect, names: Names, reader: Reader, source: str, package: str):
        super().__init__()
        self.names, self.reader, self.package = names, reader, package
        self.table = dialect.table
        self.speaker = Speaker(dialect, bool(re.search(r"['\"](th|theano|channels_first)['\"]", source)))
        named_lr = "lr" in reader.functions  # as a metric may be
        self.logs_rate = bool(re.search(_BY_CALLBACK, source)) and not named_lr
        self.sets_rate = bool(re.search(_BY_CALLBACK + r"|optimizer\.(lr|learning_rate)(, |\.assign\(| *= )", source))
        self.notes: set[Note] = set()
        self.before: dict[cst.CSTNode, list[str]] = {}  # statements to stand before another
        self.inputs: dict[cst.CSTNode, str] = {}  # inputs to stand before a layer in a list
        self.begun: dict[str, bool] = {}  # sequential models that have a layer
        self.compiled: set[str] = set()
        self.loops: dict[str, str] = {}  # what variables of loops go over
        self.touched: set[str] = set()  # local names that fewer places may use than before
        self.short = "accuracy" in reader.metrics and "acc" not in reader.metrics
        self.inner: set[cst.CSTNode] = set()
        self._classes: list[str] = []

    def tell(self, node: cst.CSTNode, what: str, why: str, suggestion: str) -> None:
        place: Any = self.get_metadata(PositionProvider, node)
        self.notes.add(Note(place.start.line, what, why, suggestion))

    def parent(self, node: cst.CSTNode) -> Any:
        return self.get_metadata(ParentNodeProvider, node, None)

    def is_called(self, node: cst.CSTNode) -> bool:
        parent = self.parent(node)
        return isinstance(parent, cst.Call) and parent.func is node

    # -- names ------------------------------------------------------------------------------------------------------

    def absent(self, node: cst.CSTNode, own: str) -> None:
        home, _, name = own.rpartition(".")
        if name.startswith("__") or (not self.names.is_module(home) and self.names.find(home) is not None):
            return  # an attribute of something that is told of, or there
        told = migrating.INSTEAD.get(name) or hint(home, name) or "see https://keras.io/api for its successor"
        self.tell(node, f"keras.{own}", "Keras 3 has no such name", told)

    def visit_Attribute(self, node: cst.Attribute) -> None:
        self.inner.add(node.value)

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        own = self.reader.own(original_node)
        if own is None:
            return self._member(original_node, updated_node)
        target = self.names.find(own)
        if target is None:
            if original_node not in self.inner and not self.is_called(original_node):
                self._function_or_absent(original_node, own)
            return updated_node
        if target.home == "backend" and target.name and own.partition(".")[0] != "backend":
            return updated_node
        if own.startswith("backend.") and target.home != "backend" and not self._plain_function(original_node, own):
            return updated_node
        base: Any = original_node
        while isinstance(base, cst.Attribute):
            base = base.value
        start = self.reader.own(base)
        prefix = None if start is None else self.names.module(start)
        local = text_of(base)
        self.touched.add(local)
        if prefix is not None and (
            target.path == prefix or f"{target.path}.".startswith(f"{prefix}." if prefix else "")
        ):
            text = f"{local}.{target.path[len(prefix) :].lstrip('.')}".rstrip(".")
        else:
            text = f"keras.{target.path}".rstrip(".")
        return updated_node if text == text_of(updated_node) else self._kept_parens(updated_node, text)

    def _plain_function(self, node: cst.CSTNode, own: str) -> bool:
        """Whether a function of K is called, which the call sees to, or may be handed on as it is."""
        if self.is_called(node):
            return False
        entry = migrating.BACKEND.get(own.rpartition(".")[2])
        if entry is not None and "{" not in entry.modern and not entry.renamed:
            return True
        if node not in self.inner:
            self._function_or_absent(node, own)
        return False

    def _function_or_absent(self, node: cst.CSTNode, own: str) -> None:
        if own.rpartition(".")[0] == "backend" and own.rpartition(".")[2] in migrating.BACKEND:
            self.tell(node, f"keras.{own}", "it is handed on as a function", "write a lambda of it in keras.ops")
        elif not (own in ("layers.merge", "merge") or self.names.is_module(own)):
            self.absent(node, own)

    def _kept_parens(self, node: Any, text: str) -> cst.BaseExpression:
        made: Any = cst.parse_expression(text)
        return made.with_changes(lpar=node.lpar, rpar=node.rpar)

    def _member(self, original: cst.Attribute, updated: cst.Attribute) -> cst.BaseExpression:
        """An attribute of some object."""
        name, owner = original.attr.value, text_of(original.value)
        if name == "lr" and (owner.endswith("optimizer") or self._is_optimizer(owner)):
            return updated.with_changes(attr=cst.Name("learning_rate"))
        if self.reader.path(original) in _OF_PYTHON:
            return cst.Name(name)
        if name in migrating.RENAMED:
            return updated.with_changes(attr=cst.Name(migrating.RENAMED[name]))
        gone = "3" not in METHODS.get(name, "3") and name not in (*migrating.ATTRIBUTES, *_SEEN_TO)
        gone |= name in _OF_OPTIMIZERS and self._is_optimizer(owner)
        if gone and (name in _OF_LAYERS or name.startswith("_") or self.is_called(original)):
            told = migrating.INSTEAD.get(name, "look for what it was used for")
            self.tell(original, f".{name}", "Keras 3 has no such attribute", told)
        return updated

    def _is_optimizer(self, name: str) -> bool:
        found = self.reader.values.get(name, [])
        if not found:
            return name.endswith(".optimizer")  # a model's
        return any(
            isinstance(each, cst.Call) and (self.reader.own(each.func) or "").startswith("optimizers") for each in found
        )

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        parent = self.parent(original_node)
        used = not (
            (isinstance(parent, cst.Attribute) and parent.attr is original_node)
            or (isinstance(parent, cst.Arg) and parent.keyword is original_node)
            or isinstance(parent, (cst.ImportAlias, cst.AsName, cst.Param, cst.FunctionDef, cst.ClassDef, cst.NameItem,
                                   cst.AssignTarget, cst.ImportFrom, cst.Import))
        )  # fmt: skip
        own = self.reader.own(original_node) if used else None
        if own is None or original_node.value in self.reader.aliases:
            return updated_node
        target = self.names.find(own)
        if target is None:
            of_backend = own.startswith("backend.") and own.rpartition(".")[2] in migrating.BACKEND
            told = self.reader.qualified(original_node) and not of_backend  # where it is imported
            if not (told or original_node in self.inner or self.is_called(original_node)):
                self._function_or_absent(original_node, own)
            return updated_node
        if own.startswith("backend.") and target.home != "backend" and not self._plain_function(original_node, own):
            return updated_node
        if own.rpartition(".")[2] != original_node.value or not target.name or target.name == original_node.value:
            return updated_node
        if target.name in self.reader.defined:
            return updated_node
        self.touched.add(original_node.value)
        return updated_node.with_changes(value=target.name)

    def leave_SimpleStatementLine(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> Any:
        body = updated_node.body
        first = original_node.body[0]
        lines = self.lines_of(original_node)
        if lines is not None:
            return cst.FlattenSentinel(lines)
        if isinstance(first, cst.Assign) and len(body) == 1 and len(first.targets) == 1:
            target, value = text_of(first.targets[0].target), text_of(body[0].value)  # type: ignore[attr-defined]
            if target == value and target != text_of(first.value):
                alone = len(getattr(self.parent(original_node), "body", (1, 2))) == 1
                return updated_node.with_changes(body=[cst.Pass()]) if alone else cst.RemoveFromParent()
        if original_node in self.before:
            made: list[Any] = [cst.parse_statement(text) for text in self.before[original_node]]
            made[0] = made[0].with_changes(leading_lines=updated_node.leading_lines)
            return cst.FlattenSentinel([*made, updated_node.with_changes(leading_lines=[])])
        return updated_node

    # -- calls ------------------------------------------------------------------------------------------------------

    def visit_ClassDef(self, node: cst.ClassDef) -> None:
        self._classes.append(node.name.value)

    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        self._classes.pop()
        return updated_node

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> cst.FunctionDef:
        if original_node.name.value == "get_output_shape_for" and self._classes:
            return updated_node.with_changes(name=cst.Name("compute_output_shape"))
        return updated_node

    def visit_Assign(self, node: cst.Assign) -> None:
        target = node.targets[0].target
        if isinstance(node.value, cst.Call) and (self.reader.own(node.value.func) or "").endswith("Sequential"):
            self.begun[text_of(target)] = bool(node.value.args)
        if isinstance(target, cst.Attribute) and target.attr.value == "trainable" and text_of(node.value) == "False":
            owner = self.loops.get(text_of(target.value), text_of(target.value)).partition(".layers")[0]
            if owner in self.compiled:
                why = f"before, `{owner}` went on training by itself: what trains was settled by `compile`"
                self.tell(
                    node, ".trainable", why, "set it to True before its own steps, to False before those of others"
                )

    def visit_For(self, node: cst.For) -> None:
        self.loops[text_of(node.target)] = text_of(node.iter)

    def visit_Call(self, node: cst.Call) -> None:
        if isinstance(node.func, cst.Attribute) and node.func.attr.value == "compile":
            self.compiled.add(text_of(node.func.value))

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.BaseExpression:
        own = self.reader.own(original_node.func)
        try:
            if own is not None:
                return self._of_keras(original_node, updated_node, own)
            if isinstance(original_node.func, cst.Attribute):
                owner, name = text_of(original_node.func.value), original_node.func.attr.value
                if name == "variables" and not original_node.args and self._is_optimizer(owner):
                    return updated_node.func  # an attribute today
                return self._of_object(original_node, updated_node, original_node.func)
        except NoneOfOurs:
            pass
        except Unclear as error:
            name = own or text_of(original_node.func)
            if not self._in_todays_words(original_node, own):
                self.tell(
                    original_node, f"{name.rpartition('.')[2]}(...)", str(error), "write the call in Keras 3's words"
                )
        return updated_node

    def _in_todays_words(self, call: cst.Call, own: str | None) -> bool:
        """Whether Keras 3 takes a call as it is."""
        target = self.names.find(own) if own else None
        function = getattr(module_of(target.home), target.name, None) if target else None
        if function is None or (own or "").startswith("backend."):  # whose functions moved
            return False
        takes = {*parameters(function), *SHAPES}
        return all(arg.keyword is None or arg.keyword.value in takes for arg in call.args)

    def _of_keras(self, original: cst.Call, updated: cst.Call, own: str) -> cst.BaseExpression:
        home, _, name = own.rpartition(".")
        if home == "backend" or home.startswith("backend."):
            return self._of_backend(original, updated, name)
        if self.names.merges(own):
            return self._merged(original, updated)
        if name == "Model" and self.names.find(own):
            return _with_words(updated, migrating.AROUND["models"]["Model"].renamed)
        if home.partition(".")[0] == "callbacks":
            return self._of_callback(original, updated, name)
        entry = self.names.entry_of(own)
        target = self.names.find(own)
        if target is None:
            if not self.names.is_module(own):
                self.absent(original, own)
            return updated
        around = migrating.AROUND.get(target.home, {}).get(target.name)
        if around is not None:
            how: Spoken | None = self.speaker.of_function(
                around, getattr(module_of(target.home), target.name), target.home, False
            )
        elif entry is None:
            return updated
        elif entry[0] in ("layers", "optimizers", "optimizers.legacy", "regularizers", "constraints", "initializers"):
            how = self.speaker.of_class(*entry)
        else:
            takes = parameters(getattr(module_of(target.home), target.name))
            renamed = self.table.objects[entry[0]][name].renamed
            return _with_words(updated, {old: new for old, new in renamed.items() if old not in takes and new in takes})
        return updated if how is None else self._spoken(original, updated, how)

    def _arguments(
        self, call: cst.Call, args: Sequence[cst.Arg], how: Spoken, shape: dict[str, Any] | None = None
    ) -> list[cst.Arg]:
        """The arguments of a call in Keras 3's words; `shape` takes what they say of the input's."""
        taken = {} if shape is None else shape
        return self.speaker.arguments(list(args), how, taken, lambda *told: self.tell(call, *told))

    def _spoken(self, original: cst.Call, updated: cst.Call, how: Spoken) -> cst.Call:
        shape: dict[str, Any] = {}
        args = self._arguments(original, updated.args, how, shape)
        if self.sets_rate and any("InverseTimeDecay(" in text_of(arg) for arg in args):
            why = "the rate is set elsewhere, which Keras 3 refuses where a schedule gives it"
            self.tell(original, "decay", why, "leave the decay out, or reckon it in where the rate is set")
        changed = [text_of(arg) for arg in args] != [text_of(arg) for arg in updated.args]
        if how.home == "layers" and shape:
            args = [*args, *self._first(original, shape)]
            changed = True
        return updated.with_changes(args=args) if changed else updated

    def _first(self, call: cst.Call, shape: dict[str, Any]) -> list[cst.Arg]:
        """Let an Input stand before a layer that tells its input's shape; else what is left of that."""
        parent, implied = self.parent(call), shape.get("implied")
        whole, told = _shape_of(shape)
        if self.is_called(call) or (whole is None and told is None):  # where it is called its input is known
            return []
        text = f"shape={written(told)}" if whole is None else f"batch_shape={written(whole)}"
        batch = shape.get("batch_size")
        text += f", batch_size={written(batch)}" if whole is None and batch is not None else ""
        outer = self.parent(parent)
        if self._before_added(parent, outer, text, implied) or self._before_listed(parent, outer, text) or implied:
            return []
        if whole is None:
            return [argument("input_shape", written(told))]
        advice = f"put `keras.Input({text})` before the layer"
        self.tell(call, "batch_input_shape", "Keras 3's layers do not take it", advice)
        return []

    def _before_added(self, parent: Any, outer: Any, text: str, implied: Any) -> bool:
        """Whether the layer is added to a model: its input is added before it."""
        if not (isinstance(parent, cst.Arg) and isinstance(outer, cst.Call) and text_of(outer.func).endswith(".add")):
            return False
        owner, line = text_of(outer.func)[:-4], self.parent(self.parent(outer))
        alone = isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1
        if not alone or self.begun.get(owner, implied) is True:
            return False
        self.begun[owner] = True
        self.before[line] = [f"{owner}.add(keras.Input({text}))"]
        return True

    def _before_listed(self, parent: Any, outer: Any, text: str) -> bool:
        """Whether the layer is in a model's list: its input stands before it, if it is the first."""
        if not (isinstance(parent, cst.Element) and isinstance(outer, cst.List)):
            return False
        holder = self.parent(self.parent(outer))
        if not (isinstance(holder, cst.Call) and text_of(holder.func).endswith("Sequential")):
            return False
        if outer.elements[0] is parent:
            self.inputs[outer] = f"keras.Input({text})"
        return True

    def leave_List(self, original_node: cst.List, updated_node: cst.List) -> cst.List:
        text = self.inputs.get(original_node)
        if text is None:
            return updated_node
        between = updated_node.elements[0].comma
        if not isinstance(between, cst.Comma) or "#" in text_of(between):
            between = COMMA
        first = cst.Element(cst.parse_expression(text), between)
        return updated_node.with_changes(elements=[first, *updated_node.elements])

    def _merged(self, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        """Keras 1's `merge(inputs, mode=...)` as today's function of that mode."""
        names = [*self.names.table.objects["layers"]["merge"].signature.replace(" ", "").split(",")]
        places = [name.partition("=")[0] for name in names]
        if any(arg.star for arg in updated.args):
            raise Unclear("its arguments are not written out")
        given = {arg.keyword.value if arg.keyword else places[at]: arg for at, arg in enumerate(updated.args)}
        mode = value_of(given["mode"].value) if "mode" in given else "sum"
        called = migrating.MERGED.get(mode) if isinstance(mode, str) else None
        if called is None or not given.keys() <= {"inputs", "mode", "concat_axis", "dot_axes", "name", "output_shape"}:
            said = text_of(given["mode"].value) if "mode" in given else mode
            raise Unclear(f"its mode is {said}: use `keras.layers.Lambda` on the list")
        told = [text_of(given["inputs"].value)]
        if called == "concatenate" and "concat_axis" in given:
            told.append(f"axis={text_of(given['concat_axis'].value)}")
        if called == "dot":
            told.append(f"axes={text_of(given['dot_axes'].value) if 'dot_axes' in given else -1}")
        if "name" in given:
            told.append(f"name={text_of(given['name'].value)}")
        self.touched.add(text_of(original.func))
        return cst.parse_expression(f"keras.layers.{called}({', '.join(told)})")

    def _of_backend(self, original: cst.Call, updated: cst.Call, name: str) -> cst.BaseExpression:
        if name == "set_image_dim_ordering" and updated.args:
            value = value_of(updated.args[0].value)
            told = FORMATS.get(value) if isinstance(value, str) else None
            if told is None:
                raise Unclear("which ordering is not written out")
            return updated.with_changes(args=[updated.args[0].with_changes(value=cst.parse_expression(f'"{told}"'))])
        entry = migrating.BACKEND.get(name)
        if entry is None:
            if self.names.find(f"backend.{name}") is None:
                self.absent(original, f"backend.{name}")
            return updated
        if any(arg.keyword and arg.keyword.value == "name" for arg in updated.args):
            entry = migrating.NAMED.get(name, entry)
        if self.table.lists_weights and name in migrating.SWAPPED:
            raise Unclear("Keras 1 takes the output first")
        local = text_of(original.func).partition(".")[0]
        self.touched.add(local)
        if "{" in entry.modern:
            return self._template(updated, entry)
        home, _, new = entry.modern.rpartition(".")
        function = getattr(module_of(home), new)
        how = self.speaker.of_function(entry, function, "backend")
        args = self._arguments(original, updated.args, how)
        if home == "backend":
            return updated.with_changes(args=args)
        return updated.with_changes(func=cst.parse_expression(f"keras.{entry.modern}"), args=args)

    def _template(self, updated: cst.Call, entry: Class) -> cst.BaseExpression:
        signature = signature_of(entry.signature).parameters
        places = list(signature)
        if any(arg.star for arg in updated.args) or len(updated.args) > len(places):
            raise Unclear("it has more arguments than Keras 3's counterpart")
        given = {arg.keyword.value if arg.keyword else places[at]: arg.value for at, arg in enumerate(updated.args)}
        if not given.keys() <= set(places):
            raise Unclear("it has other arguments than Keras 3's counterpart")
        texts = {key: repr(each.default) for key, each in signature.items() if each.default is not each.empty}
        inside = {key for key in places if re.search(rf"\{{{key}\}}(\.| [+*])|[+*] \{{{key}\}}", entry.modern)}
        texts |= {key: self._closed(value) if key in inside else text_of(value) for key, value in given.items()}
        if texts.keys() != set(places):
            raise Unclear("an argument is missing")
        text = re.sub(r"(?<![.\w])(ops|random|backend|layers)\b(?=\.)", r"keras.\1", entry.modern).format(**texts)
        made: Any = cst.parse_expression(text)
        brackets = isinstance(made, cst.BinaryOperation)
        if brackets:
            made = made.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        return made

    def _closed(self, node: cst.BaseExpression) -> str:
        plain = isinstance(
            node, (cst.Name, cst.Attribute, cst.Call, cst.Subscript, cst.Integer, cst.Float, cst.SimpleString, cst.List)
        )
        return text_of(node) if plain or node.lpar else f"({text_of(node)})"  # type: ignore[attr-defined]

    def _of_callback(self, original: cst.Call, updated: cst.Call, name: str) -> cst.BaseExpression:
        cls = getattr(callbacks, name, None)
        if cls is None:
            self.absent(original, f"callbacks.{name}")
            return updated
        order = self.table.callbacks.get(name)
        around = migrating.AROUND["callbacks"].get(name)
        entry = Class(name, "", renamed=around.renamed if around else {})
        how = self.speaker.of_function(entry, cls, "callbacks", False)
        how.positional = tuple(order.split()) if order else how.positional
        args = self._arguments(original, updated.args, how)
        args = [self._watched(arg, name, args) for arg in args]
        return updated.with_changes(args=args)

    def _watched(self, arg: cst.Arg, name: str, args: Sequence[cst.Arg]) -> cst.Arg:
        """A callback's argument that names a result, or a file."""
        if not isinstance(arg.value, cst.SimpleString):
            return arg
        text = arg.value.value
        first = "filepath" if name == "ModelCheckpoint" and arg is args[0] else "monitor"
        place = arg.keyword.value if arg.keyword else first
        if self.short and place in ("monitor", "filepath"):
            text = re.sub(r"(?<![a-z])acc(?![a-z])", "accuracy", text)
        if name == "ModelCheckpoint" and place == "filepath":
            words = {each.keyword.value: text_of(each.value) for each in args if each.keyword}
            only = words.get("save_weights_only") == "True"
            text = _renamed_file(text, ".weights.h5" if only else ".h5")
        return arg.with_changes(value=arg.value.with_changes(value=text))

    # -- methods ----------------------------------------------------------------------------------------------------

    def _of_object(self, original: cst.Call, updated: cst.Call, func: cst.Attribute) -> cst.BaseExpression:
        method, owner = func.attr.value, func.value
        if method == "add_weight" and text_of(owner) == "self" and self._kind():
            return self._weight(original, updated)
        if method in ("save_weights", "load_weights") and updated.args:
            return self._file(updated, method)
        if method == "add" and original.args:
            self.begun[text_of(owner)] = True
        key = method
        if f"Sequential.{method}" in self.table.methods and self._is_sequential(owner):
            key = f"Sequential.{method}"
        given = {arg.keyword.value for arg in original.args if arg.keyword}
        certain = method in _OF_KERAS or bool(given & _TELLING) or self._is_model(owner)
        if method == "predict_classes" and certain:
            return self._classes_of(original, updated, func)
        if method in ("add_loss", "predict_proba", "reset_states") and (
            self._is_model(owner) or text_of(owner) == "self"
        ):
            return self._of_models_alone(original, updated, method, text_of(owner))
        if key not in self.table.methods:
            return updated
        if certain:
            return self._of_model(original, updated, key)
        if len(original.args) > 2 and method in ("fit", "evaluate", "predict") and not given:
            why, told = "whether this is a model of Keras cannot be told", "if it is, name the arguments"
            self.tell(original, f".{method}(...)", why, f"{told} behind the data")
        return updated

    def _of_models_alone(self, original: cst.Call, updated: cst.Call, method: str, owner: str) -> cst.BaseExpression:
        """What other objects may have by that name, too."""
        if owner == "self":  # a layer's own
            first = updated.args[0].with_changes(comma=cst.MaybeSentinel.DEFAULT) if updated.args else None
            return updated.with_changes(args=[first]) if method == "add_loss" and first else updated
        if method == "reset_states":
            has = 'if hasattr(layer, "reset_states")'
            return cst.parse_expression(f"[layer.reset_states() for layer in {owner}.layers {has}]")
        if method == "add_loss":
            told = "compute it in a layer's `call`, and give it to `self.add_loss`"
            self.tell(original, ".add_loss", "Keras 3 takes no loss of a model's tensors from outside", told)
            return updated
        return updated.with_changes(func=updated.func.with_changes(attr=cst.Name("predict")))  # type: ignore[call-arg]

    def _weight(self, original: cst.Call, updated: cst.Call) -> cst.BaseExpression:
        """A layer's own `add_weight`."""
        first = original.args[0] if original.args and not original.args[0].keyword else None
        if first and not self.table.lists_weights and isinstance(first.value, (cst.Tuple, cst.List)):
            return updated  # the shape comes first today
        entry = Class("add_weight", migrating.ADD_WEIGHT[self.table.name])
        how = self.speaker.of_function(entry, layers.Layer.add_weight, "add_weight", False)
        return self._spoken(original, updated, how)

    def _of_model(self, original: cst.Call, updated: cst.Call, key: str) -> cst.BaseExpression:
        """A method of a model; `key`: its name in the table."""
        method = key.rpartition(".")[2]
        new = migrating.ATTRIBUTES.get(method, method)
        how = self.speaker.of_method(key, getattr(models.Model, new))
        args = list(updated.args)
        if method.endswith("_generator") and self.table.lists_weights:
            args = self._by_batches(original, args, key)
        if method == "compile":
            args = [self._compiled(original, arg, at) for at, arg in enumerate(args)]
        args = self._arguments(original, args, how)
        if new != method:
            updated = updated.with_changes(func=updated.func.with_changes(attr=cst.Name(new)))  # type: ignore[call-arg]
        return updated if [*map(text_of, args)] == [*map(text_of, updated.args)] else updated.with_changes(args=args)

    def _is_model(self, owner: cst.BaseExpression) -> bool:
        return self.reader.is_model(owner) or (text_of(owner) == "self" and self._kind() == "models")

    def _kind(self) -> str | None:
        """What the class that we are in derives from."""
        return self.reader.own_classes.get(self._classes[-1]) if self._classes else None

    def _is_sequential(self, owner: cst.BaseExpression) -> bool:
        found = self.reader.values.get(text_of(owner), [])
        return any(isinstance(each, cst.Call) and text_of(each.func).endswith("Sequential") for each in found)

    def _classes_of(self, original: cst.Call, updated: cst.Call, func: cst.Attribute) -> cst.BaseExpression:
        count = self.reader.outputs_of(func.value)
        call = text_of(updated.with_changes(func=cst.Attribute(updated.func.value, cst.Name("predict"))))  # type: ignore[attr-defined]
        if count == 1:
            return cst.parse_expression(f'({call} > 0.5).astype("int32")')
        if count is None:
            why, told = "how many outputs the model has cannot be told", "write `(model.predict(x) > 0.5)`"
            self.tell(original, ".predict_classes", why, f"where there is one, {told}")
        return cst.parse_expression(f"{call}.argmax(axis=-1)")

    def _file(self, updated: cst.Call, method: str) -> cst.Call:
        """Files of weights end in .weights.h5; those that the script writes are called so where it reads them."""
        first = updated.args[0]
        if not isinstance(first.value, cst.SimpleString) or (
            method == "load_weights" and text_of(first.value) not in self.reader.saved
        ):
            return updated
        text = _renamed_file(first.value.value, ".weights.h5")
        return updated.with_changes(
            args=[first.with_changes(value=first.value.with_changes(value=text)), *updated.args[1:]]
        )

    def _by_batches(self, original: cst.Call, args: list[cst.Arg], key: str) -> list[cst.Arg]:
        """Keras 1 counts samples of a generator, where its batches' size is written: as many batches."""
        places = [part.partition("=")[0].strip() for part in self.table.methods[key].split(",")]
        names = [arg.keyword.value if arg.keyword else places[at] for at, arg in enumerate(args)]
        found = []
        for name, arg in zip(names, args, strict=True):
            steps = STEPS.get(name)
            if steps is None:
                found.append(arg)
                continue
            source = "validation_data" if name == "nb_val_samples" else "generator"
            data = next((each.value for told, each in zip(names, args, strict=True) if told == source), None)
            size = self._batch_size(data)
            if size is None:
                told = f"give `{steps}`: the samples divided by the size of a batch"
                self.tell(original, name, "Keras 1 counted samples, Keras 3 counts batches", told)
                found.append(arg.with_changes(keyword=cst.Name(name)))
                continue
            count = value_of(arg.value)
            known = isinstance(count, int) and isinstance(size, int)
            text = str(-(-count // size)) if known else f"-(-({written(count)}) // {written(size)})"
            found.append(argument(steps, text).with_changes(comma=arg.comma))
        return found

    def _batch_size(self, data: cst.BaseExpression | None) -> Any:
        """The size of the batches of `flow(...)`; None where it is not written."""
        if isinstance(data, cst.Name):
            told = self.reader.values.get(data.value, [])
            data = told[0] if len(told) == 1 else None
        if not isinstance(data, cst.Call) or not text_of(data.func).rpartition(".")[2].startswith("flow"):
            return None
        named = next((arg.value for arg in data.args if arg.keyword and arg.keyword.value == "batch_size"), None)
        return 32 if named is None else value_of(named)

    def _compiled(self, call: cst.Call, arg: cst.Arg, at: int) -> cst.Arg:
        """The names of losses and metrics in `compile`."""
        place = arg.keyword.value if arg.keyword else ("optimizer", "loss", "metrics")[at] if at < 3 else ""
        home = {"loss": "losses", "metrics": "metrics"}.get(place)
        if home is None:
            return arg
        symbol = self.reader.symbol_in(arg.value)
        if symbol is not None:
            what, why = f"{place}={text_of(arg.value)}", f"it uses `{symbol}`, which has no values outside the model"
            self.tell(call, what, why, "compute that part in a layer's `call`, and give it to `self.add_loss`")
        names = _Strings(lambda text: self._loss(call, home, text))
        value: Any = arg.value.visit(names)
        outputs = _outputs_told(call) if place == "metrics" else 0
        if outputs and isinstance(value, _LISTS) and not any(isinstance(e.value, _NESTED) for e in value.elements):
            # one list was for every output; now its entries are one for each
            value = cst.parse_expression(f"[{', '.join([text_of(value)] * outputs)}]")
        return arg.with_changes(value=value)

    def _loss(self, call: cst.Call, home: str, name: str) -> str:
        module: Any = losses if home == "losses" else metrics
        if self.table.lists_weights and name.startswith("cosine"):
            told = "`cosine_similarity` does not: scale the loss"
            self.tell(call, repr(name), "Keras 1 divides it by the number of features", told)
        if name.lower() not in module._ALIASES and not hasattr(module, name):
            name = migrating.loss_of_today(name, self.table.functions.get("losses", {}))
        if name not in ("accuracy", "acc", "ce", "crossentropy"):
            try:
                module.get(name)
            except (ValueError, TypeError):
                if name.isidentifier() and name not in self.reader.defined:
                    why = f"Keras 3 knows no such {'loss' if home == 'losses' else 'metric'}"
                    self.tell(call, repr(name), why, hint(home, name) or "write it as a function")
        return name

    def leave_SubscriptElement(
        self, original_node: cst.SubscriptElement, updated_node: cst.SubscriptElement
    ) -> cst.SubscriptElement:
        """Results are found under the names that metrics were given."""
        part = updated_node.slice
        if isinstance(part, cst.Index) and isinstance(part.value, cst.SimpleString):
            text = new = part.value.value
            if self.short and text[1:-1] in ("acc", "val_acc"):
                new = text.replace("acc", "accuracy")
            elif self.logs_rate and text[1:-1] == "lr":
                owner = text_of(self.parent(original_node).value)
                new = text.replace("lr", "learning_rate") if owner.endswith(".history") else text
            if new != text:
                return updated_node.with_changes(slice=part.with_changes(value=part.value.with_changes(value=new)))
        return updated_node

    def leave_Comparison(self, original_node: cst.Comparison, updated_node: cst.Comparison) -> cst.Comparison:
        """`K.image_dim_ordering() == "th"`."""
        sides = [original_node.left, *(each.comparator for each in original_node.comparisons)]
        asked = any(
            isinstance(each, cst.Call) and (self.reader.own(each.func) or "") == "backend.image_dim_ordering"
            for each in sides
        )
        names: Any = _Strings(lambda text: FORMATS.get(text, text))
        changed: Any = updated_node.visit(names) if asked else updated_node
        return changed


_LISTS = (cst.List, cst.Tuple)
_NESTED = (*_LISTS, cst.Dict)


def _outputs_told(call: cst.Call) -> int:
    """How many outputs, above one, the losses of a `compile` or their weights are written for; 0 where unknown."""
    told = [
        len(arg.value.elements)
        for at, arg in enumerate(call.args)
        if isinstance(arg.value, _NESTED)
        and (arg.keyword.value in ("loss", "loss_weights") if arg.keyword else at == 1)
    ]
    return max((number for number in told if number > 1), default=0)


class _Strings(cst.CSTTransformer):
    """Changes the texts in an expression."""

    def __init__(self, change: Any):
        super().__init__()
        self.change, self.keys = change, 0

    def leave_SimpleString(self, original_node: cst.SimpleString, updated_node: cst.SimpleString) -> cst.SimpleString:
        text = updated_node.value
        if (
            self.keys
            or not isinstance(updated_node.evaluated_value, str)
            or text[0] not in "'\""
            or text[:3] in ("'''", '"""')
        ):
            return updated_node
        return updated_node.with_changes(value=text[0] + self.change(text[1:-1]) + text[-1])

    def visit_Call(self, node: cst.Call) -> bool:
        return False

    def visit_Subscript(self, node: cst.Subscript) -> bool:
        return False

    def visit_DictElement_key(self, node: cst.DictElement) -> None:
        self.keys += 1

    def leave_DictElement_key(self, node: cst.DictElement) -> None:
        self.keys -= 1


def _shape_of(shape: Mapping[str, Any]) -> tuple[Any, Any]:
    """The whole shape of an input, or the one without the batch's size."""
    whole, told = shape.get("batch_input_shape", shape.get("batch_shape")), shape.get("input_shape")
    size = shape.get("input_dim")
    if told is None and size is not None:
        told = (shape.get("input_length"), size) if "input_length" in shape else (size,)
    if isinstance(whole, (tuple, list)) and whole and whole[0] is None:
        return None, tuple(whole[1:])
    return whole, told


def _with_words(call: cst.Call, renamed: Mapping[str, str]) -> cst.Call:
    """The call with other words for some of its arguments."""
    words = [renamed.get(arg.keyword.value) if arg.keyword else None for arg in call.args]
    args = [
        arg.with_changes(keyword=cst.Name(word)) if word else arg for arg, word in zip(call.args, words, strict=True)
    ]
    return call.with_changes(args=args)


def _renamed_file(text: str, ending: str) -> str:
    """A literal that names a file, with the ending that Keras 3 asks for."""
    if ending == ".h5":
        return re.sub(r"\.hdf5(?=['\"]$)", ".h5", text)
    return text if ".weights.h5" in text else re.sub(r"(\.h5|\.hdf5)?(?=['\"]$)", ending, text, count=1)


# The whole source ----------------------------------------------------------------------------------------------------


def rewrite(module: cst.Module, dialect: Dialect, package: str = "keras") -> tuple[cst.Module, list[Note]]:
    """A module in Keras 3's words, and what needs a person."""
    names = Names(dialect)
    wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
    reader = Reader(names, wrapper.resolve(ScopeProvider))
    wrapper.visit(reader)
    source = module.code
    rewriter = Rewriter(dialect, names, reader, source, package)
    found = wrapper.visit(rewriter)
    found = found.visit(Unused(found, rewriter.touched))
    if found.code != source:
        found = complete(found, package, OLD_SIGMOID in found.code and f"def {OLD_SIGMOID}" not in source)
    return found, sorted(rewriter.notes)
