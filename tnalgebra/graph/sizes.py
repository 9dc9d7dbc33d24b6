"""Label sizes from shapes, or the error that names label, operand, axis and both sizes."""

from collections.abc import Mapping, Sequence

from ..errors import AxisMismatchError, EquationError
from .node import Bundle, Contract, Labels, Leaf, Map, Node, Sum, postorder
from .part import Shaped, Stack, Take
from .show import show_labels

__all__ = ["label_sizes", "shape_of", "shapes_of"]

Shape = tuple[int, ...]


def label_sizes(inputs: Sequence[Labels], shapes: Sequence[Shape], equation: str) -> dict[str, int]:
    """Size of every label; an axis of size 1 broadcasts against another operand's.

    Raises `AxisMismatchError` where a label has two sizes.
    """
    found: dict[str, tuple[int, int, int]] = {}  # label → size, operand, axis
    for operand, (labels, shape) in enumerate(zip(inputs, shapes, strict=True)):
        first = {label: labels.index(label) for label in labels}
        for axis, (label, size) in enumerate(zip(labels, shape, strict=True)):
            here, (known, *there) = (size, operand, axis), found.get(label, (size, operand, axis))
            if first[label] != axis:  # a diagonal: no broadcasting between the axes of one operand
                known, there = shape[first[label]], [operand, first[label]]
            elif known == 1 or label not in found:
                found[label] = here
                continue
            if known != size and (size != 1 or first[label] != axis):
                raise AxisMismatchError(
                    f"label {label!r} of `{equation}` is {known} on operand {there[0]} axis {there[1]} "
                    f"but {size} on operand {operand} axis {axis}"
                )
    return {label: size for label, (size, _, _) in found.items()}


def shapes_of(root: Node, shapes: Mapping[str, Shape]) -> dict[Node, Shape]:
    """Shape of every node, from the shapes of the leaves by name."""
    found: dict[Node, Shape] = {}
    for node in postorder(root):
        match node:
            case Leaf(name, labels):
                if name not in shapes:
                    raise EquationError(f"leaf {name!r} is not given; given: {', '.join(sorted(shapes)) or 'none'}")
                if len(shapes[name]) != len(labels):
                    raise EquationError(
                        f"leaf {name}[{show_labels(labels)}] names {len(labels)} axes, "
                        f"but its array has {len(shapes[name])}"
                    )
                if any(size < 0 for size in shapes[name]):
                    raise EquationError(f"leaf {name!r} has shape {shapes[name]}: no size may be negative")
                label_sizes([labels], [shapes[name]], f"{name}[{show_labels(labels)}]")
                found[node] = tuple(shapes[name])
            case Contract():
                sizes = label_sizes(node.inputs, [found[child] for child in node.operands], node.equation)
                found[node] = tuple(sizes[label] for label in node.output)
            case Map(_, child):
                found[node] = found[child]
            case Sum(children):
                if len({found[child] for child in children}) > 1:
                    raise AxisMismatchError(
                        f"a sum needs nodes of one shape; got {[found[child] for child in children]}"
                    )
                found[node] = found[children[0]]
            case Bundle():
                found[node] = ()
            case Take(child):
                found[node] = node.shape(found[child])
            case Stack(_, _, like):
                found[node] = found[like]
            case Shaped(child, names, like, labels):
                equation = f"{show_labels(names)} in the shape of {show_labels(labels)}"
                label_sizes([names, labels], [found[child], found[like]], equation)
                found[node] = found[like]
    return found


def shape_of(root: Node, shapes: Mapping[str, Shape]) -> Shape:
    """Shape of the root."""
    return shapes_of(root, shapes)[root]
