"""A graph to the graph of its derivatives: one node for every operand that a cotangent reaches.

Derivatives are contractions too. Where ξ is the product and ⊕ the sum, the cotangent takes the place of the operand and
the planner orders the rest. Elsewhere the partials of ξ and the share of ⊕ become one scalar expression in the operands
and the cotangent, which a kernel evaluates in blocks. All of it is a graph again, and has derivatives.
"""

from collections import Counter
from collections.abc import Sequence
from functools import reduce

from ..algebra import Operator, Pointwise, operator
from ..algebra.derivative import derivative, substituted, times
from ..algebra.scalar import parse
from ..algebra.schedule import Tree
from ..errors import AlgebraError, EquationError
from .node import Contract, Labels, Leaf, Map, Node, Sum, postorder
from .part import Shaped, Stack, Take

__all__ = ["leaves_of", "paired", "vjp", "vjp_by_name"]

FOLD = 6
"""So many operands of ξ are differentiated in one expression; of more, pairs are combined first."""


def leaves_of(root: Node, names: Sequence[str]) -> list[list[Leaf]]:
    """The leaves of each name, whatever labels they carry; raises `EquationError` with the names that there are."""
    found: dict[str, list[Leaf]] = {}
    for node in postorder(root):
        if isinstance(node, Leaf):
            found.setdefault(node.name, []).append(node)
    for name in names:
        if name not in found:
            raise EquationError(f"no leaf is named {name!r}; the expression has {', '.join(found) or 'none'}")
    return [found[name] for name in names]


def vjp_by_name(root: Node, groups: Sequence[Sequence[Leaf]], seed: Node) -> list[Node]:
    """Σ seed · ∂root/∂tensor for the leaves of each name, which are one tensor, whatever labels they carry."""
    found = iter(vjp(root, [leaf for leaves in groups for leaf in leaves], seed))
    return [_total([next(found) for _ in leaves]) for leaves in groups]


def paired(root: Node) -> Node:
    """The same graph with ξ of many operands as ξ of two at a time: what their derivatives share has a node then."""
    done: dict[Node, Node] = {}
    for node in postorder(root):
        done[node] = node.rebuilt([done[child] for child in node.operands])
        if isinstance(node, Contract) and isinstance(node.xi, Operator):
            is_long = len(node.operands) > FOLD and (node.xi.name, node.reduce.name) != ("multiply", "add")
            if is_long or (len(node.operands) > 2 and node.summed and _compares(node.reduce)):
                done[node] = _nested(node, done[node].operands)
    return done[root]


def _compares(op: Operator) -> bool:
    """Whether the derivative of ⊕ asks which terms equal the value: they must then be rounded as they were for it."""
    return op.share is not None and ("equal", ("x", "t")) in _parts(parse(op.share, ("x", "t", "n", "p")))


def _parts(tree: Tree) -> list[Tree]:
    return [tree, *(part for child in tree[1] for part in _parts(child))] if isinstance(tree, tuple) else [tree]


def _nested(node: Contract, children: Sequence[Node]) -> Node:
    """Pairs that begin with few labels: of what is left, the operand with most labels of its own comes last."""
    rest, order = list(range(len(children))), list[int]()
    having = Counter(label for term in node.inputs for label in {*term})
    while rest:
        last = max(rest, key=lambda place: (sum(having[label] == 1 for label in {*node.inputs[place]}), place))
        having.subtract({*node.inputs[last]})
        rest.remove(last)
        order.insert(0, last)
    child, labels = children[order[0]], node.inputs[order[0]]
    for place in order[1:]:
        terms = labels, node.inputs[place]
        labels = node.output if place == order[-1] else tuple(dict.fromkeys((*labels, *node.inputs[place])))
        child = Contract(node.xi, node.reduce, terms, (child, children[place]), labels)
    return child


