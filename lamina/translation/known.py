"""Which generations have a name: what tells the age of a script.

Derived from the recorded lists of every public name. A generation is one character: 1, 2, t for tf.keras, 3.
"""

from __future__ import annotations

# Modules that not all have. What stands in none of these has the age of the module it is in.
MODULES = {
    "1": "initializations layers.containers utils.dot_utils utils.visualize_util",
    "12": "objectives utils.test_utils",
    "123": "legacy",
    "12t": (
        "engine layers.advanced_activations layers.convolutional layers.convolutional_recurrent layers.core "
        "layers.embeddings layers.local layers.noise layers.normalization layers.pooling layers.recurrent "
        "layers.wrappers preprocessing.text utils.data_utils utils.generic_utils utils.io_utils utils.layer_utils "
        "utils.np_utils wrappers.scikit_learn"
    ),
    "2": (
        "engine.network layers.cudnn_recurrent legacy.interfaces legacy.layers utils.multi_gpu_utils "
        "utils.training_utils"
    ),
    "2t": (
        "engine.base_layer engine.input_layer engine.saving engine.sequential layers.merge utils.conv_utils "
        "utils.losses_utils utils.metrics_utils utils.vis_utils"
    ),
    "2t3": (
        "applications.densenet applications.inception_resnet_v2 applications.mobilenet applications.mobilenet_v2 "
        "applications.nasnet applications.resnet applications.resnet_v2 datasets.boston_housing "
        "datasets.fashion_mnist initializers losses"
    ),
    "t": (
        "applications.regnet applications.resnet_rs distribute dtensor engine.base_preprocessing_layer "
        "engine.data_adapter engine.functional engine.keras_tensor estimator experimental feature_column "
        "layers.attention layers.experimental layers.merging layers.recurrent_v2 layers.regularization "
        "layers.reshaping layers.rnn optimizer_v1 optimizer_v2 optimizers.optimizer_v2 premade "
        "utils.control_flow_util utils.tf_utils"
    ),
    "t3": (
        "api applications.convnext applications.efficientnet applications.efficientnet_v2 applications.mobilenet_v3 "
        "export layers.preprocessing mixed_precision optimizers.legacy optimizers.schedules saving src utils.legacy"
    ),
    "3": (
        "config datasets.california_housing distillation distribution dtype_policies legacy.saving ops quantizers "
        "random testing tree visualization"
    ),
}

