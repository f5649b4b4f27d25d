"""What the modules of a generation hold beside the classes and functions of its tables: names by module.

Modules that hold nothing else, and names that were there only because a module imported them, which
`from keras.layers.core import *` and `keras.callbacks.K` rely on. `generations/names.py` knows what a name means.
"""

from __future__ import annotations

from collections.abc import Mapping

_KERAS = "K activations regularizers constraints Layer InputSpec"
_KERAS1, _KERAS2 = f"{_KERAS} initializations", f"{_KERAS} initializers interfaces"
_SCOPES = "CustomObjectScope custom_object_scope get_custom_objects"
_LENGTHS = "conv_output_length conv_input_length"
_OBJECTS = "serialize_keras_object deserialize_keras_object"
_HDF5 = "HDF5Matrix ask_to_proceed_with_overwrite h5py np sys defaultdict"
_BUILT = "Model Flatten Dense Input BatchNormalization MaxPooling2D K warnings get_file get_source_inputs"
_BUILT = f"{_BUILT} convert_all_kernels_in_model decode_predictions"
_SCIKIT = "BaseWrapper KerasClassifier KerasRegressor Sequential copy np to_categorical"
_TRAINING = "make_batches batch_shuffle np warnings copy K optimizers callbacks cbks metrics_module Progbar"

_LOSSES = (
    "mean_squared_error mean_absolute_error mean_absolute_percentage_error "
    "mean_squared_logarithmic_error squared_hinge "
    "hinge categorical_crossentropy sparse_categorical_crossentropy binary_crossentropy kullback_leibler_divergence "
    "poisson cosine_proximity mse MSE mae MAE mape MAPE msle MSLE kld KLD get"
)
_ACCURACIES = "binary_accuracy categorical_accuracy sparse_categorical_accuracy top_k_categorical_accuracy"


