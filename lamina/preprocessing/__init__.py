"""What Keras also offers under this name: see `lamina.utils`."""

from ..utils.batches import timeseries_dataset_from_array as timeseries_dataset_from_array
from ..utils.folders import image_dataset_from_directory as image_dataset_from_directory
from ..utils.folders import text_dataset_from_directory as text_dataset_from_directory
from . import image as image
from . import sequence as sequence
from . import text as text

__all__ = [
    "image", "image_dataset_from_directory", "sequence", "text", "text_dataset_from_directory",
    "timeseries_dataset_from_array",
]  # fmt: skip