# Names of their modules; "*" at the end stands for any ending. Other names have the age of the module.
NAMES = {
    "": {
        "3": (
            "DTypePolicy Function Initializer InputSpec KerasTensor Loss Metric Operation Optimizer Quantizer "
            "Regularizer RematScope StatelessScope SymbolicScope Variable device name_scope remat version"
        ),
        "2t3": "Input Model Sequential",
    },
    "activations": {
        "3": (
            "celu glu hard_shrink hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax relu6 silu "
            "soft_shrink sparse_plus sparse_sigmoid sparsemax squareplus tanh_shrink threshold"
        ),
        "2t3": "deserialize exponential selu serialize",
        "t3": "gelu mish swish",
    },
    "applications": {
        "t3": "ConvNeXt* EfficientNet* MobileNetV3*",
        "2t3": "DenseNet* InceptionResNetV2 MobileNet MobileNetV2 NASNet* ResNet101* ResNet152* ResNet50V2",
        "t": "RegNet* ResNetRS*",
    },
    "backend": {
        "1": ("asymmetric_spatial_2d_padding asymmetric_temporal_padding atrous_conv2d deconv2d lesser lesser_equal"),
        "12t": "*",
        "2t": (
            "bias_add constant conv2d_transpose cumprod cumsum depthwise_conv2d less less_equal local_conv1d "
            "local_conv2d name_scope truncated_normal"
        ),
        "t": "binary_focal_crossentropy categorical_focal_crossentropy learning_phase_scope random_bernoulli",
        "2": (
            "control_dependencies conv3d_transpose eager identity is_placeholder is_tensor is_variable logsumexp "
            "normalize_data_format separable_conv1d size slice symbolic"
        ),
        "12": "get_session get_variable_shape image_dim_ordering set_image_dim_ordering set_session",
        "2t3": "image_data_format set_image_data_format",
        "3": "is_float_dtype is_int_dtype result_type standardize_dtype",
        "12t3": "backend clear_session common epsilon floatx get_uid is_keras_tensor set_epsilon set_floatx",
    },
    "backend.common": {"3": "KerasVariable"},
    "callbacks": {
        "t3": "BackupAndRestore",
        "12t": "BaseLogger",
        "3": "OrbaxCheckpoint SwapEMAWeights",
        "2t3": "TerminateOnNaN",
    },
    "constraints": {
        "t": "RadialConstraint radial_constraint",
        "2t3": "deserialize max_norm min_max_norm non_neg serialize unit_norm",
        "12": "maxnorm nonneg unitnorm",
    },
    "engine.topology": {"1": "layer_from_config"},
    "initializers": {
        "t3": "GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform variance_scaling",
        "3": "IdentityInitializer OrthogonalInitializer STFT STFTInitializer stft",
        "2": "normal one uniform zero",
    },
    "layers": {
        "t": "DenseFeatures RandomHeight RandomWidth",
        "3": (
            "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D "
            "AdaptiveMaxPooling2D AdaptiveMaxPooling3D AugMix AutoContrast "
            "ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization FlaxLayer GroupQueryAttention JaxLayer "
            "MelSpectrogram MixUp Pipeline RMSNormalization RandAugment RandomColorDegeneration RandomColorJitter "
            "RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale RandomHue RandomInvert "
            "RandomPerspective RandomPosterization RandomSaturation RandomSharpness RandomShear ReversibleEmbedding "
            "STFTSpectrogram Solarization TFSMLayer TorchModuleWrapper"
        ),
        "2t3": (
            "Add AlphaDropout Average AvgPool1D AvgPool2D AvgPool3D Concatenate Conv2DTranspose Conv3DTranspose "
            "DepthwiseConv2D Dot GRUCell GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D "
            "GlobalMaxPool2D GlobalMaxPool3D LSTMCell MaxPool1D MaxPool2D MaxPool3D Maximum Minimum Multiply RNN ReLU "
            "SeparableConv1D SimpleRNNCell Softmax StackedRNNCells Subtract add average concatenate deserialize dot "
            "maximum minimum multiply serialize subtract"
        ),
        "t3": (
            "AdditiveAttention Attention CategoryEncoding CenterCrop Conv1DTranspose ConvLSTM1D ConvLSTM3D "
            "Convolution1DTranspose Convolution2DTranspose Convolution3DTranspose DepthwiseConv1D Discretization "
            "EinsumDense GroupNormalization HashedCrossing Hashing Identity IntegerLookup LayerNormalization "
            "MultiHeadAttention Normalization RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation "
            "RandomTranslation RandomZoom Rescaling Resizing SeparableConvolution1D SpectralNormalization "
            "StringLookup TextVectorization UnitNormalization"
        ),
        "1": "AtrousConv1D AtrousConv2D Deconv2D Merge ParametricSoftplus SReLU TimeDistributedDense merge",
        "12": ("AtrousConvolution1D AtrousConvolution2D ConvRecurrent2D Deconvolution2D Highway MaxoutDense Recurrent"),
        "2": "ConvLSTM2DCell CuDNNGRU CuDNNLSTM Deconvolution3D",
        "12t": "LocallyConnected1D LocallyConnected2D ThresholdedReLU",
    },
    "losses": {
        "t3": (
            "BinaryFocalCrossentropy CategoricalFocalCrossentropy CosineSimilarity binary_focal_crossentropy "
            "categorical_focal_crossentropy huber kl_divergence log_cosh"
        ),
        "3": (
            "CTC CategoricalGeneralizedCrossEntropy Circle Dice Tversky categorical_generalized_cross_entropy circle "
            "ctc dice tversky"
        ),
        "2t": "KLD MAE MAPE MSE MSLE kld kullback_leibler_divergence logcosh mae mape mse msle",
        "2": "cosine cosine_proximity huber_loss",
        "t": "Reduction",
    },
    "metrics": {
        "2t3": (
            "AUC Accuracy BinaryAccuracy BinaryCrossentropy CategoricalAccuracy CategoricalCrossentropy "
            "CategoricalHinge CosineSimilarity FalseNegatives FalsePositives Hinge KLDivergence LogCoshError Mean "
            "MeanAbsoluteError MeanAbsolutePercentageError MeanIoU MeanSquaredError MeanSquaredLogarithmicError "
            "Metric Poisson Precision Recall RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy "
            "SparseCategoricalCrossentropy SparseTopKCategoricalAccuracy SpecificityAtSensitivity SquaredHinge Sum "
            "TopKCategoricalAccuracy TrueNegatives TruePositives deserialize serialize "
            "sparse_top_k_categorical_accuracy"
        ),
        "t3": (
            "BinaryIoU F1Score FBetaScore IoU OneHotIoU OneHotMeanIoU PrecisionAtRecall R2Score RecallAtPrecision "
            "binary_focal_crossentropy categorical_focal_crossentropy kl_divergence log_cosh"
        ),
        "3": "ConcordanceCorrelation PearsonCorrelation concordance_correlation huber pearson_correlation",
        "t": "KLD MeanRelativeError MeanTensor kld",
        "12t": "MAE MAPE MSE MSLE kullback_leibler_divergence mae mape mse msle",
        "2": "accuracy cosine_similarity",
        "23": "categorical_hinge",
        "12": "cosine cosine_proximity",
        "1": "f1score fbeta_score fmeasure fscore matthews_correlation precision recall",
        "2t": "logcosh",
    },
    "models": {
        "1": "Graph layer_from_config",
        "12": "Input",
        "12t": "model_from_config model_from_yaml",
        "2t3": "clone_model",
    },
    "optimizers": {
        "t3": "Adafactor AdamW Ftrl Lion",
        "3": "Lamb LossScaleOptimizer MultiOptimizer Muon ScheduleFreeAdamW",
        "12": "adadelta adagrad adam adamax clip_norm nadam rmsprop sgd",
        "2t3": "deserialize serialize",
        "1": "get_custom_objects",
    },
    "preprocessing.image": {
        "2": "DataFrameIterator",
        "12t": "*",
        "2t": "apply_affine_transform apply_brightness_shift apply_channel_shift random_brightness",
        "2t3": "save_img",
        "t3": "smart_resize",
        "12t3": "array_to_img img_to_array load_img",
    },
    "preprocessing.text": {"1": "base_filter"},
    "preprocessing.sequence": {
        "2t": "TimeseriesGenerator",
        "12t": "make_sampling_table skipgrams",
    },
    "regularizers": {
        "1": (
            "ActivityRegularizer EigenvalueRegularizer L1L2Regularizer WeightRegularizer activity_l1 activity_l1l2 "
            "activity_l2 l1l2"
        ),
        "t3": "L1 L2 OrthogonalRegularizer orthogonal_regularizer",
        "2t3": "L1L2 deserialize l1_l2 serialize",
    },
    "utils": {
        "3": "Config PyDataset clear_session is_keras_tensor standardize_dtype",
        "2t3": (
            "CustomObjectScope Sequence custom_object_scope get_custom_objects get_file get_source_inputs "
            "model_to_dot normalize plot_model to_categorical Progbar"
        ),
        "t3": (
            "FeatureSpace array_to_img audio_dataset_from_directory disable_interactive_logging "
            "enable_interactive_logging get_registered_name get_registered_object image_dataset_from_directory "
            "img_to_array is_interactive_logging_enabled load_img pack_x_y_sample_weight pad_sequences "
            "register_keras_serializable save_img set_random_seed split_dataset text_dataset_from_directory "
            "timeseries_dataset_from_array unpack_x_y_sample_weight"
        ),
        "2t": "GeneratorEnqueuer OrderedEnqueuer",
        "2": "H5Dict HDF5Matrix convert_all_kernels_in_model multi_gpu_model print_summary",
        "t": "to_ordinal",
    },
    "utils.generic_utils": {"1": "get_from_module"},
    "utils.io_utils": {"1": "load_array save_array"},
    "utils.layer_utils": {"1": "layer_from_config"},
    "utils.np_utils": {"1": "categorical_probas_to_classes convert_kernel probas_to_classes"},
}

