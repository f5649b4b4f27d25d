"""Functions that people gave to Lambda layers, and what they were called on.

Run by a Python from 2.7 on, it prints their bytecode as JSON: `tests/golden/lambdas.json.xz` holds that of many, by
version.
"""

ROWS, STEPS, IMAGES, TWO, THREE, WORDS, SHAPE = "rows", "steps", "images", "two", "three", "words", "shape"

K = {
    ROWS: """
        lambda x: x ** 2
        lambda x: x * 2 + 1
        lambda x: x / 255.0
        lambda x: (x - 0.5) * 2.0
        lambda x: 1.0 - x
        lambda x: -x
        lambda x: x // 0.25 % 3
        lambda x: abs(x - 0.5)
        lambda x: x[:, 1:]
        lambda x: x[:, :-1]
        lambda x: x[:, ::-1]
        lambda x: x[:, ::2]
        lambda x: x[:, 0:1] * x[:, 1:2]
        lambda x: x[..., 0]
        lambda x: K.square(x)
        lambda x: K.sqrt(x + 1e-07)
        lambda x: K.abs(x - 0.5)
        lambda x: K.exp(-x)
        lambda x: K.log(x + K.epsilon())
        lambda x: K.pow(x, 3)
        lambda x: K.clip(x, 0.2, 0.7)
        lambda x: K.l2_normalize(x, axis=1)
        lambda x: K.l2_normalize(x, -1) * 20.0
        lambda x: K.softmax(x / 0.1)
        lambda x: K.sigmoid(x) * K.tanh(x)
        lambda x: K.relu(x - 0.5)
        lambda x: K.mean(x, axis=1, keepdims=True)
        lambda x: K.sum(x, axis=-1)
        lambda x: K.max(x, 1) - K.min(x, 1)
        lambda x: K.expand_dims(x, -1)
        lambda x: K.expand_dims(K.expand_dims(x, 1), 1)
        lambda x: K.reshape(x, (-1, 2, 3))
        lambda x: K.reshape(x, (K.shape(x)[0], 3, 2))
        lambda x: K.reshape(x, (-1, x.shape[1] // 2))
        lambda x: K.repeat(x, 3)
        lambda x: K.tile(x, [1, 2])
        lambda x: K.concatenate([x, 1 - x], axis=-1)
        lambda x: K.stack([x, x * 2], axis=1)
        lambda x: K.cast(x > 0.5, 'float32')
        lambda x: K.cast(K.greater(x, 0.5), K.floatx()) * x
        lambda x: K.argmax(x, axis=-1)
        lambda x: K.one_hot(K.argmax(x, axis=-1), 6)
        lambda x: K.one_hot(K.cast(x * 4, 'int32'), num_classes=5)
        lambda x: K.stop_gradient(K.round(x) - x) + x
        lambda x: (x - K.mean(x, axis=1, keepdims=True)) / (K.std(x, axis=1, keepdims=True) + 1e-06)
        lambda x: x * K.constant([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        lambda x: K.zeros_like(x) + K.ones_like(x)
        lambda x: x * np.pi / 180.0
        lambda x: x * np.sqrt(2.0)
        lambda x, scale=2.5: x * scale
        lambda x: x if K.ndim(x) == 2 else K.batch_flatten(x)
        lambda x: K.reshape(x, (-1,) + K.int_shape(x)[1:] + (1,))
        lambda x: tf.nn.relu(x) + tf.math.log(x + 1e-07)
        lambda x: tf.expand_dims(x, axis=1)
        lambda x: tf.reduce_mean(x, axis=1, keepdims=True)
        lambda x: tf.math.l2_normalize(x, axis=1)
        lambda x: tf.nn.l2_normalize(x, -1)
        lambda x: tf.clip_by_value(x, 0.1, 0.9)
        lambda x: tf.concat([x, x], 1)
        lambda x: tf.stack([x, x], axis=-1)
        lambda x: tf.cast(x * 10, tf.int32)
        lambda x: tf.one_hot(tf.cast(x * 4, tf.int32), 5)
        lambda x: tf.reshape(x, [-1, 2, 3])
        lambda x: tf.reshape(x, (tf.shape(x)[0], 6, 1))
        lambda x: tf.split(x, 2, axis=1)[0]
        lambda x: tf.tile(x[:, tf.newaxis], [1, 3, 1])
        lambda x: tf.keras.backend.sum(x, axis=1)
        lambda x: keras.backend.square(x)
        lambda x: [x, x * 2]
    """,
    STEPS: """
        lambda x: x[:, -1, :]
        lambda x: x[:, 0]
        lambda x: x[:, :, 1:3]
        lambda x: x[:, :, None]
        lambda x: K.mean(x, axis=1)
        lambda x: K.mean(x, axis=(1, 2))
        lambda x: K.sum(x, axis=[1, 2], keepdims=True)
        lambda x: K.reverse(x, 1)
        lambda x: K.permute_dimensions(x, (0, 2, 1))
        lambda x: K.squeeze(x[:, :1], 1)
        lambda x: K.batch_flatten(x)
        lambda x: K.batch_dot(x, x, axes=[2, 2])
        lambda x: K.temporal_padding(x, (1, 2))
        lambda x: K.cumsum(x, axis=1)
        lambda x: tf.transpose(x, [0, 2, 1])
        lambda x: tf.reduce_max(x, axis=1)
        lambda x: tf.matmul(x, x, transpose_b=True)
        lambda x: tf.pad(x, [[0, 0], [1, 1], [0, 0]])
        lambda x: tf.unstack(x, axis=1)[2]
        lambda x: K.map_fn(lambda t: t * 2 + 1, x)
    """,
    IMAGES: """
        lambda x: x[:, 1:-1, 1:-1, :]
        lambda x: x[:, ::2, ::2]
        lambda x: K.mean(x, axis=[1, 2])
        lambda x: K.resize_images(x, 2, 2, 'channels_last')
        lambda x: K.resize_images(x, 2, 3, data_format='channels_last', interpolation='bilinear')
        lambda x: K.spatial_2d_padding(x, ((1, 2), (0, 1)))
        lambda x: K.pool2d(x, (2, 2), (2, 2), pool_mode='avg')
        lambda x: K.sum(K.square(x), axis=-1, keepdims=True)
        lambda x: tf.nn.depth_to_space(x, 2)
        lambda x: tf.nn.space_to_depth(x, 2)
        lambda x: tf.image.flip_left_right(x)
        lambda x: tf.image.rgb_to_grayscale(x[..., :3])
        lambda x: tf.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], 'SAME')
        lambda x: x[..., ::-1] - [103.939, 116.779, 123.68, 0.0]
    """,
    TWO: """
        lambda x: K.abs(x[0] - x[1])
        lambda x: x[0] * x[1]
        lambda x: K.sqrt(K.sum(K.square(x[0] - x[1]), axis=1, keepdims=True))
        lambda x: K.sqrt(K.maximum(K.sum(K.square(x[0] - x[1]), axis=1, keepdims=True), K.epsilon()))
        lambda x: K.exp(-K.sum(K.abs(x[0] - x[1]), axis=1, keepdims=True))
        lambda x: K.concatenate([x[0], x[1]], axis=-1)
        lambda x: K.concatenate(x)
        lambda x: K.batch_dot(x[0], x[1], axes=1)
        lambda x: K.dot(x[0], K.transpose(x[1]))
        lambda x: K.stack(x, axis=1)
        lambda x: x[0] + K.exp(x[1] / 2)
        lambda x: tf.abs(tf.subtract(x[0], x[1]))
        lambda x: tf.add_n(x) / len(x)
        lambda x: sum(x)
    """,
    WORDS: """
        lambda x: K.one_hot(x, 10)
        lambda x: K.one_hot(K.cast(x, 'int32'), num_classes=10)
        lambda x: tf.one_hot(tf.cast(x, tf.int32), depth=10)
        lambda x: K.cast(x, 'float32') / 10
        lambda x: K.cast(K.not_equal(x, 0), 'float32')
    """,
    SHAPE: """
        lambda s: (s[0], s[2])
        lambda s: (s[0],) + s[1:]
        lambda s: s[:-1] + (10,)
        lambda s: (s[0], s[1] * 2, s[2] // 2)
        lambda s: tuple(list(s)[:2] + [7])
    """,
}

