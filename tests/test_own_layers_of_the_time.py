"""What people wrote beside the layers for Keras 1, Keras 2 and tf.keras: own layers, optimizers, callbacks, losses."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import lamina
from lamina import keras1, keras2, tf_keras

OLD = pytest.mark.parametrize("space", [keras1, keras2, tf_keras], ids=["keras1", "keras2", "tf_keras"])
STATIC = pytest.mark.parametrize("space", [keras1, keras2], ids=["keras1", "keras2"])
ALL = pytest.mark.parametrize(
    "space", [keras1, keras2, tf_keras, lamina], ids=["keras1", "keras2", "tf_keras", "keras3"]
)
DRAWN = np.random.default_rng(0)
X, Y = DRAWN.normal(size=(8, 4)).astype("float32"), DRAWN.normal(size=(8, 3)).astype("float32")
STEPS = DRAWN.normal(size=(4, 5, 2)).astype("float32")


def sequential(space: ModuleType, *layers: Any) -> Any:
    model = space.models.Sequential()
    for layer in layers:
        model.add(layer)
    return model


def functional(space: ModuleType, inputs: Any, outputs: Any) -> Any:
    return (
        space.models.Model(**dict(zip(("input", "output"), (inputs, outputs), strict=True)))
        if (space is keras1)
        else space.models.Model(inputs, outputs)
    )


def fit(model: Any, space: ModuleType, x: Any = X, y: Any = Y, epochs: int = 1, **options: Any) -> Any:
    if not model.compiled:
        model.compile("sgd", "mse")
    return model.fit(x, y, verbose=0, **{"nb_epoch" if space is keras1 else "epochs": epochs}, **options)


def moved(before: list[Any], model: Any) -> list[bool]:
    return [not np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True)]


# Weights --------------------------------------------------------------------------------------------------------------


def affine(space: ModuleType, listing: str) -> type:
    """A layer that makes its variables itself, and says which are its weights in one of the ways of the time."""
    K = space.backend

    class Affine(space.layers.Layer):  # type: ignore[name-defined]
        def __init__(self, size: int, **kwargs: Any) -> None:
            self.size, self.notes = size, {"sizes": [size]}
            super().__init__(**kwargs)

        def build(self, shape: Any) -> None:
            self.W, self.b, self.c = (
                K.variable(np.ones(s)) for s in ((shape[1], self.size), (self.size,), (self.size,))
            )
            if listing == "assigned":
                self.trainable_weights, self.non_trainable_weights = [self.W, self.b], [self.c]
            elif listing == "added":
                self.trainable_weights = []
                self.trainable_weights += [self.W, self.b]
                self.non_trainable_weights += [self.c]
            else:
                self._trainable_weights = []
                self._trainable_weights.append(self.W)
                self._trainable_weights.extend([self.b])
                self._non_trainable_weights.append(self.c)
            super().build(shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            return K.dot(x, self.W) + self.b + self.c

        def get_output_shape_for(self, shape: Any) -> Any:
            return shape[0], self.size

        compute_output_shape = get_output_shape_for

    return Affine


@OLD
@pytest.mark.parametrize("listing", ["assigned", "added", "appended"])
def test_weights_are_those_in_the_lists(space: ModuleType, listing: str) -> None:
    model = sequential(space, affine(space, listing)(3, input_shape=(4,)))
    layer = model.layers[0]
    assert [id(w) for w in layer.trainable_weights] == [id(layer.W), id(layer.b)]
    assert [id(w) for w in layer.non_trainable_weights] == [id(layer.c)]
    before = model.get_weights()
    fit(model, space)
    assert moved(before, model) == [True, True, False] and model.count_params() == 18
    layer.trainable = False
    assert not layer.trainable_weights and len(layer.non_trainable_weights) == 3


def test_what_keras1_does_not_list_is_no_weight() -> None:
    K = keras1.backend

    class Shifted(keras1.layers.Layer):
        def build(self, shape: Any) -> None:
            self.shift, self.factor = K.variable(np.ones(shape[1])), K.ones((shape[1],))
            self.trainable_weights = [self.factor]

        def call(self, x: Any, mask: Any = None) -> Any:
            return x * self.factor + self.shift

    model = sequential(keras1, Shifted(input_shape=(4,)))
    fit(model, keras1, y=X)
    assert len(model.get_weights()) == 1 and moved([np.ones(4)], model) == [True]
    assert (K.get_value(model.layers[0].shift) == 1).all()


@OLD
def test_weights_of_a_layer_inside_are_listed_once(space: ModuleType) -> None:
    class Doubled(space.layers.Layer):  # type: ignore[name-defined]
        def __init__(self, layer: Any, **kwargs: Any) -> None:
            self.layer = layer
            super().__init__(**kwargs)

        def build(self, shape: Any) -> None:
            self.layer.build(shape)
            self.trainable_weights = self.layer.trainable_weights
            super().build(shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            return self.layer.call(x) * 2

        def get_output_shape_for(self, shape: Any) -> Any:
            return shape[0], 3

        compute_output_shape = get_output_shape_for

    model = sequential(space, Doubled(space.layers.Dense(3), input_shape=(4,)))
    before = model.get_weights()
    fit(model, space)
    assert moved(before, model) == [True, True]


@STATIC
def test_constraints_and_initializers_of_the_users_own(space: ModuleType) -> None:
    K = space.backend
    if space is keras1:
        layer = space.layers.Dense(3, input_dim=4, init=lambda shape, name: K.variable(np.full(shape, 0.5), name=name))
    else:
        layer = space.layers.Dense(3, input_dim=4, kernel_initializer=lambda shape: K.constant(np.full(shape, 0.5)))
    assert (sequential(space, layer).get_weights()[0] == 0.5).all()
    own = affine(space, "assigned")(3, input_shape=(4,))
    model = sequential(space, own)
    own.constraints = {own.W: lambda w: w * 0}
    fit(model, space)
    assert not model.get_weights()[0].any() and own.constraints.keys() == {own.W}


@ALL
def test_attributes_come_before_the_init_of_the_base(space: ModuleType) -> None:
    class Early(space.layers.Layer):  # type: ignore[name-defined]
        def __init__(self, layer: Any, **kwargs: Any) -> None:
            self.layer, self.several, self.named = layer, [space.layers.Dense(3)], {"a": space.layers.Dense(2)}
            self.supports_masking, self.sizes = True, [1, 2]
            super().__init__(**kwargs)

        def call(self, x: Any, mask: Any = None) -> Any:
            return self.several[0](self.layer(x)) + self.named["a"](x).sum()

        def get_output_shape_for(self, shape: Any) -> Any:
            return shape[0], 3

        compute_output_shape = get_output_shape_for

    inputs = space.layers.Input(shape=(4,))
    model = functional(space, inputs, Early(space.layers.Dense(5))(inputs))
    before = model.get_weights()
    fit(model, space)
    assert len(before) == 6 and all(moved(before, model)) and model.layers[1].sizes == [1, 2]


# Updates, losses, calls -----------------------------------------------------------------------------------------------


@OLD
@pytest.mark.parametrize("how", ["assigned", "added", "pair"])
def test_updates_happen_once_a_step_and_in_training_alone(space: ModuleType, how: str) -> None:
    K = space.backend

    class Counting(space.layers.Layer):  # type: ignore[name-defined]
        def build(self, shape: Any) -> None:
            self.count = K.variable(np.zeros(()))
            self.non_trainable_weights = [self.count]
            super().build(shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            if how == "assigned":
                self.updates = [(self.count, self.count + 1)]
            else:
                self.add_update(
                    [(self.count, self.count + 1)] if how == "pair" else K.update(self.count, self.count + 1), x
                )
            return x

    if how == "added" and space is tf_keras:
        return  # it is done wherever `K.update` is called
    model = sequential(space, Counting(input_shape=(4,)), space.layers.Dense(3))
    fit(model, space, batch_size=4)
    model.predict(X, verbose=0)
    model.evaluate(X, Y, verbose=0)
    assert (
        K.get_value(model.layers[0].count) == 2
        and model.layers[0].get_updates_for(None if how == "assigned" else X)
        and model.updates
    )


@OLD
def test_losses_by_input(space: ModuleType) -> None:
    class Penalty(space.layers.Dense):  # type: ignore[name-defined]
        def call(self, x: Any, mask: Any = None) -> Any:
            self.add_loss((x**2).mean(), inputs=x)
            return super().call(x)

    regularizer = {"W_regularizer" if space is keras1 else "kernel_regularizer": space.regularizers.l2(0.1)}
    model = sequential(space, Penalty(3, input_shape=(4,), **regularizer))
    fit(model, space)
    layer = model.layers[0]
    assert len(layer.losses) == 2
    (of_input,), (of_weights,) = layer.get_losses_for(layer.input), layer.get_losses_for(None)
    assert float(of_input.detach()) == pytest.approx((X**2).mean(), rel=1e-5)
    assert float(of_weights.detach()) == pytest.approx(0.1 * (model.get_weights()[0] ** 2).sum(), rel=1e-5)

    class Early(space.layers.Layer):  # type: ignore[name-defined]
        def build(self, shape: Any) -> None:
            self.add_loss((self.add_weight(shape=(2,), initializer="uniform", name="w") ** 2).sum())

        def call(self, x: Any, mask: Any = None) -> Any:
            return x

    early = Early()
    if space is tf_keras:
        with pytest.raises(ValueError, match="once and for all"):
            early(X)
        return
    early(X)
    assert float(early.get_losses_for(None)[0].detach()) == pytest.approx((early.get_weights()[0] ** 2).sum(), rel=1e-5)


@OLD
def test_calls_are_recorded_in_the_words_of_the_time(space: ModuleType) -> None:
    inputs, layer = space.layers.Input(shape=(4,), name="x"), space.layers.Dense(3, name="out")
    first, second = layer(inputs), layer(inputs)
    nodes = layer.inbound_nodes if space is keras1 else layer._inbound_nodes
    assert len(nodes) == 2 and nodes[0].output_tensors[0] is first and nodes[1].input_tensors[0] is inputs
    assert nodes[1].node_indices == nodes[1].tensor_indices == [0] and nodes[0].outbound_layer is layer
    assert [each.name for each in nodes[0].inbound_layers] == ["x"] and nodes[0].output_shapes == [(None, 3)]
    assert not hasattr(inputs, "__len__")
    model = functional(space, inputs, second)
    assert [each.name for each in (*model.input_layers, *model.output_layers)] == ["x", "out"]
    assert model.container_nodes == {"x_ib-0", "out_ib-1"} and model.output_layers_node_indices == [1]
    assert {depth: [call.outbound_layer.name for call in calls] for depth, calls in model.nodes_by_depth.items()} == {
        0: ["out"], 1: ["x"],
    }  # fmt: skip
    assert model.layers_by_depth[0] == [layer] and model.run_internal_graph([inputs])[2] == [(None, 3)]


@STATIC
def test_layers_are_taken_out_of_the_list(space: ModuleType) -> None:
    dense = space.layers.Dense
    model = sequential(space, dense(5, input_shape=(4,)), dense(3), dense(2))
    model.layers.pop()
    model.outputs = [model.layers[-1].output]
    model.layers[-1].outbound_nodes = []
    assert model.predict(X).shape == (8, 3) and model.model is model
    model.add(dense(7))
    assert model.predict(X).shape == (8, 7) and len(model.layers) == 3 and model.pop() is not None
    inputs = space.layers.Input(shape=(4,))
    whole = functional(space, inputs, dense(3)(dense(5)(inputs)))
    whole.layers.pop()
    cut = functional(space, whole.input, whole.layers[-1].output)
    whole.outputs = [whole.layers[-1].output]
    np.testing.assert_array_equal(cut.predict(X), whole.predict(X))
    with pytest.raises(ValueError, match="one of its layers"):
        model.outputs = [inputs]


def test_keras2_calls_models_on_inputs_of_another_rank() -> None:
    model = sequential(keras2, keras2.layers.Dense(3, input_shape=(4,)))
    inputs = keras2.layers.Input(shape=(5, 4))
    assert keras2.models.Model(inputs, model(inputs)).predict(np.ones((2, 5, 4))).shape == (2, 5, 3)
    for space in (keras1, tf_keras):
        with pytest.raises(ValueError, match="2 axes"):
            sequential(space, space.layers.Dense(3, input_shape=(4,)))(space.layers.Input(shape=(5, 4)))


@pytest.mark.parametrize("space", [keras2, tf_keras, lamina])
def test_sequential_is_built_without_a_shape(space: ModuleType) -> None:
    model = space.models.Sequential([space.layers.Dense(3, input_shape=(4,))])
    model.build()
    assert len(model.weights) == 2
    with pytest.raises(ValueError, match="shape of its input"):
        space.models.Sequential([space.layers.Dense(3)]).build()


# Recurrent layers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["cpu", "mem", "gpu"])
@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM"])
def test_a_step_of_ones_own_in_keras1s_recurrent_layers(name: str, mode: str) -> None:
    K, base = keras1.backend, getattr(keras1.layers, name)

    class Gated(base):  # type: ignore[misc, valid-type]
        def build(self, shape: Any) -> None:
            super().build(shape)
            self.U_a = self.inner_init((self.output_dim, self.output_dim), name="U_a")
            self.b_a = K.zeros((self.output_dim,))
            self.trainable_weights += [self.U_a, self.b_a]

        def get_constants(self, x: Any) -> list[Any]:
            return [*super().get_constants(x), K.sum(x, axis=1)[:, :1] * 0]

        def step(self, x: Any, states: Any) -> Any:
            h, after = super().step(x, states)
            return h * K.sigmoid(K.dot(h, self.U_a) * 0 + self.b_a + states[-1]) * 2, after

    plain = sequential(keras1, base(3, input_shape=(5, 2), consume_less=mode, return_sequences=True))
    own = sequential(keras1, Gated(3, input_shape=(5, 2), consume_less=mode, return_sequences=True, dropout_U=0.1))
    arrays = own.get_weights()
    plain.set_weights(arrays[:-2])
    np.testing.assert_allclose(own.predict(STEPS), plain.predict(STEPS), rtol=1e-4, atol=1e-5)
    own.set_weights(arrays)
    assert not any(moved(arrays, own))
    fit(own, keras1, STEPS, np.zeros((4, 5, 3)))
    assert moved(arrays, own)[-1]


def test_a_subclass_with_a_call_of_its_own() -> None:
    for space in (keras1, keras2):

        class Twice(space.layers.LSTM):  # type: ignore[name-defined]
            def call(self, inputs: Any, mask: Any = None, **options: Any) -> Any:
                return super().call(inputs, mask=mask, **options) * 2

        own, plain = (sequential(space, cls(3, input_shape=(5, 2))) for cls in (Twice, space.layers.LSTM))
        plain.set_weights(own.get_weights())
        np.testing.assert_allclose(own.predict(STEPS), 2 * plain.predict(STEPS), rtol=1e-4, atol=1e-6)


@OLD
def test_wrappers_of_the_users_own(space: ModuleType) -> None:
    class Times(space.layers.wrappers.Wrapper):  # type: ignore[name-defined]
        def __init__(self, layer: Any, times: int = 2, **kwargs: Any) -> None:
            self.times = times
            super().__init__(layer, **kwargs)

        def call(self, x: Any, mask: Any = None) -> Any:
            return self.times * self.layer.call(x)

        def get_output_shape_for(self, shape: Any) -> Any:
            return self.layer.get_output_shape_for(shape)

        compute_output_shape = get_output_shape_for

    model = sequential(space, Times(space.layers.Dense(3), input_shape=(4,)))
    fit(model, space)
    again = space.models.model_from_json(model.to_json(), custom_objects={"Times": Times})
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again.predict(X, verbose=0), model.predict(X, verbose=0))
    assert isinstance(space.layers.TimeDistributed(space.layers.Dense(2)), space.layers.wrappers.Wrapper)


# Optimizers -----------------------------------------------------------------------------------------------------------


def accumulating(space: ModuleType) -> type:
    """Adagrad with a decay, as a graph that is told once."""
    K = space.backend

    class Accumulating(space.optimizers.Optimizer):  # type: ignore[name-defined]
        def __init__(self, lr: float = 0.1, decay: float = 0.5, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.iterations, self.lr, self.decay = K.variable(0), K.variable(lr), K.variable(decay)

        def rule(self, loss: Any, params: Any) -> Any:
            grads = self.get_gradients(loss, params)
            self.updates = [K.update_add(self.iterations, 1)]
            rate = self.lr / (1.0 + self.decay * self.iterations)  # of the steps before this one
            sums = [K.zeros(K.get_value(p).shape) for p in params]
            self.weights = [self.iterations, *sums]
            for p, g, s in zip(params, grads, sums, strict=True):
                self.updates.append((s, s + K.square(g)))
                self.updates.append(K.update(p, p - rate * g / (K.sqrt(s + K.square(g)) + 1e-7)))
            return self.updates

        def get_config(self) -> dict[str, Any]:
            own = {"lr": float(K.get_value(self.lr)), "decay": float(K.get_value(self.decay))}
            return {**super().get_config(), **own}

    if space is keras1:
        Accumulating.get_updates = lambda self, params, constraints, loss: self.rule(loss, params)
    else:
        Accumulating.get_updates = lambda self, loss, params: self.rule(loss, params)
    return Accumulating


@STATIC
def test_an_optimizer_of_ones_own_follows_its_rule(space: ModuleType, tmp_path: Any) -> None:
    def trained(optimizer: Any) -> Any:
        model = sequential(space, space.layers.Dense(3, input_shape=(4,)))
        model.set_weights([np.ones((4, 3)), np.zeros(3)])
        model.compile(optimizer, "mse")
        fit(model, space, epochs=3, batch_size=4, shuffle=False)
        return model

    cls, K = accumulating(space), space.backend
    own = trained(cls())
    for got, expected in zip(
        own.get_weights(), trained(space.optimizers.Adagrad(lr=0.1, decay=0.5, epsilon=1e-7)).get_weights(), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert K.get_value(own.optimizer.iterations) == 6 and len(own.optimizer.get_weights()) == 3
    assert any(moved(trained(cls(clipnorm=0.01)).get_weights(), own))
    K.set_value(own.optimizer.lr, 0.02)
    own.save(tmp_path / "model.h5")
    again = space.models.load_model(tmp_path / "model.h5", custom_objects={"Accumulating": cls})
    if not again.compiled:
        return  # files of Keras 1 come without it
    own.train_on_batch(X, Y)
    again.train_on_batch(X, Y)
    assert not any(moved(own.get_weights(), again))
    with pytest.raises(TypeError, match="momentum"):
        cls(momentum=1)


def test_the_rate_as_a_variable_of_theano() -> None:
    for options in ({}, {"decay": 0.1}):
        optimizer = keras1.optimizers.SGD(lr=0.1, **options)
        optimizer.lr.set_value(np.float32(0.05))
        assert optimizer.lr.get_value() == np.float32(0.05) and optimizer.decay == options.get("decay", 0.0)


# Callbacks, weights of classes, losses --------------------------------------------------------------------------------


@STATIC
def test_callbacks_are_told_what_they_were_told(space: ModuleType) -> None:
    told: list[Any] = []

    class Telling(space.callbacks.Callback):  # type: ignore[name-defined]
        def on_train_begin(self, logs: Any = {}) -> None:  # noqa: B006
            told.append(self.params)

        def on_batch_end(self, batch: int, logs: Any = {}) -> None:  # noqa: B006
            told.append((logs.get("batch"), logs.get("size"), "loss" in logs))

    callback = Telling()
    model = sequential(space, space.layers.Dense(3, input_shape=(4,)))
    fit(model, space, batch_size=3, validation_split=0.25, callbacks=[callback], epochs=1)
    params, *batches = told
    epochs, samples = ("nb_epoch", "nb_sample") if space is keras1 else ("epochs", "samples")
    assert (params[epochs], params[samples], params["batch_size"], params["do_validation"]) == (1, 6, 3, True)
    assert batches == [(0, 3, True), (1, 3, True)]
    fit(model, space, validation_split=0.25, callbacks=[Telling()], sample_weight=np.ones(8))
    x, y, weights = callback.validation_data
    assert (np.asarray(x) == X[6:]).all() and (np.asarray(y) == Y[6:]).all() and weights.tolist() == [1, 1]


@pytest.mark.parametrize(("space", "epochs"), [(keras1, 4), (keras2, 3), (tf_keras, 3)])
def test_early_stopping_counts_as_it_counted(space: ModuleType, epochs: int) -> None:
    callback, values = space.callbacks.EarlyStopping(monitor="acc", patience=2), iter([0.9, 0.8, 0.7, 0.6, 0.5])
    callback.model = model = sequential(space, space.layers.Dense(1, input_shape=(1,)))
    callback.on_train_begin()
    seen = 0
    for epoch, value in enumerate(values):
        seen += 1
        callback.on_epoch_end(epoch, {"acc": value})
        if model.stop_training:
            break
    assert seen == epochs  # higher is better, by its name


@STATIC
def test_weights_of_classes_by_output(space: ModuleType) -> None:
    inputs, softmax = space.layers.Input(shape=(4,)), {"activation": "softmax"}
    heads = [space.layers.Dense(size, name=name, **softmax)(inputs) for name, size in (("a", 3), ("b", 2))]
    model = functional(space, inputs, heads)
    model.compile("sgd", "categorical_crossentropy")
    classes = np.arange(8) % 3, np.arange(8) % 2
    y = [np.eye(3)[classes[0]], np.eye(2)[classes[1]]]
    losses = [-np.log((p * t).sum(1)) for p, t in zip(model.predict(X), y, strict=True)]
    first, second = {0: 1.0, 1: 2.0, 2: 3.0}, {0: 1.0, 1: 5.0}
    for given, factors in (
        ({"a": first, "b": second}, [np.array([1, 2, 3])[classes[0]], np.array([1, 5])[classes[1]]]),
        ([first, second], [np.array([1, 2, 3])[classes[0]], np.array([1, 5])[classes[1]]]),
        ({"b": second}, [1, np.array([1, 5])[classes[1]]]),
        ("auto", [1, 1]),
    ):
        before = model.get_weights()
        found = fit(model, space, X, y, batch_size=8, class_weight=given).history["loss"][0]
        assert found == pytest.approx(sum((loss * f).mean() for loss, f in zip(losses, factors, strict=True)), rel=1e-4)
        model.set_weights(before)
    with pytest.raises(ValueError, match="all classes in the data"):
        fit(model, space, X, y, class_weight={"a": {0: 1.0}})
    for wrong in (3, np.ones(3)):
        with pytest.raises(TypeError, match="must be a"):
            model.train_on_batch(X, y, class_weight=wrong)
    alone = functional(space, inputs, heads[0])
    alone.compile("sgd", "categorical_crossentropy")
    for weights in (np.array([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0]):  # Keras 2.3.1 says nothing
        with pytest.warns(UserWarning, match="no effect here unless it is a dictionary"):
            alone.train_on_batch(X, y[0], class_weight=weights)


@STATIC
def test_weights_of_samples(space: ModuleType) -> None:
    model = sequential(space, space.layers.Dense(3, input_shape=(4,)))
    model.compile("sgd", "mse")
    each, weights = ((model.predict(X) - Y) ** 2).mean(1), np.arange(8) % 2
    counted = 4 if space is keras1 else 8  # Keras 1 leaves out those without weight
    assert model.evaluate(X, Y, sample_weight=weights, verbose=0) == pytest.approx(
        (each * weights).sum() / counted, rel=1e-4
    )
    steps = sequential(space, space.layers.SimpleRNN(3, return_sequences=True, input_shape=(5, 2)))
    target = np.zeros((4, 5, 3))
    steps.compile("sgd", "mse")
    each, by_sample, by_step = (
        (steps.predict(STEPS) ** 2).mean(2),
        np.arange(1.0, 5.0),
        np.arange(1.0, 21.0).reshape(4, 5),
    )
    found = steps.evaluate(STEPS, target, sample_weight=by_sample, verbose=0)
    assert found == pytest.approx((each.mean(1) * by_sample).mean(), rel=1e-4)
    with pytest.raises(ValueError, match="1 axis"):
        steps.evaluate(STEPS, target, sample_weight=by_step, verbose=0)
    steps.compile("sgd", "mse", sample_weight_mode="temporal")
    assert steps.evaluate(STEPS, target, sample_weight=by_step, verbose=0) == pytest.approx(
        (each * by_step).mean(), rel=1e-4
    )
    with pytest.raises(ValueError, match="2 axes"):
        steps.evaluate(STEPS, target, sample_weight=by_sample, verbose=0)


def test_metrics_go_on_where_they_are_not_reset() -> None:
    for space in (keras2, tf_keras):
        model = sequential(space, space.layers.Dense(3, input_shape=(4,)))
        model.compile("sgd", "mse", metrics=["mae"])
        model.test_on_batch(X[:4], Y[:4])
        both = model.test_on_batch(X[4:], Y[4:], reset_metrics=False)
        assert both == pytest.approx(model.evaluate(X, Y, verbose=0), rel=1e-5)
    metric = tf_keras.metrics.Mean()
    metric.update_state(3.0)
    metric.reset_states()
    assert float(metric.result()) == 0


@OLD
def test_slopes_may_be_negative_and_words_without_effect_are_taken(space: ModuleType) -> None:
    model = sequential(space, space.layers.LeakyReLU(alpha=-0.2, input_shape=(4,)))
    np.testing.assert_allclose(model.predict(X, verbose=0), np.where(X > 0, X, -0.2 * X), rtol=1e-6)
    if space is not keras1:
        space.layers.SeparableConv2D(2, 3, kernel_regularizer="l2")
        space.layers.DepthwiseConv2D(3, filters=None, kernel_initializer="zeros")
        with pytest.raises(ValueError, match="filters"):
            space.layers.DepthwiseConv2D(3, filters=4)
    if space is not tf_keras:
        model.compile("sgd", "mse", mode=None)


def test_copies_know_what_is_no_weight() -> None:
    layer = affine(keras1, "appended")(3)
    layer.build((None, 4))
    layer.scale = keras1.backend.variable(np.ones(()))
    assert len(copy.deepcopy(layer).weights) == len(layer.weights) == 3


# Recurrent layers and wrappers ----------------------------------------------------------------------------------------

SPREAD = pytest.mark.parametrize("space", [keras2, tf_keras], ids=["keras2", "tf_keras"])


def adding_cell(space: ModuleType) -> Any:
    """A cell that adds up its inputs and constants, and learns the size of its state as it is built."""

    class Adding(space.layers.Layer):
        state_size = None

        def build(self, input_shape: Any) -> None:
            shape, *constants = input_shape if isinstance(input_shape, list) else [input_shape]
            self.state_size, self.constant_sizes = shape[-1], [one[-1] for one in constants]
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")
            super().build(input_shape)

        def call(self, inputs: Any, states: Any, constants: Any = ()) -> Any:
            total = self.scale * inputs + states[0] + sum(one.sum(-1, keepdim=True) for one in constants)
            return total, [total]

    return Adding


def added_up(steps: np.ndarray, constant: np.ndarray, start: Any = 0) -> np.ndarray:
    return start + steps.sum(1) + steps.shape[1] * constant.sum(-1, keepdims=True)


@SPREAD
@pytest.mark.parametrize("wrapped", [False, True], ids=["forward", "both ways"])
@pytest.mark.parametrize("begun", [False, True], ids=["from zeros", "from states"])
def test_cells_take_constants(space: ModuleType, wrapped: bool, begun: bool) -> None:
    layers, cell = space.layers, adding_cell(space)
    constant, starts = DRAWN.normal(size=(4, 3)), [DRAWN.normal(size=(4, 2)) for _ in range(1 + wrapped)]
    x, c = layers.Input((5, 2)), layers.Input((3,))
    states = [layers.Input((2,)) for _ in starts] if begun else []
    with space.utils.CustomObjectScope({"Adding": cell}):
        layer = layers.RNN(cell())
        layer = layers.Bidirectional(layer) if wrapped else layer
        y = layer(x, **({"initial_state": states} if begun else {}), constants=c)
        config = layer.get_config()
        assert config["num_constants"] == 1 and "num_constants" not in layers.RNN(cell()).get_config()
        listed = type(layer).from_config(copy.deepcopy(config))([x, *states, c])
    data = [STEPS, *(starts if begun else []), constant]
    expected = [added_up(STEPS, constant, start if begun else 0) for start in starts]
    for outputs in (y, listed):
        found = space.models.Model([x, *states, c], outputs).predict(data, verbose=0)
        np.testing.assert_allclose(found, np.concatenate(expected, -1), rtol=1e-4, atol=1e-5)


@SPREAD
def test_constants_go_to_the_cells_of_a_stack_that_take_them(space: ModuleType) -> None:
    layers, constant = space.layers, DRAWN.normal(size=(4, 3)).astype("float32")
    x, c = layers.Input((5, 2)), layers.Input((3,))
    taking = adding_cell(space)
    taking.state_size = 2
    cells = [layers.SimpleRNNCell(2, activation=None), taking()]
    y = layers.RNN(cells)(x, constants=c)
    assert cells[1].constant_sizes == [3] and layers.RNN(cells)(x, constants=c).shape == (None, 2)
    below = layers.RNN(cells[0], return_sequences=True)(x)
    model = space.models.Model([x, c], [y, below])
    found, of_below = model.predict([STEPS, constant], verbose=0)
    np.testing.assert_allclose(found, added_up(of_below, constant), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="none of its cells takes `constants`"):
        layers.RNN(layers.GRUCell(2))(x, constants=c)


@SPREAD
@pytest.mark.parametrize("masked", [False, True], ids=["all steps", "masked"])
def test_cells_may_learn_their_sizes_as_they_are_built(space: ModuleType, masked: bool) -> None:
    layers = space.layers
    x, s = layers.Input((5, 2)), layers.Input((2,))
    data = STEPS.copy()
    data[0, 3:] = 0
    y, end = layers.RNN(adding_cell(space)(), return_state=True)(layers.Masking()(x) if masked else x, initial_state=s)
    start = DRAWN.normal(size=(4, 2))
    for found in space.models.Model([x, s], [y, end]).predict([data, start], verbose=0):
        np.testing.assert_allclose(found, start + data.sum(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_the_states_of_stacked_cells_are_one_list(reverse: bool) -> None:
    layers = keras2.layers
    cells = [layers.LSTMCell(3), layers.GRUCell(4)]
    stack = layers.StackedRNNCells(cells, reverse_state_order=reverse)
    sizes = (4, 3, 3) if reverse else (3, 3, 4)
    assert stack.state_size == sizes and set(stack.get_config()) == {"name", "trainable", "dtype", "cells"}
    layer = layers.RNN(stack, return_state=True)
    shapes = [(None, 4), *((None, size) for size in sizes)]
    assert layer.compute_output_shape((None, 5, 2)) == shapes
    found = layer(layers.Input((5, 2)))
    assert type(found) is list and [one.shape for one in found] == shapes
    first, second = STEPS[:, :3], STEPS[:, 3:]
    ends = keras2.backend.variable(second), [*layer(keras2.backend.variable(first))[1:]]
    whole, halves = layer(keras2.backend.variable(STEPS)), layer(ends[0], initial_state=ends[1])
    for one, other in zip(whole, halves, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-5)


@SPREAD
def test_several_outputs_are_a_list_and_states_are_told_of(space: ModuleType) -> None:
    layers = space.layers
    x = layers.Input((5, 2))
    for layer, count in (
        (layers.LSTM(3, return_state=True), 3),
        (layers.Bidirectional(layers.GRU(3, return_state=True)), 3),
        (layers.Bidirectional(layers.GRU(3), merge_mode=None), 2),
    ):
        found = layer(x)
        assert type(found) is list and len(found) == count == len(layer.compute_output_shape((None, 5, 2)))
    assert layers.LSTM(3).states == [None, None] and layers.GRU(3).states == [None]
    states = layers.LSTM(3, return_state=True)(x)[1:]
    second = layers.LSTM(3)
    second(x, initial_state=states)
    assert second.input == [x, *states]
    convolution = layers.ConvLSTM2D(2, 2)
    pictures = layers.Input(batch_shape=(4, 3, 5, 5, 1))
    convolution.build(pictures.shape)
    y = convolution(pictures, initial_state=convolution.get_initial_state(pictures))
    data = DRAWN.normal(size=(4, 3, 5, 5, 1)).astype("float32")
    found = space.models.Model(pictures, y).predict(data, verbose=0, batch_size=4)
    np.testing.assert_allclose(found, convolution(data).detach().numpy(), rtol=1e-4, atol=1e-5)


@ALL
def test_masks_that_own_layers_make_reach_the_next_layer(space: ModuleType) -> None:
    class Below(space.layers.Layer):
        pass

    class Marks:
        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return inputs > 0

    class Marked(Below):
        call = lambda self, x: x * 1.0  # noqa: E731
        compute_mask = Marks.compute_mask

    class Mixed(Marks, Below):
        call = lambda self, x: x * 1.0  # noqa: E731

    class Seen(space.layers.Layer):
        supports_masking = True

        def call(self, x: Any, mask: Any = None) -> Any:
            return x if mask is None else x + 10.0 * mask

    data = np.array([[1.0, -2.0, 0.0]], dtype="float32")
    for kind in (Marked, Mixed):
        assert kind().supports_masking
        inputs = space.layers.Input((3,))
        found = functional(space, inputs, Seen()(kind()(inputs))).predict(data, verbose=0)
        np.testing.assert_array_equal(found, [[11.0, -2.0, 0.0]])
        assert Seen()(kind()(torch.from_numpy(data))).tolist() == [[11.0, -2.0, 0.0]]


@pytest.mark.parametrize(("space", "first"), [(tf_keras, 11.0), (lamina, 1.0)], ids=["tf_keras", "keras3"])
def test_the_first_input_brings_its_mask_beside_others_up_to_tf_keras(space: ModuleType, first: float) -> None:
    class Seen(space.layers.Layer):
        supports_masking = True

        def call(self, x: Any, other: Any, mask: Any = None) -> Any:
            return x + other if mask is None else x + other + 10.0 * mask[..., None]

    inputs, beside = space.layers.Input((2,)), space.layers.Input((2, 1))
    masked = space.layers.Masking(mask_value=0.0)(space.layers.Reshape((2, 1))(inputs))
    model = space.models.Model([inputs, beside], Seen()(masked, beside))
    data = [np.array([[1.0, 0.0]], dtype="float32"), np.zeros((1, 2, 1), dtype="float32")]
    assert model.predict(data, verbose=0).tolist() == [[[first], [0.0]]]


@SPREAD
def test_masks_of_steps_that_are_sequences(space: ModuleType) -> None:
    layers = space.layers
    words = np.array([[[1, 2], [3, 0]], [[4, 0], [0, 0]]])
    x = layers.Input((None, None), dtype="int32")
    embedded = layers.TimeDistributed(layers.Embedding(5, 3, mask_zero=True))
    inner = layers.TimeDistributed(layers.SimpleRNN(2, return_sequences=True))
    last = layers.TimeDistributed(layers.SimpleRNN(2))
    y = last(inner(embedded(x)))
    masks = [embedded.compute_mask(x)]
    for layer in (inner, last):
        masks.append(layer.compute_mask(layer.input, masks[-1]))
    found = space.backend.function([x], masks)([words])
    for got, expected in zip(found, (words > 0, words > 0, (words > 0).any(-1)), strict=True):
        assert np.array_equal(got, expected)
    ended = layers.SimpleRNN(1)
    model = space.models.Model(x, ended(y))
    short = model.predict(words[1:, :1], verbose=0)  # its second step is masked as a whole
    np.testing.assert_allclose(model.predict(words, verbose=0)[1:], short, rtol=1e-4, atol=1e-5)


@ALL
def test_an_explicit_flag_is_one_for_the_layers_inside(space: ModuleType) -> None:
    if space is keras1:
        pytest.skip("Keras 1 has no such flag.")
    x = space.layers.Input((3, 2))
    for told, expected in ((True, 0), (False, 1), (None, 1)):
        y = space.layers.TimeDistributed(space.layers.Dropout(0.99999))(x, training=told)
        found = space.models.Model(x, y).predict(np.ones((10, 3, 2)), verbose=0)
        assert (found == expected).all()


# Updates, losses, inputs ----------------------------------------------------------------------------------------------


@STATIC
def test_averages_are_updates_of_the_model(space: ModuleType) -> None:
    layer, x = space.layers.BatchNormalization(), space.layers.Input((4,))
    layer(space.layers.Input((4,)))
    model = functional(space, x, layer(x))
    outer = functional(space, x, space.layers.Dense(2)(model(x)))
    assert len(layer.updates) == 4 and len(model.updates) == len(outer.updates) == 2
    assert layer.get_updates_for(None) == []
    run = space.backend.function([x, space.backend.learning_phase()], model.outputs, updates=model.updates)
    run([X, 1])
    np.testing.assert_allclose(layer.get_weights()[2], 0.01 * X.mean(0), rtol=1e-3, atol=1e-6)
    model.trainable = False
    assert model.updates == [] and len(layer.updates) == 4  # the layer is not frozen by itself


def test_calls_told_that_they_do_not_train_have_no_updates() -> None:
    x = keras2.layers.Input((3, 4))
    for told, count in ((None, 2), (True, 2), (False, 0)):
        layer = keras2.layers.TimeDistributed(keras2.layers.BatchNormalization())
        y = layer(x, training=told)
        assert len(layer.updates) == count and y._uses_learning_phase is (told is None)


@STATIC
def test_updates_and_losses_know_whether_they_rest_on_inputs(space: ModuleType) -> None:
    class Adding(space.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.total = space.backend.variable(np.zeros(()))
            self.count = space.backend.variable(np.zeros(()))
            super().build(input_shape)

        def call(self, x: Any, mask: Any = None) -> Any:
            self.add_update([(self.total, self.total + space.backend.sum(x))], x)
            self.add_update([(self.count, self.count + 1)])
            self.add_update(0, x)
            self.add_loss(space.backend.sum(x), inputs=x)
            self.add_loss(space.backend.sum(self.count))
            return x

    layer, x = Adding(), space.backend.variable(X)
    layer(x)
    free, bound = layer.get_updates_for(None), layer.get_updates_for(x)
    assert [pair[0] for pair in free] == [layer.count] and [pair[0] for pair in bound[:-1]] == [layer.total]
    assert bound[-1] == 0
    assert [space.backend.get_value(one) for one in layer.get_losses_for(None)] == [0]
    assert [space.backend.get_value(one) for one in layer.get_losses_for(x)] == pytest.approx([X.sum()], rel=1e-4)


def test_what_keras_2_refused() -> None:
    layers = keras2.layers
    a, b = layers.Input((4,)), layers.Input((4,))
    for name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"):
        layer = getattr(layers, name)()
        layer([a, b])
        with pytest.raises(ValueError, match="2 inputs"):
            layer([a])
        for inputs, masks in (([a, b], X), (a, [None, None]), ([a, b], [None])):
            with pytest.raises(ValueError):
                layer.compute_mask(inputs, masks)
    with pytest.raises(ValueError, match="2 inputs"):
        layers.Subtract()([a, b, a])
    for shape in ((4, 5), (5,)):
        with pytest.raises(ValueError):
            sequential(keras2, layers.Embedding(10, 4, input_length=2, input_shape=shape))
    embedding = layers.Embedding(10, 4, input_length=(None, 5), input_shape=(None, 5))
    assert sequential(keras2, embedding).predict(np.ones((2, 3, 5)), verbose=0).shape == (2, 3, 5, 4)
    with pytest.raises(ValueError):
        embedding(layers.Input((3, 4)))


@OLD
def test_a_lambda_takes_gradients_in_inference(space: ModuleType) -> None:
    K, layers = space.backend, space.layers
    x = layers.Input((4,))
    inner = layers.Dense(3)(x)
    outer = layers.Activation("tanh")(inner)

    def slopes(pair: Any) -> Any:
        return K.gradients(K.sum(pair[1]), pair[0])[0] if space is tf_keras else K.gradients(K.sum(pair[1]), pair[0])

    found = layers.Lambda(slopes, output_shape=lambda shapes: shapes[0])([inner, outer])
    model = functional(space, x, space.layers.Activation("linear")(found))
    values = functional(space, x, outer).predict(X, verbose=0)
    for got in (model.predict(X, verbose=0), model(K.variable(X)).detach().numpy()):
        np.testing.assert_allclose(got, 1 - values**2, rtol=1e-4, atol=1e-5)


@OLD
def test_constants_have_a_shape(space: ModuleType) -> None:
    K = space.backend
    assert K.eval(K.constant([1, 2, 3, 4, 5, 6], shape=(2, 3))).tolist() == [[1, 2, 3], [4, 5, 6]]
    assert K.eval(K.constant(2.0, shape=(2, 1))).tolist() == [[2], [2]]
    with pytest.raises(ValueError):
        K.constant([1, 2, 3], shape=(2, 3))


def test_updates_of_a_models_call_rest_on_what_it_was_called_on() -> None:
    layers, K = keras2.layers, keras2.backend
    model = sequential(keras2, layers.Dense(2, input_shape=(4,)), layers.BatchNormalization(momentum=0.0))
    own, other = model.input, K.placeholder(shape=(5, 4))
    output = model(K.concatenate([other, other], axis=0))
    (call,) = [node for node in output._keras_history[0]._nodes if node.outputs is output]
    updates = model.get_updates_for(call.inputs)
    assert len(updates) == len(model.get_updates_for([own])) == len(model.get_updates_for([other])) == 2
    assert not model.get_updates_for([K.placeholder(shape=(5, 4))]) and not model.get_updates_for([K.variable(X)])
    K.function([other, K.learning_phase()], [output], updates)([X[:5], 1])
    kernel, bias = model.layers[0].get_weights()
    np.testing.assert_allclose(model.layers[1].get_weights()[2], (X[:5] @ kernel + bias).mean(0), rtol=1e-4, atol=1e-5)


# Arrays of a BatchNormalization (2,), ... and a Dense (2, 3), ... in a model, by generation, where the original gives
# them: of the model itself, of a Sequential and a functional model around it, of a TimeDistributed, and of the
# Sequential with a frozen BatchNormalization. Numbers: places in the model's own list.
_ASKED, _LISTED, _FROZEN = [0, 1, 2, 3, 4, 5], [0, 1, 4, 5, 2, 3], [4, 5, 0, 1, 2, 3]
_ORDERS = {
    "keras1": (_ASKED, _LISTED, _ASKED, _ASKED),
    "keras2": (_LISTED, _LISTED, _ASKED, _FROZEN),
    "tf_keras": (_ASKED, _ASKED, _LISTED, _ASKED),
}


@pytest.mark.parametrize("generation", _ORDERS)
def test_weights_of_models_inside_come_in_the_order_of_the_time(generation: str) -> None:
    space: Any = getattr(lamina, generation)
    layers, models = space.layers, space.models
    inner = models.Sequential([layers.BatchNormalization(input_shape=(2,)), layers.Dense(3)])
    inner.set_weights([np.full(array.shape, place, "float32") for place, array in enumerate(inner.get_weights())])
    outer = models.Sequential([inner, layers.Dense(1)])
    start = layers.Input((2,))
    functional = models.Model(start, layers.Dense(1)(inner(start)))
    steps = layers.TimeDistributed(inner)
    steps(layers.Input((4, 2)))

    def places(model: Any) -> list[int]:
        return [int(array.ravel()[0]) for array in model.get_weights()[:6]]

    orders = _ORDERS[generation]
    assert [places(each) for each in (outer, functional, steps)] == [*orders[:3]]
    for each, order in zip((outer, functional, steps), orders, strict=False):
        rest = each.get_weights()[6:]
        given = [np.full(array.shape, 10 + place, "float32") for place, array in enumerate(each.get_weights()[:6])]
        each.set_weights([*given, *rest])
        assert places(inner) == [10 + order.index(place) for place in range(6)]
        inner.set_weights([np.full(array.shape, place, "float32") for place, array in enumerate(inner.get_weights())])
    inner.layers[0].trainable = False
    assert places(outer) == orders[3]
    with pytest.raises(ValueError, match="expected 8 arrays; got 7"):
        outer.set_weights(outer.get_weights()[:-1])


# Private methods that code of the time defines ------------------------------------------------------------------------


@OLD
@pytest.mark.parametrize("name", ["Dropout", "SpatialDropout1D", "AlphaDropout"])
def test_dropout_asks_for_the_shape_of_its_mask(space: ModuleType, name: str) -> None:
    if space is keras1 and name == "AlphaDropout":
        return

    class Shared(getattr(space.layers, name)):
        def _get_noise_shape(self, inputs: Any) -> Any:
            assert super()._get_noise_shape(inputs) in (None, (64, 1, 4))
            return (1, *inputs.shape[1:])

    found = Shared(0.5).train()(torch.ones(64, 5, 4))
    assert (found == found[:1]).all() and len(found.unique()) == 2


@pytest.mark.parametrize("space", [keras2, tf_keras, lamina], ids=["keras2", "tf_keras", "keras3"])
@pytest.mark.parametrize("name", ["SimpleRNN", "GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("wrapped", [False, True], ids=["forward", "both ways"])
def test_recurrent_layers_start_from_their_subclass_states(space: ModuleType, name: str, wrapped: bool) -> None:
    class Raised(getattr(space.layers, name)):
        def get_initial_state(self, inputs: Any) -> Any:
            return [state + 1 for state in super().get_initial_state(inputs)]

    def layer(cls: Any) -> Any:
        made = cls(space.layers.LSTMCell(3)) if name == "RNN" else cls(3)
        return space.layers.Bidirectional(made) if wrapped else made

    own, plain = layer(Raised), layer(getattr(space.layers, name))
    x = torch.from_numpy(STEPS)
    found = own(x)
    plain(x)
    plain.set_weights(own.get_weights())
    count = (1 + (name in ("LSTM", "RNN"))) * (1 + wrapped)
    ones = [torch.ones(4, 3)] * count
    assert_close(found, plain(x, initial_state=ones))
    assert_close(own(x, initial_state=ones), plain(x, initial_state=ones))


@pytest.mark.parametrize("space", [keras2, tf_keras], ids=["keras2", "tf_keras"])
@pytest.mark.parametrize("name", ["Add", "Subtract", "Concatenate", "Maximum"])
def test_merging_layers_call_their_function(space: ModuleType, name: str) -> None:
    class Doubled(getattr(space.layers, name)):
        def _merge_function(self, inputs: Any) -> Any:
            return 2 * super()._merge_function(inputs)

    pair = [torch.from_numpy(X), torch.from_numpy(X[::-1].copy())]
    assert_close(Doubled()(pair), 2 * getattr(space.layers, name)()(pair))


@STATIC
@pytest.mark.parametrize("name", ["MaxPooling1D", "AveragePooling1D", "MaxPooling2D", "AveragePooling2D"])
def test_pooling_layers_call_their_function(space: ModuleType, name: str) -> None:
    words = ("border_mode", "dim_ordering") if space is keras1 else ("padding", "data_format")

    class Doubled(getattr(space.layers, name)):
        def _pooling_function(self, inputs: Any, pool_size: Any, strides: Any, **named: Any) -> Any:
            assert tuple(named) == words and tuple(pool_size) == tuple(strides) == ((2, 1) if "1D" in name else (2, 2))
            return 2 * super()._pooling_function(inputs, pool_size, strides, *named.values())

    x = torch.from_numpy(STEPS if "1D" in name else STEPS.reshape(1, 4, 5, 2))
    assert_close(Doubled()(x), 2 * getattr(space.layers, name)()(x))


@pytest.mark.parametrize("space", [tf_keras, lamina], ids=["tf_keras", "keras3"])
def test_a_metric_made_in_a_call_counts(space: ModuleType) -> None:
    class Logged(space.layers.Layer):
        def call(self, inputs: Any) -> Any:
            if not hasattr(self, "mean"):
                self.mean = space.metrics.Mean(name="mean")
            self.mean.update_state(inputs)
            return inputs

    start = space.layers.Input((4,))
    model = space.models.Model(start, space.layers.Dense(3)(Logged()(start)))
    model.compile("sgd", "mse")
    assert model.fit(X, Y, verbose=0).history["mean"] == [pytest.approx(X.mean(), abs=1e-6)]


def test_keras2_mobilenet_ends_in_a_convolution() -> None:
    model = keras2.applications.mobilenet.MobileNet(weights=None, alpha=0.25, input_shape=(32, 32, 3), classes=7)
    modern = lamina.applications.MobileNet(weights=None, alpha=0.25, input_shape=(32, 32, 3), classes=7)
    modern.set_weights(model.get_weights())
    x = DRAWN.random((2, 32, 32, 3)).astype("float32")
    assert model.get_layer("reshape_1").output_shape == (None, 1, 1, 256)
    assert_close(torch.from_numpy(model.predict(x)), torch.from_numpy(modern.predict(x, verbose=0)))


@pytest.mark.parametrize("words", [lamina.keras1, lamina.keras2, lamina.tf_keras, lamina], ids=lambda one: one.__name__)
def test_a_wrapper_may_put_a_tensor_in_the_place_of_a_weight(words):
    name = "W" if words is keras1 else "kernel"

    class Half(words.layers.Wrapper):
        def build(self, input_shape):
            self.layer.build(input_shape)
            super().build()

        def call(self, x, mask=None):
            own = getattr(self.layer, name)
            setattr(self.layer, name, own * 0.5)
            try:
                return self.layer.call(x)
            finally:
                setattr(self.layer, name, own)

        def compute_output_shape(self, input_shape):
            return self.layer.compute_output_shape(input_shape)

        def get_output_shape_for(self, input_shape):
            return self.layer.get_output_shape_for(input_shape)

    inner = words.layers.Dense(2)
    given = words.Input((4,))
    model = words.models.Model(given, Half(inner)(given))
    model.compile("sgd", "mse")
    kernel, bias = model.get_weights()
    x = np.random.rand(8, 4).astype("float32")
    for _ in range(2):
        np.testing.assert_allclose(model.predict(x, verbose=0), x @ (kernel / 2) + bias, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.get_weights()[0], kernel)
    model.train_on_batch(x, np.ones((8, 2)))
    wanted = kernel - 0.01 * 0.5 * x.T @ (2 * (x @ (kernel / 2) + bias - 1)) / 16
    np.testing.assert_allclose(model.get_weights()[0], wanted, rtol=1e-4, atol=1e-6)
    assert type(getattr(inner, name)) is type(model.weights[0])


def test_weights_of_keras_1_are_written_by_their_names_of_the_time():
    layer = keras1.layers.Dense(2, input_dim=3)
    layer.build((None, 3))
    layer.W = np.ones((3, 2), "float32")
    assert layer.get_weights()[0].tolist() == [[1, 1]] * 3 and len(layer.weights) == 2


# Symbolic tensors from outside ---------------------------------------------------------------------------------------


@STATIC
@pytest.mark.parametrize("way", ["named", "in a function", "attribute"])
def test_methods_name_symbolic_tensors(space: ModuleType, way: str) -> None:
    """As the autoencoders of the time did for their loss; one that is given the tensors instead computes the same."""
    K = space.backend

    def model_of(given: bool) -> Any:
        inputs = space.layers.Input(shape=(4,))
        hidden = space.layers.Dense(3, name="hidden")(inputs)

        def helper() -> Any:
            return hidden

        class Own(space.layers.Layer):  # type: ignore[name-defined]
            def build(self, input_shape: Any) -> None:
                self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")
                super().build(input_shape)

            def _other(self, x: Any) -> Any:
                if isinstance(x, list):
                    return x[1]
                return helper() if way == "in a function" else self.kept if way == "attribute" else hidden

            def call(self, x: Any, mask: Any = None) -> Any:
                first, other = x[0] if isinstance(x, list) else x, self._other(x)
                self.add_loss(K.mean(K.square(other)), inputs=x)
                return first[:, :3] * self.scale + other

            def compute_output_shape(self, input_shape: Any) -> Any:
                return (None, 3)

        own = Own(name="own")
        if way == "attribute":
            own.kept = hidden
        return functional(space, inputs, own([inputs, hidden] if given else inputs))

    expected, model = model_of(True), model_of(False)
    model.set_weights([np.full_like(weight, 0.3) for weight in model.get_weights()])
    expected.set_weights(model.get_weights())
    assert_close(model.predict(X), expected.predict(X))
    losses = [fit(each, space, epochs=3, batch_size=4, shuffle=False).history["loss"] for each in (expected, model)]
    assert_close(losses[1], losses[0])
    assert [weight.shape for weight in model.get_weights()] == [weight.shape for weight in expected.get_weights()]
    for mine, theirs in zip(model.get_weights(), expected.get_weights(), strict=True):
        assert_close(mine, theirs)
    assert "_outside" not in str(model.get_config())


@pytest.mark.parametrize("space", [keras2, tf_keras, lamina], ids=["keras2", "tf_keras", "keras3"])
@pytest.mark.parametrize("base", ["Model", "Layer"])
def test_given_weights_are_those_of_layers_inside_an_own_one(space: ModuleType, base: str) -> None:
    kernel = DRAWN.normal(size=(3, 2)).astype("float32")

    class Holds(space.Model if base == "Model" else space.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.table = space.layers.Embedding(3, 2, weights=[kernel])
            self.dense = space.layers.Dense(2, use_bias=False, weights=[kernel[:2]])

        def call(self, x: Any) -> Any:
            return self.dense(self.table(x))

    model = Holds() if base == "Model" else space.Sequential([space.layers.Input((1,)), Holds()])
    found = model.predict(np.array([[2], [0]]), verbose=0)
    assert_close(torch.as_tensor(found[:, 0]), torch.as_tensor(kernel[[2, 0]] @ kernel[:2]))


@pytest.mark.parametrize("space", [tf_keras, lamina], ids=["tf_keras", "keras3"])
def test_calls_may_decide_by_values(space: ModuleType) -> None:
    class Halves(space.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

        def call(self, x: Any) -> Any:
            self.count.assign(self.count + 1)
            while x.max() > 1:
                x = x / 2
            return -x if x.sum() < 0 else x

    inputs = space.layers.Input((3,))
    model = space.Model(inputs, space.layers.Dense(1, kernel_initializer="ones")(Halves()(inputs)))
    assert model.output_shape == (None, 1)
    np.testing.assert_array_equal(model.layers[1].count, 0.0)  # nothing has been computed yet
    for value, expected in ((8.0, 3.0), (-1.0, 3.0)):
        np.testing.assert_allclose(model.predict(np.full((2, 3), value), verbose=0), np.full((2, 1), expected))


def test_a_loop_that_does_not_end_on_zeros_is_told() -> None:
    class Doubles(lamina.layers.Layer):
        def call(self, x: Any) -> Any:
            while x.sum() < 10:
                x = x * 2
            return x

    class ByRule(Doubles):
        def compute_output_shape(self, input_shape: Any) -> Any:
            return input_shape

    inputs = lamina.Input((3,))
    with pytest.raises(ValueError, match=r"doubles.* a loop does not end in 1,000 rounds\. Write its rule"):
        Doubles(name="doubles")(inputs)
    assert lamina.Model(inputs, ByRule()(inputs)).predict([[1.0, 2.0, 3.0]], verbose=0).tolist() == [[2, 4, 6]]


def test_metrics_that_the_call_of_an_own_model_adds() -> None:
    class Own(tf_keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = tf_keras.layers.Dense(3)

        def call(self, x: Any) -> Any:
            self.add_metric(x.sum(), name="sum", aggregation="mean")
            return self.dense(x)

    model = Own()
    model.compile("sgd", "mse")
    history = model.fit(X, Y, batch_size=8, verbose=0).history
    np.testing.assert_allclose(history["sum"], [X.sum()], rtol=1e-5)
    assert len(model.get_weights()) == 2


def test_losses_and_metrics_of_an_own_functional_model() -> None:
    class Own(tf_keras.Model):
        def train_step(self, data: Any) -> Any:
            return super().train_step(data)

    inputs = tf_keras.Input((4,))
    outputs = tf_keras.layers.Dense(1, kernel_initializer="ones")(inputs)
    model = Own(inputs, outputs)
    model.add_loss(outputs.sum())
    model.add_metric(outputs.sum(), name="sum")
    model.compile(tf_keras.optimizers.SGD(0.0))
    history = model.fit(X, batch_size=8, verbose=0).history
    np.testing.assert_allclose([history["loss"], history["sum"]], [[X.sum()]] * 2, rtol=1e-4)


def test_updates_of_a_frozen_layer_are_not_asked_for() -> None:
    class Counts(tf_keras.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False, name="count")

        def call(self, x: Any) -> Any:
            self.add_update(lambda: self.count.assign(self.count + 1))
            return x

    model = tf_keras.Sequential([Counts(), tf_keras.layers.Dense(3)])
    for trainable, expected in ((True, 1.0), (False, 1.0)):
        model.layers[0].trainable = trainable
        model.compile("sgd", "mse")
        model.fit(X, Y, batch_size=8, verbose=0)
        np.testing.assert_array_equal(model.layers[0].count, expected)


@OLD
def test_a_new_session_forgets_the_learning_phase(space: ModuleType) -> None:
    space.backend.set_learning_phase(1)
    assert space.backend.learning_phase() == 1
    space.backend.clear_session()
    assert space.backend.learning_phase() == 0


def test_an_own_model_tells_its_arguments() -> None:
    class Own(tf_keras.Model):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.units = units

    assert Own.from_config(Own(10).get_config()).units == Own.from_config(Own(units=10).get_config()).units == 10


def test_one_layer_makes_a_sequential() -> None:
    assert tf_keras.Sequential(tf_keras.layers.Dense(3)).predict(X, verbose=0).shape == (8, 3)


def test_a_model_of_keras_1_with_an_own_layer_in_a_model_inside_is_saved(tmp_path: Path) -> None:
    """With the states of its optimizer, which go by names of weights."""

    class Scales(keras1.layers.Layer):
        def build(self, input_shape: Any) -> None:
            self.factor = keras1.backend.variable(np.arange(1.0, 4.0), name="factor")
            self.moved = keras1.backend.variable(np.zeros(3), name="moved")
            self.trainable_weights, self.non_trainable_weights = [self.factor], [self.moved]

        def call(self, x: Any, mask: Any = None) -> Any:
            return x * self.factor + self.moved

    Input, Model = keras1.layers.Input, keras1.models.Model
    start, x = Input((3,)), Input((3,))
    model = Model(x, keras1.layers.Dense(1)(Model(start, Scales()(start))(x)))
    model.compile("adam", "mse")
    data = np.arange(12.0).reshape(4, 3), np.ones((4, 1))
    model.train_on_batch(*data)
    model.save(str(tmp_path / "model.h5"))
    again = keras1.models.load_model(str(tmp_path / "model.h5"), {"Scales": Scales})
    np.testing.assert_array_equal(again.predict(data[0]), model.predict(data[0]))
    assert [again.train_on_batch(*data) for _ in range(2)] == [model.train_on_batch(*data) for _ in range(2)]


@pytest.mark.parametrize("space", ["keras1.", "keras2.", "tf_keras.", ""])
def test_a_list_of_layers_can_be_replaced_by_something_else(space: str) -> None:
    layers = importlib.import_module(f"lamina.{space}layers")

    class Own(layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.many: Any = [layers.Dense(2)]
            self.other: Any = [layers.Dense(2)]
            self.many = None
            del self.other

    own = Own()
    assert own.many is None and not hasattr(own, "other")
    assert not [*own.modules()][1:]
    own.many = layers.Dense(2)
    assert isinstance(own.many, layers.Dense)


class TellsTypes:
    """An own layer with a weight, of every generation, which says what reaches its `call`."""

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")
        super().build(input_shape)

    def call(self, x, start=0):
        self.told = str(x.dtype).removeprefix("torch."), str(getattr(start, "dtype", "")).removeprefix("torch.")
        return x


@pytest.mark.parametrize("space", [lamina, tf_keras], ids=["keras3", "tf_keras"])
@pytest.mark.parametrize("kind", ["int32", "int64", "uint8"])
def test_integers_reach_an_own_layer_with_weights_as_they_are(space, kind):
    layer = type("Own", (TellsTypes, space.layers.Layer), {})()
    for _ in range(2):  # the first call makes the weights
        layer(np.ones((2, 3), kind))
        assert layer.told == (kind, "")
        layer(torch.ones(2, 3), start=torch.tensor(1, dtype=torch.int32))
        assert layer.told == ("float32", "int32")


@ALL
@pytest.mark.parametrize("kind", ["int64", "uint8"])
def test_integers_given_to_a_model_of_floats(space, kind):
    layer = type("Own", (TellsTypes, space.layers.Layer), {})(**({} if space is lamina else {"input_shape": (3,)}))
    sequential(space, layer).predict(np.ones((2, 3), kind), verbose=0)
    assert layer.told[0] == "float32"
    if space is not tf_keras and space is not keras1:  # of Keras 1 there are no models that begin without a shape
        for first in (space.layers.Flatten, lambda: space.layers.Lambda(lambda x: 2 * x), lambda: None):
            second = type("Own", (TellsTypes, space.layers.Layer), {})()
            sequential(space, *filter(None, [first()]), second).predict(np.ones((2, 3), kind), verbose=0)
            assert second.told[0] == "float32"


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool"])
def test_integers_that_a_sequential_of_keras_3_begins_with(kind):
    layers = lamina.layers
    data = np.full((1, 4, 4, 1), 200).astype(kind)
    for first in (layers.Flatten(), layers.MaxPooling2D(), layers.Dropout(0.5), layers.Lambda(lambda x: 2 * x)):
        assert lamina.Sequential([first]).predict(data, verbose=0).dtype == "float32"
        assert lamina.Sequential([lamina.Sequential([first])])(data).dtype is torch.float32
    assert lamina.Sequential([layers.Lambda(lambda x: 2 * x)])(data).max() == 2 * int(data.max())
    places = lamina.Sequential([layers.Embedding(300, 1)])
    places(np.ones((1, 2), "int64"))
    assert places.inputs[0].dtype == "int64"  # float32 holds whole numbers up to 2**24 alone
    assert layers.Flatten()(data).dtype is torch.from_numpy(data).dtype


def test_complex_numbers_that_a_sequential_of_keras_3_begins_with_stay_complex():
    found = lamina.Sequential([lamina.layers.Lambda(abs)])(np.array([[3 + 4j]]))
    assert found.tolist() == [[5.0]]


def test_integers_given_to_a_subclassed_model_of_keras_2():
    class Twice(keras2.models.Model):
        def call(self, x):
            self.told = x.dtype
            return 2 * x

    model = Twice()
    assert model.predict(np.full((1, 1), 200, "uint8"))[0, 0] == 400
    assert model.told is torch.float32


@ALL
def test_layers_made_of_lamina_s_take_integers(space):
    class Twice(space.layers.Dense):
        def call(self, x):
            return 2 * super().call(x)

    layer = Twice(2)
    layer.build((None, 3))
    assert layer(torch.ones(2, 3, dtype=torch.int64)).dtype is torch.float32
