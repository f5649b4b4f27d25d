"""`lamina run` is `python` in which `import keras` is Lamina's: the same output, errors, exit codes, modules."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import torch
from support.running import OURS, start, undone

from lamina.generations.alias import installed_keras
from lamina.generations.run import run

pytestmark = pytest.mark.skipif(installed_keras() is not None, reason="a Keras is installed here")


FILES = {
    "facts.py": """
import atexit, inspect, pickle, sys, threading
import keras
from beside import value
class A: pass
def f(): pass
print(__name__, __package__, __file__, sys.argv, sys.path[0], value, type(__loader__).__name__)
print(inspect.getsource(f), sys.modules["__main__"].A is A, type(pickle.loads(pickle.dumps(A()))) is A)
print(sys.stdin.read())
atexit.register(lambda: print("at the end", sys.argv, A.__module__))
try:
    1 / 0
except ZeroDivisionError as error:
    raise FileNotFoundError(2, "not there") from error
""",
    "beside.py": "value = 3",
    "syntax.py": "import keras\nx = = 3",
    "hook.py": """
import keras, sys
sys.excepthook = lambda kind, value, trace: print("hook", kind, trace.tb_lineno, trace.tb_frame.f_code.co_name)
raise OSError("mine")
""",
    "words.py": "import keras, sys\nsys.exit('no')",
    "package/__init__.py": "print(__name__)",
    "package/__main__.py": "import keras, sys\nfrom . import part\nprint(__name__, __package__, sys.argv)",
    "package/inner.py": "import keras, sys\nprint(__name__, __package__, __file__, sys.argv)\n1 / 0",
    "package/part.py": "",
    "folder/__main__.py": "import keras, sys, other\nprint(__name__, __package__, sys.argv, sys.path[0], __file__)",
    "folder/other.py": "",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    for name, text in {**FILES, "some/keras/__init__.py": ""}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    "command",
    [
        ["facts.py", "a", "--b", "c d"], ["syntax.py"], ["hook.py"], ["words.py"], ["-m", "package", "b"],
        ["-m", "package.inner", "a", "-x"], ["folder", "b"], ["-c", "import sys; print(sys.argv); exit(3)", "b"], ["-"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_as_python_itself(command: list[str], folder: Path) -> None:
    """Python, with a Keras that is empty, says the same."""
    text = "import keras\nprint(__name__)\nraise ValueError('from standard input')" if command == ["-"] else "typed in"
    expected = start([sys.executable, *command], folder, folder / "some", text)
    got = start([*OURS, "--keras", "2", *command], folder, text=text)
    frozen = r'  File "<frozen runpy>.*\n'
    assert (got.returncode, got.stdout) == (expected.returncode, expected.stdout)
    assert re.sub(frozen, "", got.stderr) == re.sub(frozen, "", expected.stderr)


def test_an_interrupt_is_the_scripts(folder: Path) -> None:
    got = start([*OURS, "-c", "raise KeyboardInterrupt"], folder)
    assert got.returncode == 130
    assert got.stderr.endswith("KeyboardInterrupt\n")
    assert "lamina/" not in got.stderr


@pytest.mark.parametrize(
    "code",
    ["from keras import backend as K; K.clip(1, 0, 2)", "from keras.layers.convolutional import Convolution2D",
     "from keras.layers import Dense; Dense(4, input_dim=3, init='one')"],
)  # fmt: skip
def test_a_guess_that_fails_says_how_to_tell_the_generation(code: str, tmp_path: Path) -> None:
    """Folders that a script adds to the path are not read; what stands in them may be older."""
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "older.py").write_text(code)
    (tmp_path / "script.py").write_text("import sys; sys.path.insert(0, 'beside')\nimport keras, older")
    said = start([*OURS, "script.py"], tmp_path).stderr.splitlines()[-1]
    assert "taken for Keras 3" in said and "--keras 2" in said
    (tmp_path / "beside" / "older.py").write_text("raise TypeError('own')")
    assert start([*OURS, "script.py"], tmp_path).stderr.endswith("TypeError: own\n")
    (tmp_path / "beside" / "older.py").write_text(code)
    assert "taken for" not in start([*OURS, "--keras", "3", "script.py"], tmp_path).stderr


@pytest.mark.parametrize(
    ("target", "how", "code", "message"),
    [
        ("nowhere.py", "script", 2, "cannot open .*nowhere.py"),
        ("nowhere.inner", "module", 1, "no module named 'nowhere.inner'"),
        ("json.nothing", "module", 1, "no module named 'json.nothing'"),
    ],
)
def test_what_is_not_there(target: str, how: str, code: int, message: str, capsys: pytest.CaptureFixture) -> None:
    with undone():
        assert run(target, how=how) == code
    assert re.search(f"lamina: {message}", capsys.readouterr().err)


@pytest.mark.parametrize(
    "command",
    [["pytest", "-q", "tests"], ["pytest", "-q"], ["pytest", "-q", "tests/test_it.py::test"],
     ["cProfile", "tests/test_it.py"], ["unittest", "tests.test_it"]],
    ids=" ".join,
)  # fmt: skip
def test_a_tool_runs_with_the_keras_of_what_it_is_told_to_run(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "layers.py").write_text("from keras.layers import Merge\n")
    (tmp_path / "tests/test_it.py").write_text("import layers\ndef test(): pass\n")
    got = start([*OURS, "-m", *command], tmp_path)
    assert got.stderr.startswith("lamina: keras1 (layers.py, line 1: keras.layers.Merge is of Keras 1)")


def test_notebook(tmp_path: Path) -> None:
    sources = [
        "%matplotlib inline\n!pip install keras\nfrom __future__ import division\nfrom keras.layers import Merge",
        "x = 1\nfrom __future__ import absolute_import  # as IPython takes it\n%time print(x)",
        "",
        "x = 2\nx.y",
    ]
    cells = [{"cell_type": "code", "source": source} for source in sources]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": "!"}, *cells]}))
    got = start([*OURS, "--keras", "1", "a.ipynb"], tmp_path)
    assert got.returncode == 1
    assert got.stderr.splitlines()[:2] == [
        "lamina: a.ipynb, cell 1: not run: %matplotlib inline", "lamina: a.ipynb, cell 1: not run: !pip install keras"
    ]  # fmt: skip
    assert 'File "a.ipynb, cell 4", line 2, in <module>\n    x.y\n' in got.stderr
    assert got.stdout == "1\n"


def test_the_generation_of_a_notebook_is_told_from_what_it_imports_from_beside_it(tmp_path: Path) -> None:
    (tmp_path / "utils2.py").write_text("from keras import initializations\nWORD = 'there'\n")
    cell = {"cell_type": "code", "source": "%matplotlib inline\nfrom utils2 import *\nimport keras\nprint(WORD)"}
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": [cell]}))
    got = start([*OURS, "a.ipynb"], tmp_path)
    assert "lamina: keras1 (utils2.py, line 1: keras.initializations is of Keras 1)" in got.stderr.splitlines()
    assert got.stdout == "there\n"


def test_what_is_no_notebook(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "b.ipynb").write_text("no JSON")
    with undone():
        assert run(str(tmp_path / "b.ipynb")) == 1
    assert "b.ipynb: it is no notebook" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "command"),
    [("spawn", ["a.py", "x"]), pytest.param("forkserver", ["-m", "a", "x"], marks=pytest.mark.slow)],
)
def test_processes_see_the_same_keras(method: str, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import multiprocessing, sys, keras\n"
        "class A:\n    value = keras.__version__\n"
        "def work(one):\n    return one.value, keras.__name__, __name__, sys.argv[1:]\n"
        "if __name__ == '__main__':\n"
        f"    with multiprocessing.get_context('{method}').Pool(1) as pool:\n"
        "        print(pool.map(work, [A()]))\n"
    )
    got = start([*OURS, "--keras", "1", *command], tmp_path)
    assert got.stdout == "[('1.2.2', 'keras', '__mp_main__', ['x'])]\n", got.stderr


def test_a_gpu_that_is_not_there_is_told(tmp_path: Path) -> None:
    if torch.cuda.device_count():
        pytest.skip("There is one.")
    script = tmp_path / "script.py"
    script.write_text("import keras")
    done = start([*OURS, "--device", "gpu", str(script)], tmp_path)
    assert done.returncode == 1
    assert "--device gpu: expected a GPU for each of 1 processes; torch finds 0" in done.stderr
