"""A graph and the shapes of its leaves to a `Plan`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from math import prod

from ..algebra import Operator, Pointwise
from ..errors import MemoryLimitError
from ..graph import Bundle, Contract, Labels, Leaf, Map, Node, Shaped, Stack, Sum, Take, label_sizes
from ..graph.node import postorder
from ..graph.rewrite import settled
from ..graph.sizes import Shape, shapes_of
from .cost import gathered, peak_bytes, priced
from .early import early
from .forms import forms, least_work
from .legality import judge
from .paths import Optimizer
from .plan import AXES, Plan
from .region import Region, Term, Tile, make_tile
from .slicing import slice_labels
from .step import FEW, Step, union

__all__ = ["build_plan"]

KEPT = 1 << 25
"""Bytes of ξ-products that are used again and may be kept."""
ROOM = 1 << 26
"""Bytes up to which steps on the same operands are brought together though that holds more at once."""


def build_plan(
    root: Node,
    shapes: Mapping[str, Shape],
    *,
    optimize: Optimizer = "auto",
    memory_limit: int | None = None,
    itemsize: int = 8,
    nonnegative: bool = False,
    held: int = 0,
) -> Plan:
    """Plan a graph on leaves of the given shapes; the leaves are the first slots, in the order of `shapes`.

    held: bytes of the limit that are taken while the plan runs, by copies of leaves in another dtype.

    The cheapest plan of all forms of the graph is kept.
    Raises `AxisMismatchError`, `UnknownNameError` for the optimizer, `MemoryLimitError` with the least that fits.
    """
    given, root = root, settled(root, shapes)  # a size that does not fit is named as the user nested it
    nonnegative = nonnegative and _keeps_sign(root, shapes)
    limit = None if memory_limit is None else memory_limit - held
    plans, fitting = list[Plan](), list[Plan]()
    for graph in forms(root, shapes, nonnegative):
        if any(plan.axes <= AXES and plan.flops < least_work(graph, shapes) for plan in fitting):
            continue
        plan = _Builder(graph, shapes, optimize, limit, itemsize, nonnegative).plan()
        plans.append(plan)
        fitting += [plan] if limit is None or plan.peak_bytes <= limit else []
    if not fitting:
        raise _too_large(min(plans, key=lambda plan: plan.peak_bytes), memory_limit, held)
    best = min(fitting, key=lambda plan: (plan.axes > AXES, plan.flops))
    return replace(best, node=given, memory_limit=memory_limit)


def _keeps_sign(root: Node, shapes: Mapping[str, Shape]) -> bool:
    """Whether no value below the root is negative where no leaf is: a function, an operator and ⊕ of nothing may be."""
    found = shapes_of(root, shapes)
    inner = {child for node in postorder(root) for child in node.operands}
    return not any(isinstance(node, Map) for node in (root, *inner)) and all(
        isinstance(node.xi, Operator)
        and (node.xi.keeps_sign or len(node.operands) == 1)
        and (node.reduce.keeps_sign or not node.summed)
        and all(0 not in found[child] for child in node.operands)
        for node in inner
        if isinstance(node, Contract)
    )


def _too_large(plan: Plan, limit: int | None, held: int) -> MemoryLimitError:
    """The error that names the step of the highest peak, which is the least limit that would do."""
    peaks = [peak_bytes(plan.steps[: i + 1]) for i in range(len(plan.steps))]
    worst = plan.steps[peaks.index(max(peaks))]
    return MemoryLimitError(
        f"memory_limit is {limit} bytes, but `{worst.equation}` needs at least {max(peaks) + held} bytes "
        "with every label sliced as far as it can be" + f", {held} of them for operands in another dtype" * bool(held)
    )


class _Builder:
    """One planning in progress: the slot of each node's value, and the steps so far."""

    def __init__(
        self,
        root: Node,
        shapes: Mapping[str, Shape],
        optimize: Optimizer,
        limit: int | None,
        itemsize: int,
        nonnegative: bool,
    ) -> None:
        self.root, self.optimize, self.nonnegative = root, optimize, nonnegative
        self.limit, self.itemsize = limit, itemsize
        self.nodes = tuple(postorder(root, values=True))
        self.names = tuple(shapes)
        self.shapes = shapes_of(root, shapes)
        self.users: dict[Node, list[Node]] = {node: [] for node in self.nodes}
        for parent in self.nodes:
            for child in parent.sources:
                self.users[child].append(parent)
        self.place: dict[Node, int] = {
            node: self.names.index(node.name) for node in self.nodes if isinstance(node, Leaf)
        }
        self.slots: Iterator[int] = count(len(self.names))
        self.steps: list[Step] = []

    def plan(self) -> Plan:
        tiles = self._tiles()
        for node in self.nodes:
            if isinstance(node, Contract) and node not in tiles:
                self.place[node] = self._contract(node)
            elif isinstance(node, Map | Sum):
                self.place[node] = self._entrywise(node)
            elif isinstance(node, Shaped):
                self.place[node] = self._shaped(node)
            elif isinstance(node, Take | Stack):
                self.place[node] = self._part(node)
        wanted = list[int]()
        for node in self.root.children if isinstance(self.root, Bundle) else (self.root,):
            wanted.append(self._own(node, wanted))
        self.steps = min(self.steps, early(self.steps, wanted), key=peak_bytes)
        near = gathered(self.steps, self.itemsize)
        if peak_bytes(near) <= (self.limit or max(peak_bytes(self.steps), ROOM)):
            self.steps = near
        leaves = {node.name: shape for node, shape in self.shapes.items() if isinstance(node, Leaf)}
        verdicts = {judge(node, self.nonnegative): None for node in self.nodes if isinstance(node, Contract)}
        held = [verdict.reason for verdict in verdicts if not verdict.is_reorderable]
        reasons = held or [verdict.reason for verdict in verdicts] or ["nothing is contracted"]
        return Plan(
            node=self.root,
            inputs=self.names,
            shapes=tuple(leaves.get(name, ()) for name in self.names),
            steps=tuple(self.steps),
            output=tuple(wanted) if isinstance(self.root, Bundle) else wanted[0],
            shape=self.shapes[self.root],
            itemsize=self.itemsize,
            is_reorderable=not held,
            reason="; ".join(reasons),
            nonnegative=self.nonnegative,
            memory_limit=self.limit,
        )

    def _tiles(self) -> set[Node]:
        """ξ-products without sums that are made where they are used, block by block.

        One that several contractions weigh, as value and gradient do, is kept while there is room, and else made again
        in each: that takes less time than to keep it takes memory.
        """
        found, room = set[Node](), KEPT if self.limit is None else 0
        for node in self.nodes:
            users = self.users[node]
            if not isinstance(node, Contract) or node.summed or len(node.operands) < 2 or not users:
                continue
            size = prod(self.shapes[node]) * self.itemsize
            if not all(self._takes(user, node) for user in users):
                continue
            if len(users) == 1:
                found.add(node)
            elif all(map(_weighs, users)):
                if size > room:
                    found.add(node)
                else:
                    room -= size
        return found

    def _takes(self, user: Node, node: Contract) -> bool:
        """Whether a contraction reads all of the node, once."""
        if not isinstance(user, Contract) or user.operands.count(node) != 1:
            return False
        return len(set(user.inputs[user.operands.index(node)])) == node.ndim

    def _append(self, steps: Sequence[Step]) -> int:
        """Price and keep the steps; return the slot of the last."""
        self.steps.extend(priced(step, self.itemsize) for step in steps)
        return self.steps[-1].output

    def _entrywise(self, node: Map | Sum) -> int:
        sizes = dict(zip(node.output, self.shapes[node], strict=True))
        kind, text = ("map", node.function) if isinstance(node, Map) else ("sum", "")
        inputs = tuple(self.place[child] for child in node.operands)
        terms = (node.output,) * len(inputs)
        return self._append([Step(kind, inputs, next(self.slots), terms, node.output, sizes, text=text)])

    def _shaped(self, node: Shaped) -> int:
        sizes = dict(zip(node.labels, self.shapes[node], strict=True))
        source = (self.place[node.child],)
        return self._append([Step("shape", source, next(self.slots), (node.names,), node.labels, sizes)])

    def _own(self, node: Node, others: Sequence[int]) -> int:
        """The slot of a value that is returned: a copy where the value is a part of an operand, or is one of others."""
        if not isinstance(node, Leaf | Take) and self.place[node] not in others:
            return self.place[node]
        axes = tuple(f"{axis}" for axis in range(node.ndim))
        sizes = dict(zip(axes, self.shapes[node], strict=True))
        return self._append([Step("view", (self.place[node],), next(self.slots), (axes,), axes, sizes, text="copy")])

    def _part(self, node: Take | Stack) -> int:
        """A slice, or a stack of slices; the step's text has the indices."""
        whole = node.child if isinstance(node, Take) else node.like
        axes = tuple(f"{axis}" for axis in range(whole.ndim))
        rest = axes[: node.axis] + axes[node.axis + 1 :]
        sizes = dict(zip(axes, self.shapes[whole], strict=True))
        if isinstance(node, Take):
            step = Step("take", (self.place[whole],), next(self.slots), (axes,), rest, sizes, text=f"{node.index}")
        else:
            places = tuple(self.place[child] for child in node.children)
            text = ",".join(map(str, node.places))
            step = Step("stack", places, next(self.slots), (rest,) * len(places), axes, sizes, text=text)
        return self._append([step])

    def _contract(self, node: Contract) -> int:
        whole = label_sizes(node.inputs, [self.shapes[child] for child in node.operands], node.equation)
        full, node = node, _narrowed(node, whole)
        sizes = {label: whole[label] for term in node.inputs for label in term}
        terms = [self._term(child, labels, sizes) for child, labels in zip(full.operands, full.inputs, strict=True)]

        def steps_for(chunks: dict[str, int], terms: Sequence[Term] = terms) -> Sequence[Step]:
            cut = {label for label, size in chunks.items() if size < sizes[label]}
            region = Region(_sliced(node, cut), chunks, self.optimize, self.slots, self.nonnegative)
            strided = {part.slot for term in terms for part in term.parts if cut & {*part.labels[1:]}}
            return [priced(step, self.itemsize, strided) for step in region.plan(terms)]

        steps = steps_for(sizes)
        if self.limit is not None and peak_bytes([*self.steps, *steps]) > self.limit:
            steps = [priced(self._loop(node, terms, sizes, steps_for), self.itemsize)]
        self.steps.extend(steps)
        slot = steps[-1].output
        if node.output == full.output:
            return slot
        return self._append([Step("shape", (slot,), next(self.slots), (node.output,), full.output, whole)])

    def _loop(self, node: Contract, terms: Sequence[Term], sizes: dict[str, int], steps_for) -> Step:  # type: ignore[no-untyped-def]
        """Wrap the steps of one slice; each operand gets a slot of its own, since it is sliced by its own labels."""
        outer: list[Term] = []

        def alias(term: Term) -> Term:
            if isinstance(term.source, Tile):
                return Term(term.labels, Tile(term.source.tree, tuple(map(alias, term.source.terms))))
            outer.append(term)
            return Term(term.labels, next(self.slots))

        inner = list(map(alias, terms))
        aliases = tuple(part.slot for term in inner for part in term.parts)
        slots, labels = tuple(term.slot for term in outer), tuple(term.labels for term in outer)
        loop = Step("loop", slots, next(self.slots), labels, node.output, sizes, reduce=node.reduce, aliases=aliases)
        held = peak_bytes([*self.steps, priced(loop, self.itemsize)])
        body, chunks = slice_labels(lambda chunk: steps_for(chunk, inner), sizes, (self.limit or 0) - held)
        return replace(loop, body=tuple(body), chunks=chunks)

    def _term(self, node: Node, labels: Labels, sizes: dict[str, int]) -> Term:
        """The operand as the region sees it: repeated labels become diagonals, broadcast axes are dropped."""
        if node not in self.place:
            assert isinstance(node, Contract)
            names = dict(zip(node.output, labels, strict=True))
            children = zip(node.operands, node.inputs, strict=True)
            return make_tile(
                node, [self._term(child, tuple(map(names.__getitem__, term)), sizes) for child, term in children]
            )
        shape = dict(zip(labels, self.shapes[node], strict=True))
        clean = tuple(label for label in union(labels) if shape[label] == sizes.get(label))
        if clean == labels:
            return Term(labels, self.place[node])
        text = "" if len(set(labels)) == len(labels) else "copy"  # BLAS would copy a strided diagonal at every use
        view = Step("view", (self.place[node],), next(self.slots), (labels,), clean, shape, text=text)
        return Term(clean, self._append([view]))


