"""Steps for kernels that make ξ where they use it: no product of operands is kept that a matrix product reads."""

from dataclasses import replace

from ..algebra import operator
from ..plan import Plan, Step
from ..plan.cost import priced
from ..plan.step import volume
from .kernels.bilinear import unit

__all__ = ["fused"]

GROWTH = 2
"""How many times the entries of its operands a product has that is better made again than kept."""


def fused(plan: Plan) -> Plan:
    """The plan with ξ-products inside the matrix products that read them, where one kernel does both."""
    outputs = {*plan.output} if isinstance(plan.output, tuple) else {plan.output}
    steps = list(plan.steps)
    for made in plan.steps:
        users = [step for step in steps if made.output in step.inputs]
        if made.output in outputs or not users or not _is_product(made):
            continue
        found = {user.output: _weighted(made, user) for user in users}
        if all(found.values()):
            steps = [found.get(step.output) or step for step in steps if step is not made]
    return replace(plan, steps=tuple(priced(step, plan.itemsize) for step in steps))


def _is_product(step: Step) -> bool:
    """Whether a step is ξ of its operands without a sum, and has many more entries than they."""
    if step.summed or step.kind not in ("product", "blocked") or len(step.terms) < 2:
        return False
    return volume(step.result, step.sizes) >= GROWTH * sum(volume(term, step.sizes) for term in step.terms)


def _weighted(made: Step, user: Step) -> Step | None:
    """Σ W · ξ(…) of the two steps, None where there is no kernel for it."""
    if user.kind != "product" or user.inputs.count(made.output) != 1 or not user.summed:
        return None
    place = user.inputs.index(made.output)
    names = dict(zip(made.result, user.terms[place], strict=True))
    if len({*names.values()}) < len(names):
        return None
    terms = [tuple(map(names.__getitem__, term)) for term in made.terms]
    step = replace(
        user,
        kind="weighted",
        inputs=(*made.inputs, user.inputs[1 - place]),
        terms=(*terms, user.terms[1 - place]),
        tree=made.tree if made.tree is not None else (operator("multiply"), tuple(range(len(terms)))),
    )
    return step if unit(step) is not None else None
