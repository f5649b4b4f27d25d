"""What scripts ask of TensorFlow beside arithmetic: devices, files, logging, strategies, texts, assertions, errors.

All of it is truthful: there is one device, one replica, no graph and no session.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ... import config, layers, ops
from ...core.devices import device as device_of
from ...core.devices import here
from ...core.symbolic import any_symbolic
from ...ops.base import tensor
from ...translation.lists import listed
from .. import backend
from .base import NAMES, named, taking, text_bytes, texts
from .ragged import Ragged, along_rows, of_rows


@named("timestamp")
def timestamp() -> Tensor:
    """Seconds since 1970."""
    return torch.tensor(time.time(), dtype=torch.float64)


# Devices --------------------------------------------------------------------------------------------------------------


class PhysicalDevice(NamedTuple):
    name: str
    device_type: str


@named("python.util.tf_export.keras_export python.util.tf_export.tf_export RegisterGradient")
def exported(*paths: str, **options: Any) -> Callable[[Any], Any]:
    """Decorator that says by what name TensorFlow shows something, or of what operation it is the gradient."""
    return lambda item: item


@named("config.list_physical_devices config.experimental.list_physical_devices config.get_visible_devices")
def list_physical_devices(device_type=None):
    """The processor and torch's GPUs."""
    found = [PhysicalDevice("/physical_device:CPU:0", "CPU")]
    found += [PhysicalDevice(f"/physical_device:GPU:{place}", "GPU") for place in range(torch.cuda.device_count())]
    return [one for one in found if device_type in (None, one.device_type)]


@named(
    "config.list_logical_devices config.experimental.list_logical_devices python.client.device_lib.list_local_devices"
)
def list_logical_devices(device_type=None):
    found = list_physical_devices(device_type)
    return [PhysicalDevice(one.name.replace("physical_device", "device"), one.device_type) for one in found]


@named("config.set_visible_devices config.experimental.set_visible_devices")
def set_visible_devices(devices, device_type=None):
    """Hide GPUs. Raises RuntimeError once torch uses them."""
    if device_type == "CPU":
        return
    if torch.cuda.is_initialized():
        raise RuntimeError("Visible devices cannot be changed once they are in use.")
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(
        one.name.rpartition(":")[2] for one in devices if one.device_type == "GPU"
    )


@named("device")
def device(device_name):
    """Inside, tensors are made on that device: "/GPU:0", "cpu". Without such a device, on the processor."""
    if device_name is None or callable(device_name):
        return contextlib.nullcontext()
    words = re.findall(r"(cpu|gpu)(?::(\d+))?", str(device_name).lower().replace("device:", ""))
    kind, number = words[-1] if words else ("cpu", "")
    if kind == "gpu" and not torch.cuda.is_available():
        return contextlib.nullcontext()
    return device_of(f"{kind}:{number}" if number else kind)


@named("test.gpu_device_name")
def gpu_device_name():
    return "/device:GPU:0" if torch.cuda.is_available() else ""


def _says(answer) -> Callable[..., Any]:
    """Takes anything and answers what is so."""
    return lambda *args, **kwargs: answer


_LISTS = listed("tensorflow.json")
# Where it runs and how is torch's matter: said, these change no result.
NAMES.update(dict.fromkeys(_LISTS["silent"].split(), _says(None)))
NAMES.update(_LISTS["constants"])
NAMES.update({path: _says(answer) for path, answer in _LISTS["answers"].items()})
NAMES |= {
    "test.is_built_with_cuda": _says(torch.version.cuda is not None),
    "test.is_built_with_gpu_support": _says(torch.version.cuda is not None),
    "test.is_built_with_rocm": _says(torch.version.hip is not None),
    "test.is_gpu_available": _says(torch.cuda.is_available()),
}
NAMES["config.LogicalDeviceConfiguration"] = NAMES["config.experimental.VirtualDeviceConfiguration"] = dict