def _sliced(node: Contract, cut: set[str]) -> Contract:
    """The node for slices of labels: a share is no longer known as one where its ⊕ has summed such a label."""
    if not isinstance(node.xi, Pointwise) or (len(node.inputs) > 3 and cut <= {*node.inputs[3]}):
        return node
    return replace(node, xi=replace(node.xi, share_of=None))


def _narrowed(node: Contract, sizes: dict[str, int]) -> Contract:
    """The same on leaves without labels of size 1, where there are many labels.

    ⊕ over one term may not be that term, as |x| is not x: one of the labels that are reduced stays then.
    """
    if len(sizes) <= FEW:
        return node
    ones = {label for label, size in sizes.items() if size == 1}
    if not node.reduce.unit_is_strict:
        ones -= {*[label for label in node.summed if label in ones][:1]}
    *inputs, output = [tuple(label for label in term if label not in ones) for term in (*node.inputs, node.output)]
    return Contract(node.xi, node.reduce, tuple(inputs), tuple([Leaf("", term) for term in inputs]), output)


def _weighs(node: Node) -> bool:
    """Whether a contraction is Σ of products of two: BLAS on a block."""
    return isinstance(node, Contract) and (node.xi.name, node.reduce.name, len(node.operands)) == ("multiply", "add", 2)
