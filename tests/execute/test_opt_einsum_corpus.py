"""opt_einsum's published equations with `tna.contract` in place of its `contract`."""

import re

import numpy as np
import opt_einsum
import pytest
from opt_einsum.testing import build_views, rand_equation
from opt_einsum.tests.test_contract import tests as CONTRACT

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import EquationError

INPUTS = (
    # test_input.py: implicit outputs, ellipsis, broadcasting
    "...a->...", "a...->...", "a...a->...a", "...,...", "a,b", "...a,...b",
    "ab,ab,c->", "ba,bca->c", "ea,fb,abcd,gc,hd",
    "ij,jk,kl,lm->im", "ab,cd,ef,ef->abcd", "abc,bac", "aab->b", "cc,fce,ef->", "ea,fb,gc,hd,abcd->efgh",
)  # fmt: skip
CONSTANTS = (
    ("hbc,bdef,cdkj,ji,ikeh,lfo", [1, 2, 3, 4]),
    ("bdef,cdkj,ji,ikeh,hbc,lfo", [0, 1, 2, 3]),
    ("ijab,acd,bce,df,ef->ji", [1, 2, 3, 4]),
    ("ab,cd,ad,cb", [1, 3]),
    ("ab,bc,cd", [0, 1]),
)


def views_of(equation, sizes=None):
    views = build_views(equation, sizes)
    generator = np.random.default_rng(0)
    return [generator.standard_normal(np.shape(view)) for view in views]


@pytest.mark.parametrize("optimize", ["auto", "optimal", "greedy", "dp", "branch-2", "random-greedy", False])
def test_published_equations(optimize):
    for equation in CONTRACT:
        views = views_of(equation)
        expected = opt_einsum.contract(equation, *views, optimize=False)
        found = tna.contract(equation, *views, optimize=optimize)
        assert relative_error(found, expected) < 1e-12, equation


def test_published_equations_in_greek_letters():
    for equation in CONTRACT:
        greek = "".join(chr(ord(letter) + 848) if letter not in ",->." else letter for letter in equation)
        views = views_of(equation)
        assert relative_error(tna.contract(greek, *views), tna.contract(equation, *views)) < 1e-12, equation


def test_published_equations_as_planned_contractions():
    for equation in CONTRACT:
        views = views_of(equation)
        planned = tna.contract_expression(equation, *(view.shape for view in views))
        expected = opt_einsum.contract(equation, *views, optimize=False)
        assert relative_error(planned(*views), expected) < 1e-12, equation


@pytest.mark.parametrize("equation", INPUTS)
def test_implicit_outputs_and_ellipses(equation, rng):
    sizes = dict(zip("abcdefghijklm", (2, 3, 5, 7, 2, 3, 5, 2, 3, 2, 5, 3, 2), strict=True))
    shapes = []
    for term in equation.split("->")[0].split(","):
        before, dots, after = term.partition("...")
        shapes.append([sizes[l] for l in before] + [11, 1] * bool(dots) + [sizes[l] for l in after])
    views = [rng.standard_normal(shape) for shape in shapes]
    assert relative_error(tna.contract(equation, *views), np.einsum(equation, *views)) < 1e-12


@pytest.mark.parametrize(("equation", "constants"), CONSTANTS)
def test_constants(equation, constants):
    views = views_of(equation)
    given = [view if position in constants else view.shape for position, view in enumerate(views)]
    free = [view for position, view in enumerate(views) if position not in constants]
    planned = tna.contract_expression(equation, *given, constants=constants)
    expected = opt_einsum.contract(equation, *views, optimize=False)
    assert relative_error(planned(*free), expected) < 1e-12
    assert relative_error(planned(*free), expected) < 1e-12


def test_what_is_no_constant_is_refused():
    for constants, got in (([1], "tuple"), ([5], "NoneType"), ([-1], "NoneType")):
        message = f"constant {constants[0]} must be the array of an operand; got {got}"
        with pytest.raises(EquationError, match=re.escape(message)):
            tna.contract_expression("ij,jk->ik", (2, 3), (3, 5), constants=constants)


