"""The log semiring as a matrix product of exponentials: the numbers of logsumexp, where no shift can save them as well."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp

import tnalgebra as tna
from tests.corpus import LOG2ADDEXP2, relative_error
from tnalgebra.algebra import registry
from tnalgebra.execute.kernels import exponential

EQUATIONS = {  # equation: shapes, with all the sizes that make the step worth a matrix product
    "ij,jk->ik": ((31, 29), (29, 23)),
    "ji,kj->ki": ((29, 31), (23, 29)),
    "bij,bjk->bik": ((3, 17, 13), (3, 13, 11)),
    "ijl,ljk->ki": ((17, 5, 7), (7, 5, 13)),
}


def truth(equation, x, y):
    terms, out = equation.split("->")
    labels = out + "".join(dict.fromkeys(label for label in terms if label not in out + ","))
    a, b = (
        np.einsum(f"{term}->{''.join(label for label in labels if label in term)}", array)[
            tuple(slice(None) if label in term else None for label in labels)
        ]
        for term, array in zip(terms.split(","), (x.astype(float), y.astype(float)), strict=True)
    )
    with np.errstate(invalid="ignore"):
        return logsumexp(a + b, axis=tuple(range(len(out), len(labels))))


def semiring(equation, x, y):
    return tna.contract(equation, x, y, xi="add", reduce="logaddexp")


@pytest.fixture
def slow(monkeypatch):
    """How many entries were computed by themselves, a call at a time; None where everything was."""
    found, make, lower = [], exponential._entries, exponential.lower_exponential

    def entries(step, xp):
        single = make(step, xp)

        def watched(x, y, places, out):
            found.append(len(places[0]))
            single(x, y, places, out)

        return watched

    def lowered(step, xp, plain):
        def watched(*arrays):
            found.append(None)
            return plain(*arrays)

        return lower(step, xp, watched)

    monkeypatch.setattr(exponential, "_entries", entries)
    monkeypatch.setattr("tnalgebra.execute.kernels.lower_exponential", lowered)
    tna.plan_cache.clear()
    yield found
    tna.plan_cache.clear()


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("scale", [1e-8, 1.0, 30.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float32", 1e-6)])
def test_the_log_semiring_is_a_matrix_product(equation, scale, dtype, tolerance, rng, slow):
    x, y = ((rng.standard_normal(shape) * scale).astype(dtype) for shape in EQUATIONS[equation])
    found = semiring(equation, x, y)
    assert found.dtype == dtype
    assert relative_error(found, truth(equation, x, y)) < tolerance
    assert None not in slow


@pytest.mark.parametrize("equation", EQUATIONS)
@pytest.mark.parametrize("scale", [300.0, 1e4, 1e200])
def test_numbers_far_apart(equation, scale, rng):
    x, y = (rng.standard_normal(shape) * scale for shape in EQUATIONS[equation])
    assert relative_error(semiring(equation, x, y) / scale, truth(equation, x, y) / scale) < 1e-14


@pytest.mark.parametrize(("dtype", "size"), [("float32", 300.0), ("float32", 1e4), ("float64", 1e8), ("float64", 1e17)])
def test_large_numbers_that_cancel_leave_no_error(dtype, size, rng):
    x, y = ((rng.standard_normal((29, 29)) + shift).astype(dtype) for shift in (size, -size))
    expected = np.logaddexp.reduce(x.astype("longdouble")[:, :, None] + y.astype("longdouble"), axis=1)
    planned = tna.contract_expression("ij,jk->ik", x.shape, y.shape, xi="add", reduce="logaddexp")
    for found in (planned(x, y), tna.compile(planned)(x, y)):
        assert relative_error(found, expected) < 4 * np.finfo(dtype).eps


def test_what_no_shift_can_save_is_computed_by_itself(rng, slow):
    """The largest of a row and the largest of a column meet numbers that are lost beside them."""
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    x[3, 5], y[5, 7] = 2000.0, -2000.0
    x[3, 6], y[6, 7] = -3000.0, 1500.0
    found, expected = semiring("ij,jk->ik", x, y), truth("ij,jk->ik", x, y)
    assert slow == [1]
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert abs(expected[3, 7]) < 100


def test_everything_is_slow_where_most_would_be(rng, slow):
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    x[:, 0] += 1e4
    y[0] -= 1e4
    y[1] += 1e4
    x[:, 1] -= 1e4
    np.testing.assert_allclose(semiring("ij,jk->ik", x, y), truth("ij,jk->ik", x, y), rtol=1e-12)
    assert slow == [None]


def test_minus_infinity_is_no_edge(rng, slow):
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    x[rng.random(x.shape) < 0.8], y[rng.random(y.shape) < 0.8] = -np.inf, -np.inf
    x[4], y[:, 2] = -np.inf, -np.inf
    found, expected = semiring("ij,jk->ik", x, y), truth("ij,jk->ik", x, y)
    assert np.isneginf(expected).sum() > 100
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert None not in slow


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("where", [0, 1])
def test_what_is_not_finite_arrives(value, where, rng):
    operands = [rng.standard_normal((31, 29)), rng.standard_normal((29, 23))]
    operands[where].flat[4] = value
    np.testing.assert_allclose(semiring("ij,jk->ik", *operands), truth("ij,jk->ik", *operands), rtol=1e-13)


@given(st.integers(0, 2**32 - 1), st.floats(0, 400), st.floats(0, 400))
@settings(max_examples=60, deadline=None)
def test_rows_and_columns_of_any_size(seed, rows, columns):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((13, 11)) + rng.standard_normal((13, 1)) * rows + rng.standard_normal(11) * columns
    y = rng.standard_normal((11, 17)) + rng.standard_normal((11, 1)) * rows + rng.standard_normal(17) * columns
    expected = truth("ij,jk->ik", x, y)
    assert np.abs(semiring("ij,jk->ik", x, y) - expected).max() <= 1e-14 * (1 + rows + columns) * 10


def test_an_operator_of_ones_own_and_the_explanation(rng, slow, monkeypatch):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    own = tna.register_operator(LOG2ADDEXP2)
    x, y = rng.standard_normal((31, 29)), rng.standard_normal((29, 23))
    found = tna.contract("ij,jk->ik", x, y, xi=tna.operator("add"), reduce=own)
    np.testing.assert_allclose(found, np.log2(np.exp2(x) @ np.exp2(y)), rtol=1e-13, atol=1e-13)
    told = tna.contract_path("ij,jk->ik", x, y, xi="add", reduce="logaddexp").explain()
    assert "a matrix product of exp(·) with rows and columns shifted, and log(·) of it" in told
