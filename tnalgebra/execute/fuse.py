"""Steps for kernels that make ξ where they use it, and fold a matrix product where they make it: neither is kept."""

from collections.abc import Container, Sequence
from dataclasses import replace

from ..algebra import operator
from ..plan import Plan, Step
from ..plan.cost import priced, together
from ..plan.step import union, volume
from .kernels.bilinear import unit
from .kernels.fold import fold

__all__ = ["fused", "grouped"]

OWN = 1 << 19
"""Operations of a matrix product for which BLAS would wake its threads."""
WASTE = 1.25
"""How many times its columns, of which a kernel does whole vectors, are little more than these."""
GROWTH = 2
"""How many times the entries of its operands a product has that is better made again than kept."""


def fused(plan: Plan) -> Plan:
    """The plan with ξ-products inside the matrix products that read them, and with what folds a product behind it."""
    outputs = plan.outputs
    steps, users = {step.output: step for step in plan.steps}, _users(plan.steps)
    for made in plan.steps:
        made = steps[made.output]  # which may have become another step by now
        found = _merged(made, [steps[user.output] for user in users.get(made.output, [])], plan.itemsize)
        if found and made.output not in outputs:
            steps |= {step.output: step for step in found}
            del steps[made.output]
    moved = _moved(list(steps.values()), outputs)
    readers = _users(moved)
    own = [step if _folds(step, readers.get(step.output, []), outputs) else _own(step) for step in moved]
    return replace(plan, steps=tuple(priced(step, plan.itemsize) for step in own))


def grouped(steps: Sequence[Step], outputs: Container[int]) -> list[list[Step]]:
    """The steps as kernels do them: those on the same operands, and a matrix product with all steps that fold it."""
    groups, rest, users, i = list[list[Step]](), list[Step](), _users(steps), 0
    while i < len(steps):
        step, readers = steps[i], users.get(steps[i].output, [])
        end = i + 1 + len(readers)
        if _folds(step, readers, outputs) and [*steps[i + 1 : end]] == readers:
            groups += [*together(rest), [step, *readers]]
            rest, i = [], end
        else:
            rest.append(step)
            i += 1
    return [*groups, *together(rest)]


def _own(step: Step) -> Step:
    """A large matrix product by the kernel of the others, which does it as fast as BLAS.

    The threads of BLAS stay awake after their work, for longer than ours have to do here, and take cores from them.
    """
    if step.kind != "product" or not step.summed or step.flops < OWN:
        return step
    for turn in (1, -1) if {*step.result[-1:]} <= {*step.terms[1]} else (-1, 1):
        found = replace(step, kind="weighted", inputs=step.inputs[::turn], terms=step.terms[::turn], tree=0)
        if unit(found) is not None:
            return found
    return step


def _users(steps: Sequence[Step]) -> dict[int, list[Step]]:
    found = dict[int, list[Step]]()
    for step in steps:
        for slot in dict.fromkeys(step.inputs):
            found.setdefault(slot, []).append(step)
    return found


def _folds(step: Step, readers: Sequence[Step], outputs: Container[int]) -> bool:
    return step.output not in outputs and fold(step, readers) is not None


def _moved(steps: Sequence[Step], outputs: Container[int]) -> list[Step]:
    """Steps that fold a matrix product directly behind it, where all else that they read is there by then."""
    place = {step.output: (i, 0) for i, step in enumerate(steps)}
    users = _users(steps)
    for step in steps:
        readers, here = users.get(step.output, []), place[step.output]
        others = {slot for reader in readers for slot in reader.inputs if slot != step.output}
        if all(place.get(slot, (-1, 0)) < here for slot in others) and _folds(step, readers, outputs):
            place |= {reader.output: (here[0], i) for i, reader in enumerate(readers, 1)}
    return sorted(steps, key=lambda step: place[step.output])


def _is_product(step: Step) -> bool:
    """Whether a step is ξ of its operands without a sum, and has many more entries than they."""
    if step.summed or step.kind not in ("product", "blocked") or len(step.terms) < 2:
        return False
    return volume(step.result, step.sizes) >= GROWTH * sum(volume(term, step.sizes) for term in step.terms)


def _merged(made: Step, users: Sequence[Step], itemsize: int) -> list[Step]:
    """The steps that read a step, each with it inside; none where that cannot be."""
    if _is_product(made):
        found = [_weighted(made, user) for user in users]
        return [step for step in found if step] if all(found) else []
    return _chained(made, users[0], itemsize) if len(users) == 1 else []


def _chained(made: Step, user: Step, itemsize: int) -> list[Step]:
    """Σ y · Σ W · x as Σ W · (x · y), where one kernel does that with no more work and makes no array for Σ W · x."""
    if made.kind != "product" or not made.summed:
        return []
    if user.kind != "product" or not user.summed or user.inputs.count(made.output) != 1:
        return []
    place = user.inputs.index(made.output)
    names = dict(zip(made.result, user.terms[place], strict=True))
    names |= {label: label for label in made.summed}
    if len({*names.values()}) < len(names) or {*made.summed} & {label for term in user.terms for label in term}:
        return []
    first, second = (tuple(map(names.__getitem__, term)) for term in made.terms)
    sizes = {names[label]: size for label, size in made.sizes.items()} | user.sizes
    other = user.inputs[1 - place], user.terms[1 - place]
    work = volume(union(first, second, other[1]), sizes)
    if work > volume(union(first, second), sizes) + volume(union(*user.terms), sizes):
        return []
    for x, w in ((0, 1), (1, 0)):
        step = replace(
            user,
            kind="weighted",
            inputs=(made.inputs[x], other[0], made.inputs[w]),
            terms=((first, second)[x], other[1], (first, second)[w]),
            sizes=sizes,
            tree=(operator("multiply"), (0, 1)),
        )
        found = unit(step)
        if found is not None and found.padded(found.kernel(itemsize)) <= WASTE * found.size(found.columns):
            return [step]
    return []


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