def vjp(root: Node, wrt: Sequence[Node], seed: Node) -> list[Node]:
    """Σ seed · ∂root/∂node for every node of `wrt`, in the shape of that node; complex numbers are not conjugated.

    Raises `AlgebraError` where an operator declares no derivative.
    Source: reverse mode, Griewank & Walther 2008, §3.
    """
    nodes = list(postorder(root))
    reached: set[Node] = set(wrt)
    for node in nodes:
        if any(child in reached for child in node.sources):
            reached.add(node)
    cotangents: dict[Node, list[Node]] = {root: [seed]}
    for node in reversed(nodes):
        if node not in reached or node not in cotangents:
            continue
        total = _total(cotangents[node])
        for position, child in enumerate(node.sources):
            if child in reached and (part := _pulled(node, position, total)) is not None:
                cotangents.setdefault(child, []).append(part)
    return [_total(cotangents[node]) if node in cotangents else _zero(node) for node in wrt]


def _total(parts: list[Node]) -> Node:
    """The sum of the parts; slices of one node along one axis are stacked, each once."""
    slices: dict[tuple[Node, int], dict[int, list[Node]]] = {}
    rest: list[Node] = []
    for part in parts:
        if isinstance(part, Stack):
            places = slices.setdefault((part.like, part.axis), {})
            for place, child in zip(part.places, part.children, strict=True):
                places.setdefault(place, []).append(child)
        else:
            rest.append(part)
    for (like, axis), places in slices.items():
        rest.append(Stack(tuple(map(_total, places.values())), tuple(places), like, axis))
    return rest[0] if len(rest) == 1 else Sum(tuple(rest))


def _zero(node: Node) -> Node:
    """No number of the node is looked at: NaN times 0 would not be 0."""
    is_plain = len({*node.output}) == node.ndim  # a leaf may have a label twice
    axes = node.output if is_plain else tuple(f"{axis}" for axis in range(node.ndim))
    return _pointwise(0, (axes,), (node,), axes)


def _pointwise(
    tree: Tree,
    inputs: tuple[Labels, ...],
    children: tuple[Node, ...],
    output: Labels,
    share_of: Operator | None = None,
) -> Node:
    """Σ of an expression in x0, x1, … over what is not in the output."""
    variables = tuple(f"x{i}" for i in range(len(children)))
    return Contract(Pointwise(tree, variables, share_of), operator("add"), inputs, children, output)


def _pulled(node: Node, position: int, cotangent: Node) -> Node | None:
    """The part of an operand's cotangent that one of its users gives; None where it is zero."""
    match node:
        case Sum():
            return cotangent
        case Map(function, child):
            slope = derivative(parse(function, ("x",)), "x")
            tree: Tree = ("multiply", ("x1", substituted(slope, {"x": "x0"})))
            return None if slope == 0 else _pointwise(tree, (child.output,) * 2, (child, cotangent), child.output)
        case Shaped(child, names, _, labels):
            kept = tuple(label for label in names if label in labels)
            back = Contract(operator("multiply"), operator("add"), (labels,), (cotangent,), kept)
            return Shaped(back, kept, child, names)
        case Take(child, axis, index):
            return Stack((cotangent,), (index,), child, axis)
        case Stack(_, places, _, axis):
            return Take(cotangent, axis, places[position])
        case Contract():
            return _through(node, position, cotangent)
    raise AlgebraError(f"{type(node).__name__} has no derivative")


def _through(node: Contract, position: int, cotangent: Node) -> Node | None:
    """The derivative of a contraction by one operand."""
    child, labels = node.operands[position], node.inputs[position]
    is_plain = len(node.operands) == 1 and not isinstance(node.xi, Pointwise)
    if node.reduce.name == "add" and (is_plain or node.xi.name == "multiply"):
        others = [pair for i, pair in enumerate(zip(node.operands, node.inputs, strict=True)) if i != position]
        children, inputs = zip(*[(cotangent, node.output), *others], strict=True)
        there = {label for term in inputs for label in term}
        kept = tuple(dict.fromkeys(label for label in labels if label in there))
        return Shaped(Contract(operator("multiply"), operator("add"), inputs, children, kept), kept, child, labels)
    terms: list[Tree] = [f"x{i}" for i in range(len(node.operands))]
    value, slope = _fold(node, terms, position)
    if slope == 0:
        return None
    share, extra = _share(node, value, len(terms))
    inputs = (*node.inputs, *[node.output] * (1 + len(extra)))
    tree = times(times(f"x{len(terms)}", share), slope)
    if share != 1 and slope != 1:
        for factor in (share, slope):  # what has no part in the value has none in the slope: 0 times ∞ is 0 here
            tree = ("where", (("equal", (factor, 0)), 0, tree))
    unique = tuple(dict.fromkeys(labels))
    op = node.reduce if share != 1 and slope == 1 else None
    part = _of_what_is_read(tree, inputs, (*node.operands, cotangent, *extra), unique, set(node.output), op)
    return Shaped(part, unique, child, labels)


