"""What a step costs: operations, bytes moved, and bytes held beside its operands."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from math import prod

from ..algebra import Pointwise
from ..graph import Labels
from .formula import temporaries
from .generated import exponential, generating, share
from .pieces import pieces
from .step import Step, Tree, union, volume

__all__ = [
    "BLOCK",
    "COMPILED",
    "MUCH",
    "THREADS",
    "TILE",
    "Layout",
    "TileLayout",
    "block_entries",
    "chunk_sizes",
    "gathered",
    "layout",
    "peak_bytes",
    "priced",
    "tile_layout",
    "together",
    "tree_labels",
]

BLOCK = 1 << 18
"""Entries of one block of a broadcast kernel: still cached, and long enough that its Python calls do not show."""
TILE = 1 << 18
"""Entries of one block that BLAS consumes: large enough for a matrix product, still cached."""
THREADS = 4
"""Threads that may share the tiles of a weighted step, each with tiles of its own."""
MUCH = 1 << 20
"""Entries of all tiles from which they are worth threads."""
COMPILED = 1 << 33
"""Operations of a blocked step, several seconds of NumPy, that are worth waiting for a compiler."""
SHORT = 16
"""Entries of a row of a tile below which the start of its loop takes longer than the loop."""


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
        if not group:
            return True
        start = term.index(group[0])
        return term[start : start + len(group)] == group

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


@dataclass(frozen=True, slots=True)
class TileLayout:
    """How a weighted step is cut.

    order: the labels of its tiles. alone: those that are summed before BLAS sees a tile. chunks: how much a tile spans.
    """

    order: Labels
    alone: Labels
    chunks: dict[str, int]


def tile_layout(
    terms: Sequence[Labels], labels: Labels, weight: Labels, result: Labels, sizes: dict[str, int], entries: int = TILE
) -> TileLayout:
    """Cut a weighted step into tiles of so many entries.

    The labels that BLAS sums are the last, so that a tile holds them whole; or the first, where the largest operand
    ends with another: to read it against its grain takes longer than to add up more parts. They are the first and whole
    where they are so few that the loop along the last of them would not show beside its start.
    """
    alone = tuple(label for label in labels if label not in weight and label not in result)
    inner = tuple(label for label in labels if label in weight and label not in result)
    outer = tuple(label for label in labels if label in result)
    lead = max(terms, key=lambda term: volume(term, sizes))
    summed = (*inner, *alone)
    if inner and sizes[inner[-1]] < SHORT and volume(outer, sizes) > SHORT * volume(summed, sizes):
        order = (*summed, *outer)
        chunks = chunk_sizes(outer, sizes, max(1, entries // volume(summed, sizes)))
        return TileLayout(order, alone, {**{label: sizes[label] for label in summed}, **chunks})
    is_turned = lead and inner and lead[-1] in outer
    order = (*summed, *outer) if is_turned else (*outer, *alone, *inner)
    return TileLayout(order, alone, chunk_sizes(order, sizes, entries))


def block_entries(trees: Sequence[Tree]) -> int:
    """Entries of one block: fewer where an expression holds many values at once, so that they stay cached."""
    is_long = any(isinstance(tree, tuple) and isinstance(tree[0], Pointwise) for tree in trees)
    return BLOCK // (1 + temporaries(trees)) if is_long else BLOCK


def chunk_sizes(order: Sequence[str], sizes: dict[str, int], entries: int) -> dict[str, int]:
    """How much of each label one block spans: innermost labels whole, until the block is full."""
    chunks = {}
    for label in reversed(order):
        chunks[label] = max(1, min(sizes[label], entries))
        entries //= chunks[label]
    return chunks


def _blocked_scratch(steps: Sequence[Step], everything: int) -> int:
    """Entries of the blocks of ξ in steps that are done together, and of what folds a block and adds it to a result."""
    trees = [step.tree for step in steps if step.tree is not None]
    block = min(everything, block_entries(trees))
    return temporaries(trees) * block + sum(_fold_scratch(step, block) for step in steps)


def _fold_scratch(step: Step, block: int) -> int:
    if not step.summed or step.reduce is None:
        return 0
    held, part, scratch = 1 + step.reduce.temporaries, min(volume(step.result, step.sizes), BLOCK), 0
    if step.reduce.reduction == "logsumexp":
        scratch = block + 4 * part
    elif step.reduce.reduction is None:
        scratch = block * held
    return scratch + part * (2 + held * (1 if step.reduce.unit_is_strict else 2))


def together(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps as they are done: neighbours that evaluate trees on the same operands are one group.

    Those that are matrix products in truth stay by themselves.
    """
    groups: list[list[Step]] = []
    for step in steps:
        first = groups[-1][0] if groups else None
        is_sibling = first is not None and step.kind == first.kind == "blocked" and share(step) is None
        if first is not None and is_sibling and (step.inputs, step.terms) == (first.inputs, first.terms):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def gathered(steps: Sequence[Step], itemsize: int) -> list[Step]:
    """The steps with each blocked one directly after the first on the same operands, priced together with it."""
    groups: dict[object, list[Step]] = {}
    for step in steps:
        groups.setdefault((step.inputs, step.terms) if step.kind == "blocked" else step.output, []).append(step)
    found: list[Step] = []
    for group in groups.values():
        scratch = _blocked_scratch(group, volume(union(*group[0].terms), group[0].sizes)) if len(group) > 1 else 0
        found += [replace(step, scratch_bytes=max(step.scratch_bytes, scratch * itemsize)) for step in group]
    return found


