"""Which generations have a name: what tells the age of a script.

Derived from the recorded lists of every public name. A generation is one character: 1, 2, t for tf.keras, 3.
"""

from __future__ import annotations

from .lists import listed

_LISTS = listed("known.json")
# Modules that not all have. What stands in none of these has the age of the module it is in.
MODULES: dict[str, str] = _LISTS["modules"]
# Names of their modules; "*" at the end stands for any ending. Other names have the age of the module.
NAMES: dict[str, dict[str, str]] = _LISTS["names"]
# Modules and names of the same years: Python 2, TensorFlow 1 and 2, and what others had.
TIMES: dict[str, str] = _LISTS["times"]

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

BUILTINS = ("xrange", "raw_input", "unicode", "unichr", "execfile")
