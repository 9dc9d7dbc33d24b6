"""Film reviews of IMDB as sequences: words become ranks by frequency, and ranks become vectors."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from .dataset import Split

__all__ = ["IMDB", "embed", "read_reviews", "token_matrix"]

Array = Any
IMDB = ("negative", "positive")
FOLDERS = [f"{part}/{sign}" for part in ("train", "test") for sign in ("neg", "pos")]
WORD = re.compile(r"\w+(?:'\w+)*")
BREAK = re.compile(r"<br\s*/?>")


def read_reviews(folder: Path, vocabulary: int, length: int) -> Split:
    """Tokens (n, length) and labels (0 negative, 1 positive) of the folder `aclImdb`.

    Token k is the k-th most frequent word of all training reviews; equally frequent words follow the alphabet.
    Raises `DataError` where one of the four folders is missing or empty, or a file is no UTF-8 text.
    """
    there = [name for name in FOLDERS if (folder / name).is_dir()]
    if missing := [name for name in FOLDERS if name not in there]:
        raise DataError(
            f"{str(folder)!r} lacks the folders {', '.join(missing)}; of the four of aclImdb it holds "
            f"{', '.join(there) or 'none'}"
        )
    reviews = {name: [_words(path) for path in _texts(folder / name)] for name in FOLDERS}
    counts = Counter(word for name in FOLDERS[:2] for words in reviews[name] for word in words)
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[:vocabulary]
    rank = {word: k for k, word in enumerate(ranked, 1)}
    found = []
    for negative, positive in (FOLDERS[:2], FOLDERS[2:]):
        known = [[rank[word] for word in words if word in rank] for words in reviews[negative] + reviews[positive]]
        labels = np.repeat([0, 1], [len(reviews[negative]), len(reviews[positive])])
        found += [_padded(known, length), labels]
    return Split(*found)


def _texts(folder: Path) -> list[Path]:
    if not (found := sorted(folder.glob("*.txt"))):
        raise DataError(f"{str(folder)!r} holds no .txt file; each review is one")
    return found


def _words(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{str(path)!r} is no UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise DataError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    return WORD.findall(BREAK.sub(" ", text.lower()))


def token_matrix(reviews: Any, vocabulary: int, length: int, where: str) -> Array:
    """Tokens (n, length) from lists of ranks, as Keras publishes the reviews; ranks above `vocabulary` are dropped.

    Raises `DataError` for a review that is no list of integers from 1 on.
    """
    if not isinstance(reviews, list):
        raise DataError(f"{where} is no vector of lists; each review is a list of ranks of words")
    known = []
    for number, review in enumerate(reviews):
        ranks = getattr(review, "value", review)
        if isinstance(ranks, np.ndarray) and ranks.ndim == 1:
            ranks = ranks.tolist()
        if not isinstance(ranks, list) or not all(type(rank) is int and rank >= 1 for rank in ranks):
            raise DataError(
                f"{where} has a review (number {number}) that is no list of ranks of words: integers from 1 on"
            )
        known.append([rank for rank in ranks if rank <= vocabulary])
    return _padded(known, length)


def _padded(reviews: Iterable[list[int]], length: int) -> Array:
    cut = [ranks[:length] for ranks in reviews]
    tokens = np.zeros((len(cut), length), np.int32)
    for row, ranks in zip(tokens, cut, strict=True):
        row[: len(ranks)] = ranks
    return tokens


def embed(tokens: Array, vocabulary: int, features: int, seed: int) -> Array:
    """Vectors of tokens from one table of normal numbers, float32: (n, T) -> (n, T, features).

    Row k of the table depends on `seed`, `features` and k only; token 0, the padding, is the zero vector.
    """
    table = np.zeros((vocabulary + 1, features), np.float32)
    np.random.default_rng(seed).standard_normal(out=table[1:], dtype=np.float32)
    return table[tokens]
