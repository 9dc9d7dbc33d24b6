"""QR factorizations of matrices of every shape, small enough for LAPACK itself and larger ones."""

import numpy as np
import pytest

from tnalgebra.formats.qr import TINY, qr, triangle

SHAPES = [(1, 1), (1, 5), (7, 1), (11, 3), (3, 11), (5, 5), (97, 43), (43, 97), (2 * TINY // 7, 7)]


@pytest.fixture(params=["float32", "float64", "complex128"])
def draw(request, rng):
    def matrix(shape):
        parts = rng.standard_normal((2, *shape))
        return (parts[0] + 1j * parts[1] if request.param == "complex128" else parts[0]).astype(request.param)

    return matrix


@pytest.mark.parametrize("shape", SHAPES)
def test_the_matrix_is_an_isometry_times_an_upper_triangle(draw, shape):
    matrix = draw(shape)
    q, r = qr(matrix, np)
    unit = 200 * np.finfo(matrix.dtype).eps
    np.testing.assert_allclose(q @ r, matrix, atol=unit * np.linalg.norm(matrix))
    np.testing.assert_allclose(q.T.conj() @ q, np.eye(min(shape)), atol=unit)
    np.testing.assert_array_equal(r, np.triu(r))
    assert q.dtype == r.dtype == matrix.dtype


@pytest.mark.parametrize("shape", SHAPES)
def test_the_triangle_has_the_inner_products_of_the_columns(draw, shape):
    matrix = draw(shape)
    r = triangle(matrix, np)
    unit = 200 * np.finfo(matrix.dtype).eps
    np.testing.assert_allclose(r.T.conj() @ r, matrix.T.conj() @ matrix, atol=unit * np.linalg.norm(matrix) ** 2)
    np.testing.assert_array_equal(r, np.triu(r))


def test_a_part_of_a_larger_matrix_is_read_and_not_written(rng):
    whole = rng.standard_normal((14, 10))
    whole.flags.writeable = False
    q, r = qr(whole[::2, ::-3], np)
    np.testing.assert_allclose(q @ r, whole[::2, ::-3], atol=1e-14)
