"""Pictures as arrays and as files (see `lamina.utils`), and batches of them, changed at random.

`ImageDataGenerator` and what belongs to it are of Keras 1 and 2, where `Sequential` of today's `RandomFlip`,
`RandomRotation`, ... does the same on tensors. All draws are NumPy's: `np.random.seed` gives the same pictures.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import config
from ..core.errors import needing
from ..utils.pictures import array_to_img, img_to_array, load_img, save_img, smart_resize
from .affine import about, matrix_of, warp
from .iterators import DataFrameIterator, DirectoryIterator, Iterator, NumpyArrayIterator, check_pictures

__all__ = [
    "DataFrameIterator", "DirectoryIterator", "ImageDataGenerator", "Iterator", "NumpyArrayIterator",
    "apply_affine_transform", "apply_brightness_shift", "apply_channel_shift", "array_to_img", "flip_axis",
    "img_to_array", "load_img", "random_brightness", "random_channel_shift", "random_rotation", "random_shear",
    "random_shift", "random_zoom", "save_img", "smart_resize",
]  # fmt: skip


def flip_axis(x: Any, axis: int) -> np.ndarray:
    """The array turned round along an axis."""
    return np.flip(x, axis)


def apply_channel_shift(x: Any, intensity: Any, channel_axis: int = 0) -> np.ndarray:
    """`intensity`, a number or one for each channel, added to the values, which stay between their extremes."""
    moved = np.moveaxis(x, channel_axis, -1)
    if moved.dtype.kind == "f":
        intensity = np.asarray(intensity, moved.dtype)
    return np.moveaxis((moved + intensity).clip(moved.min(), moved.max()), -1, channel_axis)


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """The same number, drawn up to `intensity_range` either way, added to all values."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> np.ndarray:
    """A picture made darker (below 1) or brighter, by Pillow. scale: its values are spread over 0 to 255 first."""
    with needing("Brightness is changed by Pillow: pip install pillow."):
        from PIL import ImageEnhance
    low, high = np.min(x), np.max(x)
    spread = bool(low < 0 or high > 255)
    made = img_to_array(ImageEnhance.Brightness(array_to_img(x, scale=spread or scale)).enhance(brightness))
    return made / 255 * (high - low) + low if spread and not scale else made


def random_brightness(x: Any, brightness_range: Sequence[float], scale: bool = True) -> np.ndarray:
    """A brightness drawn between two numbers. Raises ValueError for anything else."""
    low, high = _two(brightness_range, "brightness_range")
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)


def _two(value: Any, name: str) -> Any:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"`{name}` must be a tuple or list of two floats; got {value!r}.")
    return value


@dataclass(frozen=True)
class Moves:
    """Changes of a picture's place, in one arithmetic: by default that of tf.keras and Keras 3."""

    centre: float = -0.5  # the middle of `size` pixels lies at size / 2 + centre
    shears_by_radians: bool = False
    across_first: bool = True  # matrices are of (column, row), where a picture's columns come behind its rows

    def apply_affine_transform(
        self,
        x: Any,
        theta: float = 0,
        tx: float = 0,
        ty: float = 0,
        shear: float = 0,
        zx: float = 1,
        zy: float = 1,
        row_axis: int = 1,
        col_axis: int = 2,
        channel_axis: int = 0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        order: int = 1,
    ) -> np.ndarray:
        """A picture of rank 3 rotated by `theta` degrees, shifted, sheared by `shear` degrees and zoomed.

        fill_mode: where what lies outside comes from: "constant" (`cval`), "nearest", "reflect" or "wrap". order: of
        the interpolation; above 1 it needs scipy. Raises ValueError for other words, ranks and axes.
        """
        x = np.asarray(x)
        if x.ndim != 3 or {row_axis, col_axis, channel_axis} != {0, 1, 2}:
            raise ValueError(
                f"Expected a picture of rank 3, and its three axes as `row_axis`, `col_axis` and `channel_axis`; got "
                f"shape {x.shape}, {row_axis}, {col_axis} and {channel_axis}."
            )
        if (theta, tx, ty, shear, zx, zy) == (0, 0, 0, 0, 1, 1):
            return x
        lean = shear if self.shears_by_radians else np.deg2rad(shear)
        matrix = matrix_of(np.deg2rad(theta), tx, ty, lean, zx, zy)
        matrix = about(matrix, x.shape[row_axis] / 2 + self.centre, x.shape[col_axis] / 2 + self.centre)
        if self.across_first and col_axis > row_axis:
            matrix = matrix[[1, 0, 2]][:, [1, 0, 2]]
        return warp(x, matrix, channel_axis, fill_mode, cval, order)

    def random_rotation(
        self,
        x: Any,
        rg: float,
        row_axis: int = 1,
        col_axis: int = 2,
        channel_axis: int = 0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        interpolation_order: int = 1,
    ) -> np.ndarray:
        """A rotation by up to `rg` degrees either way; see `apply_affine_transform`."""
        theta = np.random.uniform(-rg, rg)
        return self.apply_affine_transform(
            x, theta, 0, 0, 0, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
        )

    def random_shift(
        self,
        x: Any,
        wrg: float,
        hrg: float,
        row_axis: int = 1,
        col_axis: int = 2,
        channel_axis: int = 0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        interpolation_order: int = 1,
    ) -> np.ndarray:
        """A shift by up to the shares `wrg` of the width and `hrg` of the height; see `apply_affine_transform`."""
        tx = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
        ty = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
        return self.apply_affine_transform(
            x, 0, tx, ty, 0, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
        )

    def random_shear(
        self,
        x: Any,
        intensity: float,
        row_axis: int = 1,
        col_axis: int = 2,
        channel_axis: int = 0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        interpolation_order: int = 1,
    ) -> np.ndarray:
        """A shear by up to `intensity` degrees either way; see `apply_affine_transform`."""
        shear = np.random.uniform(-intensity, intensity)
        return self.apply_affine_transform(
            x, 0, 0, 0, shear, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
        )

    def random_zoom(
        self,
        x: Any,
        zoom_range: Sequence[float],
        row_axis: int = 1,
        col_axis: int = 2,
        channel_axis: int = 0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        interpolation_order: int = 1,
    ) -> np.ndarray:
        """A zoom in both directions, each drawn between two numbers (below 1: larger); see `apply_affine_transform`."""
        zx, zy = _zooms(_two(zoom_range, "zoom_range"))
        return self.apply_affine_transform(
            x, 0, 0, 0, 0, zx, zy, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order
        )


