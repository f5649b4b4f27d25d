"""Which generation a script was written for: every kind of evidence, and what decides where they differ."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lamina.generations.detect import detect
from lamina.generations.evidence import Reader
from lamina.generations.sources import beside, cells, parsed

NAMES = {
    "keras1": (
        "from keras.initializations import glorot_normal",
        "from keras.utils.visualize_util import plot",
        "from keras.layers import Merge",
        "import keras\nkeras.layers.MaxoutDense(3)\nkeras.layers.TimeDistributedDense(3)",
        "from keras import layers as L\nL.merge([a, b], mode='sum')",
        "from keras.layers import *\nmerge([a, b], mode='sum')",
        "from keras.regularizers import WeightRegularizer, l2",
        "import keras.backend as K\nK.lesser(x, 1)",
        "from keras.metrics import fbeta_score",
        "from keras.layers.core import TimeDistributedDense",
        "from keras.layers.core import Merge",
        "from keras.utils.layer_utils import layer_from_config",
        "from keras.utils.np_utils import probas_to_classes",
        "import keras.layers\nkeras.layers.Merge([a, b])",
        "from keras.engine.training import Model\nModel(input=a, output=b)",
    ),
    "keras2": (
        "from keras import backend as K\nK.maximum(x, 0)",
        "import keras\nK = keras.backend\nK.set_image_dim_ordering('th')",
        "from keras.backend import image_data_format, int_shape",
        "from keras.layers.convolutional import Conv2D",
        "import keras.layers.core as core\ncore.Dense(3)",
        "from keras.engine import Layer",
        "from keras.engine.topology import get_source_inputs",
        "from keras.layers.merge import concatenate",
        "from keras.utils import np_utils",
        "from keras.preprocessing.image import ImageDataGenerator",
        "from keras.preprocessing.text import Tokenizer",
        "from keras.legacy import interfaces",
        "from keras.layers import CuDNNGRU",
        "from keras.utils import multi_gpu_model",
        "from keras import backend as K\nwith K.name_scope('a'):\n    K.get_variable_shape(x)",
    ),
    "tf_keras": (
        "from tensorflow.keras.layers import Dense",
        "from tensorflow import keras",
        "import tensorflow as tf\ntf.keras.layers.Dense(3)",
        "import tensorflow as tf\nkeras = tf.keras\nkeras.layers.Dense(3)",
        "import tensorflow.keras.backend as K",
        "import tensorflow as tf\ntf.keras.ops.relu(x)\ntf.keras.layers.experimental.preprocessing.Rescaling(2)",
        "from tensorflow.python.keras.layers import Dense",
        "import tf_keras",
        "from keras.layers.experimental import preprocessing",
        "import tensorflow\ntf = tensorflow.compat.v1\ntf.keras.models.load_model('a')",
        "from keras.engine import keras_tensor",
        "from keras.layers.core.dense import Dense",
        "from keras.layers.normalization.batch_normalization import BatchNormalization",
        "from keras.saving.save import load_model",
        "from keras.optimizers.optimizer_experimental.adam import Adam",
        "from keras.api._v2.keras import layers",
        "from keras.layers.experimental import preprocessing\nfrom keras.utils import np_utils\nimport keras.engine",
    ),
    "keras3": (
        "from tensorflow import keras\nkeras.ops.relu(x)\nkeras.layers.Dense(3)",
        "import tensorflow as tf\ntf.keras.random.normal((2,))",
        "import keras\nkeras.ops.relu(x)",
        "from keras import ops",
        "from keras.random import normal",
        "import keras\nkeras.utils.PyDataset",
        "from keras.layers import RMSNormalization",
        "import keras_core as keras",
        "import keras\nkeras.layers.Dense(3)",
        "from keras import layers\nlayers.Conv2D(3, 3, groups=1)",
        "import keras\nkeras.saving.load_model('a.keras')",
        "from keras.backend.common import KerasVariable",
        "print(1)",
    ),
}
IMPORTS = "".join(f"from keras.{home} import *\n" for home in ("layers", "models", "optimizers", "callbacks"))
WORDS = {
    "keras1": (
        "Dense(64, init='uniform')",
        "Dense(output_dim=64)",
        "Convolution2D(64, 3, 3)",
        "Convolution2D(n, k, k, border_mode='same')",
        "Dropout(p=0.5)",
        "LSTM(32, dropout_W=0.2)",
        "BatchNormalization(mode=2)",
        "Model(input=a, output=b)",
        "model.fit(x, y, nb_epoch=3)",
        "model.fit(x, y, show_accuracy=True)",
        "model.fit_generator(g, samples_per_epoch=100)",
        "class A(Layer):\n    def get_output_shape_for(self, shape): return shape",
        "from keras import backend as K\nK.random_normal(shape=(3,), std=0.1)",
        "from keras import backend as K\nK.random_uniform((3,), low=0, high=2)",
        "from keras import backend as K\nK.pool2d(x, (2, 2), border_mode='same')",
        "import keras.backend as K\nK.expand_dims(x, dim=1)",
    ),
    "keras2": (
        "model.fit_generator(g, steps_per_epoch=3)",
        "model.fit(x, y, epochs=3)\nmodel.predict_classes(x)",
        "Adam(lr=0.1)\nConv2D(64, (3, 3))",
        "Conv2D(64, (3, 3))\nModelCheckpoint(f, period=2)",
        "Dense(64, kernel_initializer='uniform')\nmodel.optimizer.lr",
        "Dense(3, input_dim=3, kernel_initializer='uniform')",
        "Dense(3, input_shape=(3,))\nmodel.fit(x, y, epochs=3)",
        "Conv2D(64, (3, 3), padding='same')\nmodel.fit(x, y, nb_epoch=3)",  # whose words Keras 2 understands
        "Conv2D(64, (3, 3), padding='same')\nmodel.fit(x, nb_epoch=3)\nmodel.fit_generator(g, samples_per_epoch=3)",
        "from keras.layers import merge\nConv2D(64, (3, 3), padding='same')\nmerge([a, b], mode='sum')",
        "Model(inputs=a, outputs=b)\nhistory.history['val_acc']",
        "Model(inputs=a, outputs=b)\nmodel.save('model.h5')",
        "from keras import backend as K\nConvolution2D(64, (3, 3))\nK.random_normal(shape=(3,), stddev=0.1)",
    ),
}


@pytest.mark.parametrize(("expected", "source"), [(g, s) for g, sources in NAMES.items() for s in sources])
def test_names(expected: str, source: str) -> None:
    generation, reason = detect(source)
    assert generation == expected, reason
    assert reason


@pytest.mark.parametrize(
    "source",
    [
        "from keras_core import layers\nimport tensorflow as tf",
        "import tensorflow as tf\nimport keras_core as keras\ntf.keras.datasets.mnist",
        "import keras_core as keras\nkeras.layers.Dense(1, input_shape=(2,))",
    ],
)
def test_keras_core_is_keras_3_whatever_stands_beside_it(source: str) -> None:
    assert detect(source)[0] == "keras3" and "keras_core" in detect(source)[1]


@pytest.mark.parametrize(("expected", "source"), [(g, s) for g, sources in WORDS.items() for s in sources])
def test_words(expected: str, source: str) -> None:
    generation, reason = detect(IMPORTS + source)
    assert generation == expected, reason


FILE, IN_HDF5 = "a .keras or .weights.h5 file", "a file in HDF5"
SAID = {  # all that a line says: of which generations, and the line's own words
    **{f"x = {text!r}": ("12", repr(text)) for text in ("acc", "val_acc", "th", "theano", "cntk")},
    **{f"x = {text!r}": ("2t3", repr(text)) for text in ("channels_first", "channels_last")},
    **{f"x = {text!r}": ("t3", FILE) for text in ("a.keras", "a.weights.h5")},
    **{f"x = {text!r}": ("12t", IN_HDF5) for text in ("model.h5", "model.hdf5", "ab.hdf5")},
    **dict.fromkeys(("x = 'weights'", "x = '.keras'", "x = '.hdf5'", "x = 'tf'"), None),
    "class A(object): pass": ("12t", "class (object)"), "class A(B): pass": None,
    "super(A, self)": ("12t", "super(...) with arguments"), "super()": None,
    "xrange": ("12", "xrange of Python 2"), "f'{a}'": ("2t3", "an f-string"),
    "from __future__ import print_function": ("12", "from __future__ import"),
    "from __future__ import annotations": None,
    "from __future__ import annotations, division": ("12", "from __future__ import"),
    "import os, keras.layers": ("12", "`import keras. ...`"),
    "import keras.layers": ("12", "`import keras. ...`"), "import keras": None,
    "from keras import backend": ("12", "`from keras import backend`"),
    "from keras.layers import Dense": ("12", "`from keras. ... import` without `import keras`"),
    "import keras\nfrom keras.layers import Dense": None,
    "model.optimizer.lr": ("12t", "optimizer.lr"), "model.lr": None,
    "model.predict_classes": ("12t", ".predict_classes"),
    "import numpy\nnumpy.a.predict_classes": None,
    "def compute_output_shape(self, shape): pass": ("2t3", "def compute_output_shape"),
    "def get_output_shape_for(self, shape): pass": ("1", "def get_output_shape_for"),
    "Conv2D(64, 3, 3)": ("1", "Conv2D(64, 3, 3)"),
    **dict.fromkeys(("Conv1D(64, 3, 3)", "Conv2D(64, (3, 3), 2)", "Dropout(0.5, None, 1)"), None),
    "Dropout(0.5, None, 1, 2)": ("12t", "Dropout(0.5, None, 1, 2)"),
    "Dropout(rate=0.5, seed=1)": ("2t3", "Dropout(rate=, seed=)"),
    "Dense(3, input_shape=(3,))": ("12t", "Dense(input_shape=)"),
    **dict.fromkeys(("Input((3,))", "Embedding(3, 2, input_shape=(3,))", "Adam(0.1)"), None),
    "import keras\nkeras.initializers.RandomNormal(0, 1, 2)": ("2t3", "keras.initializers"),
    "from keras.utils import *\nMerge([a, b])": ("12", "`from keras. ... import` without `import keras`"),
}  # fmt: skip


@pytest.mark.parametrize("source", SAID)
def test_what_a_line_says(source: str) -> None:
    expected = SAID[source]
    found = {each[1::2] for each in Reader(parsed(source)[0]).read() if each.generations != "12t3"}
    if source.startswith("import keras\nkeras.initializers"):  # besides: of all that have the module
        found -= {("2t3", "RandomNormal(0, 1, 2)")}
    assert found == ({expected} if expected else set())


def test_a_piece_without_imports_is_told_too() -> None:
    assert detect("model.add(Convolution2D(64, 3, 3, border_mode='same'))")[0] == "keras1"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from keras.models import Sequential\nprint 'python 2'", "keras2"),
        ("import keras\nfor i in xrange(3): pass", "keras2"),
        ("import keras, theano", "keras2"),
        ("import keras\nimport tensorflow as tf\nsession = tf.Session()", "keras2"),
        ("from __future__ import print_function\nimport keras", "keras2"),
        ("import keras\nimport tensorflow as tf\ntf.data.Dataset", "keras3"),  # TensorFlow is no tf.keras
        ("import keras, torch", "keras3"),
        ("import keras\nfrom keras.layers import Dense\nmodel.save('a.keras')", "keras3"),
        ("from keras.layers import Dense", "keras2"),
        ("import os\nos.environ['KERAS_BACKEND'] = 'jax'\nfrom keras.layers import Dense", "keras3"),
        ("import os\nos.environ.setdefault('KERAS_BACKEND', 'torch')\nfrom keras.layers import Dense", "keras3"),
        ("import os\nos.environ['KERAS_BACKEND'] = 'tensorflow'\nfrom keras.layers import Dense", "keras2"),
        ("import os\nos.environ.update(KERAS_BACKEND='theano')\nfrom keras.layers import Dense", "keras2"),
        ("import keras.layers\nkeras.layers.Dense(3)", "keras2"),
        ("from keras import backend, layers", "keras2"),
        ("import keras\nif keras.backend.backend() == 'theano': pass", "keras2"),
        ("import keras\nimport keras_contrib", "keras2"),
        ("import keras, keras_hub", "keras3"),
        ("import keras\nimport keras_tuner, tensorflow_datasets", "keras3"),
        ("from keras.layers import Dense\nimport tensorflow as tf\ntf.initialize_all_variables()", "keras1"),
    ],
)
def test_habits(source: str, expected: str) -> None:
    assert detect(source)[0] == expected


@pytest.mark.parametrize(
    "source",
    [
        "import keras\ntry:\n    from keras.layers.merge import add\nexcept ImportError:\n    add = keras.layers.add",
        "import keras\nclass CuDNNLSTM: pass\nCuDNNLSTM()",
        "import keras\nclf.fit(x, y, sample_weight=w)",
        "import keras\nfrom sklearn.svm import SVC\nSVC(kernel='rbf')",
        "import keras\nlayer = keras.layers.Embedding(input_dim=3, output_dim=2)",
        "import keras\nfrom numpy import *\nInput(3)",
    ],
)
def test_what_is_no_evidence(source: str) -> None:
    assert detect(source)[0] == "keras3"


def test_the_reason_names_the_line() -> None:
    assert (
        detect("import keras\n\nkeras.utils.multi_gpu_model")[1] == "line 3: keras.utils.multi_gpu_model is of Keras 2"
    )
    assert detect({"a.py": "import b", "b.py": "from keras.layers import Merge"})[1].startswith("b.py, line 1: ")


def test_the_reason_is_what_fits_the_fewest() -> None:
    source = (
        IMPORTS + "from keras.layers.convolutional import Convolution2D\nfrom keras.regularizers import activity_l2\n"
    )
    assert "activity_l2 is of Keras 1" in detect(source)[1]


def test_a_guess_is_told_as_one() -> None:
    """Where names and words leave several generations."""
    assert detect("import keras")[1] == "taken for Keras 3: nothing in it is older than Keras 3"
    assert detect("import keras.layers")[1].startswith("taken for Keras 2: line 1: ")
    assert detect("from keras import backend as K\nK.dot(x, y)")[1].startswith("taken for Keras 2: line 2: ")
    assert detect("from keras.layers import CuDNNGRU")[1].startswith("line 1: ")


def test_the_reason_leaves_out_what_also_speaks_for_the_others() -> None:
    told = detect("import keras\nx = 'channels_last'\nclass A(object): pass")
    assert told == (
        "keras2", "taken for Keras 2: line 3: class (object) is of Keras 1 and Keras 2 and tf.keras"
    )  # fmt: skip
    assert detect("import keras\nkeras.constraints.maxnorm(2)")[1].startswith("taken for Keras 2: line 2: ")
    assert detect("import keras\nx = 1\nprint 'a'\nprint 'b'") == (
        "keras2", "taken for Keras 2: line 3: what is no Python 3 is of Keras 1 and Keras 2"
    )  # fmt: skip


def test_habits_do_not_speak_for_tensorflow_where_it_is_not_asked() -> None:
    assert detect("import keras\nmodel.save('model.keras')\nclass A(object): pass")[0] == "keras3"


def test_names_of_one_file_are_not_those_of_another() -> None:
    files = {"a.py": "import keras\nfrom keras import layers as L", "b.py": "L.MaxoutDense(3)"}
    assert detect(files)[0] == "keras3" and detect(files, cells=True)[0] == "keras2"


def test_tensorflow_in_another_file_does_not_tell_a_script_that_says_keras() -> None:
    both = {"a.py": "from keras.utils import np_utils\nimport b", "b.py": "import tensorflow as tf\ntf.keras.Model"}
    assert detect(both)[0] == "keras2"
    assert detect({"a.py": "import b", "b.py": both["b.py"]})[0] == "tf_keras"


def test_a_script_in_a_folder_of_its_project(tmp_path: Path) -> None:
    """It may import the package of the project; what lies above the project, it may not."""
    (tmp_path / "other.py").write_text("")
    project = tmp_path / "project"
    (project / "examples").mkdir(parents=True)
    (project / "package").mkdir()
    (project / "package" / "__init__.py").write_text("from keras.layers import Merge")
    script = project / "examples" / "train.py"
    (project / "lamina.py").write_text("from keras.layers import CuDNNGRU")
    script.write_text("import package, other, lamina")
    assert len(beside([script], script.parent)) == 1
    (project / "setup.py").write_text("")
    found = beside([script], script.parent)
    assert len(found) == 2
    assert detect(found)[0] == "keras1"


def test_what_a_script_imports_from_beside_it(tmp_path: Path) -> None:
    """Modules, packages, relative imports, circles; not what lies elsewhere, and nothing is run."""
    (tmp_path / "main.py").write_text(
        "import networks.small\nfrom tools import helper\nhelper()\nraise SystemExit('run')"
    )
    (tmp_path / "tools.py").write_text("import main\nimport json, os.path, numpy\nhelper = print")
    (tmp_path / "unused.py").write_text("from keras.layers import Merge")
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "__init__.py").write_text("")
    (tmp_path / "networks" / "small.py").write_text("from . import parts\nfrom .more import x\nimport keras")
    (tmp_path / "networks" / "parts.py").write_text("from keras.layers import CuDNNLSTM")
    found = beside([tmp_path / "main.py"], tmp_path)
    expected = ["main.py", "tools.py", "networks/__init__.py", "networks/small.py", "networks/parts.py"]
    assert {Path(name).as_posix() for name in found} == {*expected}
    assert detect(found)[0] == "keras2"


def test_cells_of_a_notebook() -> None:
    def told(*sources: str) -> list[tuple[int, str, list[str]]]:
        code = [{"cell_type": "code", "source": source.splitlines(keepends=True)} for source in sources]
        return list(cells(json.dumps({"cells": [{"cell_type": "markdown", "source": "a"}, *code]})))

    assert told("x = 1\ny = 2") == [(1, "x = 1\ny = 2", [])]
    assert told("%matplotlib inline\n!pip install a\nx = 1") == [
        (1, "pass\npass\nx = 1", ["%matplotlib inline", "!pip install a"])
    ]
    assert told("if a:\n    %time f(x)\n    !ls") == [(1, "if a:\n    f(x)\n    pass", ["!ls"])]
    assert told("%%time\nx = 1") == [(1, "\nx = 1", [])]
    assert told("%%bash\nls -l") == [(1, "", ["%%bash"])]
    assert told("files = !ls\nkeras.layers?") == [(1, "files = []\npass", ["files = !ls", "keras.layers?"])]
    assert told("!a \\\n  --b \\\n  --c\nx = 1") == [(1, "pass\n\n\nx = 1", ["!a \\"])]
    assert told("  x = 1\n  if x:\n    y = 2") == [(1, "x = 1\nif x:\n  y = 2", [])]
    assert told("x = (7\n  % 4)\ns = '''\n%no\n'''")[0][2] == []
    for text in ("[1]", '{"cells": [{"cell_type": "code", "source": NaN}]}', '{"cells": 3}'):
        with pytest.raises(ValueError, match="no notebook"):
            list(cells(text))


def test_cells_go_on_with_the_names_of_those_above() -> None:
    cells = {"cell 1": "import tensorflow as tf", "cell 2": "x = 1", "cell 3": "model = tf.keras.Sequential()"}
    assert detect(cells, cells=True) == ("tf_keras", "cell 3, line 1: tensorflow.keras")
    cells = {"cell 1": "from keras.layers import *", "cell 2": "Convolution2D(8, 3, 3)"}
    assert detect(cells, cells=True)[0] == "keras1"
    cells = {"cell 1": "import tensorflow as tf\nimport keras", "cell 2": "tf.keras.layers.Dense(2)"}
    assert detect(cells, cells=True)[0] != "tf_keras"


def test_tensorflow_without_keras() -> None:
    assert detect("import numpy\nimport tensorflow as tf\nx = tf.constant(1)")[0] == "tf_keras"
    assert detect("import tensorflow.compat.v1 as tf\nx = tf.constant(1)")[0] == "tf_keras"
    assert detect("import tensorflow as tf\nimport keras\nkeras.layers.Dense(2)")[0] == "keras3"


@pytest.mark.parametrize(
    ("script", "package", "expected"),
    [
        ("import nets.small", "from tensorflow.keras.layers import Dense", "tf_keras"),
        ("from nets.small import build", "from keras.layers import Merge", "keras1"),
        ("from nets import small", "from . import old\nfrom keras.layers import CuDNNGRU", "keras2"),
        ("import keras\nimport nets.small", "from keras.layers import Merge", "keras3"),
        ("import nets.small", "import numpy\nfrom layers import Merge", "keras3"),
    ],
)
def test_a_script_without_keras_is_told_by_installed_packages(
    script: str, package: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "main.py").write_text(script)
    site = tmp_path / "site"
    (site / "nets").mkdir(parents=True)
    (site / "nets" / "__init__.py").write_text("# nets for keras")
    (site / "nets" / "small.py").write_text(package)
    (site / "nets" / "unused.py").write_text("from tensorflow.keras.layers import Dense")
    monkeypatch.syspath_prepend(site)
    (tmp_path / "own").mkdir()
    (tmp_path / "main.py").rename(tmp_path / "own" / "main.py")
    assert detect(beside([tmp_path / "own" / "main.py"], tmp_path / "own"))[0] == expected