# Names of Keras 1, in any module, that the first releases of Keras 2 still had: they weigh as its words do.
KEPT = ("Merge", "merge")

# Arguments, and methods of models and layers, by name, beside those that the tables know.
ARGUMENTS = {
    "models.Model": {"input": "1", "output": "1", "inputs": "2t3", "outputs": "2t3"},
    "callbacks.ModelCheckpoint": {"period": "12t", "save_freq": "t3"},
    "callbacks.EarlyStopping": {"baseline": "2t3", "restore_best_weights": "2t3", "start_from_epoch": "t3"},
    "callbacks.ReduceLROnPlateau": {"epsilon": "12", "min_delta": "2t3"},
    "callbacks.TensorBoard": {"write_grads": "2t", "batch_size": "2", "update_freq": "2t3", "profile_batch": "t3"},
    "utils.to_categorical": {"nb_classes": "1", "num_classes": "2t3"},
    "datasets.imdb.load_data": {"nb_words": "1", "num_words": "2t3"},
    "datasets.reuters.load_data": {"nb_words": "1", "num_words": "2t3"},
    "preprocessing.text.Tokenizer": {"nb_words": "1", "num_words": "2t"},
    "preprocessing.image.ImageDataGenerator": {"dim_ordering": "1", "data_format": "2t", "validation_split": "2t"},
}
METHODS = {
    **dict.fromkeys(("fit_generator", "evaluate_generator", "predict_generator"), "12t"),
    **dict.fromkeys(("predict_classes", "to_yaml", "get_output_at", "get_input_at"), "12t"),
    **dict.fromkeys(("inbound_nodes", "_make_predict_function", "_make_train_function", "uses_learning_phase"), "12"),
    **dict.fromkeys(("_keras_shape", "_uses_learning_phase", "total_loss", "flow_from_dataframe"), "12"),
    **dict.fromkeys(("add_node", "add_input", "add_output", "get_output_shape_for"), "1"),
    "compute_output_shape": "2t3",
    "flow_from_directory": "12t",
    "train_step": "t3",
    "test_step": "t3",
}  # fmt: skip
METHOD_WORDS = {"show_accuracy": "1", "class_mode": "1", "run_eagerly": "t3", "steps_per_execution": "t3",
              "jit_compile": "t3"}  # fmt: skip

