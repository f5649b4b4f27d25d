"""A convnet on the digits and a subclassed model, as one wrote them for tf.keras 2."""

import keras
import numpy as np
from keras import layers
from keras.callbacks import EarlyStopping, ModelCheckpoint
from keras.layers import GRU, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, Masking, MaxPooling2D
from keras.models import Model, Sequential
from keras.optimizers import Adam
from keras.optimizers.schedules import ExponentialDecay

from lamina.data import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
x_train, x_test = x_train.astype("float32") / 16, x_test.astype("float32") / 16

model = Sequential(
    [
        Input(shape=(8, 8, 1)),
        Conv2D(16, kernel_size=(3, 3), activation="relu"),
        BatchNormalization(momentum=0.9),
        MaxPooling2D(pool_size=(2, 2)),
        Flatten(),
        Dropout(0.2),
        Dense(10, activation="softmax"),
    ]
)
model.compile(optimizer=Adam(learning_rate=1e-2), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(
    x_train,
    y_train,
    epochs=3,
    batch_size=64,
    validation_split=0.1,
    verbose=2,
    callbacks=[
        EarlyStopping(patience=2, restore_best_weights=True),
        ModelCheckpoint("best.keras", save_best_only=True),
    ],
)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print("accuracy:", accuracy)
assert accuracy > 0.7

for name in ("model.h5", "model.keras"):
    model.save(name)
    again = keras.models.load_model(name)
    assert np.allclose(again.predict(x_test, verbose=0), model.predict(x_test, verbose=0), atol=1e-6)

inputs = keras.Input(shape=(None, 3))
x, state = GRU(8, return_sequences=True, return_state=True)(Masking()(inputs))
x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
rates = ExponentialDecay(1e-2, 100, 0.9)
series = Model(inputs, Dense(1)(layers.concatenate([x, state])))
series.compile(optimizer=Adam(rates), loss=keras.losses.MeanSquaredError(), metrics=["mae"])
series.fit(np.random.rand(32, 6, 3), np.random.rand(32, 1), verbose=0)


class Mine(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = Dense(4, activation="relu")
        self.last = Dense(1)

    def call(self, inputs, training=False):
        return self.last(self.hidden(inputs))


mine = Mine()
mine.compile("adam", "mse")
mine.fit(np.random.rand(8, 3), np.random.rand(8, 1), verbose=0)
assert mine.predict(np.ones((2, 3)), verbose=0).shape == (2, 1)
