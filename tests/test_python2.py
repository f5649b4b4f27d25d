"""Python 2 under `lamina run`: scripts, what they import, and notebooks, as they ran then."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from support.running import OURS, start, undone

from lamina.generations import python2
from lamina.generations.run import run

pytestmark = pytest.mark.skipif(python2._tool() is None, reason="neither fissix nor lib2to3")

FORMS = {
    "print 7 / 2, -7 / 2, 7 / 2., True / 2": "3 -4 3.5 0",
    "from __future__ import division\nprint 7 / 2": "3.5",
    "x = 7\nx /= 2\nprint x": "3",
    "x = [7]\nx[0] /= 2\nprint x": "[3]",
    "import numpy as np\nx = np.arange(4)\ny = x\nx /= 2\nprint y, x / 2, x[2:] / 2.": "[0 0 1 1] [0 0 0 0] [0.5 0.5]",
    "calls = []\ndef f():\n  calls.append(1)\n  return [8.]\nf()[0] /= 2\nprint calls": "[1]",
    "print round(2.5), round(-0.5), round(1.25, 1), round(3) / 2": "3.0 -1.0 1.3 1.5",
    "def round(x): return 'own'\nprint round(2)": "own",
    "print cmp(1, 2), cmp('b', 'a'), cmp(1, 1)": "-1 1 0",
    "print unicode('a', 'utf8'), 'b'.decode('utf8'), unicode(3)": "a b 3",
    "import sys\nreload(sys)\nsys.setdefaultencoding('utf8')\nprint 'a'": "a",
    "print sorted([3, 1], key=lambda (x): x), (lambda (a, b): a + b)((1, 2))": "[1, 3] 3",
    "def f(a, (b, c)): return a + b + c\nprint f(1, (2, 3))": "6",
    "if 1 <> 2: print 0777, 3L, `1`": "511 3 1",
    "try:\n  raise ValueError, 'a'\nexcept ValueError, error:\n  print error": "a",
    "print map(str, xrange(2)), {1: 2}.has_key(1), zip([1], [2])[0], reduce(max, [1, 3])": "['0', '1'] True (1, 2) 3",
    "if 1:\n        x = 1\n\ty = 2\n\tprint x + y": "3",
    "import Queue\nprint(7 / 2)": "3",
    "import urllib2\nprint(7 / 2)": "3",
    "print(sum(i / 2 for i in xrange(4)))": "2",
}


@pytest.mark.parametrize("source", FORMS)
def test_a_script_of_python_2_runs_as_it_did(source: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "old.py").write_text(source)
    with undone():
        assert run(str(tmp_path / "old.py"), keras="1") == 0
    told = capsys.readouterr()
    assert told.out == FORMS[source] + "\n"
    assert told.err == f"lamina: {tmp_path}/old.py is Python 2: run as 2to3 rewrites it, with Python 2's division\n"


@pytest.mark.parametrize(
    "source",
    [
        "try:\n  import cPickle as pickle\nexcept ImportError:\n  import pickle\nprint(7 / 2)",
        "import sys\nif sys.version_info[0] < 3:\n  text = unicode\n  import Queue\nprint(7 / 2)",
        "def f(x):\n  import cPickle\n  return isinstance(x, unicode)\nprint(7 / 2)",
        "xrange = range\nprint(7 / 2 + 0 * sum(xrange(2)))",
    ],
)
def test_what_python_3_runs_is_left_alone(source: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "a.py").write_text(source)
    with undone():
        assert run(str(tmp_path / "a.py"), keras="1") == 0
    assert capsys.readouterr() == ("3.5\n", "")


def test_pickles_of_python_2(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Texts there are bytes, those in arrays too; files are opened as text."""
    kept = b"(dp0\nS'a\\xe9'\np1\nI3\ns."  # {"a\xe9": 3} of Python 2
    (tmp_path / "there.pkl").write_bytes(kept)
    (tmp_path / "old.py").write_text(
        "import cPickle as p, os\nfolder = os.path.dirname(__file__)\n"
        "with open(folder + '/there.pkl') as file: x = p.load(file)\nprint x.values(), len(x.keys()[0])\n"
        "with open(folder + '/again.pkl', 'w') as file: p.dump(x, file, -1)\nprint p.loads(p.dumps(x)) == x\n"
    )
    with undone():
        assert run(str(tmp_path / "old.py"), keras="1") == 0
    assert capsys.readouterr().out == "[3] 2\nTrue\n"
    assert pickle.loads((tmp_path / "again.pkl").read_bytes()) == {"aé": 3}


