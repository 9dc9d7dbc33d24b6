"""Register an operator, and let its declared laws decide what the planner may do with it."""

import numpy as np

import tnalgebra as tna


def main() -> None:
    """Contract reliabilities: ξ is the product of a series of links, ⊕ the probability that one of two works."""
    either = tna.Operator(
        name="either", value="x + y - x * y", partial="1 - y", unit=0.0, samples=(0.0, 0.125, 0.5, 0.75, 1.0)
    )
    tna.register_operator(either)

    links = np.zeros((4, 4))  # a link works with this probability
    for (i, j), p in {(0, 1): 0.9, (1, 3): 0.8, (0, 2): 0.7, (2, 3): 0.9}.items():
        links[i, j] = links[j, i] = p
    best = tna.contract("ij,jk->ik", links, links, reduce="maximum")
    some = tna.contract("ij,jk->ik", links, links, reduce="either")
    print(f"from 0 to 3 by two links: {best[0, 3]:.4f} on the best way, {some[0, 3]:.4f} if both ways count")

    plan = tna.contract_path("ij,jk,kl->il", links, links, links, reduce="either")
    print(plan.reason)

    try:
        tna.register_operator(
            tna.Operator(name="or", value="x + y - x * y", unit=0.0, distributes_over=frozenset({"add"}))
        )
    except tna.TnAlgebraError as error:
        print(error)


if __name__ == "__main__":
    main()
