"""A convnet on the digits, as one wrote it for Keras 1 on Theano's order of axes."""

from __future__ import print_function  # noqa: UP010

import numpy as np
from keras import backend as K
from keras.callbacks import EarlyStopping, LearningRateScheduler, ModelCheckpoint
from keras.layers.advanced_activations import LeakyReLU
from keras.layers.convolutional import Convolution2D, MaxPooling2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential, load_model, model_from_json
from keras.optimizers import SGD
from keras.regularizers import activity_l2, l2
from keras.utils import np_utils

from lamina.data import load_digits

np.random.seed(1337)
K.set_image_dim_ordering("th")
nb_classes = 10
nb_epoch = 6

(X_train, y_train), (X_test, y_test) = load_digits()
X_train = X_train.reshape(X_train.shape[0], 1, 8, 8).astype("float32") / 16
X_test = X_test.reshape(X_test.shape[0], 1, 8, 8).astype("float32") / 16
Y_train = np_utils.to_categorical(y_train, nb_classes)
Y_test = np_utils.to_categorical(y_test, nb_classes)

model = Sequential()
model.add(Convolution2D(16, 3, 3, border_mode="same", input_shape=(1, 8, 8)))
model.add(Activation("relu"))
model.add(Convolution2D(16, 3, 3, init="he_normal", W_regularizer=l2(1e-4), subsample=(1, 1)))
model.add(BatchNormalization(axis=1))
model.add(LeakyReLU(alpha=0.1))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(64, activity_regularizer=activity_l2(1e-6)))
model.add(Activation("relu"))
model.add(Dense(nb_classes))
model.add(Activation("softmax"))

sgd = SGD(lr=0.05, decay=1e-6, momentum=0.9, nesterov=True)
model.compile(loss="categorical_crossentropy", optimizer=sgd, metrics=["accuracy"])
callbacks = [
    EarlyStopping(monitor="val_loss", patience=10),
    LearningRateScheduler(lambda epoch: 0.05 * 0.8**epoch),
    ModelCheckpoint("best.hdf5", monitor="val_acc", save_best_only=True),
]
history = model.fit(
    X_train, Y_train, batch_size=64, nb_epoch=nb_epoch, verbose=2, validation_data=(X_test, Y_test), callbacks=callbacks
)
assert len(history.history["val_acc"]) == nb_epoch
assert abs(K.get_value(model.optimizer.lr) - 0.05 * 0.8 ** (nb_epoch - 1)) < 1e-6

score = model.evaluate(X_test, Y_test, verbose=0)
print("Test accuracy:", score[1])
assert score[1] > 0.7
assert abs((model.predict_classes(X_test) == y_test).mean() - score[1]) < 1e-6

proba = model.predict_proba(X_test)
model.save_weights("weights.h5", overwrite=True)
again = model_from_json(model.to_json())
again.load_weights("weights.h5")
assert np.abs(again.predict(X_test) - proba).max() < 1e-6
model.save("model.h5")
again = load_model("model.h5")
assert np.abs(again.predict(X_test) - proba).max() < 1e-6
assert [weights.shape for weights in again.layers[0].get_weights()] == [(16, 1, 3, 3), (16,)]

features = K.function([model.layers[0].input, K.learning_phase()], [model.layers[4].output])
assert features([X_test[:2], 0])[0].shape == (2, 16, 6, 6)


def batches():
    while True:
        yield X_train[:64], Y_train[:64]


model.fit_generator(batches(), samples_per_epoch=100, nb_epoch=2, verbose=0)
assert model.predict_generator(batches(), val_samples=128).shape == (128, 10)