_NETWORKS1 = {
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "resnet50": "ResNet50",
    "inception_v3": "InceptionV3",
    "xception": "Xception",
}
_NETWORKS2 = {
    **_NETWORKS1,
    "inception_resnet_v2": "InceptionResNetV2",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "densenet": "DenseNet121 DenseNet169 DenseNet201",
    "nasnet": "NASNetMobile NASNetLarge",
    "resnet": "ResNet50 ResNet101 ResNet152",
    "resnet_v2": "ResNet50V2 ResNet101V2 ResNet152V2",
}
_LARGER = [f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")]
_NETWORKS_TF = {
    **_NETWORKS2,
    "efficientnet": " ".join(f"EfficientNetB{size}" for size in range(8)),
    "efficientnet_v2": " ".join(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    "convnext": " ".join(_LARGER),
    "mobilenet_v3": "",
}


def _networks(modules: Mapping[str, str]) -> dict[str, str]:
    """The modules of networks, each with what goes with it, and `applications` with all of them."""
    beside = "preprocess_input decode_predictions"
    own = {f"applications.{module}": f"{names} {beside}" for module, names in modules.items()}
    own["applications.imagenet_utils"] = f"{beside} _obtain_input_shape obtain_input_shape"
    return {"applications": " ".join(modules.values()), **own}


# The modules of K, whose functions `K` has.
BACKENDS = dict.fromkeys(("backend.tensorflow_backend", "backend.theano_backend", "backend.common"), "backend")

KERAS1: Mapping[str, str] = {
    **_networks(_NETWORKS1),
    "backend": "_BACKEND _FLOATX _EPSILON np",
    "engine": "Container Network",
    "engine.topology": (
        "Layer Input InputLayer InputSpec Merge merge Node Container get_source_inputs to_list object_list_uid np "
        "_collect_previous_mask _collect_input_shape "
        "python_types warnings copy os inspect K initializations ask_to_proceed_with_overwrite func_dump func_load"
    ),
    "engine.training": f"Model Container slice_X {_TRAINING} objectives time multiprocessing threading queue",
    "layers": (
        f"{_KERAS1} np copy inspect python_types warnings functools {_LENGTHS} func_dump func_load "
        "get_from_module"
    ),
    "layers.core": f"{_KERAS1} Merge np copy inspect python_types warnings func_dump func_load get_from_module",
    "layers.convolutional": f"{_KERAS1} functools {_LENGTHS}",
    "layers.convolutional_recurrent": (
        "K activations initializations regularizers np Layer InputSpec conv_output_length warnings"
    ),
    "layers.pooling": "K Layer InputSpec conv_output_length",
    "layers.local": f"{_KERAS1} conv_output_length",
    "layers.recurrent": "K activations initializations regularizers np Layer InputSpec",
    "layers.normalization": "K initializations regularizers Layer InputSpec",
    "layers.embeddings": "K initializations regularizers constraints Layer",
    "layers.noise": "K np Layer",
    "layers.advanced_activations": "K initializations np Layer",
    "layers.wrappers": "K copy Layer InputSpec",
    "activations": "K get_from_module",
    "initializers": "K np get_from_module",
    "constraints": "K get_from_module",
    "regularizers": "K get_from_module warnings",
    "losses": f"{_LOSSES} cosine K get_from_module",
    "metrics": (
        f"{_LOSSES} {_ACCURACIES} cosine matthews_correlation precision recall fbeta_score fmeasure fscore f1score K "
        "get_from_module"
    ),
    "optimizers": "K clip_norm optimizer_from_config get_from_module get_custom_objects",
    "models": (
        "K Node Layer Merge get_source_inputs optimizers optimizer_from_config ask_to_proceed_with_overwrite "
        "np copy json os warnings"
    ),
    "callbacks": "K Progbar np os csv time json warnings deque OrderedDict Iterable",
    "utils": "",
    "utils.generic_utils": (
        f"{_SCOPES} get_from_module make_tuple func_dump func_load Progbar np time sys marshal python_types"
    ),
    "utils.np_utils": (
        "to_categorical normalize binary_logloss multiclass_logloss accuracy probas_to_classes "
        f"categorical_probas_to_classes convert_kernel {_LENGTHS} K np"
    ),
    "utils.data_utils": "get_file validate_file urlretrieve Progbar functools tarfile os sys shutil hashlib",
    "utils.io_utils": f"{_HDF5} save_array load_array",
    "utils.layer_utils": (
        "layer_from_config print_summary count_total_params convert_all_kernels_in_model "
        "convert_kernel get_from_module "
        "get_custom_objects Model Sequential K inspect"
    ),
    "utils.test_utils": "get_test_data layer_test keras_test np inspect Model Input Sequential model_from_json K",
    "utils.visualize_util": "model_to_dot plot os Wrapper Sequential",
    "wrappers.scikit_learn": f"{_SCIKIT} inspect python_types",
}  # fmt: skip

_GENERIC = (
    f"{_SCOPES} {_OBJECTS} func_dump func_load getargspec has_arg Progbar to_list unpack_singleton object_list_uid "
    "is_all_none slice_arrays transpose_shape check_for_unexpected_keys np time sys marshal inspect codecs python_types"
)
_AROUND2 = {
    "backend": "_FLOATX _EPSILON np py_all py_any py_sum py_slice",
    "engine": "Input InputLayer InputSpec Layer get_source_inputs Model",
    "engine.base_layer": (
        "Layer InputSpec Node count_params has_arg object_list_uid to_list unpack_singleton is_all_none K initializers "
        "_collect_previous_mask _collect_input_shape "
        " re threading"
    ),
    "engine.input_layer": "Input InputLayer Layer Node K unpack_singleton",
    "engine.network": (
        "Network Layer Node InputLayer get_source_inputs has_arg to_list object_list_uid unpack_singleton K np "
        "json warnings copy os h5py ask_to_proceed_with_overwrite"
    ),
    "engine.saving": (
        "save_model load_model model_from_config model_from_yaml model_from_json K losses optimizers np h5py "
        "os json warnings"
    ),
    "engine.sequential": "Sequential Model Layer Input InputLayer K layer_module warnings copy h5py",
    "engine.topology": (
        "Layer Node InputSpec Input InputLayer Network Container get_source_inputs _collect_previous_mask "
        "_collect_input_shape to_list"
    ),
    "engine.training": f"Model Network Layer slice_arrays to_list unpack_singleton losses {_TRAINING} training_utils",
    "engine.training_utils": (
        "make_batches batch_shuffle is_sequence is_generator_or_sequence iter_sequence_infinite should_run_validation "
        "Sequence K losses metrics_module np OrderedDict inspect collections copy warnings"
    ),
    "utils": (
        f"np_utils generic_utils data_utils io_utils conv_utils losses_utils metrics_utils layer_utils vis_utils "
        f"HDF5Matrix H5Dict get_file Sequence GeneratorEnqueuer OrderedEnqueuer {_SCOPES} {_OBJECTS} Progbar "
        "convert_all_kernels_in_model get_source_inputs print_summary model_to_dot plot_model to_categorical normalize "
        "multi_gpu_model"
    ),
    "utils.conv_utils": (
        f"normalize_tuple normalize_padding normalize_data_format convert_kernel {_LENGTHS} deconv_length K np"
    ),
    "utils.data_utils": (
        "get_file validate_file _hash_file urlretrieve Sequence SequenceEnqueuer OrderedEnqueuer GeneratorEnqueuer "
        "Progbar hashlib os random shutil sys tarfile threading time warnings zipfile mp np queue"
    ),
    "utils.generic_utils": _GENERIC,
    "utils.io_utils": (
        f"{_HDF5} H5Dict h5dict load_from_binary_h5py save_to_binary_h5py HDF5_OBJECT_HEADER_LIMIT contextlib"
    ),
    "utils.layer_utils": (
        "count_params print_summary convert_all_kernels_in_model convert_dense_weights_data_format get_source_inputs "
        "convert_kernel K np"
    ),
    "utils.losses_utils": (
        "Reduction squeeze_or_expand_dimensions reduce_weighted_loss broadcast_weights compute_weighted_loss "
        "K np"
    ),
    "utils.metrics_utils": (
        "ConfusionMatrix AUCCurve AUCSummationMethod filter_top_k assert_thresholds_range to_list "
        "parse_init_thresholds NEG_INF K"
    ),
    "utils.multi_gpu_utils": "multi_gpu_model concatenate K Lambda Model clone_model to_list",
    "utils.np_utils": "to_categorical normalize np",
    "utils.test_utils": "get_test_data layer_test keras_test has_arg Model Input K np os",
    "utils.vis_utils": "model_to_dot plot_model is_model is_wrapped_model Model Wrapper os",
}  # fmt: skip

KERAS2: Mapping[str, str] = {
    **_AROUND2,
    **_networks(_NETWORKS2),
    "legacy": "",
    "legacy.layers": (
        "MaxoutDense Highway AtrousConvolution1D AtrousConvolution2D Recurrent ConvRecurrent2D "
        "Merge merge K activations "
        "initializers regularizers constraints Layer InputSpec conv_utils to_list np warnings"
    ),
    "layers.core": f"{_KERAS2} np copy python_types warnings func_dump func_load deserialize_keras_object has_arg",
    "layers.convolutional": f"{_KERAS2} _Conv conv_utils transpose_shape AtrousConvolution1D AtrousConvolution2D",
    "layers.convolutional_recurrent": (
        f"{_KERAS2} RNN Recurrent ConvRecurrent2D conv_utils has_arg to_list transpose_shape np warnings"
    ),
    "layers.cudnn_recurrent": "K initializers regularizers constraints RNN InputSpec namedtuple",
    "layers.pooling": (
        "K Layer InputSpec conv_utils interfaces _Pooling1D _Pooling2D _Pooling3D _GlobalPooling1D _GlobalPooling2D "
        "_GlobalPooling3D"
    ),
    "layers.local": f"{_KERAS2} conv_utils",
    "layers.merge": "K Layer _Merge",
    "layers.recurrent": f"{_KERAS2} Recurrent has_arg to_list np warnings",
    "layers.normalization": "K initializers regularizers constraints Layer InputSpec interfaces",
    "layers.embeddings": "K initializers regularizers constraints Layer interfaces to_list",
    "layers.noise": "K np Layer interfaces",
    "layers.advanced_activations": f"{_KERAS2} to_list",
    "layers.wrappers": "K copy Wrapper Layer InputSpec has_arg object_list_uid recurrent",
    "activations": "K Layer warnings deserialize_keras_object",
    "initializers": f"K np {_OBJECTS}",
    "constraints": f"K {_OBJECTS}",
    "regularizers": f"K {_OBJECTS}",
    "losses": f"{_LOSSES} cosine cosine_similarity logcosh huber_loss categorical_hinge K losses_utils {_OBJECTS}",
    "metrics": (
        f"{_LOSSES} {_ACCURACIES} sparse_top_k_categorical_accuracy cosine cosine_similarity "
        "logcosh categorical_hinge K "
        f"np Layer losses_utils metrics_utils {_OBJECTS}"
    ),
    "optimizers": f"K clip_norm copy np interfaces {_OBJECTS}",
    "models": "K Input InputLayer has_arg to_list save_model load_model h5py",
    "callbacks": "K",
    "callbacks.callbacks": (
        "Callback CallbackList BaseLogger TerminateOnNaN ProgbarLogger History ModelCheckpoint "
        "EarlyStopping RemoteMonitor "
        "LearningRateScheduler ReduceLROnPlateau CSVLogger LambdaCallback K Progbar np os csv time "
        "json warnings io deque "
        "OrderedDict Iterable defaultdict"
    ),
    "callbacks.tensorboard_v1": "TensorBoard Callback K np os warnings",
    "callbacks.tensorboard_v2": "TensorBoard warnings",
    "wrappers.scikit_learn": f"{_SCIKIT} python_types losses has_arg to_list",
}  # fmt: skip

_LEAKED = (name for home, names in KERAS2.items() if home.startswith("layers.") for name in names.split())
KERAS2 = {"layers": " ".join(dict.fromkeys(name for name in _LEAKED if name[0] != "_")), **KERAS2}

TF_KERAS: Mapping[str, str] = {
    **{home: names for home, names in _AROUND2.items() if home not in ("backend", "utils", "utils.losses_utils")},
    **_networks(_NETWORKS_TF),
    "applications": " ".join([*_NETWORKS_TF.values(), "MobileNetV3Large MobileNetV3Small"]),
}
