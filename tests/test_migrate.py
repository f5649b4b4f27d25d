"""`lamina migrate`: what the old source computes, the new one computes; what is no Keras stays letter by letter."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lamina
from lamina import cli
from lamina.generations import install, uninstall
from lamina.generations.detect import detect
from lamina.generations.migrate import migrate
from lamina.generations.migrate.sources import Unreadable, migrate_file, notebook
from lamina.translation import migrating
from lamina.translation.words import signature_of

pytest.importorskip("libcst")

FOLDER = Path(__file__).parent / "sources_of_generations"
KEYS = {"keras1": "1", "keras2": "2", "tf_keras": "tf"}


def sources() -> Iterator[Any]:
    for generation in KEYS:
        for part in (FOLDER / f"{generation}.txt").read_text().split("#### ")[1:]:
            title, source = part.split("\n", 1)
            yield pytest.param(generation, source, id=f"{generation}-{title}")


def executed(generation: str, source: str) -> dict[str, Any]:
    np.random.seed(0)
    install(generation, replace=True)
    names: dict[str, Any] = {"__name__": "script"}
    exec(compile(source, "script", "exec"), names)
    return names


@pytest.fixture(autouse=True)
def _uninstalled() -> Iterator[None]:
    yield
    uninstall()


@pytest.mark.parametrize(("generation", "source"), list(sources()))
def test_predicts_as_before(generation: str, source: str, capsys: Any) -> None:
    old = executed(generation, source)
    expected = old["model"].predict(old["x"])
    inside = lamina.Model.weights.fget(old["model"])  # as they lie today, layer by layer
    weights = [weight.detach().numpy() for weight in inside]
    uninstall()
    found = migrate(source, KEYS[generation])
    assert found.notes == ()
    assert migrate(found.source, KEYS[generation]).source == found.source
    assert migrate(found.source).source == found.source
    new = executed("keras3", found.source)
    new["model"].set_weights(weights)
    np.testing.assert_allclose(new["model"].predict(old["x"], verbose=0), expected, rtol=1e-4, atol=1e-5)
    if "result" in old:
        assert str(new["result"]) == str(old["result"])
    for name in ("loss", "learning_rate"):
        if hasattr(getattr(old["model"], "optimizer", None), name):
            assert np.allclose(
                float(getattr(new["model"].optimizer, name)), float(getattr(old["model"].optimizer, name))
            )


def test_arguments_over_several_lines() -> None:
    source = "from keras import backend as K\n\ny = K.square(\n    x[:, 1:]\n    - x[:, :-1]\n)\n"
    new = migrate(source, "2").source
    ast.parse(new)
    assert "x[:, 1:]\n    - x[:, :-1]\n)" in new, new


BEFORE = '''# -*- coding: utf-8 -*-
"""A script."""
from keras.models import Sequential
from keras.layers.core import (Dense,  # full
                               Dropout)
from keras.layers.convolutional import Convolution2D
import keras.backend as K


model = Sequential()

# the first layer
model.add(Convolution2D(32, 3, 3,
                        border_mode='same',  # as TensorFlow
                        input_shape=(8, 8, 1),
                        ))
model.add(Dense( output_dim=10,init = 'uniform' ))   # last
total = K.sum(model.output, axis=-1)
'''
AFTER = '''# -*- coding: utf-8 -*-
"""A script."""
import keras
from keras.models import Sequential
from keras.layers import (Dense,  # full
                               Dropout)
from keras.layers import Conv2D


model = Sequential()

# the first layer
model.add(keras.Input(shape=(8, 8, 1)))
model.add(Conv2D(32, (3, 3),
                        padding='same',  # as TensorFlow
                        ))
model.add(Dense( units=10,kernel_initializer = 'uniform' ))   # last
total = keras.ops.sum(model.output, axis=-1)
'''


def test_keeps_comments_and_layout() -> None:
    assert migrate(BEFORE).source == AFTER


def test_imports_another_package() -> None:
    found = migrate(
        "import keras.backend as K\nfrom keras.layers.core import Dense\nDense(2, init='zero')\nK.epsilon()\n",
        "1",
        "lamina",
    )
    assert found.source == (
        "import lamina.backend as K\nfrom lamina.layers import Dense\n"
        "Dense(2, kernel_initializer='zero')\nK.epsilon()\n"
    )
    found = migrate("import tensorflow as tf\nx = tf.keras.layers.Dense(2)\n", "tf", "lamina")
    assert found.source == "import lamina as keras\nx = keras.layers.Dense(2)\n"


@pytest.mark.parametrize(
    "source",
    [
        "from sklearn.svm import SVC\nmodel = SVC()\nmodel.fit(x, y)\n",
        "import keras\nmodel = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])\n",
        "import tensorflow as tf\nx = tf.constant([1.0])\n",
        "keras = 3\n",
        "import keras\nfrom sklearn.svm import SVC\nmodel = SVC()\nmodel.fit(x, y, 3)\nmodel.predict_proba(x)\n",
    ],
)
def test_leaves_alone(source: str) -> None:
    assert migrate(source).source == source


def test_other_uses_of_tensorflow_stay() -> None:
    found = migrate("import tensorflow as tf\nx = tf.ones(3)\ny = tf.keras.layers.Dense(2, activation=tf.nn.relu)\n")
    assert found.source == (
        "import keras\nimport tensorflow as tf\nx = tf.ones(3)\ny = keras.layers.Dense(2, activation=tf.nn.relu)\n"
    )


LAYER = "import keras\nm = keras.layers.LSTM(2, recurrent_activation='hard_sigmoid')\n"


@pytest.mark.parametrize(
    ("keras", "source"),
    [
        ("tf", "import os\nimport tensorflow as tf\nm = tf.keras.layers.Dense(2)\nfrom keras.utils import get_file\n"),
        (
            "tf",
            "import tensorflow as tf\nm = tf.keras.layers.Dense(2)\nfrom tensorflow import keras\nkeras.Input((2,))\n",
        ),
        ("2", LAYER + "from keras.models import Model\n"),
        ("2", "from keras.layers import GRU\nm = GRU(2, recurrent_activation='hard_sigmoid')\nimport keras\n"),
    ],
)
def test_what_is_used_is_there_before_it(keras: str, source: str) -> None:
    """`import keras`, and the function that a source gets, though others of Keras are imported further down."""
    names: dict[str, Any] = {}
    migrated = migrate(source, keras, "lamina").source
    exec(migrated, names)
    assert "m" in names and migrate(migrated).source == migrated


HEAD = "from keras.models import Sequential\nfrom keras.layers import *\nfrom keras import backend as K\n"


@pytest.mark.parametrize(
    ("keras", "line", "what"),
    [
        ("1", "LocallyConnected2D(3, 2, 2)", "LocallyConnected2D"),
        ("2", "LocallyConnected1D(3, 2)", "LocallyConnected1D"),
        ("tf", "ThresholdedReLU(0.5)", "ThresholdedReLU"),
        ("1", "MaxoutDense(3)", "MaxoutDense"),
        ("1", "BatchNormalization(mode=1)", "by_sample"),
        ("1", "BatchNormalization(mode=2)", "batch_statistics"),
        ("2", "from keras.optimizers import Nadam; Nadam(schedule_decay=0.01)", "schedule_decay"),
        ("2", "f = map(K.batch_flatten, xs)", "keras.backend.batch_flatten"),
        ("2", "from keras.backend import batch_flatten; f = map(batch_flatten, xs)", "keras.backend.batch_flatten"),
        ("1", "K.categorical_crossentropy(a, b)", "categorical_crossentropy"),
        ("1", "K.set_image_dim_ordering(order)", "set_image_dim_ordering"),
        ("2", "LSTM(3, batch_input_shape=(2, None, 4))", "batch_input_shape"),
        ("1", "Embedding(3, 4, dropout=0.5)", "dropout"),
        ("1", "merge([a, b], mode=lambda x: x[0])", "merge"),
        ("1", "Merge([a, b], mode='concat')", "Merge"),
        ("1", "Dense(3, weights=[w])", "weights"),
        ("1", "Convolution2D(3, 3, 3, dim_ordering=order)", "dim_ordering"),
        ("2", "f = K.function([a], [b])", "function"),
        ("2", "K.in_train_phase(a, b)", "in_train_phase"),
        ("1", "Dense(3, **more)", "* or **"),
        ("1", "model.fit_generator(g, 100, 3)", "samples_per_epoch"),
        ("2", "thing.predict_classes(x)", "predict_classes"),
        ("2", "thing.fit(x, y, 32, 5)", ".fit"),
        ("2", "Dense(3, unit=4)", "Dense"),
        ("2", "thing.to_yaml()", "to_yaml"),
        ("2", "from keras.preprocessing.image import ImageDataGenerator", "ImageDataGenerator"),
        ("2", "from keras.utils import multi_gpu_model", "multi_gpu_model"),
        ("2", "from keras.wrappers.scikit_learn import KerasClassifier", "KerasClassifier"),
        ("2", "model = Sequential(); model.compile('sgd', 'no_such_loss')", "no_such_loss"),
        ("1", "z = Dense(3)(x); model = Sequential(); model.compile('sgd', loss=lambda a, b: a - b + z)", "loss="),
        ("2", "z = Dense(3)(x); model = Sequential(); model.compile('sgd', made_of(z))", "made_of(z)"),
        ("2", "model = Sequential(); model.add_loss(z)", ".add_loss"),
        ("tf", "model = Sequential(); model.add_loss(z); model = model.load_weights('w.h5')", ".add_loss"),
        ("tf", "self.add_metric(x)", ".add_metric"),
        ("2", "self.add_update(x)", ".add_update"),
        ("tf", "self.compiled_loss(y, p)", ".compiled_loss"),
        ("tf", "self.compiled_metrics.update_state(y, p)", ".compiled_metrics"),
        ("tf", "self.optimizer.minimize(f, v)", ".minimize"),
        ("tf", "o = tf.optimizers.Adam(); o.get_weights()", ".get_weights"),
        ("2", "K.sum(x, 1, True, 4)", "sum"),
        ("2", "from keras.optimizers import Nadam; Nadam()", "Nadam"),
        ("2", "model = Sequential(); model.compile('nadam', 'mse')", "Nadam"),
        ("2", "UpSampling2D(2, interpolation='bilinear')", "interpolation"),
        ("2", "import keras; keras.callbacks.BaseLogger()", "BaseLogger"),
    ],
)
def test_tells_what_needs_a_person(keras: str, line: str, what: str) -> None:
    head = HEAD.replace("from keras.models", "import tensorflow as tf; from tensorflow.keras.models")
    notes = migrate(f"{HEAD if keras in '12' else head}{line}\n", keras).notes
    assert any(what in note.what and note.line == 4 and note.why and note.suggestion for note in notes), notes


@pytest.mark.parametrize("keras", ["1", "2", "tf"])
def test_tells_of_what_is_frozen_behind_compile(keras: str) -> None:
    """In Keras 3 a model that is frozen after `compile` trains no more by itself, as the discriminator of a GAN."""
    body = "{0}.compile('adam', 'mse')\n{1}\n"
    after = ["m.trainable = False", "for layer in m.layers[:3]:\n    layer.trainable = False"]
    for line, told in [(after[0], 1), (after[1], 1), ("m.trainable = True", 0), ("n.trainable = False", 0)]:
        source = f"{HEAD}m = Sequential([Dense(2)])\n{body.format('m', line)}"
        assert [note.what for note in migrate(source, keras).notes] == [".trainable"] * told
    own = body.format("self.m", "self.m.trainable = False").replace("\n", "\n        ").rstrip()
    assert migrate(f"{HEAD}class GAN:\n    def __init__(self):\n        {own}\n", keras).notes
    assert not migrate(f"{HEAD}m = Sequential()\nm.trainable = False\nm.compile('adam', 'mse')\n", keras).notes


def test_a_second_run_knows_what_the_first_has_made() -> None:
    """Defaults of another generation are put into no source that has been migrated, whatever its habits are."""
    habits = "from __future__ import print_function\n"
    body = "from tensorflow.keras import layers, models, optimizers\ny = layers.GRU(4)(x)\n"
    body += "models.Model(x, y).compile(optimizers.RMSprop(), 'mse')\n"
    for source in (habits + body, body + "class A(object): pass\n"):
        first = migrate(source)
        assert (first.generation, migrate(first.source).source) == ("tf_keras", first.source)
        assert "epsilon" not in first.source and "reset_after" not in first.source
    first = migrate(habits + body).source
    assert detect(first)[0] == "keras3" and first.count("# Keras 3") == 1
    stack = "import keras\nm = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])\nm.save('m.h5')\n"
    assert detect(stack)[0] == "keras3"


def test_optimizers_that_added_epsilon_to_the_root() -> None:
    """The square of epsilon below the root does nearly what epsilon behind it did; elsewhere training differs."""
    gradients = 10.0 ** np.arange(-4, 3)
    for name in ("RMSprop", "Adagrad"):
        old = "from keras.models import Sequential\nfrom keras.layers import Dense\nfrom keras import optimizers as o\n"
        old += f"m = Sequential([Dense(1, use_bias=False, input_dim=7)])\nm.compile(o.{name}(lr=0.1), 'mse')\n"
        found = []
        for generation, source in (("keras2", old), ("keras3", migrate(old, "2").source)):
            model = executed(generation, source)["m"]
            model.set_weights([np.zeros((7, 1))])
            for _ in range(3):
                model.train_on_batch(np.diag(gradients), np.ones((7, 1)))
            found.append(np.asarray(model.get_weights()[0]))
            uninstall()
        np.testing.assert_allclose(*found, rtol=3e-2)


def test_tells_of_losses_that_use_tensors_of_the_model() -> None:
    body = "z = Dense(3)(x)\ny = Dense(2)(z)\ndef own(a, b):\n    {}\nmodel = Sequential()\nmodel.compile('sgd', own)\n"
    for line, told in (("return K.sum(z) + a - b", 1), ("z = a - b; return z", 0), ("return a - b", 0)):
        assert len(migrate(HEAD + body.format(line), "2").notes) == told


@pytest.mark.parametrize(
    ("keras", "before", "after"),
    [
        ("1", "model.fit_generator(d.flow(x, y, batch_size=8), samples_per_epoch=100, nb_epoch=3)",
         "model.fit(d.flow(x, y, batch_size=8), steps_per_epoch=13, epochs=3)"),
        ("1", "model.fit(x, y)", "model.fit(x, y, epochs=10)"),
        ("1", "model.compile('adam', 'mse')", "model.compile(keras.optimizers.Adam(epsilon=1e-08), 'mse')"),
        ("2", "model.compile('adam', 'mse')", "model.compile('adam', 'mse')"),
        ("2", "model.compile('adadelta', 'mse')", "model.compile(keras.optimizers.Adadelta(learning_rate=1.0), 'mse')"),
        ("2", "model.fit(x, y, 32, 5, max_queue_size=3)", "model.fit(x, y, 32, 5)"),
        ("1", "SimpleRNN(3, inner_init='glorot_uniform')", "SimpleRNN(3, recurrent_initializer='glorot_uniform')"),
        ("1", "MaxPooling2D((2, 2), border_mode='same')", "MaxPooling2D((2, 2), padding='same')"),
        ("1", "MaxPooling2D((2, 2), (1, 1), 'same')", "MaxPooling2D((2, 2), (1, 1), 'same')"),
        ("1", "Convolution2D(f, k, k + 1, 'he_uniform')", "Conv2D(f, (k, k + 1), kernel_initializer='he_uniform')"),
        ("2", "Conv2D(f, (k, k), (2, 2), 'same')", "Conv2D(f, (k, k), (2, 2), 'same')"),
        ("2", "Conv2D(f, 3, 3, border_mode='same')", 'Conv2D(f, (3, 3), padding="same")'),
        ("2", "Conv2D(f, k, padding=p, strides=s, name=n)", "Conv2D(f, k, padding=p, strides=s, name=n)"),
        ("2", "Dropout(p, name=n)", "Dropout(p, name=n)"),
        ("1", "Convolution2D(f, k, k, border_mode=p, name=n)", "Conv2D(f, (k, k), padding=p, name=n)"),
        ("2", "GRU(3)", "GRU(3, reset_after=False)"),
        ("tf", "GRU(3)", "GRU(3)"),
        ("2", "model.compile('rmsprop', 'mse')", "model.compile(keras.optimizers.RMSprop(epsilon=1e-14), 'mse')"),
        ("tf", "model.compile('rmsprop', 'mse')", "model.compile('rmsprop', 'mse')"),
        ("2", "from keras.optimizers import RMSprop; RMSprop(epsilon=e)",
         "from keras.optimizers import RMSprop; RMSprop(epsilon=(e) ** 2)"),
        ("2", "from keras.optimizers import RMSprop; RMSprop(epsilon=1e-14)",
         "from keras.optimizers import RMSprop; RMSprop(epsilon=1e-14)"),
        ("2", "Dense(np.prod(s[1:]), 'relu')(x)", "Dense(int(np.prod(s[1:])), 'relu')(x)"),
        ("2", "self.add_loss(z, inputs=[x])", "self.add_loss(z)"),
        ("2", "K.concatenate([a, b])", "keras.ops.concatenate([a, b], axis=-1)"),
        ("2", "K.int_shape(a + b)[1]", "tuple((a + b).shape)[1]"),
        ("2", "K.set_value(model.optimizer.lr, 0.1)", "model.optimizer.learning_rate.assign(0.1)"),
        ("2", "import keras; mine = keras.optimizers.SGD(0.1); K.set_value(mine.lr, 0.2)",
         "import keras; mine = keras.optimizers.SGD(0.1); mine.learning_rate.assign(0.2)"),
        ("2", "from keras.optimizers import Nadam; Nadam(lr=r, schedule_decay=0.004)",
         "from keras.optimizers import Nadam; Nadam(learning_rate=r)"),
        ("2", "from keras.callbacks import ModelCheckpoint; ModelCheckpoint('w.hdf5', save_weights_only=True)",
         "from keras.callbacks import ModelCheckpoint; ModelCheckpoint('w.weights.h5', save_weights_only=True)"),
        ("2", "from keras.callbacks import *; ModelCheckpoint('w.hdf5')",
         "from keras.callbacks import *; ModelCheckpoint('w.h5')"),
        ("1", "K.set_image_dim_ordering('th')", 'K.set_image_data_format("channels_first")'),
        ("1", "merge([a, b], mode='dot')", "keras.layers.dot([a, b], axes=-1)"),
        ("2", "list(map(K.square, xs))", "list(map(keras.ops.square, xs))"),
        ("2", "model = Sequential([LSTM(3, batch_input_shape=(2, 5, 4)), Dense(2)])",
         "model = Sequential([keras.Input(batch_shape=(2, 5, 4)), LSTM(3), Dense(2)])"),
        ("2", "model.save_weights('w.h5')", "model.save_weights('w.weights.h5')"),
        ("2", "Dense(3)(Dense(2, input_dim=4)(x))", "Dense(3)(Dense(2)(x))"),
        ("1", "model.reset_states()",
         '[layer.reset_states() for layer in model.layers if hasattr(layer, "reset_states")]'),
        ("1", "layer.reset_states()", "layer.reset_states()"),
        ("2", "K.zeros((2,), name=n)", "keras.Variable(keras.ops.zeros((2,), 'float32'), name=n)"),
        ("1", "K.zeros_like(x, name=n)", "keras.ops.zeros_like(x)"),
        ("2", "K.dropout(x, 0.5, None, seed=3)", "keras.random.dropout(x, 0.5, None, seed=3)"),
        ("2", "import keras; keras.activations.relu(x, alpha=0.1)",
         "import keras; keras.activations.relu(x, negative_slope=0.1)"),
        ("2", "import numpy as np; x = np.zeros(3, np.float)", "import numpy as np; x = np.zeros(3, float)"),
        ("2", "import numpy as np; x = np.zeros(3, np.float32)", "import numpy as np; x = np.zeros(3, np.float32)"),
        ("2", "K.variable(0)", 'keras.Variable(0, dtype="float32")'),
        ("2", "K.variable(a, name='x')", 'keras.Variable(a, name=\'x\', dtype="float32")'),
        ("2", "K.constant([1])", "keras.ops.convert_to_tensor([1], 'float32')"),
        ("1", "K.placeholder((1, 2))", "keras.layers.Input(batch_shape=(1, 2))"),
        ("2", "from keras.layers import recurrent, Dense", "from keras.layers import Dense"),
        ("2", "model.add(Activation('softmax')); model.predict_classes(x)",
         "model.add(Activation('softmax')); model.predict(x).argmax(axis=-1)"),
    ],
)  # fmt: skip
def test_rewrites(keras: str, before: str, after: str) -> None:
    found = migrate(f"{HEAD}model = Sequential()\n{before}\n", keras).source
    assert found.rstrip("\n").rpartition("\n")[2] == after


def test_tables_name_what_there_is() -> None:
    """Every counterpart exists, and takes the arguments that it is given."""
    import lamina

    for name, entry in migrating.BACKEND.items():
        own = signature_of(entry.signature).parameters
        if "{" in entry.modern:
            ast.parse(entry.modern.format(**dict.fromkeys(own, "x")))
            assert set(re.findall(r"{(\w+)}", entry.modern)) == {*own}, name
        else:
            found: Any = lamina
            for part in entry.modern.split("."):
                found = getattr(found, part)
            takes = inspect.signature(found).parameters
            assert {entry.renamed.get(word, word) for word in own} <= {*takes, ""}, name


# Files ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize(("encoding", "mark"), [("utf-8", ""), ("utf-8-sig", ""), ("latin-1", "# coding: latin-1\n")])
def test_keeps_encoding_and_newlines(tmp_path: Path, encoding: str, mark: str, ending: str) -> None:
    text = f"{mark}from keras.layers.core import Dense\nname = 'é'\nDense(output_dim=3)  # ü\n".replace("\n", ending)
    file = tmp_path / "script.py"
    file.write_bytes(text.encode(encoding))
    assert migrate_file(file, write=True).error == ""
    wanted = text.replace("layers.core", "layers").replace("output_dim", "units")
    assert file.read_bytes() == wanted.encode(encoding)
    assert list(tmp_path.iterdir()) == [file]


def _notebook(*cells: Any) -> str:
    made = [
        {
            "cell_type": "code",
            "execution_count": 1,
            "metadata": {"é": 1e-07},
            "outputs": [{"text": ["source"]}],
            "source": cell,
        }
        for cell in cells
    ]
    note = {"cell_type": "markdown", "metadata": {}, "source": ["from keras.layers.core import Dense"]}
    return json.dumps({"cells": [note, *made], "metadata": {}, "nbformat": 4, "nbformat_minor": 2}, indent=1)


def test_notebooks_change_in_their_cells_alone() -> None:
    before = _notebook(
        ["%matplotlib inline\n", "!ls\n", "from keras.layers.core import Dense\n", "files = !ls"],
        ["%%bash\n", "keras layers.core"],
        "Dense(output_dim=3)",
        ["this is no Python\n", "from keras.layers.core import Dense"],
    )
    after, found = notebook(before, "1")
    wanted = before.replace("from keras.layers.core import Dense\\n", "from keras.layers import Dense\\n")
    assert after == wanted.replace("output_dim", "units")
    assert found.generation == "keras1"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import keras\nprint 'x'\n", "line 2: this is Python 2"),
        ("import keras\nx = (\n", "line 2: no valid Python"),
        (f"import keras\nx = {'(' * 3000}1{')' * 3000}\n", "Python cannot read it: too many nested parentheses"),
        (f"import keras\nx = a{'.b' * 50_000}\n", "Python cannot read it: "),
        ("import keras\nx = '\0'\n", "Python cannot read it: source code "),
    ],
    ids=["Python 2", "open", "brackets", "attributes", "zero"],
)
def test_what_cannot_be_read(source: str, said: str, tmp_path: Path, capsys: Any) -> None:
    with pytest.raises(Unreadable, match=said):
        migrate(source, "1")
    file = tmp_path / "script.py"
    file.write_text(source)
    assert cli.main(["migrate", str(file), "--write"]) == 1
    assert f"{file}: {said}" in capsys.readouterr().err
    assert file.read_text() == source


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_pipe_is_no_source(tmp_path: Path, capsys: Any) -> None:
    os.mkfifo(tmp_path / "script.py")
    assert cli.main(["migrate", str(tmp_path)]) == 1
    assert "is a pipe or a device" in capsys.readouterr().err


def test_command(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "one.py").write_text(BEFORE)
    (tmp_path / "other.py").write_text("x = 1\n")
    assert cli.main(["migrate", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().out
    assert "-import keras.backend as K" in said and "+from keras.layers import Conv2D" in said
    assert (tmp_path / "one.py").read_text() == BEFORE
    assert cli.main(["migrate", str(tmp_path), "--write"]) == 0
    assert (tmp_path / "one.py").read_text() == AFTER
    capsys.readouterr()
    assert cli.main(["migrate", str(tmp_path), "--check"]) == 0
    assert cli.main(["migrate", str(tmp_path / "none.py")]) == 2


def test_says_what_to_install(monkeypatch: Any, tmp_path: Path, capsys: Any) -> None:
    monkeypatch.setitem(sys.modules, "libcst", None)
    (tmp_path / "one.py").write_text(BEFORE)
    assert cli.main(["migrate", str(tmp_path / "one.py")]) == 1
    assert "pip install 'lamina[migrate]'" in capsys.readouterr().err


FITTED = """{imported}
h = m.fit(x, y, callbacks=[{callback}(f)])
print(h.history["lr"], self.history["lr"], table["lr"], h.history["loss"])
"""


@pytest.mark.parametrize("generation", ["1", "2", "tf"])
def test_the_rate_that_callbacks_log(generation: str) -> None:
    """Keras 3 logs it as "learning_rate"; a metric may be called "lr"."""
    home = "tensorflow.keras" if generation == "tf" else "keras"
    for callback in ("LearningRateScheduler", "ReduceLROnPlateau", "EarlyStopping"):
        source = FITTED.format(imported=f"from {home}.callbacks import {callback}", callback=callback)
        found = migrate(source, generation).source.splitlines()[-1]
        new = "lr" if callback == "EarlyStopping" else "learning_rate"
        assert found == f'print(h.history["{new}"], self.history["{new}"], table["lr"], h.history["loss"])'
        assert 'h.history["lr"]' in migrate(f"{source}def lr(y_true, y_pred): return rate\n", generation).source


@pytest.mark.parametrize("generation", ["1", "2", "tf"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("keras.callbacks.LearningRateScheduler(f)", True),
        ("keras.callbacks.ReduceLROnPlateau()", True),
        ("keras.backend.set_value(m.optimizer.lr, 0.1)", True),
        ("m.optimizer.lr = 0.1", True),
        ("print(m.optimizer.lr == 0.1)", False),
    ],
)
def test_tells_of_a_decay_beside_what_sets_the_rate(generation: str, line: str, told: bool) -> None:
    """Keras 3's schedules, which a decay becomes, allow no rate to be set."""
    start = "from tensorflow import keras" if generation == "tf" else "import keras"
    source = f"{start}\n{line}\nkeras.optimizers.Adam(lr=0.1, decay=0.01)\nkeras.optimizers.SGD(0.1)\n"
    assert [note.line for note in migrate(source, generation).notes if note.what == "decay"] == [3] * told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tf.optimizers.Adam(lr=0.1)", "keras.optimizers.Adam(learning_rate=0.1)"),
        ("tf.compat.v2.optimizers.SGD(lr=0.1)", "keras.optimizers.SGD(learning_rate=0.1)"),
        (
            "tf.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5)",
            "keras.optimizers.schedules.ExponentialDecay(0.1, 9, 0.5)",
        ),
        ("o = tf.optimizers.SGD(0.1); o.variables()", "o = keras.optimizers.SGD(0.1); o.variables"),
        ("o = tf.train.AdamOptimizer(); o.minimize(f)", "o = tf.train.AdamOptimizer(); o.minimize(f)"),
        ("tf.metrics.Mean()", "keras.metrics.Mean()"),
        ("tf.losses.Huber()", "keras.losses.Huber()"),
        ("tf.initializers.VarianceScaling(2.0)", "keras.initializers.VarianceScaling(2.0)"),
        ("tf.losses.mean_squared_error(a, b)", "tf.losses.mean_squared_error(a, b)"),  # TensorFlow 1 has one, too
        ("tf.metrics.accuracy(a, b)", "tf.metrics.accuracy(a, b)"),
    ],
)
def test_what_tensorflow_has_at_its_root(before: str, after: str) -> None:
    found = migrate(f"import tensorflow as tf\nfrom tensorflow import keras\n{before}\n", "tf")
    assert found.source.splitlines()[-1] == after and not found.notes