def _of_what_is_read(
    tree: Tree,
    inputs: tuple[Labels, ...],
    children: tuple[Node, ...],
    output: Labels,
    there: set[str],
    share_of: Operator | None,
) -> Node:
    """Σ of an expression without the operands that it does not read, as long as no label is lost with them."""
    read = _variables(tree)
    kept = [i for i, term in enumerate(inputs) if f"x{i}" in read or not set(term) <= there]
    terms, operands = tuple(inputs[i] for i in kept), tuple(children[i] for i in kept)
    if len(kept) == 1 and isinstance(tree, str):
        return Contract(operator("multiply"), operator("add"), terms, operands, output)
    names: dict[str, Tree] = {f"x{old}": f"x{new}" for new, old in enumerate(kept)}
    return _pointwise(substituted(tree, names), terms, operands, output, share_of)


def _fold(node: Contract, terms: Sequence[Tree], position: int) -> tuple[Tree, Tree]:
    """ξ of the terms, from the left, and its partial derivative by one of them."""
    if isinstance(node.xi, Pointwise):
        return node.xi.value, derivative(node.xi.value, f"x{position}")
    if len(terms) == 1:
        return terms[0], 1
    op = node.xi
    if op.partial is None:
        raise AlgebraError(f"operator {op.name!r} declares no partial, and has no derivative; give Operator(partial=…)")
    form, partial = parse(op.value, ("x", "y")), parse(op.partial, ("x", "y", "t"))
    value, slopes = terms[0], list[Tree]()
    for place, term in enumerate(terms[1:], 1):
        pair = {"x": value, "y": term}
        folded = substituted(form, pair)
        if place == position:
            slopes.append(substituted(partial, {"x": term, "y": value, "t": folded}))
        elif place > position:
            slopes.append(substituted(partial, {**pair, "t": folded}))
        value = folded
    return value, reduce(times, slopes)


def _share(node: Contract, term: Tree, count: int) -> tuple[Tree, tuple[Node, ...]]:
    """∂⊕/∂term as an expression, and the nodes that stand for its variables from number `count` + 1 on."""
    op = node.reduce
    if op.name == "add" or not node.summed:
        return 1, ()
    if op.share is None:
        raise AlgebraError(f"operator {op.name!r} declares no share, and no derivative as ⊕; give Operator(share=…)")
    if op.tie is None:
        return substituted(parse(op.share, ("x", "t", "n", "p")), {"x": term, "t": f"x{count + 1}"}), (node,)
    inputs, children = (*node.inputs, node.output), (*node.operands, node)
    tie = substituted(parse(op.tie, ("x", "t")), {"x": term, "t": f"x{count}"})
    ties = _pointwise(("where", (tie, 1, 0)), inputs, children, node.output)
    share = parse(op.share, ("x", "t", "n", "p"))
    names: dict[str, Tree] = {"x": term, "t": f"x{count + 1}", "n": f"x{count + 2}", "p": f"x{count + 3}"}
    if "p" not in _variables(share):
        return substituted(share, names), (node, ties)
    variables = tuple(f"x{i}" for i in range(count + 1))
    rest = Contract(Pointwise(("where", (tie, op.unit, term)), variables), op, inputs, children, node.output)
    return substituted(share, names), (node, ties, rest)


def _variables(tree: Tree) -> set[str]:
    if isinstance(tree, tuple):
        return set[str]().union(*map(_variables, tree[1]))
    return {tree} if isinstance(tree, str) else set()
