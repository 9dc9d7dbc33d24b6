"""What will be done, in which order and at which cost: a value that prints as a table and explains itself."""

from dataclasses import dataclass

from ..algebra import Operator, Pointwise
from ..canvas import Diagram, Diagrammed
from ..graph import Node
from ..graph.node import operators_of
from ..graph.sizes import Shape
from .cost import peak_bytes
from .explain import explain
from .picture import contraction_text, contraction_tree
from .step import Step

__all__ = ["AXES", "Plan"]

AXES = 64
"""Axes that an array of NumPy or CuPy may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Diagrammed):
    """The steps that evaluate a graph on leaves of known shapes.

    steps: kernel calls in order; slot i < len(inputs) holds leaf i, every step fills one more slot.
    is_reorderable: whether sums were free to move; reason: why, or which label could not.
    flops: applications of ξ and ⊕. bytes_moved: operands read and results written, copies included.
    peak_bytes: the most that is allocated at once beside the operands, the result and broadcast blocks included;
    memory_limit: what it was to stay below, in bytes.

    >>> import tnalgebra as tna
    >>> print(tna.contract_path("ij,jk,kl->il", (3, 4), (4, 5), (5, 6)))
    step  kind     equation   flops  bytes  peak
    1     product  ij,jk->ik    120    376   120
    2     product  ik,kl->il    180    504   264
    reorderable: multiply distributes over add
    total: 300 operations, 880 bytes moved, 264 bytes at the peak
    """

    node: Node
    inputs: tuple[str, ...]
    shapes: tuple[Shape, ...]
    steps: tuple[Step, ...]
    output: int | tuple[int, ...]
    shape: Shape
    itemsize: int
    is_reorderable: bool
    reason: str
    nonnegative: bool
    memory_limit: int | None = None

    @property
    def operators(self) -> frozenset[Operator | Pointwise]:
        """The ξ and ⊕ that are applied."""
        return operators_of(self.node)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Slots of the values, of which there are several where a bundle was planned."""
        return self.output if isinstance(self.output, tuple) else (self.output,)

    @property
    def flops(self) -> int:
        """Applications of ξ and of ⊕."""
        return sum(step.flops for step in self.steps)

    @property
    def bytes_moved(self) -> int:
        """Bytes that steps read and write."""
        return sum(step.bytes_moved for step in self.steps)

    @property
    def axes(self) -> int:
        """Axes of the value that has the most of them."""
        return max([len(step.result) for step in self.steps], default=0)

    @property
    def peak_bytes(self) -> int:
        """The most that is allocated at once, operands not counted."""
        return peak_bytes(self.steps)

    def __str__(self) -> str:
        rows = [("step", "kind", "equation", "flops", "bytes", "peak")]
        for number, step in enumerate(self.steps, 1):
            peak = peak_bytes(self.steps[:number])
            rows.append((str(number), step.kind, step.equation, str(step.flops), str(step.bytes_moved), str(peak)))
            if step.chunks:
                chunks = ", ".join(f"{label} by {chunk} of {step.sizes[label]}" for label, chunk in step.chunks.items())
                rows.append(("", "", f"for slices: {chunks}", "", "", ""))
                rows.extend(
                    ("", f"  {inner.kind}", inner.equation, str(inner.flops), str(inner.bytes_moved), "")
                    for inner in step.body
                )
        widths = [max(len(row[column]) for row in rows) for column in range(6)]
        lines = ["  ".join(_cell(text, widths[i], i > 2) for i, text in enumerate(row)).rstrip() for row in rows]
        order = "reorderable" if self.is_reorderable else "not reorderable"
        total = f"total: {self.flops} operations, {self.bytes_moved} bytes moved, {self.peak_bytes} bytes at the peak"
        return "\n".join([*lines, f"{order}: {self.reason}", total])

    def diagram(self) -> Diagram:
        """The contraction tree as a value: a node a step, with what it costs."""
        return contraction_tree(self.inputs, self.shapes, self.steps, str(self))

    def show(self) -> str:
        """Draw the contraction tree with characters.

        >>> import tnalgebra as tna
        >>> print(tna.contract_path("ij,jk,kl->il", (3, 4), (4, 5), (5, 6)).show())
        2. ik,kl->il: 180 operations
        ├─ 1. ij,jk->ik: 120 operations
        │  ├─ A: 3 × 4
        │  └─ B: 4 × 5
        └─ C: 5 × 6
        """
        return contraction_text(self.inputs, self.shapes, self.steps, self.output)

    def first_reads(self) -> dict[str, int]:
        """For every leaf that is read, the number of the first step that reads it; steps count from 1.

        >>> import tnalgebra as tna
        >>> tna.contract_path("ij,jk,kl->il", (3, 4), (4, 5), (5, 6)).first_reads()
        {'A': 1, 'B': 1, 'C': 2}
        """
        found = dict[str, int]()
        for number, step in enumerate(self.steps, 1):
            for slot in step.inputs:
                if slot < len(self.inputs):
                    found.setdefault(self.inputs[slot], number)
        return found

    def explain(self) -> str:
        """Say in words what happens, which sums could not move and why, and the loop that gives the same numbers."""
        shapes = dict(zip(self.inputs, self.shapes, strict=True))
        return explain(self.node, shapes, self.steps, self.is_reorderable, self.reason)


def _cell(text: str, width: int, is_number: bool) -> str:
    return text.rjust(width) if is_number else text.ljust(width)
