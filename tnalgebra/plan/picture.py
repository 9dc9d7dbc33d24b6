"""The contraction tree of a plan: what each step reads, and what it costs."""

from collections.abc import Sequence

from ..canvas import Diagram, Edge, Node, outline
from ..canvas.diagram import legend_of, text_width
from ..canvas.layered import layered
from ..graph.sizes import Shape
from .step import Step, operators

__all__ = ["contraction_text", "contraction_tree"]

LONGEST = 30
"""Letters of an equation that are shown."""
PITCH = 0.95
MEANINGS = {
    "tensor": "leaf",
    "linear": "step that is linear",
    "xi": "step with another ξ or ⊕",
    "map": "function, view, slice or shape",
}


def contraction_tree(inputs: Sequence[str], shapes: Sequence[Shape], steps: Sequence[Step], about: str) -> Diagram:
    """A node a leaf that is read and a node a step, the last on top; on the lines what is handed on."""
    read = {slot for step in steps for slot in step.inputs}
    leaves = [slot for slot in range(len(inputs)) if slot in read or not steps]
    place = {slot: i for i, slot in enumerate([*leaves, *(step.output for step in steps)])}
    total = sum(step.flops for step in steps)
    nodes = [Node(0, 0, "tensor", inputs[slot], inputs[slot]) for slot in leaves]
    nodes += [Node(0, 0, _role(step), f"{_title(i, step)}\n{_cost(step, total)}") for i, step in enumerate(steps, 1)]
    links: dict[tuple[int, int], str] = {}
    for step in steps:
        for slot, labels in zip(step.inputs, step.terms, strict=True):
            size = shapes[slot] if slot < len(inputs) else [step.sizes[label] for label in labels]
            links[place[slot], place[step.output]] = _size(size)
    widths, texts = [node.width for node in nodes], list(map(text_width, links.values()))
    spots, routes, places = layered(widths, list(links), texts, PITCH) if nodes else ([], [], [])
    drawn = [Node(*spot, node.role, node.text, node.key) for spot, node in zip(spots, nodes, strict=True)]
    edges = [Edge(route, text, at) for route, text, at in zip(routes, links.values(), places, strict=True)]
    title = f"contraction tree of {len(steps)} step{'s' * (len(steps) != 1)}"
    return Diagram(title, tuple(drawn), tuple(edges), legend=legend_of(drawn, MEANINGS), about=about)


def contraction_text(
    inputs: Sequence[str], shapes: Sequence[Shape], steps: Sequence[Step], output: int | tuple[int, ...]
) -> str:
    """The same in characters, a tree for every value that is wanted; what was shown above is named again only."""
    made = {step.output: (number, step) for number, step in enumerate(steps, 1)}
    opened = set[int]()

    def text(slot: int) -> str:
        if slot not in made:
            return f"{inputs[slot]}: {_size(shapes[slot])}"
        number, step = made[slot]
        again = " (as above)" if slot in opened else ""
        return f"{_title(number, step)}: {step.flops} operations{again}"

    def children(slot: int) -> Sequence[int]:
        below = () if slot in opened or slot not in made else made[slot][1].inputs
        opened.add(slot)
        return below

    return "\n".join(outline(slot, children, text) for slot in (output if isinstance(output, tuple) else (output,)))


def _title(number: int, step: Step) -> str:
    equation = {"map": step.text, "take": f"slice {step.text}"}.get(step.kind, step.equation)
    return f"{number}. {equation if len(equation) <= LONGEST else equation[: LONGEST - 1] + '…'}"


def _cost(step: Step, total: int) -> str:
    share = f" ({100 * step.flops / total:.0f} %)" if total else ""
    return f"{step.kind}: {_count(step.flops)}{share}" if step.flops else f"{step.kind}: no arithmetic"


def _count(number: int) -> str:
    return str(number) if number < 10**6 else f"{number:.2e}"


def _size(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) if len(shape) <= 4 else f"{len(shape)} axes"


def _role(step: Step) -> str:
    """Whether a step is linear in each operand; what computes nothing is neither."""
    if not (step.flops or step.body):
        return "map"
    inner = step.body or (step,)
    names = {op.name for each in inner for op in operators(each.tree)}
    names |= {each.reduce.name for each in inner if each.reduce is not None and each.reduce.name != "add"}
    return "map" if step.kind == "map" else "xi" if names - {"multiply"} else "linear"
