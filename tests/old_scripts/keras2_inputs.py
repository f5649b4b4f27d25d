"""A model of several inputs and outputs, as one wrote it for Keras 2."""

import keras
import keras.backend as K
import numpy as np
from keras import regularizers
from keras.callbacks import CSVLogger, EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from keras.layers import LSTM, Bidirectional, Conv2D, Dense, Embedding, GlobalAveragePooling2D, Input, Lambda
from keras.layers.merge import add, concatenate
from keras.layers.normalization import BatchNormalization
from keras.models import Model, Sequential, load_model
from keras.optimizers import Adam
from keras.preprocessing.sequence import pad_sequences
from keras.utils import Sequence, to_categorical

np.random.seed(7)
N = 64
words = pad_sequences([np.random.randint(1, 50, np.random.randint(4, 12)) for _ in range(N)], maxlen=12)
data = {"words": words, "numbers": np.random.rand(N, 5), "image": np.random.rand(N, 8, 8, 1)}
targets = {
    "main": to_categorical(np.random.randint(0, 3, N), num_classes=3),
    "aux": np.random.randint(0, 2, (N, 1)),
}

words_in = Input(shape=(12,), dtype="int32", name="words")
x = Embedding(output_dim=8, input_dim=50, input_length=12, mask_zero=True)(words_in)
x = Bidirectional(LSTM(6, dropout=0.1, recurrent_dropout=0.1))(x)
aux = Dense(1, activation="sigmoid", name="aux")(x)
numbers = Input(shape=(5,), name="numbers")
image = Input(shape=(8, 8, 1), name="image")
y = Conv2D(8, (3, 3), padding="same", kernel_initializer="he_normal", kernel_regularizer=regularizers.l2(1e-4))(image)
y = BatchNormalization()(y)
y = add([y, Conv2D(8, 3, padding="same", activation="relu")(y)])
y = GlobalAveragePooling2D()(y)
main = Dense(3, activation="softmax", name="main")(concatenate([x, numbers, y]))
model = Model(inputs=[words_in, numbers, image], outputs=[main, aux])
model.compile(
    optimizer=Adam(lr=1e-2, decay=1e-5),
    loss={"main": "categorical_crossentropy", "aux": "binary_crossentropy"},
    loss_weights={"main": 1.0, "aux": 0.2},
    metrics={"main": ["accuracy"]},
)


class Losses(keras.callbacks.Callback):
    def on_train_begin(self, logs={}):  # noqa: B006
        self.losses = []

    def on_batch_end(self, batch, logs={}):  # noqa: B006
        self.losses.append(logs.get("loss"))


losses = Losses()
history = model.fit(
    data,
    targets,
    epochs=2,
    batch_size=16,
    validation_split=0.25,
    verbose=2,
    callbacks=[
        ModelCheckpoint("best.h5", monitor="val_loss", save_best_only=True),
        ModelCheckpoint("w.{epoch:02d}-{val_loss:.2f}.hdf5", save_weights_only=True, period=2),
        EarlyStopping(patience=3),
        ReduceLROnPlateau(factor=0.5, patience=1),
        CSVLogger("log.csv"),
        losses,
    ],
)
assert len(losses.losses) == 6
assert {"loss", "main_loss", "aux_loss", "main_accuracy", "val_main_accuracy"} <= set(history.history)
results = dict(zip(model.metrics_names, model.evaluate(data, targets, verbose=0)))  # noqa: B905
assert list(results) == ["loss", "main_loss", "aux_loss", "main_accuracy"]

K.set_value(model.optimizer.lr, 1e-3)
before = model.predict(data)
model.save("model.h5")
del model
model = load_model("model.h5")
for old, new in zip(before, model.predict(data)):  # noqa: B905
    assert np.allclose(old, new, atol=1e-6)
assert abs(model.optimizer.get_config()["learning_rate"] - 1e-3) < 1e-8


class Batches(Sequence):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(16 * index, 16 * (index + 1))
        return {name: array[rows] for name, array in data.items()}, {k: v[rows] for k, v in targets.items()}


model.fit_generator(Batches(), steps_per_epoch=4, epochs=1, verbose=0, workers=1, use_multiprocessing=False)


class Scaled(keras.layers.Layer):
    def __init__(self, output_dim, **kwargs):
        self.output_dim = output_dim
        super(Scaled, self).__init__(**kwargs)  # noqa: UP008

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[1], self.output_dim), initializer="uniform")
        super(Scaled, self).build(input_shape)  # noqa: UP008

    def call(self, x):
        return K.dot(x, self.kernel)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)


def my_loss(y_true, y_pred):
    return K.mean(K.square(y_pred - y_true), axis=-1)


small = Sequential([Scaled(4, input_shape=(5,)), Lambda(lambda t: t**2), Dense(1)])
small.compile("sgd", my_loss, ["mae"])
assert set(small.fit(data["numbers"], targets["aux"], verbose=0).history) == {"loss", "mae"}
print("accuracy:", results["main_accuracy"])
