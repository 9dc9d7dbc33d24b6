"""The texts of loops over addresses: all sizes and strides are numbers, so that small loops cost little."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from math import prod
from typing import Self

from ...algebra.schedule import Schedule
from ...graph import Labels
from .jit import FOLD, FUNCTIONS, written
from .native import HEAD

__all__ = ["Operand", "Result", "nest_text", "outermost", "summed"]

SHORT = 16
"""Rounds below which LLVM lets a loop alone."""
ROUNDS = 16
"""Operations that are done on an entry of a result while it is in a register."""


@dataclass(frozen=True, slots=True)
class Operand:
    """An array by its labels and their strides, in entries."""

    labels: Labels
    strides: tuple[int, ...]

    def step(self, label: str) -> int:
        """How far the next entry along a label is."""
        return sum(stride for name, stride in zip(self.labels, self.strides, strict=True) if name == label)

    def without(self, label: str) -> Self:
        """The part of it for one entry of a label."""
        pairs = [pair for pair in zip(self.labels, self.strides, strict=True) if pair[0] != label]
        labels, strides = tuple(zip(*pairs, strict=True)) or ((), ())
        return replace(self, labels=labels, strides=strides)

    def place(self, counters: Mapping[str, str]) -> str:
        """The expression that says where an entry is."""
        pairs = zip(self.labels, self.strides, strict=True)
        return (
            " + ".join(f"{counters[label]} * {stride}" for label, stride in pairs if stride and label in counters)
            or "0"
        )


@dataclass(frozen=True, slots=True)
class Result(Operand):
    """An array that is filled: by ⊕ of what there is and a value, from the unit, or by the values themselves.

    over: the operand in whose place it is, if it is in one; a compiler that does not know takes entries one by one.
    """

    fold: Schedule | None = None
    unit: float | None = None
    size: int = 0
    over: int | None = None

    def without(self, label: str) -> Self:
        """The part of it for one entry of a label, which is outermost, or summed, where there is a unit."""
        return replace(super(Result, self).without(label), size=self.step(label) or self.size)


def outermost(operands: Sequence[Operand], results: Sequence[Result], sizes: Mapping[str, int]) -> list[str]:
    """Labels that threads may share out: no two of their entries meet in a result. Those of the longest steps first."""

    def is_whole(result: Result, label: str) -> bool:
        return result.unit is None or result.step(label) * sizes[label] == result.size

    arrays = [*operands, *results]
    found = [
        label
        for label in _order(arrays, results, sizes)[:-1]
        if all(result.step(label) and is_whole(result, label) for result in results)
    ]
    return sorted(found, key=lambda label: -max(array.step(label) for array in arrays))


def summed(operands: Sequence[Operand], results: Sequence[Result], sizes: Mapping[str, int], least: int) -> list[str]:
    """The outermost label that all results sum, if it has so many entries; parts of it have results of their own."""
    if not results or any(result.unit is None or 0 in result.strides for result in results):
        return []
    labels = [label for label in _order([*operands, *results], results, sizes)[:-1] if sizes[label] >= least]
    return [label for label in labels if not any(label in result.labels for result in results)][:1]


def nest_text(
    calls: Schedule,
    operands: Sequence[Operand],
    results: Sequence[Result],
    sizes: Mapping[str, int],
    moves: Sequence[int] = (),
) -> tuple[str, int]:
    """Loops over all labels, the innermost one along most arrays; what is summed along it stays in a register.

    Of a label that is summed next to it, several entries are taken at a time: to read and to write the results takes
    longer than most an operation. The length of the innermost loop is also given, to stand after the places of arrays:
    a compiler that knows a loop to be short does not vectorise it, which the long functions would miss.
    moves: bytes by which the arrays move on for each of as many rounds as the next number says; none, and one round.
    Results that do not move are those of all rounds.
    """
    sizes = {"": 1, **_joined([*operands, *results], sizes)}
    found = _order([*operands, *results], results, sizes)
    *outside, near, last = order = ("",) * (2 - len(found)) + found
    counters = {label: f"i{depth}" for depth, label in enumerate(order)}
    folds = {k: result.fold for k, result in enumerate(results) if result.fold is not None}
    heads = [head for line in (calls, *folds.values()) for head, _, _ in line.calls]
    has_functions = any(FUNCTIONS.search(f"{head}(") for head in heads)
    at_once = 1 if has_functions else max(1, ROUNDS // max(1, len(heads)))
    kept = [k for k in folds if not results[k].step(last)]
    wide = [k for k in folds if not results[k].step(near) and at_once > 1 and not kept]
    length = f"s[{2 * (len(operands) + len(results))}]" if has_functions and sizes[last] < SHORT else f"{sizes[last]}"

    names = [f"x{i}" for i in range(len(operands))] + [f"o{k}" for k in range(len(results))]
    over = {f"o{k}": f"x{result.over}" for k, result in enumerate(results) if result.over is not None}
    arrays, units, count = _arrays(names, over, moves), _units(results), len(operands)
    is_summed = bool(moves) and not any(moves[count:])
    first, lines = ([*arrays[count:], *units], arrays[:count]) if is_summed else ([], [*arrays, *units])
    lines += [f"{_indent(depth)}for i{depth} in range({sizes[label]}):" for depth, label in enumerate(outside)]
    places = [f"o{k}[{result.place(counters)}]" for k, result in enumerate(results)]
    upper, inner, body = (_indent(len(outside) + depth) for depth in range(3))
    for start, stop, many in _parts(sizes[near], at_once if wide else 1):
        lines.append(f"{upper}for {counters[near]} in range({start}, {stop}{f', {many}' if many > 1 else ''}):")
        lines += [f"{inner}s{k} = {places[k]}" for k in kept]
        lines.append(f"{inner}for {counters[last]} in range({length}):")
        lines += [f"{body}s{k} = {places[k]}" for k in wide]
        for turn in range(many):
            here = {**counters, near: f"({counters[near]} + {turn})"} if turn else counters
            lines += _round(calls, operands, results, here, {*kept, *wide}, body)
        lines += [f"{body}{places[k]} = s{k}" for k in wide]
        lines += [f"{inner}{places[k]} = s{k}" for k in kept]
    if moves:
        lines = [*first, f"    for i in range(s[{2 * len(names) + 1}]):", *(f"    {line}" for line in lines)]
    return "\n".join([HEAD, *lines]) + "\n", sizes[last]


def _round(
    calls: Schedule,
    operands: Sequence[Operand],
    results: Sequence[Result],
    counters: Mapping[str, str],
    held: Container[int],
    indent: str,
) -> list[str]:
    """The values at one place, into the results or the registers that hold them."""
    names = [f"v{i}" for i in range(len(operands))]
    lines = [
        f"{indent}{name} = x{i}[{x.place(counters)}]" for i, (name, x) in enumerate(zip(names, operands, strict=True))
    ]
    for k, (result, end) in enumerate(zip(results, written(calls, names, "t", indent, lines), strict=True)):
        place = f"s{k}" if k in held else f"o{k}[{result.place(counters)}]"
        if result.fold is not None:
            if k not in held:
                lines.append(f"{indent}s{k} = {place}")
            (end,) = written(result.fold, [f"s{k}", end], f"f{k}_", indent, lines, FOLD)
        lines.append(f"{indent}{place} = {end}")
    return lines


def _parts(size: int, count: int) -> list[tuple[int, int, int]]:
    """Ranges of a label, first to stop, in which so many entries are taken at a time; what is left is a range too."""
    whole = size - size % count
    return [part for part in ((0, whole, count), (whole, size, size - whole)) if part[0] < part[1]]


def _indent(depth: int) -> str:
    return "    " * (depth + 1)


def _units(results: Sequence[Result]) -> list[str]:
    lines = []
    for k, result in enumerate(results):
        if result.unit is not None:
            unit = f"{result.unit!r}" if abs(result.unit) < float("inf") else ("INF" if result.unit > 0 else "-INF")
            lines += [f"    for q in range({result.size}):", f"        o{k}[q] = NUMBER({unit})"]
    return lines


def _arrays(names: Sequence[str], over: Mapping[str, str], moves: Sequence[int] = ()) -> list[str]:
    more = [f" + i * {move}" if move else "" for move in moves] or [""] * len(names)
    places = [f"carray(pointer(b[s[{2 * i}]] + s[{2 * i + 1}]{more[i]}), MANY, NUMBER)" for i in range(len(names))]
    return [f"    {name} = {over.get(name, place)}" for name, place in zip(names, places, strict=True)]


def _joined(arrays: Sequence[Operand], sizes: Mapping[str, int]) -> dict[str, int]:
    """Sizes with labels that follow each other in every array as one: the last has all entries, the others have one."""
    found = dict(sizes)
    for first, second in permutations(sizes, 2):
        if found[first] > 1 and all(array.step(first) == found[second] * array.step(second) for array in arrays):
            found[first], found[second] = 1, found[first] * found[second]
    return found


def _order(arrays: Sequence[Operand], results: Sequence[Result], sizes: Mapping[str, int]) -> Labels:
    """Labels of all results outside; innermost the one along which most entries have neighbours."""
    labels = tuple(dict.fromkeys(label for array in arrays for label in array.labels if sizes[label] > 1))
    labels = tuple(sorted(labels, key=lambda label: not all(result.step(label) for result in results)))
    if not labels:
        return labels
    near = dict.fromkeys(labels, 0)
    for array in arrays:
        for label, stride in zip(array.labels, array.strides, strict=True):
            if stride == 1 and label in near:
                near[label] += prod(sizes[name] for name in array.labels)
    innermost = max(labels, key=lambda label: (near[label], sizes[label]))
    return (*(label for label in labels if label != innermost), innermost)
