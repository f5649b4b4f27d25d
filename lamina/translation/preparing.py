"""What older generations call what prepares data (pictures, texts, sequences, data sets, files), and draws models."""

from __future__ import annotations

from typing import Any

from .table import Class

_TEXT_FILTERS = "filters='!\"#$%&()*+,-./:;<=>?@[\\\\]^_`{|}~\\t\\n', lower=True, split=' '"
_TEXT: dict[str, Any] = {"renamed": {"text": "input_text"}}
_AXES = "row_axis=1, col_axis=2, channel_axis=0, fill_mode='nearest', cval=0.0"
_MOVES = {
    "random_rotation": "x, rg", "random_shift": "x, wrg, hrg", "random_shear": "x, intensity",
    "random_zoom": "x, zoom_range",
}  # fmt: skip
_SAVE = "save_to_dir=None, save_prefix='', save_format="
_WORDS = "skip_top=0, maxlen=None, {split}seed=113, start_char=1, oov_char=2, index_from=3"  # of the data sets of texts
_JOINED = {"apart": False}  # both parts are rid of long texts together
_FORMER: dict[str, Any] = {"renamed": {"nb_words": "num_words"}}  # a word of the generation before, still taken
_DRAWN = "show_shapes=False, show_layer_names=True, rankdir='TB', expand_nested=False, dpi=96"


def _drawing(name: str, drawn: str, last: str = "", **others: Any) -> dict[str, Class]:
    """What draws a model into a file, by that name, and what tells its graph."""
    return {
        name: Class("plot_model", f"model, to_file='model.png', {drawn}{last}", **others),
        "model_to_dot": Class("model_to_dot", f"model, {drawn}, subgraph=False{last}", **others),
    }


# Keras 1 ------------------------------------------------------------------------------------------------------------

_ORDER = "dim_ordering='default'"
_ORDERED: dict[str, Any] = {"renamed": {"dim_ordering": "data_format"}}
_FILES1 = (
    f"classes=None, class_mode='categorical', batch_size=32, shuffle=True, seed=None, {_SAVE}'jpeg', follow_links=False"
)

