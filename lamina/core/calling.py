"""Calling a layer: the short way for one plain tensor, and the careful one for everything else."""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.modules.module import _global_forward_hooks, _global_forward_pre_hooks
from torch.utils import _pytree as pytree

from . import arrays, masking, placing, symbolic
from .care import ADDS, AFTER, BEFORE, HOOKED, LOSSES, SHARED, TOLD, Changes, tend
from .children import Children
from .declare import quoted, short
from .devices import device_of
from .errors import answered, named
from .fusion import granted
from .scope import building, in_mode, scope
from .spec import InputSpec, unfit
from .trail import FAULTS, Advice, Onlooker, Trail, advice_of, tell
from .weights import Weights
from .work import modules_inside, put_flag, training_flags


def _tending(register: Callable) -> Callable:
    """A torch hook registration after which the layer's calls go through `torch.nn.Module.__call__`."""

    @functools.wraps(register)
    def tending(self: Any, *args: Any, **kwargs: Any) -> Any:
        handle = register(self, *args, **kwargs)
        tend(self)
        return handle

    return tending


def computes() -> bool:
    """Whether whoever asks is at work in a layer's call, and not in its `build`."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_code.co_name != "build":
        if frame.f_code.co_filename == "<plan>" or frame.f_globals.get("__name__") == __name__:
            return True
        frame = frame.f_back
    return False


def _step_of_fx(layer: Any, args: tuple, kwargs: dict[str, Any]) -> fx.Proxy | None:
    """The layer as one step of what torch.fx traces; None where it does not trace this call."""
    if isinstance(args[0], (Tensor, np.ndarray, symbolic.SymbolicTensor)):
        return None
    proxy = next((leaf for leaf in pytree.tree_leaves(args[0]) if isinstance(leaf, fx.Proxy)), None)
    if proxy is None:
        return None
    tracer: Any = proxy.tracer
    return tracer.create_proxy("call_module", tracer.path_of_module(layer), args, kwargs)


class Keepers:
    """The layers within one whose calls add to the loss; a call of that one starts by clearing what they kept."""

    def __init__(self, layer: Any):
        self.changes = Changes.count
        self.layers = [each for each in layer._flat_layers() if each._care & LOSSES]
        self.lists = [each.live() for each in layer.modules() if isinstance(each, Children)]
        self.held = [*map(id, chain.from_iterable(self.lists))]


class Calling(Weights):
    """What `Layer` does when it is called."""

    _product = ""  # the weight that `call` multiplies with, where a bias and an activation are all that follows
    _context_words: tuple[str, ...] = ()  # the arguments of a call that its calls inside are to know

    # -- losses -----------------------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Add a scalar tensor (or several) to the loss of the call in progress. Raises ValueError for anything else."""
        items = [item for item in pytree.tree_leaves(loss) if item is not None]
        for item in items:
            if not isinstance(item, Tensor):
                symbol = isinstance(item, symbolic.SymbolicTensor)
                hint = " A symbolic one has no values: add the loss in the `call` of a layer." if symbol else ""
                got = f"{short(item)}.{hint}"
                raise ValueError(f"{named(self)}: `add_loss` takes tensors computed in `call`; got {got}")
        if not self._care & ADDS:
            vars(self)["_care"] |= ADDS
            Changes.note(self)
        self._losses.extend(items)

    @property
    def _losses(self) -> list[Any]:
        """What this thread's last call of the layer added."""
        found = scope.losses.get(self)
        if found is None:
            found = scope.losses[self] = []
        return found

    @property
    def losses(self) -> list[Tensor]:
        """What the thread's last call and the weights' regularizers add to the loss, here and in the layers inside."""
        added = [loss for layer in self._flat_layers() for loss in layer._losses]
        return added + self.weight_losses()

    def weight_losses(self) -> list[Tensor]:
        """The penalties of the weights' regularizers."""
        return [weight.regularizer(placing.seen(weight)) for weight in self.penalized_weights()]

    def penalized_weights(self) -> list[Any]:
        """The weights whose regularizers count: those that are trained."""
        return [weight for weight in self.trainable_weights if getattr(weight, "regularizer", None) is not None]

    def _flat_layers(self) -> Iterator[Any]:
        return (module for module in self.modules() if isinstance(module, Calling))

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """The layer itself and those inside it, or inside those too: others' code asks for them by this name."""
        found = [*(self._flat_layers() if recursive else (self, *self._sublayers()))]
        return found if include_self else found[1:]

    # -- calling ----------------------------------------------------------------------------------------------------

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not have a `call` method implemented.")

    forward = call

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        care = self._care
        if len(args) == 1 and not care & BEFORE and not (_global_forward_pre_hooks or _global_forward_hooks):
            x = args[0]
            if (
                not kwargs
                and type(x) is Tensor
                and x.dtype in self._passing
                and (self._ndim is None or x.ndim == self._ndim)
                and getattr(x, "_keras_mask", None) is None
            ):
                try:
                    if self._takes_training:
                        training = scope.training
                        y = self.call(x, training=self.training if training is None else training)
                    else:
                        y = self.call(x)
                except FAULTS as error:
                    self._tell(args, error)
                    raise
                if care & AFTER:
                    self._after_direct(x, y)
                return y
            if kwargs or type(x) is not Tensor:
                return self._call_nearly_plain(x, kwargs)
        return self._call_with_care(args, kwargs)

    def _call_nearly_plain(self, x: Any, kwargs: dict[str, Any]) -> Any:
        """A call on one argument that a flag, an array in place of a tensor, or several keep from being plain."""
        training = kwargs.get("training")
        for word, value in kwargs.items():
            if value is not None and (word != "training" or type(value) is not bool or self._care & TOLD):
                return self._call_with_care((x,), kwargs)
            if word != "training" and (word != "mask" or "mask" in self._needed_by_call):
                return self._call_with_care((x,), kwargs)
        if type(x) is np.ndarray:
            plain: Any = arrays.at_once(x, device_of(self), self._passing, self._floats)
        else:
            plain = x if type(x) is Tensor else self._plain_inputs(x)
        if plain is None:
            return self._call_with_care((x,), kwargs)
        call: Any = self if type(plain) is Tensor else self._call_several
        if training is None:
            return call(plain)
        outer, scope.training = scope.training, training
        try:
            return call(plain)
        finally:
            scope.training = outer

    def _plain_inputs(self, x: Any) -> list[Tensor] | None:
        """Several inputs as the list of tensors that `call` takes; None where they need care."""
        return None

    def _call_several(self, inputs: list[Tensor]) -> Any:
        """A call on a list of tensors for which nothing has to be done."""
        try:
            if self._takes_training:
                training = scope.training
                y = self.call(inputs, training=self.training if training is None else training)
            else:
                y = self.call(inputs)
        except FAULTS as error:
            self._tell((inputs,), error)
            raise
        if self._care & AFTER:
            self._after_direct(inputs, y)
        return y

    def _call_with_care(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Any call that is not plain: symbolic tensors, arrays, masks, explicit training, losses, the first call."""
        try:
            recorded = False
            if self._ready and args and type(args[0]) is np.ndarray:
                tensor = arrays.at_once(args[0], device_of(self), self._passing, self._floats)
                args = args if tensor is None else (tensor, *args[1:])
            if not self._takes_as_is(args, kwargs):
                through = getattr(args[0], "through", None) if args and isinstance(args[0], list) else None
                if through is not None and self._ours:  # rows of several lengths
                    return through(self)
                if args and (step := _step_of_fx(self, args, kwargs)) is not None:
                    return step
                args, kwargs, recorded = self._made_ready(args, kwargs)
            if self.input_spec is not None:
                self.check_inputs(_first(args, kwargs))
            mask = self._route_masks(args, kwargs)
            node = symbolic.Node(self, args, kwargs) if recorded else None
            outputs = answered(self, self._perform(args, kwargs) if node is None else node.infer())
            if mask is not None or self._creates_mask:
                masking.set_masks(outputs, self._checked_mask(args[0] if args else None, mask))
            if node is not None:
                self._nodes.append(node)
            return outputs
        except FAULTS as error:
            tell(self, args, kwargs, error)
            raise

    def _made_ready(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any], bool]:
        """The arguments as `call` takes them, after the weights were made; and whether they are symbols."""
        self._read_call()
        if self._takes_one and args:
            self._require_one(args[0])
        recorded = symbolic.any_symbolic(args, kwargs)
        if recorded:
            kwargs = symbolic.checked(self, args, kwargs)
        else:
            args = self._checked_first(args, kwargs)
        if not self._ready or self._building:
            self.check_inputs(_first(args, kwargs))
            with building(self):  # another thread's first call may be building it
                if not self._ready:
                    self._build_for(args, kwargs)
        if recorded and not kwargs and len(args) == 1 and type(args[0]) is symbolic.SymbolicTensor:
            return args, kwargs, True
        return (*self._convert(args, kwargs), recorded)

    def _make_weights_for(self, *args: Any) -> None:
        """What a first call on these arguments does before it runs."""
        try:
            self._made_ready(args, {})
        except FAULTS as error:
            tell(self, args, {}, error)
            raise

    def _perform(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run `call` on data: with its training flag, and with the losses of the last call forgotten."""
        outer = scope.training, scope.depth, scope.path, scope.context
        by_position = "training" in self._call_places[: len(args)]
        explicit = args[self._call_places.index("training")] if by_position else kwargs.pop("training", None)
        if explicit is not None:
            if isinstance(explicit, (Tensor, np.ndarray)) and explicit.ndim:
                raise TypeError(f"{named(self)}: `training` must be True or False; put several inputs into one list.")
            explicit = bool(explicit)
        training = scope.training if explicit is None else explicit
        training = self._untold if training is None and self.training is self._untold else training  # inside, too
        if self._takes_training and not by_position:
            kwargs["training"] = self.training if training is None else training
        if scope.depth == 0:
            keepers = self._keepers
            if keepers is None or keepers.lists or keepers.changes != Changes.count:
                keepers = self._keepers_of_now(keepers)
            for layer in keepers.layers:
                layer._losses.clear()
        scope.context = self._hand_down(kwargs) if self._context_words else scope.context
        scope.training, scope.depth, scope.path = training, scope.depth + 1, (*scope.path, self._name)
        try:
            if explicit is None or not self._care & TOLD:
                outputs = self._run(args, kwargs)
            else:
                with _torch_modules_follow(self, explicit):
                    outputs = self._run(args, kwargs)
        except (RuntimeError, IndexError) as error:
            self._explain(args, error)
            raise
        finally:
            scope.training, scope.depth, scope.path, scope.context = outer
        if self.activity_regularizer is not None:
            self._losses.extend(self._activity_losses(outputs))
        return outputs

    def _keepers_of_now(self, keepers: Keepers | None) -> Keepers:
        if keepers is not None and keepers.held != [*map(id, chain.from_iterable(keepers.lists))]:
            Changes.note(self)
        if keepers is None or (keepers.changes != Changes.count and Changes.concern(keepers, self)):
            keepers = vars(self)["_keepers"] = Keepers(self)
        return keepers

    def _register_call_context_args(self, *names: str) -> None:
        """Let calls take these arguments, and hand them to the calls inside of layers that registered and take them (of
        Keras 3, which has it by this name). A layer's own argument wins over what was handed down."""
        vars(self)["_context_words"] = tuple(dict.fromkeys((*self._context_words, *names)))
        tend(self)

    def _hand_down(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """The context of the calls inside; gives this call what it takes of it, and keeps from it what it does not."""
        told = {word: kwargs.pop(word) for word in self._context_words if kwargs.get(word) is not None}
        context = {**scope.context, **told}
        taken = context.keys() & {*self._context_words} & {*self._call_parameters}
        kwargs |= {word: context[word] for word in taken}
        return context

    def _takes_as_is(self, args: tuple, kwargs: Mapping[str, Any]) -> bool:
        """Whether the arguments need no conversion: plain tensors or flags, the first perhaps a list of tensors."""
        if not args or not self._ready:
            return False
        first, passing = args[0], self._passing
        several = first if type(first) is list and not self._takes_one else (first,)
        if not several or (self._ndim is not None and type(first) is Tensor and first.ndim != self._ndim):
            return False
        for value in several:
            if type(value) is not Tensor or value.dtype not in passing:
                return False
        for value in (*args[1:], *kwargs.values()):
            known = value.dtype in passing if type(value) is Tensor else value is None or type(value) is bool
            if not known:
                return False
        return True

    def _checked_first(self, args: tuple, kwargs: Mapping[str, Any]) -> tuple:
        """The arguments, nested lists of numbers as an array. Raises for a call on nothing, or on what is no data."""
        if not args:
            if not kwargs and self._call_parameters and self._ours:
                raise TypeError(f"{named(self)}: call it on its `{self._call_parameters[0]}`, as in layer(x).")
            return args
        first = args[0]
        if isinstance(first, (str, bytes)) or (isinstance(first, (set, frozenset, type(None))) and self._ours):
            raise ValueError(f"{named(self)}: expected a tensor or an array as input; got {short(first)}.")
        listed = arrays.is_listed(first) or (self._ours and isinstance(first, (int, float)))
        if listed and not self._takes_untouched(arrays.first_of(first)):
            return (arrays.numbers(first, named(self)), *args[1:])
        if not self._ready and arrays.is_array(first) and not self._takes_untouched(first):
            arrays.tensor_of(first, named(self))  # raises before there are weights
        return args

    def _require_one(self, first: object) -> None:
        """Raises ValueError for several inputs of a layer that takes one, or what is no data."""
        if hasattr(first, "shape") or arrays.is_listed(first) or isinstance(first, (int, float)):
            return
        if isinstance(first, Mapping):
            repair = f" Pass what is in it, as inputs[{next(iter(first))!r}]." if first else ""
            got = f"a dictionary with {quoted(map(str, first)) or 'nothing in it'}.{repair}"
        elif isinstance(first, (list, tuple)):
            if first and ((self._stacks and not self._weights) or "initial_state" in self._call_parameters):
                return
            repair = " Pass inputs[0]." if len(first) == 1 else " Call it on each, or join them: layers.Concatenate()."
            got = f"a {type(first).__name__} of {len(first)}.{repair if first else ''}"
        else:
            raise ValueError(f"{named(self)}: expected a tensor or an array as input; got {short(first)}.")
        raise ValueError(f"{named(self)}: expected one tensor; got {got}")

    def _run(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not self._care & SHARED:
            return self._run_cast(args, kwargs)
        outer, scope.gathered = scope.gathered, []
        try:
            kernel: Any = dict.get(self._parameters, self._product)
            if placing.is_shared_out(kernel) and kernel.divides and not (self._care & HOOKED or placing.only_shapes()):
                if "relu" in granted(self):
                    return kernel.product(self, args[0])
            return self._run_cast(args, kwargs)
        finally:
            for register, name in scope.gathered:
                (register.standing[scope.thread] or {}).pop(name, None)
            scope.gathered = outer

    def _run_cast(self, args: tuple, kwargs: Mapping[str, Any], hooks: bool = True) -> Any:
        policy = self.dtype_policy
        hooked = hooks and (self._care & HOOKED or _global_forward_pre_hooks or _global_forward_hooks)
        call = functools.partial(nn.Module.__call__, self) if hooked else self.call
        if policy.compute is policy.variable:
            return call(*args, **kwargs)
        cast = {
            name: weight.to(policy.compute)
            for name, stored in self._parameters.items()
            if (weight := self._parameters[name]) is not None
            and weight.is_floating_point()
            and getattr(stored, "autocast", True)
            and not getattr(stored, "hooked", False)
        }
        register: Any = self._parameters
        standing, thread = register.standing, scope.thread
        outer = standing.get(thread)
        standing[thread] = {**(outer or {}), **cast}  # gradients flow to the stored ones; sublayers cast their own
        try:
            return call(*args, **kwargs)
        finally:
            standing[thread] = outer

    def _convert(self, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        """Arrays become tensors on the layer's device; floats become the layer's compute type."""
        compute, device = self._compute, None

        def convert(leaf, cast=True):
            nonlocal device
            if not isinstance(leaf, Tensor):
                array = arrays.is_array(leaf) or isinstance(leaf, np.generic)
                if not array or isinstance(leaf, symbolic.SymbolicTensor) or self._takes_untouched(leaf):
                    return leaf
                if not self._ours and hasattr(leaf, "toarray"):  # a sparse matrix, which code of users may take
                    return leaf
                if device is None:
                    device = device_of(self)
                leaf = arrays.tensor_of(leaf, named(self)).to(device)
            if cast and compute is not None and leaf.dtype not in self._passing:
                if self._ours or not leaf.is_complex():
                    found = arrays.cast(leaf, compute, named(self))
                    masking.set_mask(found, masking.get_mask(leaf))
                    return found
            return leaf

        return self._each_argument(convert, args, kwargs)

    def _each_argument(
        self, change: Callable[..., Any], args: tuple, kwargs: Mapping[str, Any]
    ) -> tuple[tuple, dict[str, Any]]:
        """`change(leaf, cast)` of each part of what a call is given; cast: whether it is to be of the compute type."""
        if self._casts_all:
            return pytree.tree_map(change, args), pytree.tree_map(change, dict(kwargs))
        as_is = functools.partial(change, cast=False)
        named = {
            name: pytree.tree_map(change if name == self._call_parameters[0] else as_is, value)
            for name, value in kwargs.items()
        }
        return (*pytree.tree_map(change, args[:1]), *pytree.tree_map(as_is, args[1:])), named

    def _takes_untouched(self, value: Any) -> bool:
        """Whether the layer may want it as it is: texts."""
        if self._takes_text and getattr(getattr(value, "dtype", None), "kind", "") == "O":
            return True
        return (self._takes_text or not self._ours) and arrays.texts(value) is not None

    def check_inputs(self, inputs: Any) -> None:
        """Raises ValueError where the inputs do not fit `input_spec`."""
        spec = self.input_spec
        if spec is None:
            return
        if type(spec) is InputSpec and type(inputs) is Tensor:
            problem = spec.problem_with(inputs)
            if problem:
                raise unfit(self, problem)
            return
        specs = pytree.tree_leaves(spec) if isinstance(spec, (list, tuple, dict)) else [spec]
        if isinstance(inputs, Mapping) and all(one.name in inputs for one in specs):
            inputs = [inputs[one.name] for one in specs]
        leaves = [leaf for leaf in pytree.tree_leaves(inputs) if leaf is None or hasattr(leaf, "shape")]
        if len(specs) > 1 and len(leaves) != len(specs):
            raise ValueError(f"{named(self)}: expected {len(specs)} inputs; got {len(leaves)}.")
        if len(leaves) == 1 and leaves[0] is None:  # called by keywords alone
            return
        for one, leaf in zip(specs, leaves, strict=False):
            problem = one.problem_with(leaf)
            if problem:
                raise unfit(self, problem)

    def _tell(self, args: tuple, error: Exception) -> None:
        """Let the error of a direct call say what is wrong and where; raises a clearer one where there is one."""
        try:
            if not isinstance(error, ValueError):
                self._explain(args, error)
        except ValueError as clear:
            tell(self, args, {}, clear)
            raise
        tell(self, args, {}, error)

    def _again(self, args: tuple, kwargs: Mapping[str, Any]) -> Trail | None:
        """Repeat a call that failed on shapes alone: what it meets inside; None where nothing fails, or nothing is."""
        if scope.trying or not any(self._sublayers()):  # a layer further out looks on, or will
            return None
        return Onlooker(self, args, kwargs).trail()

    def _advice(self, shapes: Sequence[tuple], before: Sequence[symbolic.Node]) -> Advice:
        """Hook: what is wrong with inputs of these shapes, which the calls `before` gave, and what to do."""
        return advice_of(self.input_spec, shapes, before)

    def _explain(self, args: tuple, error: Exception) -> None:
        """Raise the clear error where the input is at fault; return where it is not."""
        try:
            self.check_inputs(args[0] if args else None)
        except ValueError as clear:
            raise clear from error
        if self._ours and args and isinstance(args[0], Tensor) and any(words in str(error) for words in _UNABLE):
            if args[0].layout is not torch.strided:
                raise TypeError(f"{named(self)} cannot compute with sparse tensors; pass x.to_dense().") from error
            kind = str(args[0].dtype).removeprefix("torch.")
            raise TypeError(f"{named(self)} cannot compute with {kind}; give floating-point numbers.") from error
        if self._ours and type(error) in (RuntimeError, IndexError):
            raise symbolic.cannot_take(named(self), args[:1], error) from error

    def _route_masks(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Give `call` the masks riding on its inputs; returns the mask of the first input. As in Keras 3, that one is
        not given to a call with further tensors."""
        given, by_name = "mask" in self._call_places[: len(args)], "mask" in kwargs
        mask = args[self._call_places.index("mask")] if given else kwargs.pop("mask", None)
        if mask is not None and not all(item is None or hasattr(item, "shape") for item in pytree.tree_leaves(mask)):
            raise ValueError(f"{named(self)}: `mask` must be a tensor or an array; got {short(mask)}.")
        wanted = self._takes_mask and not given
        if mask is None and (args or kwargs):
            first = args[0] if args else kwargs.get(next(iter(self._call_parameters), ""))
            mask = getattr(first, "_keras_mask", None) if isinstance(first, Tensor) else masking.masks_of(first)
            if wanted and mask is not None and not self._mask_beside_others:
                rest = {k: v for k, v in kwargs.items() if k != "training" and v is not first}
                others = pytree.tree_leaves((args[1:], rest))
                wanted = not any(isinstance(leaf, (Tensor, symbolic.SymbolicTensor)) for leaf in others)
        elif self._takes_mask and self._mask_axes is not None and args:
            _check_mask(self, args[0], mask, self._mask_axes)
        if wanted and mask is not None:
            kwargs["mask"] = mask
        elif by_name and "mask" in self._needed_by_call:
            kwargs["mask"] = None
        if not self._takes_masks_of:
            return mask
        left = {*self._call_parameters} - {*self._call_places[: len(args)]}
        for name, value in (*zip(self._call_places, args, strict=False), *kwargs.items()):
            key = f"{name}_mask"
            if key in left and kwargs.get(key) is None:
                kwargs[key] = masking.masks_of(value)
        return mask

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the outputs, from the inputs and their mask."""
        return mask

    def _checked_mask(self, inputs: Any, mask: Any) -> Any:
        if type(self).compute_mask is Calling.compute_mask and not self.supports_masking:
            if any(item is not None for item in pytree.tree_leaves(mask)):
                warnings.warn(
                    f"{named(self)} does not support masks: the mask of its input ends here.", UserWarning, stacklevel=4
                )
            return None
        return self.compute_mask(inputs, mask)

    def _after_direct(self, x: Any, outputs: Any) -> None:
        """What follows a direct call: a look at what a user's `call` gave, the loss of the activity, the mask made from
        the input."""
        if outputs is None:
            answered(self, outputs)
        if self.activity_regularizer is not None:
            losses = self._losses
            if scope.depth == 0:
                losses.clear()
            losses += self._activity_losses(outputs)
        if self._creates_mask:
            masking.set_masks(outputs, self.compute_mask(x, None))

    def _activity_losses(self, outputs: Any) -> list[Tensor]:
        found = []
        for output in (outputs,) if isinstance(outputs, Tensor) else pytree.tree_leaves(outputs):
            if isinstance(output, Tensor):
                output = output if output.is_floating_point() else output.float()
                found.append(self.activity_regularizer(output) / max(*output.shape[:1], 1, 1))
        return found


for _hook in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook", "backward_hook"):
    setattr(Calling, f"register_{_hook}", _tending(getattr(nn.Module, f"register_{_hook}")))


_UNABLE = ("not implemented for", "not supported for", "Could not run 'aten::")  # of kinds of tensors, in torch's words


def takes_texts(module: nn.Module) -> bool:
    """Whether texts are data to a module, or to a layer in it."""
    return any(getattr(each, "_takes_text", False) for each in modules_inside(module).values())


def _first(args: tuple, kwargs: Mapping[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)


def _torch_modules_follow(layer: Any, training: bool) -> AbstractContextManager[Any]:
    """Inside, torch's own modules within `layer` obey an explicit `training` as layers do."""
    followers = [module for module in layer.modules() if not isinstance(module, (Calling, Children))]
    if not followers:
        return nullcontext()
    if torch.compiler.is_compiling():  # by one thread alone; it can trace no lock
        return in_mode(followers, training)
    return training_flags(layer, followers, training, lambda flag: [put_flag(each, flag) for each in followers])


def _check_mask(layer: Any, inputs: Any, mask: Any, axes: Iterable[int]) -> None:
    if isinstance(inputs, Tensor) and isinstance(mask, Tensor):
        expected = tuple(inputs.shape[axis] for axis in axes)
        if tuple(mask.shape) != expected:
            raise masking.misfit(layer, mask, expected)
