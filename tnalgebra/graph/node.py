"""Nodes of an einsum graph: frozen, hashable, printed as equations.

Labels are local to a `Contract`: `inputs[i]` names the axes of `operands[i]`, whatever that operand calls them.
So nodes nest without capture, and nesting is meaning: a sum stays in the node that writes it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..algebra import Operator, Pointwise
from ..errors import EquationError
from .show import Labels, show_equation, show_labels

__all__ = [
    "Bundle",
    "Contract",
    "Labels",
    "Leaf",
    "Map",
    "Node",
    "Sum",
    "operators_of",
    "postorder",
]


class Node:
    """A tensor-valued node; `output` labels its axes."""

    output: Labels
    _own: tuple[object, ...]
    _hash: int

    @property
    def operands(self) -> tuple["Node", ...]:
        """The nodes that this one is computed from."""
        return ()

    @property
    def sources(self) -> tuple["Node", ...]:
        """Those of the operands whose values are read."""
        return self.operands

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.output)

    def right_side(self, terms: Sequence[str]) -> str:
        """How the node is computed from its operands, which are written as these terms."""
        return ", ".join(terms)

    def rebuilt(self, operands: Sequence["Node"]) -> "Node":
        """The same node on other operands."""
        if not operands:
            return self
        fields: dict[str, object] = self.__dataclass_fields__  # type: ignore[attr-defined]
        if "children" in fields:
            return replace(self, children=tuple(operands))  # type: ignore[type-var]
        return replace(self, **dict(zip(("child", "like"), operands, strict=False)))  # type: ignore[type-var]

    def __post_init__(self) -> None:
        """Hash now, while the operands have been hashed already: a deep graph needs no deep recursion.

        `_own` is what tells this node from others, its operands aside.
        """
        own = tuple([value for field, value in vars(self).items() if field not in ("child", "children", "like")])
        vars(self).update(_own=own, _hash=hash((type(self), own, self.operands)))

    def __getstate__(self) -> dict[str, object]:
        return {field: value for field, value in vars(self).items() if field not in ("_own", "_hash")}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Hash anew: strings have other hashes in another process."""
        vars(self).update(state)
        Node.__post_init__(self)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        """Compare graphs, each pair of nodes once: a node that is used often costs no more, nor does depth."""
        pairs, seen = [(self, other)], set[tuple[int, int]]()
        while pairs:
            a, b = pairs.pop()
            if a is b or (id(a), id(b)) in seen:
                continue
            if not isinstance(a, Node) or type(a) is not type(b) or a._hash != b._hash or a._own != b._own:
                return False
            seen.add((id(a), id(b)))
            pairs.extend(zip(a.operands, b.operands, strict=True))
        return True

    def __str__(self) -> str:
        return "\n".join(_equations(self))


@dataclass(frozen=True, eq=False)
class Leaf(Node):
    """A tensor that will be given by name."""

    name: str
    output: Labels


@dataclass(frozen=True, eq=False)
class Contract(Node):
    """out[output] = ⊕ over the other labels of ξ(operands[0][inputs[0]], operands[1][inputs[1]], …)."""

    xi: Operator | Pointwise
    reduce: Operator
    inputs: tuple[Labels, ...]
    children: tuple[Node, ...]
    output: Labels

    def __post_init__(self) -> None:
        """Refuse labels that do not fit the operands."""
        if len(self.inputs) != len(self.children):
            raise EquationError(
                f"`{self.equation}` has {len(self.inputs)} terms, but {len(self.children)} operands are given"
            )
        for position, (labels, child) in enumerate(zip(self.inputs, self.children, strict=True)):
            if len(labels) != child.ndim:
                raise EquationError(
                    f"term {show_labels(labels)!r} of `{self.equation}` names {len(labels)} axes, "
                    f"but operand {position} has {child.ndim}"
                )
        known = {label for labels in self.inputs for label in labels}
        for label in self.output:
            if label not in known:
                raise EquationError(f"output label {label!r} of `{self.equation}` is in no operand")
        if len(set(self.output)) < len(self.output):
            twice = next(label for label in self.output if self.output.count(label) > 1)
            raise EquationError(f"label {twice!r} stands twice in the output of `{self.equation}`")
        super().__post_init__()

    @property
    def operands(self) -> tuple[Node, ...]:
        """The nodes that are combined."""
        return self.children

    @property
    def summed(self) -> Labels:
        """The labels that ⊕ runs over, in order of first appearance."""
        held = dict.fromkeys(label for labels in self.inputs for label in labels)
        return tuple(label for label in held if label not in self.output)

    @property
    def equation(self) -> str:
        """The einsum string."""
        return show_equation(self.inputs, self.output)

    @property
    def summation(self) -> str:
        """Σ, or another ⊕, with its labels; empty where nothing is summed."""
        symbol = {"add": "Σ", "multiply": "Π", "maximum": "max", "minimum": "min"}.get(
            self.reduce.name, f"⊕{self.reduce.name}"
        )
        return f"{symbol}_{show_labels(self.summed)}" if self.summed else ""

    def right_side(self, terms: Sequence[str]) -> str:
        """Σ, or another ⊕, over ξ of the terms."""
        if isinstance(self.xi, Pointwise):
            joined = self.xi.shown(terms)
        else:
            joined = " · ".join(terms) if self.xi.name == "multiply" else f"{self.xi.name}({', '.join(terms)})"
            joined = joined if len(terms) > 1 else terms[0]
        return f"{self.summation} {joined}".lstrip()