KERAS1 = {
    "preprocessing.image": {
        "ImageDataGenerator": Class(
            "ImageDataGenerator1",
            "featurewise_center=False, samplewise_center=False, featurewise_std_normalization=False, "
            "samplewise_std_normalization=False, zca_whitening=False, rotation_range=0.0, width_shift_range=0.0, "
            "height_shift_range=0.0, shear_range=0.0, zoom_range=0.0, channel_shift_range=0.0, fill_mode='nearest', "
            "cval=0.0, horizontal_flip=False, vertical_flip=False, rescale=None, preprocessing_function=None, "
            f"{_ORDER}",
            fixed={"interpolation_order": 0}, **_ORDERED,
        ),
        "ImageDataGenerator.flow": Class(
            "", f"X, y=None, batch_size=32, shuffle=True, seed=None, {_SAVE}'jpeg'", renamed={"X": "x"}
        ),
        "ImageDataGenerator.flow_from_directory": Class(
            "", f"directory, target_size=(256, 256), color_mode='rgb', {_FILES1}"
        ),
        "Iterator": Class("Iterator1", "n, batch_size, shuffle, seed"),
        "NumpyArrayIterator": Class(
            "NumpyArrayIterator1",
            f"x, y, image_data_generator, batch_size=32, shuffle=False, seed=None, {_ORDER}, {_SAVE}'jpeg'",
            **_ORDERED,
        ),
        "DirectoryIterator": Class(
            "DirectoryIterator1",
            f"directory, image_data_generator, target_size=(256, 256), color_mode='rgb', {_ORDER}, {_FILES1}",
            **_ORDERED,
        ),
        **{
            name: Class(f"moves1.{name}", f"{own}, {_AXES}", fixed={"interpolation_order": 0})
            for name, own in _MOVES.items()
        },
        "random_channel_shift": Class("random_channel_shift1", "x, intensity, channel_axis=0"),
        "apply_transform": Class(
            "apply_transform", "x, transform_matrix, channel_axis=0, fill_mode='nearest', cval=0.0"
        ),
        "transform_matrix_offset_center": Class("transform_matrix_offset_center", "matrix, x, y"),
        "array_to_img": Class("array_to_img1", f"x, {_ORDER}, scale=True", **_ORDERED),
        "img_to_array": Class("img_to_array", f"img, {_ORDER}", **_ORDERED),
        "load_img": Class("load_img", "path, grayscale=False, target_size=None", adapt="grayscale"),
        "list_pictures": Class("list_pictures", "directory, ext='jpg|jpeg|bmp|png'"),
    },
    "preprocessing.text": {
        "Tokenizer": Class("Tokenizer1", f"nb_words=None, {_TEXT_FILTERS}, char_level=False", **_FORMER),
        "text_to_word_sequence": Class("text_to_word_sequence", f"text, {_TEXT_FILTERS}", **_TEXT),
        "one_hot": Class("one_hot1", f"text, n, {_TEXT_FILTERS}", **_TEXT),
    },
    "preprocessing.sequence": {
        "skipgrams": Class(
            "skipgrams",
            "sequence, vocabulary_size, window_size=4, negative_samples=1.0, shuffle=True, categorical=False, "
            "sampling_table=None",
        ),
    },
    "utils.data_utils": {
        "get_file": Class("get_file", "fname, origin, untar=False, md5_hash=None, cache_subdir='datasets'"),
        "validate_file": Class("validate_file", "fpath, md5_hash", renamed={"md5_hash": "file_hash"}),
    },
    "utils.visualize_util": _drawing("plot", _DRAWN),
    "datasets.mnist": {"load_data": Class("mnist", "path='mnist.pkl.gz'")},
    "datasets.cifar": {"load_batch": Class("load_batch", "fpath, label_key='labels'")},
    "datasets.cifar10": {"load_data": Class("cifar10", "")},
    "datasets.cifar100": {"load_data": Class("cifar100", "label_mode='fine'")},
    "datasets.imdb": {
        "load_data": Class("imdb", f"path='imdb_full.pkl', nb_words=None, {_WORDS.format(split='')}", **_FORMER,
                           fixed={"one_stream": False, **_JOINED}),
        "get_word_index": Class("imdb_words", "path='imdb_word_index.pkl'"),
    },
    "datasets.reuters": {
        "load_data": Class(
            "reuters", f"path='reuters.pkl', nb_words=None, {_WORDS.format(split='test_split=0.2, ')}",
            fixed={"as_lists": True}, **_FORMER,
        ),
        "get_word_index": Class("reuters_words", "path='reuters_word_index.pkl'"),
    },
}  # fmt: skip

# Keras 2 ------------------------------------------------------------------------------------------------------------

_FETCH = (
    "untar=False, md5_hash=None, file_hash=None, cache_subdir='datasets', hash_algorithm='auto', extract=False, "
    "archive_format='auto', cache_dir=None"
)
_VALIDATE = "fpath, file_hash, algorithm='auto', chunk_size=65535"
_IMAGE_LOADING = "path, grayscale=False, color_mode='rgb', target_size=None, interpolation='nearest'"


def _datasets(last: str, fixed: dict[str, Any]) -> dict[str, dict[str, Class]]:
    """`last`: what the functions take behind their other arguments; `fixed`: how IMDB's parts are made."""
    words = f"{{}}, num_words=None, {_WORDS}{last}, **kwargs"
    only = last.removeprefix(", ")
    return {
        "datasets.mnist": {"load_data": Class("mnist", f"path='mnist.npz'{last}")},
        "datasets.fashion_mnist": {"load_data": Class("fashion_mnist", only)},
        "datasets.boston_housing": {
            "load_data": Class("boston_housing", f"path='boston_housing.npz', test_split=0.2, seed=113{last}")
        },
        "datasets.cifar10": {"load_data": Class("cifar10", only)},
        "datasets.cifar100": {"load_data": Class("cifar100", f"label_mode='fine'{last}")},
        "datasets.imdb": {
            "load_data": Class("imdb", words.format("path='imdb.npz'", split=""), **_FORMER, fixed=fixed),
            "get_word_index": Class("imdb_words", "path='imdb_word_index.json'"),
        },
        "datasets.reuters": {
            "load_data": Class("reuters", words.format("path='reuters.npz'", split="test_split=0.2, "), **_FORMER),
            "get_word_index": Class("reuters_words", "path='reuters_word_index.json'"),
        },
    }


