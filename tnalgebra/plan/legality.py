"""Which sums may move, and the sentence that says why not."""

from dataclasses import dataclass

from ..algebra import Operator, Pointwise, distributes
from ..graph import Contract

__all__ = ["Verdict", "is_separable", "judge"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the operands of one node may be reordered freely, and why."""

    is_reorderable: bool
    reason: str


def is_separable(node: Contract) -> bool:
    """Whether ⊕ is ξ itself, so that ⊕ over ξ(a, b) is ξ of the separate reductions, each repeated.

    Operands that have all labels have as many entries as ξ of them: nothing would be gained, and digits lost.
    """
    xi, labels = node.xi, {label for term in node.inputs for label in term}
    is_fold = isinstance(xi, Operator) and xi == node.reduce and xi.repeat is not None
    return is_fold and any(labels - {*term} for term in node.inputs)


def judge(node: Contract, nonnegative: bool = False) -> Verdict:
    """Say whether sums of this node may move inside ξ.

    >>> import tnalgebra as tna
    >>> print(tna.contract_path("ij,jk,kl->il", (2, 3), (3, 5), (5, 7), xi="rectifier").reason)
    labels 'j', 'k' can be summed only in the last step: rectifier does not distribute over add
    """
    xi, reduce, summed = node.xi, node.reduce, node.summed
    if len(node.operands) == 1:
        return Verdict(True, "one operand: nothing is combined")
    if isinstance(xi, Pointwise):
        return Verdict(False, "a scalar expression of several operands is evaluated in one step")
    if not summed:
        return Verdict(True, f"no label is summed: {xi} is associative and commutative")
    if distributes(xi, reduce, nonnegative=nonnegative):
        always = reduce.name in xi.distributes_over
        return Verdict(True, f"{xi} distributes over {reduce}" + ("" if always else " on non-negative numbers"))
    if is_separable(node):
        return Verdict(True, f"{xi} over {reduce} separates: every operand is reduced on its own")
    names = ", ".join(repr(label) for label in summed)
    hint = "; it does on non-negative numbers" if reduce.name in xi.distributes_over_nonnegative else ""
    return Verdict(
        False,
        f"label{'s' * (len(summed) > 1)} {names} can be summed only in the last step: "
        f"{xi} does not distribute over {reduce}{hint}",
    )