OF_SEVERAL = """from keras.models import Model
m = Model(inputs=a, outputs=[b, c])
m.compile({})
"""


@pytest.mark.parametrize("generation", ["1", "2", "tf"])
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("'sgd', ['mse', 'mse'], metrics=['mae', 'mse']", "metrics=[['mae', 'mse'], ['mae', 'mse']]"),
        ("'sgd', {'b': 'mse', 'c': 'mse'}, metrics=('mae',)", "metrics=[('mae',), ('mae',)]"),
        ("'sgd', 'mse', loss_weights=[1, 2], metrics=['mae']", "metrics=[['mae'], ['mae']]"),
        ("'sgd', ['mse', 'mse'], metrics=[['mae'], ['mse']]", "metrics=[['mae'], ['mse']]"),
        ("'sgd', ['mse', 'mse'], metrics={'b': 'mae'}", "metrics={'b': 'mae'}"),
        ("'sgd', 'mse', metrics=['mae', 'mse']", "metrics=['mae', 'mse']"),
        ("'sgd', ['mse'], metrics=['mae', 'mse']", "metrics=['mae', 'mse']"),
    ],
)
def test_metrics_that_were_for_every_output(generation: str, given: str, wanted: str) -> None:
    """In Keras 3 the entries of one list go to one output each."""
    source = OF_SEVERAL.format(given).replace("keras", "tensorflow.keras" if generation == "tf" else "keras")
    assert f"{wanted})" in migrate(source, generation).source
