"""The hierarchical network: a hierarchical Tucker tensor of weights, steps joined along a tree."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from ..algebra import Operator, operator
from ..canvas import Diagram
from ..errors import FormatError
from ..formats import DimensionTree
from ..formats.characters import tree_text
from ..formats.parts import frozen, one_home
from ..formats.tree import as_tree
from ..graph import Contract, Labels, Node, Take
from .features import FeatureMap, FixedMap
from .initialise import Start, draw_hierarchical
from .network import Network, product, with_unit
from .parts import check_features
from .picture import hierarchical_diagram

__all__ = ["HierarchicalNetwork"]

Array = Any


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HierarchicalNetwork(Network):
    """Scores of a hierarchical (HT) network on any tree of the steps   (Cohen & Shashua 2016).

        leaf t:    z_t[k] = Σ_m U_t[m, k] f(x⁽ᵗ⁾)_m
        branch b:  z_b[k] = Σ_{ij…} B_b[i, j, …, k] · ξ(z_left[i], z_right[j], …),    l(X) = z_root

    leaves: U_t of shape (M, k_t), one a step. transfers: B_b of shape (k_child, …, k_b), one a branch in the order of
    `tree.inner`; the root has k = classes. With one weight tensor a class every part has the classes as an axis before
    its own, and the root k = 1. A tree of one step has one leaf, and the scores are ξ(z, u).
    Raises `FormatError` where a part does not fit its node.

    >>> import numpy as np, tnalgebra as tna
    >>> net = tna.HierarchicalNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="rectifier", seed=0)
    >>> net(np.ones((2, 3, 2))).shape
    (2, 7)
    """

    feature_map: FeatureMap | FixedMap
    tree: DimensionTree
    leaves: tuple[Array, ...]
    transfers: tuple[Array, ...]
    xi: Operator = field(default=operator("multiply"))

    def __post_init__(self) -> None:
        """Freeze the parts and check each against its node."""
        tree = self.tree if isinstance(self.tree, DimensionTree) else DimensionTree.from_nested(self.tree)
        if len(self.leaves) != tree.ndim or len(self.transfers) != len(tree.inner):
            raise FormatError(
                f"tree {tree.nested} needs {tree.ndim} leaves and {len(tree.inner)} transfers; "
                f"got {len(self.leaves)} and {len(self.transfers)}"
            )
        y = ("classes",) * (np.ndim(self.leaves[0]) == 3)
        leaves = [frozen(leaf, f"leaf {t}", (*y, "M", "k")) for t, leaf in enumerate(self.leaves)]
        transfers = [
            frozen(array, f"transfer of {branch}", (*y, *(f"k of {child}" for child in branch), "k"))
            for array, branch in zip(self.transfers, tree.inner, strict=True)
        ]
        for t, leaf in enumerate(leaves):
            check_features(self.feature_map, leaf, f"leaf {t}", -2)
        parts = one_home([*leaves, *transfers])
        values = (("tree", tree), ("leaves", parts[: tree.ndim]), ("transfers", parts[tree.ndim :]))
        for name, value in (*values, ("xi", operator(self.xi))):
            object.__setattr__(self, name, value)
        self._check_ranks()

    def _check_ranks(self) -> None:
        ranks = dict(zip(self.tree.nodes, self.ranks, strict=True))
        for name, part in self._parts().items():
            if 0 in part.shape or (self._y and part.shape[0] != self.leaves[0].shape[0]):
                raise FormatError(f"{name} has shape {tuple(part.shape)}: no size may be 0, nor may the classes differ")
        for branch, transfer in zip(self.tree.inner, self.transfers, strict=True):
            for axis, child in enumerate(branch, len(self._y)):
                if transfer.shape[axis] != ranks[child]:
                    raise FormatError(
                        f"transfer of {branch} has {transfer.shape[axis]} on axis {axis}, "
                        f"but node {child} has rank {ranks[child]}"
                    )
        if self._y and ranks[self.tree.nested] != 1:
            raise FormatError(
                f"with one weight tensor a class the root must have rank 1; it has {ranks[self.tree.nested]}"
            )

    @classmethod
    def random(
        cls,
        *,
        steps: int,
        inputs: int,
        features: int,
        rank: int,
        classes: int,
        xi: str | Operator = "multiply",
        tree: Any = None,
        activation: str = "relu",
        start: Start = "scores",
        shared: bool = True,
        seed: Any = None,
        dtype: Any = "float64",
    ) -> Self:
        """Draw a network whose scores neither vanish nor explode, or whose weight tensor has entries of variance 1.

        tree: balanced if not given. start: ``"scores"``, or ``"weights"`` for ξ = multiply.
        shared: False gives every class a weight tensor of its own.
        """
        xi, found, rng = operator(xi), as_tree(tree, steps), np.random.default_rng(seed)
        sizes = (found, inputs, features, rank, classes)
        f, leaves, transfers = draw_hierarchical(sizes, xi, activation, start, shared, rng, dtype)
        net = cls(f, found, leaves, transfers, xi)
        return net if start == "weights" else net._settled(rng)

    @property
    def steps(self) -> int:
        """T, the steps of an input."""
        return self.tree.ndim

    @property
    def classes(self) -> int:
        """Number of scores."""
        root = (self.transfers or self.leaves)[-1]
        return int(root.shape[0] if self._y else root.shape[-1])

    @property
    def ranks(self) -> tuple[int, ...]:
        """One a node, in the order of `tree.nodes`."""
        leaves, transfers = iter(self.leaves), iter(self.transfers)
        by_mode = [int(leaf.shape[-1]) for leaf in leaves]
        return tuple(
            by_mode[node] if isinstance(node, int) else int(next(transfers).shape[-1]) for node in self.tree.nodes
        )

    def diagram(self) -> Diagram:
        """The picture of the network as a value: steps are joined along the tree."""
        return hierarchical_diagram(self, self.show(), self.tree)

    def show(self) -> str:
        """Draw the network with characters: the features of every step, the rank of every node.

        >>> import tnalgebra as tna
        >>> print(tna.HierarchicalNetwork.random(steps=3, inputs=2, features=4, rank=5, classes=7, xi="hypot").show())
        0 1 2: rank 7
        ├─ 0 1: rank 5
        │  ├─ 0: size 4, rank 5
        │  └─ 1: size 4, rank 5
        └─ 2: size 4, rank 5
        hypot, 7 classes
        """
        tree = tree_text(
            self.tree, (self.n_features,) * self.steps, dict(zip(self.tree.nodes, self.ranks, strict=True))
        )
        return f"{tree}\n{self.xi.name}, {self.classes} classes"

    @property
    def _y(self) -> str:
        return "y" * (len(self.leaves[0].shape) == 3)

    def _structure(self) -> tuple[Hashable, ...]:
        return *Network._structure(self), self.tree

    @property
    def _last(self) -> str:
        return f"transfer{len(self.transfers) - 1}" if self.transfers else "leaf0"

    def _parts(self) -> dict[str, Array]:
        return {
            **{f"leaf{t}": leaf for t, leaf in enumerate(self.leaves)},
            **{f"transfer{i}": transfer for i, transfer in enumerate(self.transfers)},
        }

    def _with_parts(self, feature_map: FeatureMap | FixedMap, parts: Mapping[str, Array]) -> Self:
        leaves = tuple(parts[f"leaf{t}"] for t in range(len(self.leaves)))
        transfers = tuple(parts[f"transfer{i}"] for i in range(len(self.transfers)))
        return type(self)(feature_map, self.tree, leaves, transfers, self.xi)

    def _graph(self, features: Node, steps: int, mask: Node | None) -> Node:
        return self._grid([Take(features, 1, t) for t in range(steps)])

    def _grid(self, features: Sequence[Node]) -> Node:
        leaves, y, root = self._leaves(), self._y, self.tree.nested
        values: dict[Any, Node] = {}
        leads: dict[Any, Labels] = {}
        for t, step in enumerate(features):
            right = "" if y and root == 0 else "k"
            leads[t] = step.output[:1]
            values[t] = product((step.output, f"{y}mk"), (*leads[t], *y, *right), step, leaves[f"leaf{t}"])
        if root == 0:
            return with_unit(self.xi, values[0])
        for i, branch in enumerate(self.tree.inner):
            bonds = tuple(f"r{n}" for n in range(len(branch)))
            leads[branch] = tuple(dict.fromkeys(label for child in branch for label in leads[child]))
            lead: Labels = (*leads[branch], *y)
            terms = tuple((*leads[child], *y, bond) for child, bond in zip(branch, bonds, strict=True))
            joined = Contract(
                self.xi, operator("add"), terms, tuple(values[child] for child in branch), (*lead, *bonds)
            )
            output = lead if y and branch == root else (*lead, "k")
            values[branch] = product((joined.output, (*y, *bonds, "k")), output, joined, leaves[f"transfer{i}"])
        return values[root]
