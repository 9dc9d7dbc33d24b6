"""What a step costs: operations, bytes moved, and bytes held beside its operands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from ..graph import Labels
from .step import Step, Tree, union, volume

__all__ = ["BLOCK", "TILE", "Layout", "layout", "peak_bytes", "priced", "tree_labels"]

BLOCK = 1 << 15
"""Entries of one block of a broadcast kernel: a few of them fit a core's own cache."""
TILE = 1 << 17
"""Entries of one block that BLAS consumes: large enough for a matrix product, still cached."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a product of two operands becomes one (batched) matrix product: label groups in the order it sees them.

    copies: which operands must be copied because their axes do not merge into the groups.
    """

    batch: Labels
    rows: Labels
    columns: Labels
    inner: Labels
    copies: tuple[bool, bool]

    @property
    def result(self) -> Labels:
        """The label order that the matrix product gives by itself."""
        return (*self.batch, *self.rows, *self.columns)


def layout(left: Labels, right: Labels, output: Labels, sizes: dict[str, int]) -> Layout:
    """Group the labels of a product; the inner labels keep the order of the larger operand."""
    batch = tuple(label for label in output if label in left and label in right)
    lead, other = (left, right) if volume(left, sizes) >= volume(right, sizes) else (right, left)
    inner = tuple(label for label in lead if label in other and label not in batch)
    rows = tuple(label for label in left if label not in right)
    columns = tuple(label for label in right if label not in left)
    copies = (not _merges(left, batch, rows, inner), not _merges(right, batch, columns, inner))
    return Layout(batch, rows, columns, inner, copies)


def _merges(term: Labels, batch: Labels, free: Labels, inner: Labels) -> bool:
    """Whether each group is a run of neighbouring axes, with a group that BLAS can stride over last."""

    def is_run(group: Labels) -> bool:
        return not group or group in (term[i : i + len(group)] for i in range(len(term)))

    return all(map(is_run, (batch, free, inner))) and (not batch or term[-1] not in batch)


def tree_labels(tree: Tree, terms: Sequence[Labels]) -> Labels:
    """Labels of the value of a tree."""
    return terms[tree] if isinstance(tree, int) else union(*(tree_labels(child, terms) for child in tree[1]))


def _work(tree: Tree, terms: Sequence[Labels], sizes: dict[str, int]) -> int:
    """Applications of ξ in a tree."""
    if isinstance(tree, int):
        return 0
    return (len(tree[1]) - 1) * volume(tree_labels(tree, terms), sizes) + sum(
        _work(child, terms, sizes) for child in tree[1]
    )


def _depth(tree: Tree) -> int:
    return 0 if isinstance(tree, int) else 1 + max(map(_depth, tree[1]))


def priced(step: Step, itemsize: int) -> Step:
    """Return the step with its operations and bytes filled in."""
    sizes, terms = step.sizes, step.terms
    operands = [volume(union(term), sizes) for term in terms]
    everything, output = volume(union(*terms), sizes), volume(step.result, sizes)
    scratch = copied = 0
    if step.kind == "view":
        copied = output if step.text == "copy" else 0
        return replace(step, bytes_moved=2 * copied * itemsize, output_bytes=copied * itemsize)
    if step.kind == "product":
        flops = everything * (2 if step.summed else 1)
        if step.summed:
            copies = layout(terms[0], terms[1], step.result, sizes).copies
            scratch = copied = sum(size for size, is_copied in zip(operands, copies, strict=True) if is_copied)
    elif step.kind in ("blocked", "weighted") and step.tree is not None:
        flops = _work(step.tree, terms, sizes) + everything * (1 if step.summed else 0)
        if step.kind == "weighted":
            tile = volume(tree_labels(step.tree, terms), sizes)
            flops = _work(step.tree, terms, sizes) + 2 * everything
            scratch = min(tile, TILE) * (_depth(step.tree) + 1) + output * (1 if tile > TILE else 0)
        else:
            scratch = min(everything, BLOCK) * (_depth(step.tree) + 1)
    elif step.kind == "loop":
        trips = prod(-(-sizes[label] // chunk) for label, chunk in step.chunks.items())
        flops, copied = (trips * sum(getattr(inner, name) for inner in step.body) for name in ("flops", "bytes_moved"))
        scratch, copied = peak_bytes(step.body) // itemsize, copied // itemsize // 2
    else:
        flops = everything * max(1, len(terms) - 1)
    moved = sum(operands) + output + 2 * copied
    return replace(
        step,
        flops=flops,
        bytes_moved=moved * itemsize,
        scratch_bytes=scratch * itemsize,
        output_bytes=output * itemsize,
    )


def peak_bytes(steps: Sequence[Step]) -> int:
    """Bytes allocated at the worst moment, operands not counted: live results, the output and scratch."""
    last = {slot: i for i, step in enumerate(steps) for slot in step.inputs}
    live: dict[int, int] = {}
    peak = 0
    for i, step in enumerate(steps):
        peak = max(peak, sum(live.values()) + step.output_bytes + step.scratch_bytes)
        held = step.output_bytes
        for slot in step.inputs:
            if last[slot] == i:
                freed = live.pop(slot, 0)
                held += freed if step.kind == "view" else 0  # a view keeps its operand alive
        live[step.output] = held
    return peak
