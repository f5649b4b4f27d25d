"""Pictures as arrays and as files: see `lamina.utils`."""

from ..utils.pictures import array_to_img as array_to_img
from ..utils.pictures import img_to_array as img_to_array
from ..utils.pictures import load_img as load_img
from ..utils.pictures import save_img as save_img
from ..utils.pictures import smart_resize as smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]