DEFINED = {
    ROWS: """
def centred(x):
    mean = K.mean(x, axis=1, keepdims=True)
    return (x - mean) / K.std(x)

def with_imports(x):
    import tensorflow as tf
    from keras import backend as K
    return tf.nn.relu(x - 0.5) + K.sum(x)

def in_place(x):
    x -= 0.5
    x *= 2
    return x

def conditional(x, wide=False):
    if wide:
        x = K.concatenate([x, x])
    else:
        x = x * 2
    return x

def either(x, n=3):
    if n > 2 and n < 5:
        return x * n
    return x
""",
    TWO: """
def contrast(vectors):
    a, b = vectors
    squares = K.sum(K.square(a - b), axis=1, keepdims=True)
    return K.sqrt(K.maximum(squares, K.epsilon()))

def parts(args):
    first, second = args[0], args[1]
    return [first + second, first * second]
""",
}


def corpus():
    """(source, what it is called on)."""
    found = [(line.strip(), kind) for kind, text in sorted(K.items()) for line in text.strip().splitlines()]
    return found + [(one.strip(), kind) for kind, text in sorted(DEFINED.items()) for one in text.strip().split("\n\n")]


def compiled():
    """The bytecode of each, as this Python has it, in base64."""
    import base64
    import marshal

    found = []
    for source, _ in corpus():
        consts = compile(source + "\n", "model.py", "exec").co_consts
        code = next(each for each in consts if hasattr(each, "co_code"))
        found.append(base64.b64encode(marshal.dumps(code)).decode("ascii"))
    return found


if __name__ == "__main__":
    import json

    print(json.dumps(compiled()))
