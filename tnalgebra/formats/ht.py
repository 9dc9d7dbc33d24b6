"""The hierarchical Tucker format: frames on the leaves of a dimension tree, transfer tensors on its branches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from ..algebra import Operator, operator
from ..canvas import Diagram
from ..errors import FormatError, TreeError
from ..execute.expression import evaluate
from ..execute.namespace import namespace_of
from ..graph import Labels, Node
from .base import Array, Format
from .characters import tree_text
from .gather import ht_entries
from .graphs import branch_graph, carried, ht_graph, numbered
from .levels import ht_leveled
from .network import Part, embed, met, on_tree, without
from .orthogonal import ht_center, ht_inner, ht_sweep, scaled_norm, spread
from .parts import check_rank, check_shape, frozen, normal, one_home, sealed, share
from .picture import ht_diagram
from .structure import require_finite, require_multiply
from .tree import DimensionTree, Nested, as_tree, climbed, renumbered
from .truncation import FitReport, TruncationReport

__all__ = ["HTTensor"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HTTensor(Format):
    """Values that climb a dimension tree   (Grasedyck 2010; GTM for other ξ).

        leaf t:    z_t[k] = U_t[i_t, k]
        branch b:  z_b[k] = Σ_{ij…} B_b[i, j, …, k] · ξ(z_left[i], z_right[j], …)
        W[i₁, …, i_d] = z_root

    leaves: frames U_t of shape (n_t, k_t), one a mode. transfers: B_b of shape (k_child, …, k_b), one a branch in the
    order of `tree.inner` (children before parents, the root last with k = 1), or a mapping from branches.

    Raises `FormatError` where a part does not fit its node of the tree.

    >>> import numpy as np, tnalgebra as tna
    >>> tree = tna.DimensionTree.balanced(2)
    >>> tna.HTTensor(tree, [np.ones((2, 3)), np.ones((5, 4))], [np.ones((3, 4, 1))])[0, 0]
    np.float64(12.0)
    """

    tree: DimensionTree
    leaves: tuple[Array, ...]
    transfers: tuple[Array, ...]
    xi: Operator = field(default=operator("multiply"))
    truncation: TruncationReport | None = field(default=None, kw_only=True)
    fit: FitReport | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Freeze the parts and check each against its node."""
        tree = self.tree if isinstance(self.tree, DimensionTree) else DimensionTree.from_nested(self.tree)
        transfers: Any = self.transfers
        if isinstance(transfers, Mapping):
            if set(transfers) != set(tree.inner):
                raise FormatError(f"transfers must be given for the branches {tree.inner}; got {tuple(transfers)}")
            transfers = [transfers[branch] for branch in tree.inner]
        if len(self.leaves) != tree.ndim or len(transfers) != len(tree.inner):
            raise FormatError(
                f"tree {tree.nested} needs {tree.ndim} leaves and {len(tree.inner)} transfers; "
                f"got {len(self.leaves)} and {len(transfers)}"
            )
        leaves = tuple(frozen(leaf, f"leaf {mode}", ("n", "k")) for mode, leaf in enumerate(self.leaves))
        texts = climbed(tree, str, lambda parts: f"({', '.join(parts)})")
        axes = [(*(f"k of {texts[child]}" for child in branch), "k") for branch in tree.inner]
        transfers = tuple(
            frozen(array, f"transfer of {texts[branch]}", names)
            for array, branch, names in zip(transfers, tree.inner, axes, strict=True)
        )
        parts = one_home([*leaves, *transfers])
        leaves, transfers = parts[: len(leaves)], parts[len(leaves) :]
        for name, value in (("tree", tree), ("leaves", leaves), ("transfers", transfers), ("xi", operator(self.xi))):
            object.__setattr__(self, name, value)
        self._check_ranks()

    def _check_ranks(self) -> None:
        for name, array in self.parameters().items():
            if 0 in array.shape:
                raise FormatError(f"{name} has shape {tuple(array.shape)}: sizes and ranks must be at least 1")
        ranks = dict(zip(self.tree.nodes, self.ranks, strict=True))
        for branch, transfer in zip(self.tree.inner, self.transfers, strict=True):
            for axis, child in enumerate(branch):
                if transfer.shape[axis] != ranks[child]:
                    raise FormatError(
                        f"transfer of {branch} has {transfer.shape[axis]} on axis {axis}, "
                        f"but node {child} has rank {ranks[child]}"
                    )
        if ranks[self.tree.nested] != 1:
            raise FormatError(f"the root has rank {ranks[self.tree.nested]}, but a tensor has root rank 1")

    @classmethod
    def random(
        cls,
        shape: Sequence[int],
        rank: int | Sequence[int],
        *,
        tree: DimensionTree | None = None,
        seed: Any = None,
        dtype: Any = "float64",
        xi: str | Operator = "multiply",
    ) -> Self:
        """Draw normal parts; for ξ = multiply so that an entry has mean 0 and variance 1.

        rank: one number for every node but the root, or one a node in the order of `tree.nodes`. tree: balanced if
        not given.

        >>> import tnalgebra as tna
        >>> tna.HTTensor.random((2, 3, 5), rank=4, seed=0).ranks
        (4, 4, 4, 4, 1)
        """
        sizes = check_shape(shape)
        tree = as_tree(tree, len(sizes))
        ranks = dict(zip(tree.nodes, (*check_rank(rank, len(tree.nodes) - 1, "nodes below the root"), 1), strict=True))
        shapes = [(size, ranks[mode]) for mode, size in enumerate(sizes)]
        shapes_inner = [(*(ranks[child] for child in branch), ranks[branch]) for branch in tree.inner]
        variance = share(list(ranks.values()), len(tree.nodes)) if operator(xi).name == "multiply" else 1.0
        parts = normal([*shapes, *shapes_inner], variance, seed, dtype)
        return cls(tree, tuple(parts[: len(sizes)]), tuple(parts[len(sizes) :]), operator(xi))

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every mode."""
        return tuple(leaf.shape[0] for leaf in self.leaves)

    def node_rank(self, node: Nested) -> int:
        """Rank of a node of the tree: a mode, or the tuple of its children."""
        return dict(zip(self.tree.nodes, self.ranks, strict=True))[self.tree.node(node)]

    @property
    def ranks(self) -> tuple[int, ...]:
        """Rank of every node in the order of `tree.nodes`; the root's 1 is the last."""
        transfers = iter(self.transfers)
        parts = (self.leaves[node] if isinstance(node, int) else next(transfers) for node in self.tree.nodes)
        return tuple(int(part.shape[-1]) for part in parts)

    def parameters(self) -> dict[str, Array]:
        """``leaf0``, …, and ``transfer0``, … in the order of `tree.inner`."""
        names = (*numbered("leaf", len(self.leaves)), *numbered("transfer", len(self.transfers)))
        return dict(zip(names, (*self.leaves, *self.transfers), strict=True))

    def _carriers(self) -> tuple[tuple[str, int], ...]:
        return carried("leaf", len(self.leaves), 0)

    def _graph(self, carriers: Sequence[Node], labels: Sequence[Labels], output: Labels) -> Node:
        return ht_graph(self.xi, self.tree, tuple(carriers), tuple(labels), output)

    def _batched(self, rows: Sequence[Array]) -> Array:
        """Node by node, so that nothing is larger than a batch of the values of one node."""
        values: dict[Nested, Array] = dict(enumerate(rows))
        for branch, transfer in zip(self.tree.inner, self.transfers, strict=True):
            arrays = dict(zip(numbered("z", len(branch)), map(values.pop, branch), strict=True))
            values[branch] = evaluate(branch_graph(self.xi, len(branch)), {"transfer": transfer, **arrays})
        return values[self.tree.nested][:, 0]

    def _entries(self, points: Array) -> Array:
        if not self._is_plain:
            return Format._entries(self, points)
        return ht_entries(self.tree, self.leaves, self.transfers, points)

    def _rebuild(self, parts: Mapping[str, Array]) -> Self:
        leaves = sealed(parts[f"leaf{mode}"] for mode in range(self.ndim))
        return type(self)(self.tree, leaves, sealed(parts[f"transfer{i}"] for i in range(len(self.transfers))), self.xi)

    def _bonds(self, name: str) -> tuple[int, ...]:
        if name.startswith("leaf"):
            return (1,) * bool(self.tree.inner)
        place = int(name.removeprefix("transfer"))
        return tuple(range(self.transfers[place].ndim - (place == len(self.transfers) - 1)))

    def _check_structure(self, other: Any, sign: str) -> None:
        Format._check_structure(self, other, sign)
        require_finite(f"{sign} of HT tensors", self, other)
        if self.tree != other.tree:
            raise TreeError(
                f"operands of {sign} have the trees {self.tree.nested} and {other.tree.nested}; both need the same: "
                "to_ht(tree) moves a tensor to another"
            )

    @property
    def _scale(self) -> str:
        return f"transfer{len(self.transfers) - 1}" if self.transfers else "leaf0"

    def _scaled(self, factor: Any) -> Self:
        return self._rebuild({**self.parameters(), self._scale: self.parameters()[self._scale] * factor})

    def _leveled(self) -> Self:
        nodes, parts = (*range(self.ndim), *self.tree.inner), (*self.leaves, *self.transfers)
        found = ht_leveled(self.tree, dict(zip(nodes, parts, strict=True)), namespace_of(self.leaves))
        return self.from_nodes(self.tree, found)

    def _scaled_norm(self) -> tuple[float, int]:
        xp = namespace_of(self.leaves)
        swept = ht_sweep(self.tree, self.leaves, self.transfers, xp)
        return scaled_norm(swept.parts[self.tree.nested], swept.exponent, xp)

    def _scaled_inner(self, other: Any) -> tuple[Array, int]:
        """Node by node where both have one tree: a plan would name all modes on every branch."""
        if not isinstance(other, HTTensor) or other.tree != self.tree:
            return Format._scaled_inner(self, other)
        left, right = self._eased(), other._eased()
        xp = namespace_of([*left.leaves, *right.leaves])
        pairs = zip((*left.leaves, *left.transfers), (*right.leaves, *right.transfers), strict=True)
        return ht_inner(self.tree, dict(zip((*range(self.ndim), *self.tree.inner), pairs, strict=True)), xp)

    def orthogonalize(self, center: Any = None) -> Self:
        """The same tensor with isometries towards one node for all other parts; its norm is then that of the whole.

        center: a node of the tree, a mode number or the tuple of its children; the root if not given.
        Raises `TreeError` for a node that is not there, `AlgebraError` for ξ other than multiply.

        >>> import tnalgebra as tna
        >>> t = tna.HTTensor.random((2, 3, 5), rank=4, seed=0).orthogonalize((0, 1))
        >>> t.ranks
        (2, 3, 4, 4, 1)
        """
        require_multiply(self.xi, "orthogonalize", "there is no gauge freedom for other ξ")
        node = self.tree.nested if center is None else self.tree.node(center)
        xp = namespace_of(self.leaves)
        swept = ht_sweep(self.tree, self.leaves, self.transfers, xp)
        parts = ht_center(self.tree, swept.parts, node, xp)
        scaled = spread([parts[n] for n in self.tree.nodes], swept.exponent, self.tree.nodes.index(node))
        return self.from_nodes(self.tree, dict(zip(self.tree.nodes, scaled, strict=True)))

    @classmethod
    def from_nodes(cls, tree: DimensionTree, parts: Mapping[Nested, Array], **reports: Any) -> Self:
        """A tensor from one array a node, which it keeps."""
        leaves = sealed(parts[mode] for mode in range(tree.ndim))
        return cls(tree, leaves, sealed(parts[branch] for branch in tree.inner), **reports)

    def network(self) -> list[Part]:
        """Leaves and transfers as parts of a network, modes by number; the 1 of the root is left out."""
        root, parts, eased = self.tree.nested, [], self._eased()
        bonds = {node: f"k{place}" for place, node in enumerate(self.tree.nodes)}
        for node, array in zip((*range(self.ndim), *self.tree.inner), (*eased.leaves, *eased.transfers), strict=True):
            below = [bonds[child] for child in node] if isinstance(node, tuple) else [node]
            parts.append(Part(array[..., 0], (*below,)) if node is root else Part(array, (*below, bonds[node])))
        return parts

    @classmethod
    def from_network(cls, parts: Sequence[Part], tree: DimensionTree, exponent: int = 0) -> Self:
        """The tensor on a tree that a tree-shaped network is, exactly: the rank of a node is what crosses its edge."""
        arrays, own = embed(parts, on_tree(tree))
        turned = {node: arrays[node].T if isinstance(node, int) else arrays[node] for node in tree.nodes}
        found = cls.from_nodes(tree, turned)
        return found._evened(exponent + own) if exponent + own else found

    def _without(self, rows: Mapping[int, Array], exponent: int) -> Self:
        return self.from_network(without(self.network(), rows), self.tree.without(tuple(rows)), exponent)

    def _permuted(self, order: Sequence[int]) -> Self:
        """The same parts: the tree's leaves change their numbers."""
        tree = DimensionTree(renumbered(self.tree.nested, {old: new for new, old in enumerate(order)}))
        return type(self)(tree, tuple(self.leaves[mode] for mode in order), self.transfers, self.xi)

    def _diagonal(self, first: int, second: int) -> Self:
        return self.from_network(met(self.network(), first, second), self.tree.without((second,)))

    def _outer(self, other: Self) -> Self:
        """Both trees under a new root of rank 1."""
        right = renumbered(other.tree.nested, {mode: mode + self.ndim for mode in range(other.ndim)})
        one = namespace_of(self.leaves).ones((1, 1, 1), dtype=self.dtype)
        tree = DimensionTree((self.tree.nested, right))
        return type(self)(tree, self.leaves + other.leaves, (*self.transfers, *other.transfers, one), self.xi)

    def diagram(self) -> Diagram:
        """The picture of the network as a value: the tree."""
        ranks = dict(zip(self.tree.nodes, self.ranks, strict=True))
        return ht_diagram(repr(self), self.show(), self.tree, self.shape, ranks, self.xi.name)

    def show(self) -> str:
        """Draw the tree with characters: modes, sizes and ranks of every node.

        >>> import tnalgebra as tna
        >>> print(tna.HTTensor.random((2, 3, 5), rank=4, seed=0).show())
        0 1 2: rank 1
        ├─ 0 1: rank 4
        │  ├─ 0: size 2, rank 4
        │  └─ 1: size 3, rank 4
        └─ 2: size 5, rank 4
        """
        return tree_text(self.tree, self.shape, dict(zip(self.tree.nodes, self.ranks, strict=True)))