# Modules and names of the same years: Python 2, TensorFlow 1 and 2, and what others had.
TIMES = {
    "1": (
        "tensorflow.initialize_all_variables tensorflow.merge_all_summaries tensorflow.mul tensorflow.neg "
        "tensorflow.pack tensorflow.scalar_summary tensorflow.select tensorflow.sub tensorflow.train.SummaryWriter "
        "tensorflow.unpack"
    ),
    "12": (
        "theano cPickle urllib2 ConfigParser Queue sklearn.cross_validation sklearn.grid_search scipy.misc.imread "
        "scipy.misc.imresize scipy.misc.imsave tensorflow.contrib tensorflow.Session tensorflow.InteractiveSession "
        "tensorflow.placeholder tensorflow.ConfigProto tensorflow.GPUOptions tensorflow.get_default_graph "
        "tensorflow.global_variables_initializer tensorflow.app "
        "tensorflow.set_random_seed tensorflow.variable_scope tensorflow.log tensorflow.to_float "
        "tensorflow.trainable_variables tensorflow.train.AdamOptimizer tensorflow.python_io hyperas"
    ),
    "t3": (
        "tensorflow.function tensorflow.GradientTape tensorflow.random.set_seed tensorflow.config tensorflow.data "
        "tensorflow.io.gfile tensorflow_datasets keras_cv keras_nlp keras_tuner"
    ),
    "3": "jax torch flax keras_hub keras_rs",
}
BUILTINS = ("xrange", "raw_input", "unicode", "unichr", "execfile")
