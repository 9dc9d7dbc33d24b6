"""The order of steps that keeps little: what frees more than it makes is done as soon as it can be."""

from collections import Counter, defaultdict
from collections.abc import Container, Sequence

from .step import Step

__all__ = ["early"]


def early(steps: Sequence[Step], wanted: Container[int]) -> list[Step]:
    """The steps, each that ends larger values than it makes moved to where its operands are first there.

    wanted: slots that are returned, so that no step ends them. Views stay where they are: they hold what they show.
    """
    made = {step.output for step in steps}
    sizes = {step.output: step.output_bytes for step in steps if step.output not in wanted}
    left = Counter(slot for step in steps for slot in {*step.inputs})
    missing = {step.output: len(made & {*step.inputs}) for step in steps}
    readers = defaultdict[int, list[Step]](list)
    for step in steps:
        if step.kind not in ("view", "take"):
            for slot in {*step.inputs} & sizes.keys():
                readers[slot].append(step)
    users = _users(steps)
    found: dict[int, Step] = {}
    for step in steps:
        queue = [step]
        while queue:
            now = queue.pop()
            if now.output in found:
                continue
            found[now.output] = now
            left.subtract({*now.inputs})
            for user in users[now.output]:
                missing[user] -= 1
            near = [other for slot in (now.output, *now.inputs) for other in readers[slot]]
            queue += [
                other
                for other in near
                if other.output not in found
                and not missing[other.output]
                and sum(sizes.get(slot, 0) for slot in {*other.inputs} if left[slot] == 1) > other.output_bytes
            ]
    return list(found.values())


def _users(steps: Sequence[Step]) -> dict[int, list[int]]:
    """By slot, the slots that are made from it."""
    users = defaultdict[int, list[int]](list)
    for step in steps:
        for slot in {*step.inputs}:
            users[slot].append(step.output)
    return users