def _weighted_scratch(step: Step, tree: Tree, output: int) -> int:
    """Entries of the tiles of ξ, of the copies that BLAS needs, and of the part of the result that one tile gives."""
    *terms, weight = step.terms
    cut = tile_layout(terms, tree_labels(tree, terms), weight, step.result, step.sizes)
    whole = volume(cut.order, step.sizes)
    tile, is_cut = min(whole, TILE), whole > TILE
    kept = tuple(label for label in cut.order if label not in cut.alone)
    copies = layout(kept, weight, step.result, step.sizes).copies
    own = tile * (temporaries([tree]) + bool(cut.alone) + copies[0])
    scratch = own * (THREADS if whole >= MUCH else 1) + output * is_cut
    return scratch + volume(weight, {**step.sizes, **cut.chunks}) * (copies[1] or is_cut)


def priced(step: Step, itemsize: int, strided: Container[int] = ()) -> Step:
    """Return the step with its operations and bytes filled in; strided: slots of slices, which BLAS has copied."""
    sizes, terms = step.sizes, step.terms
    operands = [volume(union(term), sizes) for term in terms]
    everything, output = volume(union(*terms), sizes), volume(step.result, sizes)
    scratch = copied = 0
    if step.kind in ("view", "take"):
        copied = output if step.text == "copy" else 0
        return replace(step, bytes_moved=2 * copied * itemsize, output_bytes=copied * itemsize)
    if step.kind == "product":
        flops = everything * (2 if step.summed else 1)
        if step.summed:
            copies = layout(terms[0], terms[1], step.result, sizes).copies
            each = zip(operands, copies, step.inputs, strict=True)
            scratch = copied = sum(size for size, is_copied, slot in each if is_copied or slot in strided)
    elif step.kind in ("blocked", "weighted") and step.tree is not None:
        flops = _work(step.tree, terms, sizes) + everything * (1 if step.summed else 0)
        if step.kind == "weighted":
            flops = _work(step.tree, terms, sizes) + 2 * everything
            scratch = _weighted_scratch(step, step.tree, output)
        else:
            scratch = _blocked_scratch([step], everything)
            if exponential(step) or share(step):
                scratch = max(scratch, sum(operands) + 3 * output)
        if generating(step) or flops >= COMPILED:
            scratch += sum(operands)
    elif step.kind == "pieces" and step.tree is not None and (tables := pieces(step.tree, terms, step.result, sizes)):
        flops, scratch = tables.flops, tables.scratch
    elif step.kind == "loop":
        trips = prod(-(-sizes[label] // chunk) for label, chunk in step.chunks.items())
        flops, copied = (trips * sum(getattr(inner, name) for inner in step.body) for name in ("flops", "bytes_moved"))
        scratch, copied = peak_bytes(step.body) // itemsize, copied // itemsize // 2
    else:
        flops = 0 if step.kind == "stack" else everything * max(1, len(terms) - 1)
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
                held += freed if step.kind in ("view", "take") else 0  # a view keeps its operand alive
        live[step.output] = held
    return peak
