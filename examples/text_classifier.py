"""What is the verdict of a review? An LSTM over words, where order and negation decide and reviews differ in length.

"the plot was not dull but the ending was awful" is negative: "not" turns a clause round, and what comes after "but"
counts. Short reviews are padded with zeros, which `mask_zero=True` keeps out of the LSTM.
"""

from __future__ import annotations

import numpy as np

import lamina as keras
from lamina import layers

THINGS = ["plot", "acting", "ending", "music", "script", "camera", "story", "hero"]
GOOD = ["great", "clever", "moving", "funny", "superb"]
BAD = ["dull", "awful", "clumsy", "boring", "weak"]
WORDS = ["the", "was", "really", "not", "but", "and", *THINGS, *GOOD, *BAD]
NUMBER = {word: number for number, word in enumerate(WORDS, start=1)}
LONGEST = 24


def main() -> float:
    """Trains on 3,000 made-up reviews and returns the accuracy on 1,000 others."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    texts, labels = zip(*(review(rng) for _ in range(4000)), strict=True)
    x, y = encode(texts), np.array(labels)

    model = keras.Sequential(
        [
            keras.Input(shape=(LONGEST,), dtype="int32"),
            layers.Embedding(len(WORDS) + 1, 16, mask_zero=True),
            layers.LSTM(32),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy"])
    model.fit(x[:3000], y[:3000], epochs=8, batch_size=64, validation_split=0.1, verbose=2)

    _, accuracy = model.evaluate(x[3000:], y[3000:], verbose=0)
    print(f"accuracy on reviews it has never seen: {accuracy:.1%}")
    mine = ["the music was great but the script was weak", "the hero was dull but the ending was not boring"]
    for text, chance in zip(mine, model.predict(encode(mine), verbose=0)[:, 0], strict=True):
        print(f"{chance:4.0%} positive: {text}")
    return accuracy


def review(rng: np.random.Generator) -> tuple[str, int]:
    """A review of one to three clauses and its verdict: positive (1) or negative (0)."""
    words: list[str] = []
    positive = bool(rng.integers(2))
    for clause in range(rng.integers(1, 4)):
        turn, negated, stressed = rng.integers(0, 2, 3)
        if clause:
            words.append("but" if turn else "and")
            positive ^= bool(turn)
        words += ["the", rng.choice(THINGS), "was", *["not"] * negated, *["really"] * stressed]
        words.append(rng.choice(GOOD if positive ^ negated else BAD))
    return " ".join(words), int(positive)


def encode(texts: list[str] | tuple[str, ...]) -> np.ndarray:
    """The words' numbers, one row a text, zeros behind the last word: (len(texts), LONGEST)."""
    rows = np.zeros((len(texts), LONGEST), "int32")
    for row, text in zip(rows, texts, strict=True):
        numbers = [NUMBER[word] for word in text.split()]
        row[: len(numbers)] = numbers
    return rows


if __name__ == "__main__":
    main()
