"""Digits out of two numbers: a variational autoencoder (Kingma & Welling, 2014) with a `train_step` of its own, as
Keras' guides write it for PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import lamina as keras
from lamina import layers, ops
from lamina.data import load_digits

LATENT = 2


class Sampling(layers.Layer):
    """Draws from the normal distribution that mean and log-variance tell."""

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs: Any) -> Any:
        z_mean, z_log_var = inputs
        epsilon = keras.random.normal(shape=ops.shape(z_mean), seed=self.seed_generator)
        return z_mean + ops.exp(0.5 * z_log_var) * epsilon


class VAE(keras.Model):
    def __init__(self, encoder: keras.Model, decoder: keras.Model, **kwargs: Any):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder = decoder
        self.total_loss_tracker = keras.metrics.Mean(name="total_loss")
        self.reconstruction_loss_tracker = keras.metrics.Mean(name="reconstruction_loss")
        self.kl_loss_tracker = keras.metrics.Mean(name="kl_loss")

    @property
    def metrics(self) -> list[Any]:
        return [self.total_loss_tracker, self.reconstruction_loss_tracker, self.kl_loss_tracker]

    def train_step(self, data: Any) -> dict[str, Any]:
        self.zero_grad()
        z_mean, z_log_var, z = self.encoder(data, training=True)
        reconstruction = self.decoder(z, training=True)
        reconstruction_loss = ops.mean(
            ops.sum(keras.losses.binary_crossentropy(data, reconstruction), axis=(1, 2)),
        )
        kl_loss = -0.5 * (1 + z_log_var - ops.square(z_mean) - ops.exp(z_log_var))
        kl_loss = ops.mean(ops.sum(kl_loss, axis=1))
        total_loss = reconstruction_loss + kl_loss
        total_loss.backward()

        trainable_weights = list(self.trainable_weights)
        gradients = [v.value.grad for v in trainable_weights]
        self.optimizer.apply(gradients, trainable_weights)

        self.total_loss_tracker.update_state(total_loss)
        self.reconstruction_loss_tracker.update_state(reconstruction_loss)
        self.kl_loss_tracker.update_state(kl_loss)
        return {m.name: m.result() for m in self.metrics}


def get_encoder(side: int) -> keras.Model:
    encoder_inputs = keras.Input(shape=(side, side, 1))
    x = layers.Conv2D(32, 3, activation="relu", strides=2, padding="same")(encoder_inputs)
    x = layers.Conv2D(64, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Flatten()(x)
    x = layers.Dense(16, activation="relu")(x)
    z_mean = layers.Dense(LATENT, name="z_mean")(x)
    z_log_var = layers.Dense(LATENT, name="z_log_var")(x)
    z = Sampling()([z_mean, z_log_var])
    return keras.Model(encoder_inputs, [z_mean, z_log_var, z], name="encoder")


def get_decoder(side: int) -> keras.Model:
    latent_inputs = keras.Input(shape=(LATENT,))
    x = layers.Dense(side // 4 * (side // 4) * 64, activation="relu")(latent_inputs)
    x = layers.Reshape((side // 4, side // 4, 64))(x)
    x = layers.Conv2DTranspose(64, 3, activation="relu", strides=2, padding="same")(x)
    x = layers.Conv2DTranspose(32, 3, activation="relu", strides=2, padding="same")(x)
    decoder_outputs = layers.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    return keras.Model(latent_inputs, decoder_outputs, name="decoder")


def main() -> list[float]:
    """Trains on the digits and returns the loss of each epoch."""
    keras.utils.set_random_seed(7)
    (x_train, _), (x_test, _) = load_digits()
    pictures = np.concatenate([x_train, x_test]).astype("float32") / 16

    side = pictures.shape[1]
    vae = VAE(get_encoder(side), get_decoder(side))
    vae.compile(optimizer=keras.optimizers.Adam())
    history = vae.fit(pictures, epochs=15, batch_size=32, verbose=2)

    grid = np.stack(np.meshgrid(*[np.linspace(-1.5, 1.5, 5)] * 2), -1).reshape(-1, LATENT).astype("float32")
    drawn = vae.decoder.predict(grid, verbose=0)
    for row in drawn.reshape(5, 5, side, side).transpose(0, 2, 1, 3)[::2].reshape(-1, 5 * side):
        print("".join(" .:-=+*#%@"[int(9.99 * value)] for value in row))
    return history.history["total_loss"]


if __name__ == "__main__":
    main()
