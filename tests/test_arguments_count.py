"""What is accepted counts: no argument is taken and then not used.

Over the whole source: a parameter that its function never reads, a keyword catch-all that nobody looks into, and an
argument that is kept and read nowhere, stand in a table with the reason. What else may be given has an effect; that
is tried in `test_arguments_have_effects.py`.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

from support.code import all_functions, excused, parameters, sources
from support.declared import CLASSES, arguments

# Parameters that are not read, by function and parameter (patterns), and why.
UNREAD = {
    "core.children.Aside.named_modules:*": "torch passes them",
    "core.remat.RematScope.__exit__:error": "Python passes it",
    "core.symbolic._FewDecisions.__torch_dispatch__:types": "torch passes it",
    "core.declare.fixed:init": "type checkers read it",
    "generations.initializations.ForgetBias.__call__:dtype": "given to every initializer",
    "generations.functions.SlicingOpLambda.operation_config:kwargs": "a slice has none",
    "generations.tensorflow.data.Dataset.snapshot:*": "nothing is stored: results are the same",
    "generations.tensorflow.tables.*.size:name": "names of operations of a graph",
    "generations.*.find_spec:*": "Python's imports pass them",
    "generations.*.exec_module:_": "Python's imports pass it",
    "generations.names._get_optimizer:use_legacy_optimizer": "one class serves as both of TensorFlow's",
    "generations.names._layer_from_config:use_legacy_format": "both formats are read, whatever is said",
    "generations.names._get_with:_": "Keras 1 takes them and does nothing with them",
    "generations.python2._Loader.source_to_code:_optimization": "Python's imports pass it",
    "generations.theano._Absent.__mro_entries__:_": "Python passes it",
    "generations.theano._calls.function:_": "how Theano compiles a function",
    "generations.theano._calls.shared:borrow": "it holds its own numbers in any case",
    "generations.updates.Expression.__reduce_ex__:protocol": "Python passes it",
    "generations.updates.Standing.regularizer:_": "called as that of a weight, with the weight",
    "generations.weighting.CountsItself.count:*": "what it replaces takes them",
    "layers.quantized._AsFloat8.*:ctx": "torch passes it",
    # Protocols: the caller passes them to every function of its kind.
    "*:owner": "given to every converter of an argument: some look at the layer it belongs to",
    "*.on_*_begin:*": "given to every callback",
    "*.on_*_end:*": "given to every callback",
    "*.compute_mask:inputs": "given to every layer",
    "*.compute_mask:mask": "given to every layer: some make a mask of their own, some end it",
    "core.children.Children._ignore:value": "a setter that leaves the children to the items",
    "*._rule:step": "given to every optimizer: some correct a bias by it",
    "core.declare._Later.__get__:instance": "Python's protocol of descriptors",
    "port.forms.*:_*": "given to every form",
    "port.reader.Reader.*:*": "given by torch.fx to every kind of call",
    "port.readings.*:reader": "given to every reading",
    "port.reader._Tracer.is_leaf_module:*": "given by torch.fx",
    "files.onnx._nearest:_": "torch gives factors, too, which follow from the sizes",
    "port.readings.*:name": "given to every reading",
    "port.readings.dropout:inplace": "results are the same",
    "port.readings.threshold:inplace": "results are the same",
    "port.readings.unchanged:*": "what a copy is laid out like",
    "layers.preprocessing.*:how": "given to every change of pictures: some are always the same",
    "layers.preprocessing.*.matrix:size": "some matrices do not depend on it",
    "layers*.size_after:size": "some layers have one size for all",
    "layers.preprocessing.pictures.Pictures.moved:*": "layers that move nothing",
    "layers.preprocessing.pictures.Pictures._rests:*": "layers that always act",
    "layers.preprocessing.pictures.Pictures.get_random_transformation:*": "layers that draw nothing",
    "layers.preprocessing.pictures.Pictures.transform_labels:*": "labels of most stay",
    "layers.preprocessing.mixing.*.transform_boxes:*": "given to every change of boxes: some do without the pictures",
    "layers.preprocessing.mixing.MaxNumBoundingBoxes.transform_bounding_boxes:*": "the same for every picture",
    "layers.preprocessing.pictures.Pictures.*:x": "hooks whose defaults leave all as it is",
    "models.functional.GraphModel.finish_copy:*": "a hook whose default has nothing to add",
    "core.layer.Layer.behind:layer": "a hook whose default says no",
    "training.step.PredictStep.__call__:*": "steps of all kinds are called alike",
    "*.__torch_function__:types": "torch's protocol",
    "*.__get__:instance": "Python's protocol",
    "*.__exit__:exception": "Python's protocol",
    "optimizers.legacy.Optimizer.__init__:*": "refuses whatever it is given",
    "core.weight.Weight.__init__:*": "`__new__` reads them",
    "core.*.__init__:*args": "`__new__` reads them",
    "generations.rules.OptimizerOfUsers.__new__:*": "`__init__` reads them",
    "generations.tensorflow.state.Module.__new__:*": "`__init__` reads them",
    "core.*.numpy:force": "torch's protocol: it copies in any case",
    "core.*.__reduce_ex__:protocol": "Python's protocol",
    "core.weight.Known.__repr__:kwargs": "torch's protocol",
    "distribution._*:*": "torch's protocol of hooks",
    "distribution.Distribution.get_tensor_layout:path": "a hook whose default says nothing",
    "files.dcp._Reader.read_metadata:*": "torch's protocol",
    "core.sharded.Sharded.copy_:non_blocking": "torch's protocol: it waits in any case",
    "datasets.reading._[AK]*:*": "stands for a class of NumPy's, and takes what a pickle gives it",
    "generations.tensorflow.environment.Strategy.*:*": "one device: how several would share the work",
    "generations.tensorflow.environment.ReplicaContext.all_reduce:reduce_op": "one replica: nothing is combined",
    "generations.tensorflow.environment.Session.__init__:how": "no graph, and the devices that torch has",
    "generations.backend.Session.__exit__:error": "Python's protocol",
    "generations.tensorflow.environment.control_dependencies:control_inputs": "calls are in order here",
    "generations.tensorflow.environment.exported:*": "names under which TensorFlow shows it",
    "generations.tensorflow.data.Dataset.*:num_parallel_calls": "how it runs, not which elements there are",
    "generations.tensorflow.data.Dataset.prefetch:buffer_size": "how it runs, not which elements there are",
    "generations.tensorflow.data.Dataset.with_options:options": "how it runs, not which elements there are",
    "generations.tensorflow.data.*.cache:filename": "a cache is kept in memory; its file is nobody else's",
    "core.trail.Onlooker.after:inputs": "torch's protocol of hooks",
    "layers.*._advice:before": "a hook: some layers look at what came before",
    "pictures.clock._hooks.*:*": "torch's protocol of hooks",
    "pictures.explain.*:layer": "a rule for each kind of layer: some need only the kind",
    "pictures.page.data._padding:declared": "given to every kind of control",
    "pictures.page.server._Handler.log_message:*": "Python's protocol: nothing is logged",
    "pictures.scenes.kinds.scenes:*": "the rule of kinds that have none",
    "pictures.scenes.merging._dotted.*:_": "given to every way of telling where values come from",
    "pictures.seen.running.outputs_of.look:inputs": "torch's protocol of hooks",
    "training.record.*._called:types": "torch's protocol",
    "training.step.Passes.go_on:earlier": "a hook: passes that are replayed have something to take over",
    "generations.tensorflow.state.Variable.__*__:*": "torch's protocol; `__new__` reads what there is",
    "generations.initializations._made.initialization:name": "Keras 1 gives every initialization a name",
    "generations.rules.OptimizerOfTensorFlow.add_weight:where": "how replicas share it: there is one",
    "generations.rules.OptimizerOfTensorFlow._create_slots:var_list": "a hook: users' own classes read it",
    "generations.rules.StepsOfTensorFlow._step_of:rate": "users' own rules ask for the rate",
    "generations.rules.StepsOfTensorFlow._resource_apply_dense:apply_state": "what holds for all weights is known here",
    "generations.tensorflow.records.TFRecordDataset.__init__:buffer_size": "how it reads, not what",
    "generations.tensorflow.records.TFRecordWriter.__exit__:error": "Python's protocol",
    "generations.tensorflow.records.Feature.WhichOneof:_": "there is one choice",
    "generations.*.*assign*:use_locking": "threads do not share a step",
    "generations.*.*assign*:name": "of the operation in a static graph",
    "generations.*.*assign*:read_value": "there is always a value to read",
    "generations.tensorflow.testing.TestCase.*session:*args": "no graph, and the devices that torch has",
    "port.readings.normalize:out": "torch's own argument, of no use without gradients",
    "generations.scikit_learn.BaseWrapper.get_params:params": "scikit-learn passes `deep`",
    "generations.shim.Shim._resolve:key": "a hook: some classes look at the name",
    "kernels.noise.Stream.draw:*": "says what a stream of random numbers is",
    "layers.convolution._Convolution.output_channels:input_shape": "a hook: depthwise convolutions read it",
    "layers.embedding.Embedding.build:input_shape": "given to every layer: these weights do not depend on it",
    "layers.embedding.Embedding.output_dtype:input_dtype": "given to every layer: the input holds indices",
    "layers.normalization.GroupNormalization.output_dtype:input_dtype": "given to every layer: the policy says it",
    "layers.preprocessing.strings.Textual.build:input_shape": "given to every layer: there are no weights",
    "layers.preprocessing.strings.Textual.compute_output_spec:kwargs": "given to every layer",
    "layers.preprocessing.features.Discretization.output_dtype:input_dtype": "given to every layer: it gives integers",
    "layers.*.build:initial_state_shape": "names what a first call passes on; a state has the cell's size",
    "losses.base.Loss.on_logits:activation": "a hook whose default says there is no such form",
    "losses.functions._fused_binary:axis": "given to every fused loss: the mean of all values has no axis",
    "metrics.confusion._CountOf._make_counts:labels": "given to every metric of counts",
    "models.sequential.Sequential._build_for:kwargs": "given to every layer",
    "optimizers.base.Optimizer._initial:name": "a hook: some slots begin as something else than zeros",
    "optimizers.base.Optimizer._kind:weight": "a hook: some optimizers treat weights apart",
    "optimizers.base.Optimizer._decay_of:group": "a hook: some optimizers decay weights apart",
    "optimizers.gradient.SGD._update:step": "given to every optimizer: some correct a bias by it",
    "pictures.cost.*:*": "given to every counter",
    "pictures.field.*:*": "given to every layer's rule",
    "pictures.formulas.*:*": "given to every layer's rule",
    "pictures.particulars._always:layer": "given to every rule",
    "callbacks.ModelCheckpoint._wanted:path": "a hook: older generations say where they save",
    "training.trainer.Trainer.compute_loss:x": "given to what users write in its place",
    "training.trainer.Trainer.compute_loss:training": "given to what users write in its place",
    "training.trainer.Trainer.compute_metrics:x": "given to what users write in its place",
    "translation.conversions.*:*": "given to every conversion",
    "translation.weights._same:layout": "given to every rule",
    "translation.weights._*cudnn:layout": "given to every rule",
    # What has no effect in the original, or none on one engine and one device.
    "core.declare.kept:init": "a word for type checkers",
    "core.stateless.StatelessScope.__init__:initialize_variables": "variables have their values from the start",
    "core.symbolic.SymbolicTensor.__init__:record_history": "Keras keeps it and does not look at it",
    "files.save_model:save_format": "the name's suffix says it; Keras 2 warns where they differ",
    "core.random.SeedGenerator.next:ordered": "of JAX's compiler: calls are in order here",
    "*:safe_mode": "code from files never runs, whatever it says",
    "utils.bounding_boxes.pad:[hw]*": "boxes do not depend on the size of the picture",
    "ops.control.scan:unroll": "of JAX's compiler: the results are the same",
    "ops.reduction.segment_*:sorted": "a promise that lets other engines go faster: the results are the same",
    "_absent.Finder.find_spec:*": "Python's protocol",
    "generations.utils.losses_utils.compute_weighted_loss:name": "of the operation in a static graph",
    "*.HDF5Matrix.__array__:copy": "NumPy's protocol: what is read is new",
    "*.H5Dict.__exit__:_": "Python's protocol",
    "generations.recurrent.Recurrent.get_constants:x": "a hook whose default has none",
    "generations.utils.interfaces.generate_legacy_interface:object_type": "a word in the original's warnings",
    "generations.utils.data_utils.GeneratorEnqueuer.__init__:*": "how it waits; seeds of processes",
    "generations.tensorflow.StandIn.__mro_entries__:_": "Python passes them",
    "generations.tensors.of_array_function:types": "NumPy passes them",
    "generations.tf_only._Words.add_weight:[as]*": "how replicas share it: there is one",
    "generations.additions.*.add_loss:inputs": "said what a loss rests on in a static graph; a tensor knows",
    "generations.additions.Addition.compute_output_spec:value": "given to every layer: the output is the first input",
    "generations.additions._of_shape.first:dtype": "the function takes a shape alone; the weight has its type",
    "generations.habits._moved.left:_": "says when it is run",
    "generations.habits.Habits.outbound_nodes:_": "looked for, not kept",
    "generations.parts.*et_value:borrow": "how Theano kept memory",
    "generations.parts.get_value:session": "of TensorFlow: there is one",
    "generations.bases._UserLayer.call:*args": "what users' calls add",
    "generations.bases._UserLayer.call:kwargs": "what users' calls add",
    "core.operation.Gradients.compute_output_spec:losses": "gradients have the shapes of the variables",
    "generations.arithmetic.*:name": "names of operations in TensorFlow's graph",
    "generations.backend.manual_variable_initialization:value": "variables have their values from the start",
    "generations.backend.control_dependencies:control_inputs": "calls are in order here",
    "generations.arithmetic.rnn:unroll": "the loop is always written out",
    "generations.arithmetic.rnn:input_length": "the input has its length",
    "generations.tensors.evaluated:session": "of TensorFlow 1: a tensor has its values",
    "generations.stored_functions.*:*": "every kind of entry is told the same",
    "generations.migrate.*.visit_*:*node": "libcst passes it",
    "generations.migrate.*.leave_*:*node": "libcst passes it",
    "generations.migrate.calls.Size.__new__:node": "`Code` keeps it",
    "files.tree.as_it_is:item": "what adapts to other Keras is told it",
    "core.calling.Calling._plain_inputs:x": "a hook: layers of several inputs look at it",
    "generations.shim._no_losses:outputs": "called as a layer's own method",
    "kernels.convolution._picked:_": "as torch.conv2d takes them: one group, and nothing to dilate",
    "kernels.convolution._spread:_": "as torch.conv_transpose2d takes them",
    "core.weight.Known.__array_function__:types": "NumPy's protocol",
    "core.weights._Tracker.lock:msg": "users' own layers give it",
    "generations.rules.StepsOfTensorFlow.*:name": "named nodes of a graph",
    "generations.rules.StepsOfTensorFlow.apply_gradients:*": "of several replicas",
    "generations.tensorflow.arrays.lstsq:fast": "chose between ways to one result",
    "generations.tensorflow.state.*:options": "how TensorFlow wrote and read",
    "generations.tensorflow.state.*:signatures": "of graphs; what is written is the model",
    "generations.tensorflow.state.*:tags": "of graphs",
}  # fmt: skip

# Arguments that are kept for whoever asks and read nowhere.
KEPT = {
    "training.step.Step.outputs_used": "it tells its passes, which read it",
    "preprocessing.image.ImageDataGenerator._validation_split": "read by its iterators",
    "layers.*.sparse": "True is refused",
    "generations.tensorflow.data.Elements.get_next": "scripts call it",
    "generations.habits.Call.outbound_layer": "users of older generations read it",
    "layers.IntegerLookup.vocabulary_dtype": "there is one",
    "core.dtypes.QuantizedFloat8DTypePolicy.amax_history_length": "layers read it",
    "layers.EinsumDense.gptq_unpacked_column_size": "anything but None is refused",
    "layers.ConvLSTM*.strides": "read by its cell",
    "layers.*.implementation": "chose between equal results",
    "layers.*.unroll": "chose between equal results",
    "optimizers.Adafactor.relative_step": "Keras keeps it and caps the step either way",
    # Read where the check does not look.
    "core.arrays._Writeable._kept": "keeps the memory that it shows",
    "core.weight.weight.adapts": "read by LoRA",
    "core.symbolic.SymbolicTensor.sparse": "for whoever asks; True is refused where inputs are made",
    "core.symbolic.SymbolicTensor.ragged": "for whoever asks; True is refused where inputs are made",
    "layers.input.InputLayer.optional": "read by models",
    "metrics.base.MeanMetricWrapper._direction": "read by callbacks",
    "training.data.Arrays.lacks_targets": "read by `fit`",
    "generations.migrate.visitor.Rewriter.package": "read where imports are written",
}


def read(function: ast.AST) -> set[str]:
    """The names a body reads; all, where it takes them together."""
    nodes = [node for statement in function.body for node in ast.walk(statement)]  # type: ignore[attr-defined]
    names = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return names | set(parameters(function)) if "locals" in names else names  # type: ignore[arg-type]


def only_refuses(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether nothing is accepted, since all it does is raise, or it stands for other signatures."""
    rest = [s for s in function.body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    stands = any(isinstance(d, ast.Name) and d.id == "overload" for d in function.decorator_list)
    return stands or (bool(rest) and all(isinstance(statement, ast.Raise) for statement in rest))


@functools.cache
def unread() -> list[str]:
    """function:parameter of everything taken and not read."""
    found = []
    for name, function in all_functions():
        if not only_refuses(function):
            known = read(function)
            found += [f"{name}:{parameter}" for parameter in parameters(function) if parameter not in known]
    return found


def test_every_parameter_is_read() -> None:
    silent = [place for place in unread() if not excused(place, UNREAD)]
    assert not silent, "taken and not used: " + ", ".join(silent)


def test_no_excuse_is_left_over() -> None:
    used = {pattern for place in unread() for pattern in excused(place, UNREAD)}
    assert not sorted(UNREAD.keys() - used)


# What is kept is read ------------------------------------------------------------------------------------------------


def told(function: str) -> bool:
    """Whether a method only says what an object was given."""
    return function in ("get_config", "__repr__", "_shown_args", "extra_repr")


def looked_at(tree: ast.AST) -> Iterator[str]:
    """Attributes that are read, and words by which they may be."""
    if isinstance(tree, ast.FunctionDef) and told(tree.name):
        return
    if isinstance(tree, ast.Attribute) and isinstance(tree.ctx, ast.Load):
        yield tree.attr
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        yield tree.value
    for child in ast.iter_child_nodes(tree):
        yield from looked_at(child)


@functools.cache
def words(module: str) -> frozenset[str]:
    return frozenset(looked_at(sources()[module.removeprefix("lamina").lstrip(".")]))


def family(cls: type) -> frozenset[str]:
    """What the modules of a class and of its bases look at."""
    rooms = {base.__module__ for base in cls.__mro__ if base.__module__.startswith("lamina.")}
    return frozenset().union(*map(words, rooms))


def kept_from_init(cls: ast.ClassDef) -> Iterator[str]:
    """The attributes that an `__init__` fills with what it was given, as it was given."""
    for function in cls.body:
        if isinstance(function, ast.FunctionDef) and function.name == "__init__":
            given = set(parameters(function))
            for node in ast.walk(function):
                if not isinstance(node, ast.Assign):
                    continue
                target = node.targets[0]
                places, values = ([target], [node.value]) if isinstance(target, ast.Attribute) else (
                    getattr(target, "elts", []), getattr(node.value, "elts", []))  # fmt: skip
                for place, value in zip(places, values, strict=False):
                    taken = {item.id for item in ast.walk(value) if isinstance(item, ast.Name)}
                    if isinstance(place, ast.Attribute) and taken & given:
                        yield place.attr


def kept_silently() -> list[str]:
    found = []
    for module, tree in sources().items():
        for cls in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)):
            found += [f"{module}.{cls.name}.{name}" for name in kept_from_init(cls) if name not in words(module)]
    for name, cls in CLASSES.items():
        if name.startswith(("losses.", "metrics.")):  # these hand what they are given to a function
            continue
        known = family(cls)
        for argument in arguments(cls).values():
            base, _, role = argument.attribute.rpartition("_")
            of_weight = role in ("initializer", "regularizer", "constraint") and base in known
            if argument.attribute not in known and not of_weight:
                found.append(f"{name}.{argument.name}")
    return found


def test_what_is_kept_is_read() -> None:
    places = kept_silently()
    silent = [place for place in places if not excused(place, KEPT)]
    assert not silent, "kept and not used: " + ", ".join(silent)
    assert not sorted(KEPT.keys() - {pattern for place in places for pattern in excused(place, KEPT)})
