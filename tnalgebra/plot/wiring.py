"""What draws itself: networks, contraction trees and training histories."""

from typing import Any

from ..canvas import Diagram, Diagrammed, render
from ..errors import PictureError
from ..execute import Expression
from ..graph.picture import diagram_of
from ..plan import Plan
from ..training import History

__all__ = ["contraction_tree", "history", "network"]


def network(x: Any, path: Any = None, *, plan: Plan | None = None) -> Any:
    """Tensor-network diagram of a format, a tree, a network or an expression. Returns the axes.

    CP is a star, TT a chain, HT a tree; ranks stand on lines, sizes at free ends. Arrays are round and blue; a ξ that
    is no product has points and is orange; functions of single entries are grey rectangles. A score network stands on
    the features of its steps. An expression is a tensor network where it is one Σ of products, and else the graph of
    its operations.

    plan: of the expression; every array then bears the number of the first step that reads it, and sizes that the
        expression does not know are the plan's.
    Raises `PictureError` for what has no network.

    >>> import tnalgebra as tna
    >>> t = tna.TTTensor.random((2, 3, 5), rank=4, seed=0)
    >>> [text.get_text() for text in tna.plot.network(t).texts]
    ['n₀ = 2', 'n₁ = 3', 'n₂ = 5', '4', '4']
    """
    if not isinstance(x, Diagrammed):
        raise PictureError(
            f"network draws formats, trees, networks and expressions; got {type(x).__name__}: from_dense makes a "
            "format of an array, and matricization draws its entries"
        )
    return render(_diagram(x, plan), path)


def _diagram(x: Diagrammed, plan: Plan | None) -> Diagram:
    if plan is None:
        return x.diagram()
    drawn = x.diagram()
    if isinstance(x, Expression):
        drawn = diagram_of(x.node, dict(zip(plan.inputs, plan.shapes, strict=True)))
    return drawn.numbered(plan.first_reads())


def contraction_tree(plan: Plan, path: Any = None) -> Any:
    r"""The steps of a plan as a tree, each with its equation, its kernel and its cost. Returns the axes.

    A step's share of all operations stands in brackets; on the lines are the sizes of what is handed on.

    >>> import tnalgebra as tna
    >>> plan = tna.contract_path("ij,jk,kl->il", (3, 4), (4, 5), (5, 6))
    >>> [text.get_text() for text in tna.plot.contraction_tree(plan).texts][3:5]
    ['1. ij,jk->ik\nproduct: 120 (40 %)', '2. ik,kl->il\nproduct: 180 (60 %)']
    """
    if not isinstance(plan, Plan):
        raise PictureError(f"a contraction tree is that of a Plan; got {type(plan).__name__}: expressions have .plan()")
    return plan.draw(path)


def history(x: Any, path: Any = None) -> tuple[Any, Any]:
    """Loss and accuracy over the epochs, of a history or of what `fit` returns. Returns both axes.

    >>> import tnalgebra as tna
    >>> from tnalgebra.training import Epoch, History
    >>> loss, accuracy = tna.plot.history(History((Epoch(1, 10, 0.5, 0.75, None, None, 1.25, 0.001, 2.0),)))
    >>> loss.get_ylabel(), accuracy.get_ylabel()
    ('loss', 'accuracy')
    """
    found = getattr(x, "history", x)
    if not isinstance(found, History):
        raise PictureError(f"what fit returns has a history, or is one; got {type(x).__name__}")
    return found.draw(path)