@named("config.threading.set_intra_op_parallelism_threads")
def set_intra_op_parallelism_threads(num_threads):
    torch.set_num_threads(int(num_threads) or torch.get_num_threads())


@named("config.experimental.enable_op_determinism")
def enable_op_determinism():
    config.enable_determinism()


# Strategies: one device, one replica ----------------------------------------------------------------------------------


@named("distribute.Strategy distribute.MirroredStrategy distribute.OneDeviceStrategy "
       "distribute.MultiWorkerMirroredStrategy distribute.experimental.CentralStorageStrategy "
       "distribute.experimental.MultiWorkerMirroredStrategy")  # fmt: skip
class Strategy:
    """One replica on one device, whatever it is told: `scope`, `run`, `reduce`."""

    num_replicas_in_sync = 1
    extended = property(lambda self: self)

    def __init__(self, *args, **kwargs):
        pass

    @contextlib.contextmanager
    def scope(self) -> Iterator[Strategy]:
        yield self

    def run(self, fn: Callable, args=(), kwargs=None) -> Any:
        return fn(*args, **(kwargs or {}))

    experimental_run_v2 = run

    def reduce(self, reduce_op, value, axis: int | None = None) -> Any:
        """The value of the one replica, added up or averaged along an axis."""
        if axis is None:
            return value
        return tensor(value).float().mean(axis) if "MEAN" in str(reduce_op).upper() else tensor(value).sum(axis)

    def experimental_distribute_dataset(self, dataset) -> Any:
        return dataset

    def distribute_datasets_from_function(self, dataset_fn: Callable) -> Any:
        return dataset_fn(InputContext())

    experimental_distribute_datasets_from_function = distribute_datasets_from_function

    def experimental_local_results(self, value) -> tuple[Any, ...]:
        return (value,)

    def gather(self, value, axis: int) -> Any:
        return value


class InputContext:
    """Of one pipeline in one process."""

    num_input_pipelines = num_replicas_in_sync = 1
    input_pipeline_id = 0

    def get_per_replica_batch_size(self, global_batch_size: int) -> int:
        return global_batch_size


class ReplicaContext:
    num_replicas_in_sync = 1
    replica_id_in_sync_group = 0

    def all_reduce(self, reduce_op, value) -> Any:
        return value

    def merge_call(self, merge_fn: Callable, args=(), kwargs=None) -> Any:
        return merge_fn(_strategy, *args, **(kwargs or {}))


_strategy = Strategy()
NAMES |= {
    "distribute.get_strategy": _says(_strategy),
    "distribute.get_replica_context": _says(ReplicaContext()),
    "distribute.InputContext": InputContext,
}


@named("distribute.cluster_resolver.TPUClusterResolver distribute.TPUStrategy distribute.experimental.TPUStrategy")
def no_tpu(*args, **kwargs):
    """Raises ValueError, as TensorFlow does where no TPU is found."""
    raise ValueError("No TPU is here: use tf.distribute.get_strategy(), or leave strategies out.")


NAMES["distribute.cluster_resolver.TPUClusterResolver.connect"] = no_tpu


# Sessions of TensorFlow 1 ---------------------------------------------------------------------------------------------


