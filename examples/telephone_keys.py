"""The argmax is the gradient of a maximum.

Old telephones have eight keys for 26 letters: 2 is a, b or c, 3 is d, e or f. Which sentence was typed? One that fits
the keys, in letters that follow one another as in Python's manual. The logarithms of both probabilities are a chain of
small tensors. ξ adds them, and a contraction of the chain looks at all 27ⁿ sentences at once:

- ⊕ = `maximum`: the score of the best sentence (Viterbi's algorithm). Its gradient is 1 at the letters of that sentence
  and 0 at all others.
- ⊕ = `logaddexp`: the log-likelihood of the keys (the forward algorithm). Its gradient is the probability of each
  letter, given all the keys (the backward algorithm).

Words that the manual does not have are misread, and there the gradient of `logaddexp` is grey.

![A column for every key, a row for every letter, darker where the letter is more probable. A red circle in each column
marks the letter of the best sentence. Most columns are certain; two words are not.](telephone_keys.png)
"""

import re
from pydoc_data.topics import topics

import numpy as np
from matplotlib.figure import Figure

import tnalgebra as tna

ALPHABET, KEYS = " abcdefghijklmnopqrstuvwxyz", np.array(list("022233344455566677778889999"))


def numbered(text: str) -> np.ndarray:
    """Places in the alphabet; a space for all that stands between letters."""
    return np.array([ALPHABET.index(letter) for letter in re.sub("[^a-z]+", " ", text.lower())])


def main(sentence: str = "Beautiful is better than ugly, explicit is better than implicit") -> None:
    """Print the keys, the sentence and the best candidate; draw the probability of every letter."""
    length = len(typed := numbered(sentence))
    manual, count = numbered(" ".join(topics.values())), np.full((27, 27, 27), 0.02)  # no triple is impossible
    np.add.at(count, (manual[:-2], manual[1:-1], manual[2:]), 1)
    keys = {f"key{t}": np.where(KEYS[typed[t]] == KEYS, 0, -np.inf) for t in range(length)}
    chain = [part for t, name in enumerate(keys) for part in (tna.leaf(name, "a"), [t])]
    chain += [part for t in range(2, length) for part in (tna.leaf("triple", "abc"), [t - 2, t - 1, t])]
    value, slope = {}, {}
    for reduce in ("maximum", "logaddexp"):
        score = tna.value_and_grad(tna.contract(*chain, [], xi="add", reduce=reduce), list(keys))
        value[reduce], slopes = score(triple=np.log(count / count.sum(2, keepdims=True)), **keys)
        slope[reduce] = np.array(list(slopes.values()))
    best, share = slope["maximum"].argmax(1), np.exp(value["maximum"] - value["logaddexp"])
    print(f"keys   {''.join(KEYS[typed])}\ntyped  {''.join(ALPHABET[i] for i in typed)}")
    print(f"best   {''.join(ALPHABET[i] for i in best)}")
    print(f"{np.sum(best == typed)} of {length} letters are right; the sentence has a probability of {share:.1%}")

    axes = (figure := Figure(figsize=(11, 4.6), layout="constrained")).subplots()
    axes.imshow(slope["logaddexp"].T, cmap="Greys", vmax=1.5, aspect="auto")
    axes.scatter(range(length), best, s=60, facecolors="none", edgecolors="tab:red")
    axes.set(xticks=range(length), xticklabels=KEYS[typed], yticks=range(27), yticklabels=list(ALPHABET))
    figure.savefig("telephone_keys.png", dpi=120)


if __name__ == "__main__":
    main()
