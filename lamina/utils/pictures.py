"""Pictures as arrays and as files, by Pillow (`pip install lamina[image]`)."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import config
from ..core.errors import needing, note, short

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_GRAY = ("L", "I;16", "I")  # 8, 16 and 32 bits


def pillow() -> Any:
    """The module PIL.Image. Raises ImportError, with what to install, where it is not there."""
    with needing("Pictures are read and written by Pillow: pip install pillow."):
        from PIL import Image
    return Image


def _channels_first(data_format: str | None) -> bool:
    data_format = data_format or config.image_data_format()
    if data_format not in ("channels_first", "channels_last"):
        raise ValueError(f'`data_format` must be "channels_last" or "channels_first"; got {data_format!r}.')
    return data_format == "channels_first"


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Image:
    """A picture of Pillow from an array (height, width, channels) with 1, 3 or 4 channels.

    scale: spread the values over 0 to 255. dtype: what to compute in. Raises ValueError for other shapes.
    """
    first = _channels_first(data_format)
    x = np.array(x, dtype=dtype or config.floatx())
    if x.ndim != 3:
        raise ValueError(f"array_to_img: expected an array of one picture, of rank 3; got {short(x)}.")
    if first:
        x = x.transpose(1, 2, 0)
    if x.shape[2] not in (1, 3, 4):
        raise ValueError(f"array_to_img: expected 1, 3 or 4 channels; got {x.shape[2]}. Look at `data_format`.")
    if scale:
        x = x - x.min(initial=np.inf)
        highest = x.max(initial=0)
        x = x / highest * 255 if highest else x
    if x.shape[2] > 1:
        return pillow().fromarray(x.astype("uint8"))
    return pillow().fromarray(x[:, :, 0].astype("int32" if x.max(initial=0) > 255 else "uint8"))


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """A picture of Pillow as an array (height, width, channels), or (channels, height, width)."""
    first = _channels_first(data_format)
    x = np.array(img, dtype=dtype or config.floatx())
    if x.ndim not in (2, 3):
        raise ValueError(f"img_to_array: expected a picture; got {short(img)}.")
    x = x[:, :, None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if first else x


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Image:
    """A picture of Pillow from a file, a path or `io.BytesIO`.

    color_mode: "grayscale", "rgb" or "rgba". target_size: (height, width) to bring it to, by `interpolation`;
    keep_aspect_ratio: by cutting off what is too high or too wide. Raises ValueError for words that it does not know.
    """
    image = pillow()
    if color_mode not in MODES:
        raise ValueError(f'load_img: `color_mode` must be "grayscale", "rgb" or "rgba"; got {color_mode!r}.')
    if not isinstance(path, (str, bytes, Path, io.BytesIO)):
        raise TypeError(f"load_img: `path` must be a path or io.BytesIO; got {short(path)}.")
    if isinstance(path, io.BytesIO):
        picture = image.open(path)
        picture.load()
    else:
        picture = opened(Path(os.fsdecode(path)))
    if color_mode != "grayscale" or picture.mode not in _GRAY:
        picture = picture.convert(MODES[color_mode])
    if target_size is None:
        return picture
    known = {word.lower(): method for word, method in image.Resampling.__members__.items()}
    if interpolation not in known:
        raise ValueError(f"load_img: `interpolation` must be one of {', '.join(known)}; got {interpolation!r}.")
    height, width = target_size
    if picture.size == (width, height):
        return picture
    box = _inner_box(picture.size, width, height) if keep_aspect_ratio else None
    return picture.resize((width, height), known[interpolation], box=box)


def opened(path: Path) -> Image:
    """The picture in a file. Raises ValueError for a pipe, and what Pillow raises for a damaged one."""
    from ..files.safe import require_file

    require_file(path)
    try:
        with pillow().open(path) as picture:
            picture.load()
    except Exception as error:  # Pillow's are of many classes, and few name the file
        note(error, f"This is of the picture {path}.")
        raise
    return picture


def is_wide(picture: Image) -> bool:
    """Whether its one channel has 16 bits."""
    return picture.mode.startswith("I")


def as_mode(picture: Image, mode: str) -> Image:
    """A picture in another mode, of 8 bits; of 16 bits the higher 8, as TensorFlow has them (Pillow ends at 255)."""
    if is_wide(picture):
        picture = pillow().fromarray((np.asarray(picture) >> 8).astype("uint8"))
    return picture.convert(mode)


def check_pixels(picture: Image, count: int) -> None:
    """Raises ValueError where so many pictures in a file have more pixels together than Pillow takes of one."""
    most, size = pillow().MAX_IMAGE_PIXELS, picture.width * picture.height * count
    if most is not None and size > 2 * most:
        raise ValueError(f"A file of {count} pictures has {size} pixels; expected at most {2 * most}.")


def _inner_box(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the largest part, in the middle, that has the ratio of `width` to `height`."""
    inner_width, inner_height = min(size[0], size[1] * width // height), min(size[1], size[0] * height // width)
    left, top = (size[0] - inner_width) // 2, (size[1] - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def save_img(
    path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any
) -> None:
    """Write an array as `array_to_img` takes it to a file. file_format: by default the name's ending.

    kwargs: what Pillow's `save` takes. JPEG has no transparency: it is left out, with a warning.
    """
    if file_format is None and isinstance(path, (str, Path)):
        file_format = Path(path).suffix[1:]
    file_format = {"jpg": "jpeg"}.get((file_format or "").lower(), file_format)
    picture = array_to_img(x, data_format, scale)
    if picture.mode == "RGBA" and (file_format or "").lower() == "jpeg":
        warnings.warn("save_img: JPEG has no transparency; it is left out.", stacklevel=2)
        picture = picture.convert("RGB")
    picture.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any, size: tuple[int, int], interpolation: str = "bilinear", data_format: str = "channels_last"
) -> Any:
    """Pictures (..., height, width, channels) of another size, without changing the ratio of what they show.

    What is too high or too wide is cut off first. An array gives an array, a tensor a tensor.
    """
    from ..ops import image

    if len(size) != 2:
        raise ValueError(f"smart_resize: `size` must be (height, width); got {size!r}.")
    if np.ndim(x) not in (3, 4):
        raise ValueError(f"smart_resize: expected one picture, of rank 3, or several, of rank 4; got {short(x)}.")
    made = image.resize(x, size, interpolation, crop_to_aspect_ratio=True, data_format=data_format)
    return np.asarray(made) if isinstance(x, np.ndarray) else made