@named("data.Options")
class Options:
    """How a session or a pipeline would run: it may be written to."""

    def __init__(self, **options):
        vars(self).update(options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = Options()
        setattr(self, name, made)
        return made


class Session(backend.Session):
    """Stands where a session was opened or handed on. There is no graph to run but that of symbolic tensors: other
    values are there at once."""

    def __init__(self, *how, **options):
        self.graph = options.get("graph") or _graph

    def run(self, fetches, feed_dict=None) -> Any:
        """Of symbolic tensors; what initializes variables has nothing left to do. Raises RuntimeError for the rest."""
        wanted = fetches if isinstance(fetches, (list, tuple)) else [fetches]
        if feed_dict is None and all(one is None for one in wanted):
            return None
        if any_symbolic(fetches):
            return super().run(fetches, feed_dict)
        raise RuntimeError(
            "Session.run: there is no graph in this stand-in for TensorFlow. Tensors have values at once (`.numpy()`); "
            "of a model's symbolic tensors make a function with keras.backend.function, or use `predict`."
        )


class Graph:
    """The one place where everything is."""

    @contextlib.contextmanager
    def as_default(self) -> Iterator[Graph]:
        yield self

    def finalize(self) -> None:
        pass


_graph = Graph()
_session = Session()
NAMES |= dict.fromkeys(("Session", "InteractiveSession"), Session)
NAMES |= dict.fromkeys(("ConfigProto", "GPUOptions", "RunOptions", "OptimizerOptions"), Options)
NAMES |= {"Graph": Graph, "get_default_graph": _says(_graph), "get_default_session": _says(_session)}


@named("control_dependencies init_scope")
@contextlib.contextmanager
def control_dependencies(control_inputs=None):
    """What comes before has run already."""
    yield


# Words printed and logged ---------------------------------------------------------------------------------------------


@named("print")
def print_(*inputs, output_stream=None, sep=" ", end=os.linesep):
    """Values on the standard error stream, as TensorFlow prints them, or where told."""
    import sys

    stream = sys.stdout if output_stream is sys.stdout else sys.stderr
    shown = (each.detach().cpu().numpy() if isinstance(each, Tensor) else each for each in inputs)
    print(*shown, sep=sep, end=end, file=stream)


@named("Print")
def print_through(input_, data, message=""):
    print(message, *data)
    return input_


_logger = logging.getLogger("tensorflow")
NAMES["get_logger"] = lambda: _logger
for _word in ("DEBUG", "INFO", "WARN", "ERROR", "FATAL"):
    NAMES[f"logging.{_word}"] = getattr(logging, _word)
    NAMES[f"logging.{_word.lower()}"] = getattr(_logger, {"WARN": "warning"}.get(_word, _word.lower()))
NAMES |= {"logging.warning": _logger.warning, "logging.set_verbosity": _logger.setLevel,
          "logging.get_verbosity": _logger.getEffectiveLevel}  # fmt: skip


@named("autograph.experimental.do_not_convert autograph.do_not_convert")
def do_not_convert(func=None):
    return func or (lambda function: function)


# Assertions and errors ------------------------------------------------------------------------------------------------


def _asserts(word: str, holds: Callable[..., Tensor]) -> Callable[..., None]:
    def check(x, y, message=None):
        if not bool(holds(tensor(x), tensor(y)).all()):
            raise ValueError(message or f"assert_{word}: it does not hold for {x!r} and {y!r}.")

    return taking(check)


def _asserts_of_one(word: str, holds: Callable[..., Tensor]) -> Callable[..., Any]:
    def check(x, message=None):
        if not bool(holds(tensor(x)).all()):
            raise ValueError(message or f"assert_{word}: it does not hold for {x!r}.")
        return x

    return taking(check)


for _word, _holds in {"equal": torch.eq, "less": torch.lt, "less_equal": torch.le, "greater": torch.gt,
                      "greater_equal": torch.ge, "none_equal": torch.ne}.items():  # fmt: skip
    NAMES[f"debugging.assert_{_word}"] = NAMES[f"assert_{_word}"] = _asserts(_word, _holds)
for _word, _holds in {"positive": lambda x: x > 0, "negative": lambda x: x < 0, "non_negative": lambda x: x >= 0,
                      "non_positive": lambda x: x <= 0, "all_finite": torch.isfinite}.items():  # fmt: skip
    NAMES[f"debugging.assert_{_word}"] = _asserts_of_one(_word, _holds)


@named("debugging.assert_near assert_near")
def assert_near(x, y, rtol=None, atol=None, message=None):
    """Raises ValueError where |x - y| > atol + rtol * |y|; both are ten times the last digit of the type by default."""
    x = tensor(x)
    near = 10 * torch.finfo(x.dtype if x.is_floating_point() else torch.float32).eps
    near_by, near_at = (near if each is None else float(each) for each in (rtol, atol))
    if not bool(torch.isclose(x.double(), tensor(y).double(), near_by, near_at).all()):
        raise ValueError(message or f"assert_near: it does not hold for {x!r} and {y!r}.")


@named("get_static_value")
def get_static_value(tensor):
    """The values as an array; None for what has none yet."""
    return None if any_symbolic(tensor) else np.asarray(tensor)


@named("debugging.Assert Assert")
def assert_(condition, data):
    if not bool(tensor(condition).all()):
        raise ValueError(f"Assert: {data}")


@named("debugging.assert_rank")
def assert_rank(x, rank, message=None):
    assert_rank_in(x, [rank], message)


@named("debugging.assert_rank_in")
def assert_rank_in(x, ranks, message=None):
    if np.ndim(x) not in [int(rank) for rank in ranks]:
        said = " or ".join(str(int(rank)) for rank in ranks)
        raise ValueError(message or f"assert_rank: expected {said} axes; got shape {tuple(np.shape(x))}.")


@named("debugging.check_numerics")
def check_numerics(tensor, message):
    if not torch.isfinite(tensor).all():
        raise ValueError(f"{message}: a value is not finite.")
    return tensor


NAMES.update({f"errors.{word}": getattr(builtins, error) for word, error in _LISTS["errors"].items()})
NAMES["errors.ResourceExhaustedError"] = torch.OutOfMemoryError


# Files ----------------------------------------------------------------------------------------------------------------


def _path(value) -> Path:
    return Path(str(texts(value)))


@named("io.read_file read_file")
def read_file(filename):
    """The bytes of a file."""
    return texts(_path(filename).read_bytes())


@named("io.write_file write_file")
def write_file(filename, contents):
    path = _path(filename)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text_bytes(contents))


