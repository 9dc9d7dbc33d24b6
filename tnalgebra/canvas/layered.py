"""Places for a directed graph without cycles: a row for every distance to the end, few crossings, straight lines."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import dist

from .diagram import Point

__all__ = ["layered"]

PITCH = 0.8
"""Inches from row to row."""
SPACE = 0.22
"""Between neighbours in a row."""
SWEEPS = 12
AT, SHARED = 0.36, (0.52, 0.36, 0.68)
"""Parts of the way of a line at which its text stands."""

Link = tuple[int, int]


def layered(
    widths: Sequence[float], links: Sequence[Link], texts: Sequence[float], pitch: float = PITCH
) -> tuple[list[Point], list[tuple[Point, ...]], list[float]]:
    """A point for every node; for every link, from a node to a later one, a line, and where on it its text stands.

    The last node is on top. Links over several rows bend around what stands between. texts: the width of each link's.
    Source: Sugiyama et al. 1981.

    >>> layered([0.3, 0.3, 0.3], [(0, 2), (1, 2)], [0.1, 0.1])[0]
    [(-0.26, -0.8), (0.26, -0.8), (0.0, 0.0)]
    """
    widths = list(widths)
    for (start, _), text in zip(links, texts, strict=True):
        widths[start] = max(widths[start], text / (1 - AT))
    depth = _depths(len(widths), links)
    short, routes = list[Link](), list[list[int]]()
    for (start, end), text in zip(links, texts, strict=True):
        bends = range(len(widths), len(widths) + depth[start] - depth[end] - 1)
        widths += [text] * len(bends)
        depth += range(depth[start] - 1, depth[end], -1)
        routes.append([start, *bends, end])
        short += pairwise(routes[-1])
    near: list[tuple[list[int], list[int]]] = [([], []) for _ in widths]  # below, above
    for start, end in short:
        near[end][0].append(start)
        near[start][1].append(end)
    rows = _ordered(depth, near)
    x = _places(rows, near, widths)
    points = [(round(x[i], 3), 0.0 - pitch * depth[i]) for i in range(len(widths))]
    lines = [tuple(points[i] for i in route) for route in routes]
    return points[: len(points) - sum(len(route) - 2 for route in routes)], lines, _text_places(links, lines)


def _text_places(links: Sequence[Link], lines: Sequence[tuple[Point, ...]]) -> list[float]:
    """Near the node that a line comes from; lines of shared nodes cross, so their texts stand at several heights."""
    users = Counter(start for start, _ in links)
    shared: dict[float, list[int]] = {}
    for (start, _), line in zip(links, lines, strict=True):
        row = shared.setdefault(line[0][1], [])
        if users[start] > 1 and start not in row:
            row.append(start)
    height = {start: SHARED[i % len(SHARED)] for row in shared.values() for i, start in enumerate(row)}
    return [
        _between_rows(line) if len(line) > 2 else height.get(start, AT)
        for (start, _), line in zip(links, lines, strict=True)
    ]


def _between_rows(route: Sequence[Point]) -> float:
    """The part of the way at which a line is in the middle between two rows, near its own middle."""
    lengths = [dist(a, b) for a, b in pairwise(route)]
    half = len(lengths) // 2
    return (sum(lengths[:half]) + lengths[half] / 2) / sum(lengths)


def _depths(count: int, links: Sequence[Link]) -> list[int]:
    """The longest way from every node to the end."""
    depth = [0] * count
    for start, end in sorted(links, key=lambda link: -link[1]):
        depth[start] = max(depth[start], depth[end] + 1)
    return depth


def _ordered(depth: Sequence[int], near: Sequence[tuple[list[int], list[int]]]) -> list[list[int]]:
    """The nodes of every row, each near the middle of its neighbours in the rows beside."""
    rows: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    seen, stack = set[int](), [i for i, (_, above) in enumerate(near) if not above]
    while stack:  # children from left to right, as they are written
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            rows[depth[node]].append(node)
            stack += reversed(near[node][0])
    best, fewest = [list(row) for row in rows], _crossings(rows, near)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        place = {node: i for row in rows for i, node in enumerate(row)}
        for row in rows if down else reversed(rows):
            middle = {node: _mean([place[i] for i in near[node][down]], place[node]) for node in row}
            row.sort(key=middle.__getitem__)
            place |= {node: i for i, node in enumerate(row)}
        if (found := _crossings(rows, near)) < fewest:
            best, fewest = [list(row) for row in rows], found
    return best


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _crossings(rows: Sequence[Sequence[int]], near: Sequence[tuple[list[int], list[int]]]) -> int:
    """How many pairs of lines between neighbouring rows cross."""
    place = {node: i for row in rows for i, node in enumerate(row)}
    total = 0
    for row in rows:
        lines = sorted((place[node], place[below]) for node in row for below in near[node][0])
        ends = [end for _, end in lines]
        total += sum(a > b for i, a in enumerate(ends) for b in ends[i + 1 :])
    return total


def _places(
    rows: Sequence[Sequence[int]], near: Sequence[tuple[list[int], list[int]]], widths: Sequence[float]
) -> list[float]:
    """Places in the rows, apart by the widths and otherwise as near to the means of the neighbours as may be."""
    import numpy as np
    from scipy.optimize import isotonic_regression

    x = np.zeros(len(widths))
    starts = {}
    for row in rows:
        gaps = [(widths[a] + widths[b]) / 2 + SPACE for a, b in pairwise(row)]
        starts[tuple(row)] = np.cumsum([0.0, *gaps])
        x[list(row)] = starts[tuple(row)] - starts[tuple(row)][-1] / 2
    for sweep in range(2 * SWEEPS):
        is_last = sweep == 2 * SWEEPS - 1  # then every node stands above the middle of what is below it
        for row in rows if sweep % 2 == 0 else reversed(rows):
            ends = [near[node][0] + near[node][1] * (not is_last) for node in row]
            wanted = [np.mean(x[found]) if found else x[node] for node, found in zip(row, ends, strict=True)]
            base = starts[tuple(row)]
            x[list(row)] = isotonic_regression(np.array(wanted) - base).x + base
    end = rows[0][-1]
    return [float(value - x[end]) for value in x]
