"""A plan in words, and as the NumPy loop that gives the same numbers."""

import re
from collections.abc import Container, Mapping, Sequence

from ..algebra import Pointwise
from ..graph import Bundle, Contract, Labels, Leaf, Map, Node, Shaped, Stack, Sum, Take, label_sizes
from ..graph.node import operators_of, postorder
from ..graph.sizes import Shape, shapes_of
from .cost import COMPILED
from .generated import exponential, generating, share
from .step import Step

__all__ = ["explain"]

WORDS = {
    "view": "rearrange axes, no arithmetic",
    "reduce": "reduce one operand",
    "product": "multiply and sum by BLAS",
    "blocked": "combine in cache-sized blocks and reduce at once",
    "weighted": "combine in blocks, and let BLAS weigh and sum each block",
    "pieces": "look up slope and intercept between the points where the operator bends",
    "map": "apply a function to every entry",
    "sum": "add entry by entry",
    "shape": "repeat, sum or lay on a diagonal, to the shape of an operand",
    "take": "take one slice",
    "stack": "lay slices beside one another",
    "loop": "repeat for slices, to stay within the memory limit",
}


def explain(root: Node, shapes: Mapping[str, Shape], steps: Sequence[Step], is_reorderable: bool, reason: str) -> str:
    """Words, then the loop."""
    verdict = f"Sums may move: {reason}." if is_reorderable else f"Sums stay where they are: {reason}."
    told = [f"{number}. {step.equation}: {_told(step)}." for number, step in enumerate(steps, 1)]
    return "\n".join([str(root), "", verdict, *told, "", "The same numbers, slowly:", "", *_loops(root, shapes)])


def _told(step: Step) -> str:
    is_long = step.kind == "blocked" and step.flops >= COMPILED
    return _done(step) + ("; by a compiled kernel, where Numba is installed" if is_long else "")


def _done(step: Step) -> str:
    if step.text == "apart":
        return f"add the weighted sums of single operands: {step.reduce} separates"
    part = share(step)
    op = part.op if part else exponential(step) or generating(step)
    if op is None or op.generator is None:
        return WORDS[step.kind]
    g, inverse = (re.sub(r"\bx\b", "·", text) for text in op.generator)
    if part:
        return (
            f"the shares of {op} by matrix products of {g} with rows and columns shifted; single entries where that"
            " loses digits"
        )
    if op == step.reduce:
        return (
            f"a matrix product of {g} with rows and columns shifted, and {inverse} of it; single entries where"
            " that loses digits"
        )
    return f"{WORDS[step.kind]}; {op} as {inverse} of a sum of {g}, where that neither overflows nor vanishes"


def _loops(root: Node, shapes: Mapping[str, Shape]) -> list[str]:
    """Nested NumPy loops, a few lines a node; a reduction starts from the unit of ⊕."""
    found = shapes_of(root, shapes)
    taken = {"np", "out", *shapes, *(op.name for op in operators_of(root))}
    names: dict[Node, str] = {}
    lines: list[str] = []
    for node in postorder(root, values=True):
        if isinstance(node, Leaf):
            names[node] = node.name
            continue
        out = names[node] = "out" if node is root else _free(f"t{len(names)}", taken)
        taken.add(out)
        terms = [names[child] for child in node.sources]
        if isinstance(node, Map):
            lines.append(f"{out} = {_qualified(node.function, terms[0])}")
        elif isinstance(node, Sum):
            lines.append(f"{out} = {' + '.join(terms)}")
        elif isinstance(node, Bundle):
            lines.append(f"{out} = {', '.join(terms)}")
        elif isinstance(node, Take):
            lines.append(f"{out} = {terms[0]}[{':, ' * node.axis}{node.index}]")
        elif isinstance(node, Stack):
            lines.append(f"{out} = np.zeros({found[node]})")
            at = ":, " * node.axis
            lines += [f"{out}[{at}{place}] = {term}" for place, term in zip(node.places, terms, strict=True)]
        elif isinstance(node, Contract | Shaped):
            lines.extend(_loop(node, out, terms, found, taken))
    return lines


def _free(name: str, taken: Container[str]) -> str:
    """The name, or one like it that nothing else has."""
    while name in taken:
        name += "_"
    return name


def _qualified(function: str, x: str) -> str:
    """Write a scalar expression in x with the names of NumPy: ``exp(x)`` → ``np.exp(A)``."""
    text = re.sub(r"\b([a-z_]\w*)(?=\()|\binf\b", lambda found: f"np.{found[0]}", function)
    return re.sub(r"\bx\b", x, text)


def _loop(
    node: Contract | Shaped, out: str, terms: Sequence[str], shapes: Mapping[Node, Shape], taken: Container[str]
) -> list[str]:
    """Fill the array, then loop over all labels; an axis of size 1 has one index for all."""
    if isinstance(node, Contract):
        inputs, output, sources = node.inputs, node.output, node.operands
    else:
        inputs, output, sources = (node.names,), node.labels, node.sources
    found = [shapes[child] for child in sources]
    sizes = label_sizes([*inputs, output], [*found, shapes[node]], str(node))
    index = {label: _free(label if label.isidentifier() else f"i{n}", taken) for n, label in enumerate(sizes)}

    def entry(name: str, labels: Labels, shape: Shape) -> str:
        at = ["0" if size == 1 < sizes[label] else index[label] for label, size in zip(labels, shape, strict=True)]
        return f"{name}[{', '.join(at) or '()'}]"

    entries = [entry(*term) for term in zip(terms, inputs, found, strict=True)]
    target = entry(out, output, shapes[node])
    unit, assign = "0.0", f"{target} = {target} + {entries[0]}"
    if isinstance(node, Contract):
        value = _value(node, entries)
        unit = f"{node.reduce.unit}".replace("inf", "np.inf")
        assign = f"{target} = {node.reduce}({target}, {value})" if node.summed else f"{target} = {value}"
    lines = [f"{out} = np.full({tuple(shapes[node])}, {unit})"]
    if not sizes:
        return [*lines, assign]
    counters = ", ".join(index.values()) + "," * (len(index) == 1)
    return [*lines, f"for {counters} in np.ndindex({', '.join(map(str, sizes.values()))}):", f"    {assign}"]


def _value(node: Contract, entries: Sequence[str]) -> str:
    if isinstance(node.xi, Pointwise):
        return _qualified(node.xi.shown([f"({entry})" if " " in entry else entry for entry in entries]), "x")
    return entries[0] if len(entries) == 1 else f"{node.xi}({', '.join(entries)})"