for _home in ("io.gfile", "gfile"):
    for _words, _item in {
        "exists Exists": lambda path: _path(path).exists(),
        "isdir IsDirectory": lambda path: _path(path).is_dir(),
        "listdir ListDirectory": lambda path: [each.name for each in _path(path).iterdir()],
        "glob Glob": lambda pattern: sorted(glob(str(_path(pattern)))),  # noqa: PTH207
        "makedirs MakeDirs": lambda path: _path(path).mkdir(parents=True, exist_ok=True),
        "mkdir MkDir": lambda path: _path(path).mkdir(),
        "remove Remove": lambda path: _path(path).unlink(),
        "rmtree DeleteRecursively": lambda path: shutil.rmtree(_path(path)),
        "copy Copy": lambda src, dst, overwrite=False: shutil.copy(_path(src), _path(dst)),
        "rename Rename": lambda src, dst, overwrite=False: _path(src).rename(_path(dst)),
        "join": lambda path, *parts: str(_path(path).joinpath(*map(str, parts))),
        "walk Walk": lambda top: os.walk(_path(top)),
        "stat Stat": lambda path: _path(path).stat(),
        "GFile Open FastGFile": lambda name, mode="r": _path(name).open(mode, -1, None if "b" in mode else "utf-8"),
    }.items():
        NAMES.update({f"{_home}.{_word}": _item for _word in _words.split()})


# Texts ----------------------------------------------------------------------------------------------------------------


def _of_each(function: Callable[[str], Any], kind: Any = object) -> Callable[[Any], Any]:
    def call(value) -> Any:
        found = texts(value)
        made = np.empty(found.size, object)
        made[:] = [function(item) for item in found.flat]
        made = made.reshape(found.shape)
        return texts(made) if kind is object else here(torch.from_numpy(np.asarray(made, kind)))

    return call


@named("strings.lower")
def lower(input, encoding=""):
    """Without an encoding only the letters of ASCII change."""
    return _of_each(str.lower if encoding else lambda text: texts(text_bytes(text).lower()).item())(input)


@named("strings.upper")
def upper(input, encoding=""):
    return _of_each(str.upper if encoding else lambda text: texts(text_bytes(text).upper()).item())(input)