def test_modules_beside_it_and_in_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/__init__.py").write_text("print 'package'\n")
    (tmp_path / "parts/one.py").write_text("import two\nprint two.HALF\n")  # found beside it
    (tmp_path / "parts/two.py").write_text("HALF = 7 / 2\nprint 'two'\n")
    (tmp_path / "plain.py").write_text("HALF = 7 / 2\n")
    (tmp_path / "main.py").write_text("import parts.one\nimport plain\nprint(plain.HALF)\n")
    got = start([*OURS, "--keras", "2", "main.py"], tmp_path)
    assert got.stdout == "package\ntwo\n3\n3.5\n"
    kept = [file.name.partition(".")[0] for file in tmp_path.rglob("*.pyc")]
    assert kept == ["plain"]  # rewritten ones are not left where plain Python would take them


def test_a_notebook_is_of_one_python(tmp_path: Path) -> None:
    sources = ["%matplotlib inline\nimport cPickle", "x = cPickle.dumps([7 / 2])", "print cPickle.loads(x)", "x.y"]
    cells = [{"cell_type": "code", "source": source} for source in sources]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    got = start([*OURS, "--keras", "1", "a.ipynb"], tmp_path)
    assert got.stdout == "[3]\n"
    assert "a.ipynb is Python 2" in got.stderr
    assert 'File "a.ipynb, cell 4", line 1, in <module>\n    x.y\n' in got.stderr


def test_a_model_of_that_time_trains(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "old.py").write_text(
        "import numpy as np\nfrom keras.models import Sequential\nfrom keras.layers.core import Dense\n"
        "model = Sequential()\nmodel.add(Dense(30 / 4, input_dim=4))\nmodel.compile('sgd', 'mse')\n"
        "for epoch in xrange(2):\n    print '%d %.1f' % (epoch, "
        "model.train_on_batch(np.zeros((2, 4)), np.zeros((2, 7))))\n"
    )
    with undone():
        assert run(str(tmp_path / "old.py")) == 0
    assert capsys.readouterr().out == "0 0.0\n1 0.0\n"


def test_what_is_neither_is_told_as_python_3_tells_it(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import Queue\nprint(7 / 2\n")
    got = start([*OURS, "--keras", "1", "a.py"], tmp_path)
    assert got.returncode == 1
    assert got.stderr.startswith(f'  File "{tmp_path}/a.py", line 2\n')
    assert got.stderr.endswith("SyntaxError: '(' was never closed\n")


@pytest.mark.parametrize("line", ['print "a"', "raise ValueError, 'a'", "x = 0777", "if 1 <> 2: pass", "y = 3L"])
def test_without_a_tool_it_says_which(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python2, "_tool", lambda: None)
    (tmp_path / "old.py").write_text(f"from keras.layers import Merge\n{line}\n")
    with undone():
        assert run(str(tmp_path / "old.py")) == 1
    told, reason = capsys.readouterr().err.splitlines()
    assert told == "lamina: keras1 (old.py, line 1: keras.layers.Merge is of Keras 1)"
    assert reason == f"lamina: {tmp_path}/old.py is Python 2, which runs here rewritten: pip install fissix"


def test_arrays_divide_as_numpy_did() -> None:
    whole, parts = np.arange(3), np.array([0.5, 1.0, 2.0])
    assert python2.divide(whole, 2).dtype == whole.dtype
    np.testing.assert_array_equal(python2.divide(whole, parts), whole / parts)
    assert python2.divide(np.int64(7), 2) == 3