KERAS2 = {
    "preprocessing.image": {
        "ImageDataGenerator": Class(
            "ImageDataGenerator2",
            "featurewise_center=False, samplewise_center=False, featurewise_std_normalization=False, "
            "samplewise_std_normalization=False, zca_whitening=False, zca_epsilon=1e-06, rotation_range=0, "
            "width_shift_range=0.0, height_shift_range=0.0, brightness_range=None, shear_range=0.0, zoom_range=0.0, "
            "channel_shift_range=0.0, fill_mode='nearest', cval=0.0, horizontal_flip=False, vertical_flip=False, "
            "rescale=None, preprocessing_function=None, data_format='channels_last', validation_split=0.0, "
            "interpolation_order=1, dtype='float32'",
        ),
        "DataFrameIterator": Class(
            "DataFrameIterator2",
            "dataframe, directory=None, image_data_generator=None, x_col='filename', y_col='class', weight_col=None, "
            "target_size=(256, 256), color_mode='rgb', classes=None, class_mode='categorical', batch_size=32, "
            f"shuffle=True, seed=None, data_format='channels_last', {_SAVE}'png', subset=None, "
            "interpolation='nearest', dtype='float32', validate_filenames=True",
        ),
        "apply_affine_transform": Class(
            "moves.apply_affine_transform",
            "x, theta=0, tx=0, ty=0, shear=0, zx=1, zy=1, row_axis=0, col_axis=1, channel_axis=2, "
            "fill_mode='nearest', cval=0.0, order=1",
        ),
        **{name: Class(f"moves.{name}", f"{own}, {_AXES}, interpolation_order=1") for name, own in _MOVES.items()},
        "apply_brightness_shift": Class("apply_brightness_shift", "x, brightness"),
        "random_brightness": Class("random_brightness", "x, brightness_range"),
        "load_img": Class("load_img", _IMAGE_LOADING, adapt="grayscale"),
    },
    "preprocessing.text": {
        "Tokenizer": Class(
            "Tokenizer",
            f"num_words=None, {_TEXT_FILTERS}, char_level=False, oov_token=None, document_count=0, **kwargs",
            **_FORMER,
        ),
        "text_to_word_sequence": Class("text_to_word_sequence", f"text, {_TEXT_FILTERS}", **_TEXT),
        "one_hot": Class("one_hot", f"text, n, {_TEXT_FILTERS}", **_TEXT),
        "hashing_trick": Class("hashing_trick", f"text, n, hash_function=None, {_TEXT_FILTERS}"),
    },
    "utils.data_utils": {
        "get_file": Class("get_file", f"fname, origin, {_FETCH}"),
        "validate_file": Class("validate_file", _VALIDATE),
    },
    "utils.vis_utils": _drawing("plot_model", _DRAWN),
    "datasets.cifar": KERAS1["datasets.cifar"],
    **_datasets("", _JOINED),
}

# tf.keras -----------------------------------------------------------------------------------------------------------

TF_KERAS = {
    "preprocessing.image": {
        "load_img": Class("load_img", f"{_IMAGE_LOADING}, keep_aspect_ratio=False", adapt="grayscale"),
        "smart_resize": Class("smart_resize", "x, size, interpolation='bilinear'"),
    },
    "utils.data_utils": {
        "get_file": Class("get_file", f"fname=None, origin=None, {_FETCH}"),
        "validate_file": Class("validate_file", _VALIDATE),
    },
    "utils.vis_utils": _drawing(
        "plot_model",
        _DRAWN.replace("show_layer_names", "show_dtype=False, show_layer_names"),
        ", layer_range=None, show_layer_activations=False, show_trainable=False",
        renamed={"layer_range": ""},
    ),
    **_datasets(", cache_dir=None", {}),
}