@named("strings.strip")
def strip(input):
    return _of_each(str.strip)(input)


@named("strings.length")
def length(input, unit="BYTE"):
    return _of_each(lambda text: len(text_bytes(text) if unit == "BYTE" else text), "int32")(input)


@named("strings.regex_replace")
def regex_replace(input, pattern, rewrite, replace_global=True):
    compiled, rewrite = re.compile(str(texts(pattern))), re.sub(r"\\(\d)", r"\\g<\1>", str(texts(rewrite)))
    return _of_each(lambda text: compiled.sub(rewrite, text, 0 if replace_global else 1))(input)


@named("strings.regex_full_match")
def regex_full_match(input, pattern):
    return _of_each(lambda text: re.fullmatch(pattern, text) is not None, "bool")(input)


@named("strings.substr")
def substr(input, pos, len, unit="BYTE"):
    if unit != "BYTE":
        return _of_each(lambda text: text[pos:][:len])(input)
    found, pos, len = np.broadcast_arrays(np.asarray(texts(input)), np.asarray(pos), np.asarray(len))
    places = zip(found.flat, pos.flat, len.flat, strict=True)
    parts = [text_bytes(text)[first:][:count] for text, first, count in places]
    return texts(np.array(parts, object).reshape(found.shape))


@named("strings.join")
def join(inputs, separator=""):
    parts = np.broadcast_arrays(*(texts(each) for each in inputs))
    joined = [*map(separator.join, zip(*(part.flat for part in parts), strict=True))]
    return texts(np.array(joined, object).reshape(parts[0].shape))


@named("strings.reduce_join")
def reduce_join(inputs, axis=None, keepdims=False, separator=""):
    """The texts along axes as one; of several axes the first that is told varies fastest."""
    found = np.asarray(texts(inputs))
    told = range(found.ndim) if axis is None else [axis] if isinstance(axis, int) else axis[::-1]
    axes = [each % found.ndim for each in told]
    rest = [each for each in range(found.ndim) if each not in axes]
    rows = found.transpose(*rest, *axes).reshape([*(found.shape[each] for each in rest), -1])
    joined = np.empty(rows.shape[:-1], object)
    for place in np.ndindex(joined.shape):
        joined[place] = separator.join(rows[place])
    return texts(np.expand_dims(joined, tuple(axes)) if keepdims else joined)


@named("strings.split")
def split(input, sep=None, maxsplit=-1):
    """The words of one text; of several, rows of them."""
    by = None if sep is None else str(texts(sep)) or None
    return _pieces(lambda text: text.split(by, maxsplit), texts(input))


def _pieces(split, found) -> Any:
    if found.ndim > 1:
        raise ValueError(f"strings.split: expected one text or a row of them; got {found.ndim} axes.")
    return Ragged(texts(split(str(text))) for text in found) if found.ndim else texts(split(str(found)))


@named("strings.bytes_split")
def bytes_split(input):
    return _pieces(lambda text: [bytes((byte,)) for byte in text_bytes(text)], texts(input))


@named("strings.unicode_split")
def unicode_split(input, input_encoding="UTF-8"):
    if input_encoding != "UTF-8":
        raise ValueError(f"strings.unicode_split: texts are UTF-8 here; got {input_encoding!r}.")
    return _pieces(list, texts(input))


@named("strings.ngrams")
def ngrams(data, ngram_width, separator=" "):
    """The rows of so many words next to each other, as one text each; of several widths one after the other."""
    widths = [ngram_width] if isinstance(ngram_width, int) else list(ngram_width)

    def of_row(row: Any) -> list[str]:
        return [separator.join(row[k : k + width]) for width in widths for k in range(len(row) - width + 1)]

    found = np.asarray(texts(data))
    rows = [of_row(row) for row in found.reshape(-1, found.shape[-1])]
    return texts(np.array(rows, object).reshape(*found.shape[:-1], -1))


