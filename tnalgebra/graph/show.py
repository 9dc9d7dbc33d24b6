"""Labels as text."""

__all__ = ["Labels", "show_equation", "show_labels"]

Labels = tuple[str, ...]


def show_labels(labels: Labels) -> str:
    """Write ``ijk``, or ``batch,rank`` where a label is longer than one character."""
    return ("," if any(len(label) > 1 for label in labels) else "").join(labels)


def show_equation(inputs: tuple[Labels, ...], output: Labels) -> str:
    """Write ``ij,jk->ik``; terms are set apart by semicolons where labels are longer than one character."""
    separator = "; " if any(len(label) > 1 for labels in inputs for label in labels) else ","
    return f"{separator.join(map(show_labels, inputs))}->{show_labels(output)}"