@pytest.mark.parametrize("regularity", [2, 3])
@pytest.mark.parametrize("outer", [0, 2, 4])
def test_random_networks(regularity, outer):
    for count in (4, 5, 6):
        for seed in range(3):
            equation, shapes, sizes = rand_equation(
                count, regularity, outer, d_min=2, d_max=3, seed=seed, return_size_dict=True
            )
            views = views_of(equation, sizes)
            assert [view.shape for view in views] == shapes
            expected = opt_einsum.contract(equation, *views)
            for optimize in ("greedy", "optimal"):
                assert relative_error(tna.contract(equation, *views, optimize=optimize), expected) < 1e-11, equation


def test_interleaved_operands(rng):
    x, y, z = (rng.standard_normal(shape) for shape in ((2, 3), (3, 5), (5, 7)))
    expected = np.einsum("ab,bc,cd->da", x, y, z)
    assert relative_error(tna.contract(x, [0, 1], y, [1, 2], z, [2, 3], [3, 0]), expected) < 1e-13
    assert relative_error(tna.contract(x, [0, 1], y, [1, 2], z, [2, 3]), expected.T) < 1e-13
    planned = tna.contract_expression(x.shape, [0, 1], y.shape, [1, 2], z.shape, [2, 3], [3, 0])
    assert relative_error(planned(x, y, z), expected) < 1e-13
    batch = rng.standard_normal((7, 2, 3))
    found = tna.contract(batch, [Ellipsis, 0, 1], y, [1, 2], [Ellipsis, 0, 2])
    assert relative_error(found, batch @ y) < 1e-13


def test_labels_that_are_no_letters(rng):
    """c β a: an implicit output sorts labels by code, not by a replacement of them."""
    x = rng.standard_normal((2, 3, 5))
    beta = chr(ord("b") + 848)
    np.testing.assert_array_equal(tna.contract(f"c{beta}a", x), tna.contract("cxa", x))


def test_more_labels_than_letters(rng):
    matrices = [rng.standard_normal((2, 2)) for _ in range(70)]
    operands = [part for i, matrix in enumerate(matrices) for part in (matrix, [i, i + 1])]
    assert relative_error(tna.contract(*operands, [0, 70]), np.linalg.multi_dot(matrices)) < 1e-12
    letters = "".join(opt_einsum.get_symbol(i) for i in range(71))
    equation = ",".join(letters[i : i + 2] for i in range(70)) + f"->{letters[0]}{letters[70]}"
    assert relative_error(tna.contract(equation, *matrices), np.linalg.multi_dot(matrices)) < 1e-12


def test_broadcasting_of_size_one(rng):
    for equation, shapes in (
        ("ab,ab->ab", ((2, 1), (2, 3))), ("abc,bc->a", ((2, 3, 1), (1, 5))), ("ab,bc->ac", ((2, 1), (3, 5))),
        ("a,ab,abc->abc", ((1,), (2, 3), (2, 1, 5))), ("ab,bc,cd->ad", ((2, 3), (1, 5), (1, 7))),
    ):  # fmt: skip
        views = [rng.standard_normal(shape) for shape in shapes]
        assert relative_error(tna.contract(equation, *views), np.einsum(equation, *views)) < 1e-13, equation


def test_edge_cases(rng):
    scalar = np.array(3.0)
    assert tna.contract("->", scalar) == 3
    assert tna.contract(",->", scalar, scalar) == 9
    np.testing.assert_array_equal(tna.contract(",a->a", scalar, np.ones(5)), np.full(5, 3.0))
    a = rng.standard_normal((3, 3))
    np.testing.assert_array_equal(tna.contract("ii->i", a), np.diag(a))
    for equation in ("ab,bc,cd->ad", "ab,cd,ef->", "aa,bb->ab"):
        views = views_of(equation)
        for order in "CF":
            laid = [np.asarray(view, order=order) for view in views]
            assert relative_error(tna.contract(equation, *laid), np.einsum(equation, *views)) < 1e-12
        flipped = [view[(slice(None, None, -1),) * view.ndim] for view in views]
        assert relative_error(tna.contract(equation, *flipped), np.einsum(equation, *flipped)) < 1e-12