@named("strings.to_hash_bucket_fast")
def to_hash_bucket_fast(input, num_buckets):
    """Numbers from 0 to `num_buckets`, by Farmhash."""
    return layers.Hashing(num_buckets)(texts(input)).long()


@named("strings.to_hash_bucket_strong")
def to_hash_bucket_strong(input, num_buckets, key):
    """Numbers from 0 to `num_buckets`, by SipHash with a key of two numbers."""
    return layers.Hashing(num_buckets, salt=list(key))(texts(input)).long()


@named("strings.to_number")
def to_number(input, out_type="float32"):
    return ops.cast(_of_each(float, "float64")(input), out_type)


@named("strings.as_string as_string")
def as_string(input, precision=-1, scientific=False, shortest=False, width=-1, fill=""):
    found = np.asarray(tensor(input).cpu())
    kind = "e" if scientific else "g" if shortest else "f"
    how = f"{fill if width > 0 else ''}{width if width > 0 else ''}"
    how += f".{precision if precision >= 0 else 6}{kind}" if found.dtype.kind == "f" else ""
    form = (lambda item: str(item).lower()) if found.dtype.kind == "b" else (lambda item: format(item, how))
    return texts(np.vectorize(form, otypes=[object])(found))


@named("strings.format")
def format_(template, inputs, placeholder="{}"):
    given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    for each in given:
        template = template.replace(placeholder, str(each.numpy() if isinstance(each, Tensor) else each), 1)
    return texts(template)


for _word in "to_number ngrams length lower upper regex_replace".split():
    NAMES[f"strings.{_word}"] = of_rows(NAMES[f"strings.{_word}"])
NAMES["cast"] = NAMES["dtypes.cast"] = of_rows(NAMES["cast"])
for _word in "strings.reduce_join reduce_sum reduce_mean reduce_max reduce_min".split():
    NAMES[_word] = along_rows(NAMES[_word])
NAMES |= {
    "compat.as_str": lambda value: value.decode() if isinstance(value, bytes) else str(value),
    "compat.as_bytes": lambda value: value if isinstance(value, bytes) else str(value).encode(),
    "compat.dimension_value": lambda value: value, "compat.v1.dimension_value": lambda value: value,
}  # fmt: skip
NAMES["compat.as_text"] = NAMES["compat.as_str_any"] = NAMES["compat.as_str"]


# Summaries ------------------------------------------------------------------------------------------------------------


@named("summary.create_file_writer summary.SummaryWriter")
class Writer:
    """Writes what TensorBoard shows. Raises ImportError without the package tensorboard."""

    current: Any = None
    step: Any = None

    def __init__(self, logdir):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError("tf.summary: install the package first (pip install tensorboard).") from error
        self.file = SummaryWriter(str(logdir))

    @contextlib.contextmanager
    def as_default(self, step=None) -> Iterator[Writer]:
        outer, Writer.current = Writer.current, self
        self.step = step
        try:
            yield self
        finally:
            Writer.current = outer

    def flush(self) -> None:
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def _writes(method: str, change: Callable[..., Any], **words: str) -> Callable[..., Any]:
    """What writes by a method of torch's writer, in whose words it has further arguments; `change` takes the others."""

    def write(name, data, step=None, **told):
        writer = Writer.current
        if writer is not None:
            step = writer.step if step is None else step
            said = {words[word]: told.pop(word) for word in [*told] if word in words}
            getattr(writer.file, method)(name, change(data, **told), None if step is None else int(step), **said)

    return taking(write)


NAMES["summary.scalar"] = _writes("add_scalar", float)
NAMES["summary.histogram"] = _writes("add_histogram", lambda data: tensor(data).detach(), buckets="bins")
NAMES["summary.image"] = _writes(
    "add_images", lambda data, max_outputs=3: tensor(data)[:max_outputs].detach().movedim(-1, 1)
)
NAMES["summary.text"] = _writes("add_text", lambda data: str(texts(data)))
