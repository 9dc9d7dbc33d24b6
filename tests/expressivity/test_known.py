"""Generic ranks are those at which the tangent spaces at random terms span everything (Terracini); maxima are bounds."""

from itertools import combinations_with_replacement
from math import prod

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.errors import FormatError
from tnalgebra.expressivity import cp_bounds, generic_cp_rank, maximal_cp_rank


def spans(shape, rank):
    """Dimension of the sum of the tangent spaces of the rank-one tensors at `rank` random points."""
    rng, columns = np.random.default_rng(0), []
    for _ in range(rank):
        vectors = [rng.standard_normal(size) for size in shape]
        for mode, size in enumerate(shape):
            parts = [np.eye(size) if other == mode else vector[:, None] for other, vector in enumerate(vectors)]
            block = parts[0]
            for part in parts[1:]:
                block = np.einsum("ia,jb->ijab", block, part).reshape(len(block) * len(part), -1)
            columns.append(block)
    return np.linalg.matrix_rank(np.hstack(columns)) if columns else 0


SHAPES = [
    *(shape for d in (3, 4) for shape in combinations_with_replacement(range(2, 6), d) if prod(shape) <= 150),
    (2,) * 5, (2,) * 6, (2, 3, 9), (3, 7, 7), (2, 2, 2, 3, 3), (4, 1, 3, 3), (3, 5), (7,), (1, 1),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_generic_ranks_are_the_least_at_which_tangent_spaces_span_everything(shape):
    known = generic_cp_rank(shape)
    assert known.is_exact
    assert spans(shape, known.rank) == prod(shape)
    assert spans(shape, known.rank - 1) < prod(shape)


@pytest.mark.parametrize(
    ("shape", "rank"),
    [
        ((2, 2, 2), 2),
        ((3, 3, 2), 3),
        ((3, 3, 3), 5),
        ((5, 5, 3), 8),
        ((4, 4, 4), 7),
        ((2, 2, 2, 2), 4),
        ((1797, 8, 8), 64),
    ],
)
def test_generic_ranks_of_the_literature(shape, rank):
    assert generic_cp_rank(shape).rank == rank


def test_what_is_only_conjectured_is_marked():
    assert generic_cp_rank((30, 30, 30)).is_exact is False
    assert generic_cp_rank((30, 30, 30)).rank == -(-(30**3) // 88)
    assert generic_cp_rank((2,) * 64).is_exact
    assert str(generic_cp_rank((2, 2, 2))) == "2 (by the count of parameters)"


@pytest.mark.parametrize(
    ("shape", "rank", "is_exact"),
    [
        ((2, 2, 2), 3, True),
        ((3, 3, 2), 4, True),
        ((2, 3, 2), 3, True),
        ((5, 2, 4), 6, True),
        ((2, 9, 3), 6, True),
        ((3, 3, 3), 5, True),
        ((2, 2, 2, 2), 4, True),
        ((4, 4, 4), 14, False),
        ((5, 5, 5), 20, False),
        ((7, 3), 3, True),
        ((5,), 1, True),
        ((1, 1), 1, True),
        ((3, 1, 4), 3, True),
    ],
)
def test_maximal_ranks(shape, rank, is_exact):
    found = maximal_cp_rank(shape)
    assert (found.rank, found.is_exact) == (rank, is_exact)
    assert found.rank >= generic_cp_rank(shape).rank


def test_the_w_tensor_attains_the_maximum(rng):
    assert maximal_cp_rank((2, 2, 2)).rank == 3
    report = tna.compare_ranks(rng.standard_normal((3, 3, 3)), eps=0.5)
    assert (report.generic.rank, report.maximal.rank) == (5, 5)
    assert report.cp.lower <= report.maximal.rank
    assert "of almost all     5  Strassen: 3 × m × m with m odd" in str(report)
    assert report.to_dict()["maximal"] == {"rank": 5, "is_exact": True, "by": "Kruskal; Bremner and Hu"}


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 3, 2), (3, 2, 2), (4, 2, 2)])
def test_almost_every_tensor_is_bounded_by_the_generic_rank_from_below(rng, shape):
    assert cp_bounds(rng.standard_normal(shape)).lower <= generic_cp_rank(shape).rank


@pytest.mark.parametrize("find", [generic_cp_rank, maximal_cp_rank])
def test_shapes_are_checked(find):
    with pytest.raises(FormatError, match=r"one positive size a mode; got \(2, 0\)"):
        find((2, 0))