def _zooms(between: Sequence[float]) -> Any:
    return (1, 1) if tuple(between) == (1, 1) else np.random.uniform(between[0], between[1], 2)


_moves = Moves()
apply_affine_transform = _moves.apply_affine_transform
random_rotation, random_shift = _moves.random_rotation, _moves.random_shift
random_shear, random_zoom = _moves.random_shear, _moves.random_zoom


class ImageDataGenerator:
    """Batches of pictures, changed at random and brought to a common scale.

    featurewise_center, featurewise_std_normalization, zca_whitening: by what `fit` has seen; samplewise_*: each picture
    by itself. rotation_range, shear_range: degrees. width_shift_range, height_shift_range: a share of the size (below
    1), pixels, or a list of values to choose from. brightness_range: two factors. zoom_range: a number z for 1 - z to
    1 + z, or two. channel_shift_range: of values. fill_mode, cval: see `apply_affine_transform`. rescale: a factor.
    preprocessing_function: of one picture, after all changes and before all scaling. validation_split: the share that
    `subset="validation"` of the flows has. Raises ValueError for values that do not fit.

    Source: Keras 1 and 2; a layer such as `RandomRotation` changes whole batches, and is faster.
    """

    _moves = _moves
    _epsilon = 1e-6  # added to standard deviations
    _spreads = False  # values are spread over 0 to 255 before a change of brightness
    _iterators: tuple[Callable, Callable, Callable] = (NumpyArrayIterator, DirectoryIterator, DataFrameIterator)

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-06,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Any = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ):
        data_format = data_format or config.image_data_format()
        if data_format not in ("channels_last", "channels_first"):
            raise ValueError(f'`data_format` must be "channels_last" or "channels_first"; got {data_format!r}.')
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(f"`validation_split` must be strictly between 0 and 1; got {validation_split!r}.")
        if isinstance(zoom_range, (float, int)):
            zoom_range = [1 - zoom_range, 1 + zoom_range]
        elif not (np.ndim(zoom_range) == 1 and len(zoom_range) == 2 and all(map(np.isreal, zoom_range))):
            raise ValueError(f"`zoom_range` must be a float or a tuple or list of two floats; got {zoom_range!r}.")
        self.featurewise_center, self.samplewise_center = featurewise_center, samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization = samplewise_std_normalization
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self._settle()
        self.rotation_range, self.shear_range = rotation_range, shear_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.brightness_range = None if brightness_range is None else _two(brightness_range, "brightness_range")
        self.zoom_range, self.channel_shift_range = list(zoom_range), channel_shift_range
        self.fill_mode, self.cval, self.interpolation_order = fill_mode, cval, interpolation_order
        self.horizontal_flip, self.vertical_flip = horizontal_flip, vertical_flip
        self.rescale, self.preprocessing_function = rescale, preprocessing_function
        self.data_format, self.dtype = data_format, dtype or config.floatx()
        self.channel_axis, self.row_axis, self.col_axis = (3, 1, 2) if data_format == "channels_last" else (1, 2, 3)
        self._validation_split = validation_split
        self.mean: Any = None
        self.std: Any = None
        self.zca_whitening_matrix: Any = None

    def _settle(self) -> None:
        """What one way of scaling needs of others."""
        if self.zca_whitening and self.featurewise_std_normalization:
            self.featurewise_std_normalization = False
            warnings.warn("`zca_whitening` takes the place of `featurewise_std_normalization`.", stacklevel=3)
        for given, needed in (
            ("zca_whitening", "featurewise_center"),
            ("featurewise_std_normalization", "featurewise_center"),
            ("samplewise_std_normalization", "samplewise_center"),
        ):
            if getattr(self, given) and not getattr(self, needed):
                setattr(self, needed, True)
                warnings.warn(f"`{given}` brings `{needed}` along: give both.", stacklevel=3)

    # -- batches ----------------------------------------------------------------------------------------------------

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> Any:
        """Batches of pictures (n, height, width, channels) with their targets and weights, changed, without end.

        x: the pictures, or (pictures, other arrays), which stay as they are. save_to_dir: where pictures are written,
        too. subset: "training" or "validation", if there is a `validation_split`.
        """
        return self._iterators[0](
            x, y, self, batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight, seed=seed,
            data_format=self.data_format, save_to_dir=save_to_dir, save_prefix=save_prefix, save_format=save_format,
            ignore_class_split=ignore_class_split, subset=subset, dtype=self.dtype,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: Any,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> Any:
        """Batches of the pictures below a folder, of which every folder inside is a class.

        target_size: (height, width). color_mode: "rgb", "rgba" or "grayscale". classes: names of folders, in the order
        of their numbers. class_mode: "categorical" (one-hot), "binary", "sparse" (numbers), "input" (the pictures
        themselves) or None. interpolation, keep_aspect_ratio: as in `load_img`.
        """
        return self._iterators[1](
            directory, self, target_size=target_size, color_mode=color_mode, classes=classes, class_mode=class_mode,
            data_format=self.data_format, batch_size=batch_size, shuffle=shuffle, seed=seed, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, follow_links=follow_links, subset=subset,
            interpolation=interpolation, keep_aspect_ratio=keep_aspect_ratio, dtype=self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Sequence[int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> Any:
        """Batches of the pictures that a pandas DataFrame names in its column `x_col`, below `directory` if given.

        y_col: the column or columns of targets. class_mode: as in `flow_from_directory`, or "raw" (values as they are)
        or "multi_output" (a list, one of each column). validate_filenames: leave out what is no picture.
        """
        keep_aspect_ratio = kwargs.pop("keep_aspect_ratio", False)
        for word in sorted({"has_ext", "sort", "drop_duplicates"} & kwargs.keys()):
            del kwargs[word]
            warnings.warn(f"`{word}` has no effect: names are those of the files, in the table's order.", stacklevel=2)
        if kwargs:
            raise TypeError(f"flow_from_dataframe has no argument {', '.join(map(repr, kwargs))}.")
        return self._iterators[2](
            dataframe, directory, self, x_col=x_col, y_col=y_col, weight_col=weight_col, target_size=target_size,
            color_mode=color_mode, classes=classes, class_mode="raw" if class_mode == "other" else class_mode,
            data_format=self.data_format, batch_size=batch_size, shuffle=shuffle, seed=seed, save_to_dir=save_to_dir,
            save_prefix=save_prefix, save_format=save_format, subset=subset, interpolation=interpolation,
            keep_aspect_ratio=keep_aspect_ratio, dtype=self.dtype, validate_filenames=validate_filenames,
        )  # fmt: skip

    # -- scale ------------------------------------------------------------------------------------------------------

    def standardize(self, x: Any) -> Any:
        """A picture, or several, brought to scale. A float array is changed in place."""
        if self.preprocessing_function:
            x = self.preprocessing_function(x)
        if self.rescale:
            x *= self.rescale
        axes = self._sample_axes()
        if self.samplewise_center:
            x -= np.mean(x, axis=axes, keepdims=True)
        if self.samplewise_std_normalization:
            x /= np.std(x, axis=axes, keepdims=True) + self._epsilon
        if self.featurewise_center and self._known(self.mean, "featurewise_center"):
            x -= self.mean
        if self.featurewise_std_normalization and self._known(self.std, "featurewise_std_normalization"):
            x /= self.std + self._epsilon
        if self.zca_whitening and self._known(self.zca_whitening_matrix, "zca_whitening"):
            flat = np.reshape(x, (-1, int(np.prod(x.shape[-3:]))))
            x = np.reshape(flat @ self.zca_whitening_matrix, x.shape)
        return x

    def _sample_axes(self) -> Any:
        """What a picture's own mean is taken over; None for all."""
        return None

    def _known(self, value: Any, option: str) -> bool:
        if value is None:
            warnings.warn(
                f"This ImageDataGenerator specifies `{option}`, but it hasn't been fit on any training data. Fit it "
                "first by calling `.fit(numpy_data)`.",
                stacklevel=3,
            )
        return value is not None

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn means, standard deviations and the matrix of whitening from pictures (n, height, width, channels).

        augment, rounds: from changed pictures, in so many passes.
        """
        x = np.array(x, self.dtype)
        self._check_pictures(x)
        if seed is not None:
            np.random.seed(seed)
        x = self._rescaled(x)
        if augment:
            x = np.array([self.random_transform(each) for _ in range(rounds) for each in x], self.dtype)
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = np.mean(x, axis=axes, keepdims=True)[0]
            x -= self.mean
        if self.featurewise_std_normalization:
            self.std = np.std(x, axis=axes, keepdims=True)[0]
            x /= self.std + self._epsilon
        if self.zca_whitening:
            self.zca_whitening_matrix = self._whitening(x.reshape(len(x), -1))

    def _check_pictures(self, x: np.ndarray) -> None:
        check_pictures(x, self.data_format, "fit")

    def _rescaled(self, x: np.ndarray) -> np.ndarray:
        return x * np.asarray(self.rescale, x.dtype) if self.rescale else x

    def _whitening(self, rows: np.ndarray) -> np.ndarray:
        """The matrix that makes the columns of `rows` uncorrelated, of the same spread."""
        vectors, values, _ = np.linalg.svd(rows.T, full_matrices=False)
        return (vectors * (np.sqrt(len(rows)) / (values + self.zca_epsilon))) @ vectors.T

    # -- changes ----------------------------------------------------------------------------------------------------

    def get_random_transform(self, img_shape: Sequence[int], seed: int | None = None) -> dict[str, Any]:
        """What `apply_transform` is given, drawn for a picture of that shape."""
        if seed is not None:
            np.random.seed(seed)
        drawn = self._drawn_moves(img_shape)
        drawn["flip_horizontal"] = (np.random.random() < 0.5) * self.horizontal_flip
        drawn["flip_vertical"] = (np.random.random() < 0.5) * self.vertical_flip
        far = self.channel_shift_range
        drawn["channel_shift_intensity"] = np.random.uniform(-far, far) if far != 0 else None
        drawn["brightness"] = None if self.brightness_range is None else np.random.uniform(*self.brightness_range)
        return drawn

    def _drawn_moves(self, shape: Sequence[int]) -> dict[str, Any]:
        drawn = {"theta": _drawn(self.rotation_range)}
        drawn["tx"] = self._shift(self.height_shift_range, shape[self.row_axis - 1])
        drawn["ty"] = self._shift(self.width_shift_range, shape[self.col_axis - 1])
        drawn["shear"] = _drawn(self.shear_range)
        drawn["zx"], drawn["zy"] = _zooms(self.zoom_range)
        return drawn

    def _shift(self, far: Any, size: int) -> Any:
        if not np.ndim(far) and not far:
            return 0
        if np.ndim(far) or isinstance(far, (int, np.integer)):  # one of the listed values, or of 0 to `far` - 1
            moved = np.random.choice(far) * np.random.choice([-1, 1])
        else:
            moved = _drawn(far)
        return moved * size if np.max(far) < 1 else moved

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> Any:
        """A picture changed by theta, tx, ty, shear, zx, zy (see `apply_affine_transform`), channel_shift_intensity,
        flip_horizontal, flip_vertical and brightness; what is left out changes nothing."""
        row, column, channel = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        given = transform_parameters
        x = self._moves.apply_affine_transform(
            x, given.get("theta", 0), given.get("tx", 0), given.get("ty", 0), given.get("shear", 0),
            given.get("zx", 1), given.get("zy", 1), row, column, channel, self.fill_mode, self.cval,
            self.interpolation_order,
        )  # fmt: skip
        if given.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given["channel_shift_intensity"], channel)
        if given.get("flip_horizontal"):
            x = flip_axis(x, column)
        if given.get("flip_vertical"):
            x = flip_axis(x, row)
        if given.get("brightness") is not None:
            x = apply_brightness_shift(x, given["brightness"], self._spreads)
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> Any:
        """A picture changed at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))


def _drawn(far: float) -> float:
    return np.random.uniform(-far, far) if far else 0
