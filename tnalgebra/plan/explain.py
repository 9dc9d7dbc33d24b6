"""A plan in words, and as the NumPy loop that gives the same numbers."""

from collections.abc import Mapping, Sequence

from ..graph import Contract, Leaf, Map, Node, Sum, label_sizes
from ..graph.node import postorder
from ..graph.sizes import Shape, shapes_of
from .step import Step

__all__ = ["explain"]

WORDS = {
    "view": "rearrange axes, no arithmetic",
    "reduce": "reduce one operand",
    "product": "multiply and sum by BLAS",
    "blocked": "combine in cache-sized blocks and reduce at once",
    "weighted": "combine in blocks, and let BLAS weigh and sum each block",
    "map": "apply a function to every entry",
    "sum": "add entry by entry",
    "loop": "repeat for slices, to stay within the memory limit",
}


def explain(root: Node, shapes: Mapping[str, Shape], steps: Sequence[Step], is_reorderable: bool, reason: str) -> str:
    """Words, then the loop."""
    verdict = f"Sums may move: {reason}." if is_reorderable else f"Sums stay where they are: {reason}."
    told = [f"{number}. {step.equation}: {WORDS[step.kind]}." for number, step in enumerate(steps, 1)]
    return "\n".join([str(root), "", verdict, *told, "", "The same numbers, slowly:", "", *_loops(root, shapes)])


def _loops(root: Node, shapes: Mapping[str, Shape]) -> list[str]:
    """Nested NumPy loops, a few lines a node; a reduction starts from the unit of ⊕."""
    found = shapes_of(root, shapes)
    names: dict[Node, str] = {}
    lines: list[str] = []
    for node in postorder(root):
        if isinstance(node, Leaf):
            names[node] = node.name
            continue
        out = names[node] = "out" if node is root else f"t{len(names)}"
        terms = [names[child] for child in node.operands]
        if isinstance(node, Map):
            lines.append(f"{out} = {node.function.replace('x', terms[0])}")
        elif isinstance(node, Sum):
            lines.append(f"{out} = {' + '.join(terms)}")
        elif isinstance(node, Contract):
            lines.extend(_loop(node, out, terms, found))
    return lines


def _loop(node: Contract, out: str, terms: Sequence[str], shapes: Mapping[Node, Shape]) -> list[str]:
    sizes = label_sizes(node.inputs, [shapes[child] for child in node.operands], node.equation)
    entries = []
    for term, labels, child in zip(terms, node.inputs, node.operands, strict=True):
        at = ["0" if size == 1 < sizes[name] else name for name, size in zip(labels, shapes[child], strict=True)]
        entries.append(f"{term}[{', '.join(at) or '()'}]")
    target = f"{out}[{', '.join(node.output) or '()'}]"
    value = entries[0] if len(entries) == 1 else f"{node.xi}({', '.join(entries)})"
    return [
        f"{out} = np.full({tuple(shapes[node])}, {node.reduce.unit})",
        f"for {', '.join(sizes)}{',' * (len(sizes) == 1)} in np.ndindex({', '.join(map(str, sizes.values()))}):",
        f"    {target} = {node.reduce}({target}, {value})" if node.summed else f"    {target} = {value}",
    ]
