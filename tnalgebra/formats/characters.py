"""Formats in characters: a comb, a chain, a tree."""

from collections.abc import Mapping, Sequence

from ..canvas import outline
from .tree import DimensionTree, Nested, climbed

__all__ = ["chain_text", "comb_text", "tree_text"]


def comb_text(sizes: Sequence[int], rank: int, note: str) -> str:
    """One factor a mode, all on one rank."""
    width = max(len(str(size)) for size in sizes) + 3
    text = "".join(f"{size:>{width}}" for size in sizes)[width - 3 :]
    bars, dots = ("".join(f"{mark:>{width}}" for _ in sizes)[width - 3 :] for mark in "│●")
    corner = " " * 2 + "└" + "".join("─" * (width - 1) + "┴" for _ in sizes[1:]) + f"── {rank}, {note}"
    return "\n".join([text, bars, dots, corner])


def chain_text(sizes: Sequence[int], inner: Sequence[int], end: str = "") -> str:
    """Modes above, ranks between the cores."""
    columns = [f"●─{rank}─" for rank in inner] + ["●"]
    widths = [max(len(column), len(str(size)) + 1) for column, size in zip(columns, sizes, strict=True)]
    above = "".join(f"{size:<{width}}" for size, width in zip(sizes, widths, strict=True))
    bars = "".join(f"{'│':<{width}}" for width in widths)
    chain = "".join(f"{column:─<{width}}" for column, width in zip(columns, [*widths[:-1], 1], strict=True))
    return "\n".join(line.rstrip() for line in (above, bars, chain + end))


def tree_text(tree: DimensionTree, sizes: Sequence[int], ranks: Mapping[Nested, int]) -> str:
    """Modes, sizes and ranks of every node."""
    modes = climbed(tree, str, " ".join)

    def text(node: Nested) -> str:
        size = f"size {sizes[node]}, " if isinstance(node, int) else ""
        return f"{modes[node]}: {size}rank {ranks[node]}"

    return outline(tree.nested, lambda node: node if isinstance(node, tuple) else (), text)