@dataclass(frozen=True, eq=False)
class Map(Node):
    """A scalar expression in x, applied to every entry of one node."""

    function: str
    child: Node

    @property
    def operands(self) -> tuple[Node, ...]:
        """The node that is mapped."""
        return (self.child,)

    @property
    def output(self) -> Labels:  # type: ignore[override]
        """The labels of the mapped node."""
        return self.child.output

    def right_side(self, terms: Sequence[str]) -> str:
        """The function, and what x is."""
        return f"{self.function} at x = {terms[0]}"


@dataclass(frozen=True, eq=False)
class Sum(Node):
    """The entrywise sum of nodes of one shape; it is where cotangents of a shared node meet."""

    children: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Refuse nodes of different order."""
        orders = {child.ndim for child in self.children}
        if len(orders) != 1:
            raise EquationError(f"a sum needs nodes of one order; got {[child.ndim for child in self.children]}")
        super().__post_init__()

    @property
    def operands(self) -> tuple[Node, ...]:
        """The nodes that are added."""
        return self.children

    @property
    def output(self) -> Labels:  # type: ignore[override]
        """The labels of the first summand."""
        return self.children[0].output

    def right_side(self, terms: Sequence[str]) -> str:
        """The terms, added."""
        return " + ".join(terms)


def postorder(node: Node, *, values: bool = False) -> Iterator[Node]:
    """Every distinct node once, operands before the nodes that use them; with `values`, those whose value is read."""
    seen: set[Node] = set()
    stack = [(node, False)]
    while stack:
        current, is_expanded = stack.pop()
        if is_expanded:
            yield current
        elif current not in seen:
            seen.add(current)
            stack.append((current, True))
            stack.extend((child, False) for child in reversed(current.sources if values else current.operands))


@dataclass(frozen=True, eq=False)
class Bundle(Node):
    """Several nodes that are wanted together, so that what they share is computed once."""

    children: tuple[Node, ...]

    @property
    def operands(self) -> tuple[Node, ...]:
        """The nodes that are wanted."""
        return self.children

    @property
    def output(self) -> Labels:  # type: ignore[override]
        """No labels: it is not one tensor."""
        return ()


def operators_of(root: Node) -> frozenset[Operator | Pointwise]:
    """The ξ and ⊕ that are applied."""
    nodes = [node for node in postorder(root) if isinstance(node, Contract)]
    return frozenset(
        {node.xi for node in nodes if len(node.operands) > 1} | {node.reduce for node in nodes if node.summed}
    )


def _equations(root: Node) -> list[str]:
    """One line a node that computes something; shared nodes are named once."""
    names: dict[Node, str] = {}
    lines: list[str] = []
    for node in postorder(root):
        if isinstance(node, Leaf):
            names[node] = node.name
            continue
        target = names[node] = "out" if node is root else f"t{len(lines) + 1}"
        terms = [f"{names[child]}[{show_labels(child.output)}]" for child in node.operands]
        if isinstance(node, Contract):
            terms = [
                f"{names[child]}[{show_labels(labels)}]"
                for child, labels in zip(node.operands, node.inputs, strict=True)
            ]
        lines.append(f"{target}[{show_labels(node.output)}] = {node.right_side(terms)}")
    return lines or [f"{root.name}[{show_labels(root.output)}]" if isinstance(root, Leaf) else "out"]
