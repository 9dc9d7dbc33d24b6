"""Numbers that a tensor has and its parts do not: scales far from one, dtypes that differ, indices that would wrap."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import DTypeError, FormatError, IndexRangeError, MemoryLimitError, NonFiniteError, TreeError
from tnalgebra.execute.scaling import norm_exponent
from tnalgebra.formats import network
from tnalgebra.formats.orthogonal import shares, spread

KINDS = (tna.CPTensor, tna.TTTensor, tna.HTTensor)


def train(scales, dtype=float):
    """The train of rank 1 and modes of size 2 with these entries in its cores."""
    return tna.TTTensor([np.full((1, 2, 1), scale, dtype) for scale in scales])


def in_format(kind, tensor):
    return {tna.CPTensor: tensor.to_cp, tna.TTTensor: tensor.to_tt, tna.HTTensor: tensor.to_ht}[kind]()


EXTREME = [(1e200, 1e200, 1e-200, 1e-200), (1e-200, 1e-200, 1e200, 1e200), (1e-300, 1.0, 1e150, 1e150)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scales", EXTREME)
def test_entries_of_moderate_tensors_with_extreme_parts(kind, scales):
    tensor = in_format(kind, train(scales))
    ones = [np.ones(2)] * 4
    assert tensor[0, 1, 0, 1] == pytest.approx(1)
    assert tensor.gather([[0, 0, 0, 0], [1, 1, 1, 1]]).tolist() == pytest.approx([1, 1])
    assert tensor.evaluate(ones) == pytest.approx(16)
    assert tensor.sum() == pytest.approx(16)
    np.testing.assert_allclose(tensor.to_dense(), np.ones((2, 2, 2, 2)), rtol=1e-12)
    np.testing.assert_allclose(tensor[:, :, 0, 0].to_dense(), np.ones((2, 2)), rtol=1e-12)
    np.testing.assert_allclose(tensor[0, :, :, 0].to_dense(), np.ones((2, 2)), rtol=1e-12)
    np.testing.assert_allclose(tensor.sum([0, 1]).to_dense(), 4 * np.ones((2, 2)), rtol=1e-12)
    np.testing.assert_allclose((tensor * tensor).to_dense(), np.ones((2, 2, 2, 2)), rtol=1e-12)
    assert tensor.kron(tensor).norm() == pytest.approx(16)
    assert (tensor - tensor).norm() <= 1e-14 * 4
    assert tensor.inner(tensor) == pytest.approx(16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scales", [*EXTREME, (1e300, 1e-300, 1e-300, 1e300)])
def test_modes_of_moderate_tensors_with_extreme_parts(kind, scales):
    tensor = in_format(kind, train(scales))
    found = [
        tensor.permute((2, 0, 3, 1)),
        tensor.to_tt(),
        tensor.to_ht(((0, 2), (1, 3))),
        tensor.to_tt().reshape((16,)),
    ]
    for other in [*found, *(tensor.diagonal(*pair) for pair in ((0, 1), (2, 3), (3, 1)))]:
        np.testing.assert_allclose(other.to_dense(), np.ones(other.shape), rtol=1e-12)
    np.testing.assert_allclose(tensor.matricize([0, 2]), np.ones((4, 4)), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_product_with_a_mode_may_leave_the_range_of_its_part(kind, scale):
    tensor, factor = in_format(kind, train([scale, 1 / scale])), scale**0.75
    np.testing.assert_allclose(tensor.mode_dot(np.full((3, 2), factor), 0).to_dense() / factor, 2, rtol=1e-12)
    np.testing.assert_allclose(tensor.mode_dot(np.full(2, factor), 0).to_dense() / factor, 2, rtol=1e-12)


@pytest.mark.parametrize("unused", [1.0, 1e30])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_what_an_inner_product_uses_may_be_far_below_the_norms_of_its_parts(unused, count):
    """Between them the used entries of the cores are 1e-160 to a power, and the ends bring that back to 1."""
    core = np.diag([1e-160, unused])[:, None, :]
    ends = np.array([10.0 ** (80 * count), 0.0])
    a = tna.TTTensor([ends[None, None, :], *[core] * count, ends[:, None, None]])
    assert a.inner(tna.TTTensor.ones(a.shape)) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("scale", "dtype"), [(1e80, float), (1e200, float), (1e-200, float), (1e300, complex), (1e15, "f4"), (1e-30, "f4")]
)
def test_no_operand_of_a_sum_is_lost_to_the_gauge_of_another(kind, scale, dtype):
    ones = kind.ones((2,) * 4, dtype=dtype)
    other = in_format(kind, train([scale, scale, 1 / scale, 1 / scale], dtype))
    rel = 1e-12 if np.dtype(dtype).itemsize > 4 else 1e-5
    for total in (other + ones, ones - -other, tna.stack_sum([ones, other], eps=1e-6)):
        assert total.norm() == pytest.approx(8, rel=rel)
        assert total.inner(total) == pytest.approx(64, rel=rel)
        assert total.inner(ones) == pytest.approx(32, rel=rel)
        assert total.round(eps=1e-6)[0, 1, 0, 1] == pytest.approx(2, rel=rel)
        assert total.gather([[0, 1, 0, 1]])[0] == pytest.approx(2, rel=rel)
    assert tna.concatenate([ones, other], 1).norm() == pytest.approx(32**0.5, rel=rel)
    assert other.distance(ones) <= 4 * rel


@pytest.mark.parametrize("kind", KINDS)
def test_sums_of_outer_products_of_far_scales(kind):
    x, y, z = (kind.random((3, 4), rank=2, seed=seed) for seed in range(3))
    total = (x * 1e200).outer(y * 1e-200) + z.outer(y)
    truth = x.outer(y) + z.outer(y)
    assert total.inner(total) == pytest.approx(truth.inner(truth), rel=1e-12)
    assert total.norm() == pytest.approx(truth.norm(), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64"])
def test_scales_are_seen_in_every_order_of_the_axes(dtype):
    array = np.ones((2, 3, 5, 7), dtype)
    for order in itertools.permutations(range(4)):
        assert norm_exponent(array.transpose(order)) == 4  # 2³ < √210 < 2⁴
    assert norm_exponent(array[:, ::2]) is None
    assert norm_exponent(array * np.finfo(dtype).max ** 0.3) is None


@pytest.mark.parametrize("kind", KINDS)
def test_entries_of_hundreds_of_parts(kind):
    tensor = in_format(kind, train([1e-10] * 50 + [1e10] * 50))
    assert tensor[(0,) * 100] == pytest.approx(1)
    assert tensor.sum() == pytest.approx(2.0**100)
    assert tensor[(0,) * 50].norm() == pytest.approx(2.0**25)
    assert tensor.sum(list(range(50))).norm() == pytest.approx(2.0**75)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tensor_that_no_scale_saves_has_the_entries_that_its_dtype_has(kind):
    tensor = in_format(kind, train([1e10] * 100))
    with np.errstate(over="ignore"):
        assert tensor[(0,) * 100] == np.inf
        assert tensor.gather([[0] * 100]).tolist() == [np.inf]
    assert (tensor * tensor).log_norm() == pytest.approx(2 * 1000 * np.log(10) + 50 * np.log(2))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("factor", "entry"), [(0, 0.0), (np.nan, np.nan)])
def test_long_tensors_of_zeros_and_of_no_numbers(kind, factor, entry):
    tensor = in_format(kind, train([10.0] * 1000)) * factor
    values = [tensor[(0,) * 1000], *tensor.gather([[0] * 1000]), tensor.sum(), tensor.evaluate([np.ones(2)] * 1000)]
    np.testing.assert_array_equal(values, entry)


@pytest.mark.parametrize("kind", KINDS)
def test_what_no_number_holds_is_infinite(kind):
    tensor = in_format(kind, train([1e10] * 500))
    with np.errstate(over="ignore"):
        assert tensor.sum(range(1, 500)).to_dense().tolist() == [np.inf] * 2
        assert tensor[(slice(None),) + (0,) * 499].to_dense().tolist() == [np.inf] * 2
        assert (tensor * 1e-10)[(0,) * 500] == np.inf


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [float, complex])
def test_vectors_of_far_scales_have_their_value(kind, dtype):
    tensor = kind.random((3, 4, 2, 5), rank=2, seed=0, dtype=dtype)
    vectors = [np.full(n, scale) for n, scale in zip(tensor.shape, (1e200, 1e200, 1e-200, 1e-200), strict=True)]
    batch = [np.stack([vector, 0 * vector, np.ones(len(vector))]) for vector in vectors]
    np.testing.assert_allclose(tensor.evaluate(batch) / tensor.sum(), [1, 0, 1], rtol=1e-10)


@pytest.mark.parametrize(("scales", "dtype"), [([1e-300] * 3, float), ([1e300] * 2, float), ([1e30] * 2, "float32")])
def test_norms_outlive_their_gauge(scales, dtype):
    tensor = train(scales, dtype)
    truth = sum(map(np.log, scales)) + len(scales) * np.log(2) / 2
    for other in (tensor, tensor.orthogonalize(0), tensor.round(eps=1e-3), tensor.to_ht().orthogonalize(1)):
        assert other.log_norm() == pytest.approx(truth, rel=1e-6)


def test_scales_are_shared_as_they_can_be_held():
    assert shares(7, 3) == [2, 2, 3]
    assert shares(-7, 2) == [-4, -3]
    parts = [np.ones(1), np.ones(1), np.ones(1)]
    assert [np.log2(part[0]) for part in spread(parts, 100, 1)] == [0, 100, 0]
    assert [np.log2(part[0]) for part in spread(parts, 700, 1)] == [0, 700, 0]
    assert [np.log2(part[0]) for part in spread(parts, 1100, 1)] == [39, 1022, 39]
    assert [np.log2(part[0]) for part in spread(parts, -2990, 1)] == [-997, -997, -996]


@pytest.mark.parametrize(("scale", "dtype"), [(1e160, float), (1e-300, complex), (1e20, "f4"), (1e-30, "f4")])
@pytest.mark.parametrize("method", ["to_tt", "to_ht"])
def test_the_center_holds_every_norm_that_its_dtype_holds(method, scale, dtype):
    tensor = tna.TTTensor.random((4, 5, 6), rank=2, seed=0, dtype=dtype)
    found = getattr(tensor / tensor.norm() * scale, method)().orthogonalize(1)
    first = next(iter(found.parameters().values())).reshape(4, -1)
    np.testing.assert_allclose(first.conj().T @ first, np.eye(first.shape[1]), atol=1e-6)
    assert found.norm() == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [np.float32(3), np.float16(3), np.array(3, "f4"), np.float32(1e35)])
def test_quotients_by_narrow_numbers_have_the_digits_of_the_tensor(kind, number):
    tensor = kind.random((3, 4), rank=2, seed=0)
    np.testing.assert_allclose((tensor / number).to_dense(), tensor.to_dense() / float(number), rtol=1e-13)
    assert (kind.random((3, 4), rank=2, seed=0, dtype="f4") / np.float64(3)).dtype == np.float64


@pytest.mark.parametrize("kind", KINDS)
def test_multiples_that_one_part_cannot_hold(kind):
    tensor = in_format(kind, train([1e-300, 1e300]))
    assert (tensor * 1e10).norm() == pytest.approx(2e10)
    assert ((tensor * 1e-310) / 1e-310).norm() == pytest.approx(2)
    assert (tensor * 1e300 / 1e300)[0, 0] == pytest.approx(1)
    assert (tensor * (1e250 + 1e250j) / 1e250)[0, 0] == pytest.approx(1 + 1j)
    assert (tensor * 10**400 / -(10**400))[0, 0] == pytest.approx(-1)
    assert (tensor * 0).norm() == 0
    assert (tensor * np.array(2.0)).norm() == (np.bool_(True) * tensor * 2).norm() == pytest.approx(4)
    with pytest.raises(FormatError, match="a tensor divided by 0 has no finite entries"):
        tensor / 0


# --- CP terms ----------------------------------------------------------------------------------------------------


def test_columns_of_opposite_scales_are_kept():
    tensor = tna.CPTensor([[[1, 1e-200]], [[1, 1e200]]])
    for other in (tensor, tensor.normalize(), tensor.sort(), tensor * 1):
        assert other.to_dense().tolist() == [[2]]
        assert other.norm() == pytest.approx(2)
    narrow = tna.CPTensor([np.array([[1, 1e-23]], "f4"), np.array([[1, 1e23]], "f4")])
    assert narrow.normalize().to_dense()[0, 0] == pytest.approx(2)
    assert tna.CPTensor([[[1e-260]], [[1e260]]], [1e-70]).norm() == pytest.approx(1e-70)
    assert tna.CPTensor([[[1e250]], [[1e-250]]], [1e70]).norm() == pytest.approx(1e70)


@pytest.mark.parametrize("method", ["to_tt", "to_ht"])
def test_terms_of_opposite_scales_are_kept_by_conversions(method):
    tensor = in_format(tna.CPTensor, train(EXTREME[0])) + tna.CPTensor.ones((2,) * 4)
    assert getattr(tensor, method)().norm() == pytest.approx(8)
    assert tensor.outer(tensor).norm() == pytest.approx(64)


@pytest.mark.parametrize("scale", [1e-150, 1e-100, 1.0, 1e100, 1e150])
def test_terms_are_sorted_and_matched_at_every_scale(scale):
    factors = tna.CPTensor.random((3, 4, 5), rank=3, seed=0).normalize().factors
    tensor = tna.CPTensor([scale * factor for factor in factors], [1.0, 2.0, 3.0])
    assert tensor.sort().weights.tolist() == [3, 2, 1]
    shuffled = tna.CPTensor([scale * factor[:, [2, 0, 1]] for factor in factors], [3.0, 1.0, 2.0])
    assert tensor.factor_match_score(shuffled) == pytest.approx(1)
    assert tensor.factor_match_score(tensor * 2) == pytest.approx(0.5)
    assert tensor.factor_match_score(tensor * 0) == 0
    assert tensor.normalize().log_norm() == pytest.approx(tensor.log_norm())


def test_a_term_of_zeros_is_the_last():
    tensor = tna.CPTensor([[[0.0, 1.0]], [[1.0, 1e-300]]])
    assert tensor.sort().factors[0].tolist() == [[1, 0]]
    assert tensor.normalize().weights[0] == 0
    assert tensor.normalize().norm() == pytest.approx(1e-300)


# --- dtypes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_parts_have_one_dtype(kind):
    tensor = kind.random((8, 9, 10), rank=4, seed=0, dtype="float32")
    wide = tensor.mode_dot(np.random.default_rng(0).standard_normal((11, 10)), 2)
    assert {part.dtype for part in wide.parameters().values()} == {np.dtype(float)}
    assert {part.dtype for part in (tensor * 1j).parameters().values()} == {np.dtype("complex64")}
    if kind is not tna.CPTensor:
        assert wide.round(eps=1e-10).distance(wide) <= 1e-10 * wide.norm()


def test_fits_of_complex_tensors_are_complex():
    tensor = tna.CPTensor.random((4, 5, 6), rank=2, seed=0) * 2j
    fitted = (tensor + tensor).round(eps=1e-6)
    assert fitted.distance(tensor + tensor) <= 1e-6 * (tensor + tensor).norm()
    assert (tensor.to_tt() * 1).fit_cp(max_rank=2).distance(tensor) <= 1e-5 * tensor.norm()
    real = tna.CPTensor.random((4, 5, 6), rank=2, seed=0)
    assert tna.stack_sum([real, real * 1j], eps=1e-8).distance(real * (1 + 1j)) <= 1e-8 * 2 * real.norm()


def test_foreign_byte_orders_and_widths():
    swapped = tna.TTTensor([np.ones((1, 2, 1), ">f8")])
    assert swapped.dtype.isnative
    assert swapped.inner(swapped) == 2
    if np.finfo(np.longdouble).nmant > np.finfo(float).nmant:
        with pytest.raises(
            DTypeError, match=r"core 0 has dtype .*; BLAS has float32, float64, complex64 and complex128"
        ):
            tna.TTTensor([np.ones((1, 2, 1), np.longdouble)])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "complex64", "float64"])
@pytest.mark.parametrize("scale", [1.0, 2.0**40])
def test_inner_products_have_the_dtype_of_the_tensors(kind, dtype, scale):
    tensor = kind.random((3, 4, 5), rank=2, seed=0, dtype=dtype) * scale
    assert type(tensor.inner(tensor)) is np.dtype(dtype).type
    assert type(tensor.inner(tensor.to_dense())) is np.dtype(dtype).type


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int64", "uint64"])
def test_short_and_unsigned_indices_do_not_wrap(kind, dtype):
    tensor = kind.random((2,) * 12, rank=3, seed=0)
    indices = np.random.default_rng(0).integers(0, 2, (2000, 12))
    np.testing.assert_array_equal(tensor.gather(indices.astype(dtype)), tensor.gather(indices))


def test_copies_stay_immutable():
    tensor = tna.TTTensor.random((2, 3), rank=2, seed=0)
    for other in (pickle.loads(pickle.dumps(tensor)), copy.deepcopy(tensor), copy.copy(tensor)):
        assert other.distance(tensor) < 1e-14
        assert not any(core.flags.writeable for core in other.cores)
    fitted = tna.CPTensor.from_dense(np.ones((2, 3)), max_rank=1)
    assert pickle.loads(pickle.dumps(fitted)).truncation == fitted.truncation


@pytest.mark.parametrize("count", [1, 3, 1200])
def test_copies_of_deep_trees(count):
    tree = tna.DimensionTree.linear(count)
    tensor = tna.HTTensor.ones((1,) * count, tree=tree)
    for copied in (copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        assert copied(tree) == tree
        assert copied(tree.nested) == tree.nested
        assert copied(tensor).tree == tree


# --- many modes --------------------------------------------------------------------------------------------------


def test_ranks_and_sizes_beyond_the_range_of_numbers():
    for kind, count in ((tna.TTTensor, 400), (tna.HTTensor, 200)):
        assert np.isfinite(kind.random((2,) * count, rank=8, seed=0).log_norm())
    assert tna.TTTensor.random((2,) * 1200, rank=1, seed=0).compression == np.inf
    long = tna.TTTensor([np.ones((1, 2, 1))] * 70)
    assert long.to_cp().norm() == pytest.approx(2.0**35)


# --- infinite parts ----------------------------------------------------------------------------------------------


def test_zeros_are_not_laid_beside_infinite_parts():
    low = tna.CPTensor([[[-np.inf, 0.0], [1.0, 0.0]]] * 3, None, "maximum")
    assert low.to_dense()[0, 0, :].tolist() == [-np.inf, 1]
    with pytest.raises(
        NonFiniteError, match="CP to HT lays zeros beside the parts, which must be finite for ξ = maximum"
    ):
        low.to_ht()
    h = tna.HTTensor((0, 1), [[[-np.inf]], [[0.0]]], [np.ones((1, 1, 1))], "logaddexp")
    with pytest.raises(NonFiniteError, match=re.escape("+ of HT tensors lays zeros beside the parts")):
        h + h


@pytest.mark.parametrize("kind", KINDS)
def test_nan_is_not_rounded(kind):
    tensor = kind.random((3, 4, 5), rank=2, seed=0) * np.nan
    with pytest.raises(NonFiniteError, match=r"NaN"):
        tensor.round(eps=1e-3)


# --- new modes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "key",
    [None, (..., None), (None, ...), (1, None), (None, 0, None, ..., None, 2), (slice(1, None), None, -1), (None, None)],
)  # fmt: skip
def test_none_puts_in_a_mode_of_size_one(kind, key):
    tensor = kind.random((3, 4, 5), rank=2, seed=0)
    found, truth = tensor[key], tensor.to_dense()[key]
    assert found.shape == truth.shape
    np.testing.assert_allclose(found.to_dense(), truth, rtol=1e-12)
    assert found.max_rank <= tensor.max_rank
    assert found.dtype == tensor.dtype


@pytest.mark.parametrize("kind", KINDS)
def test_none_needs_a_mode_that_stays(kind):
    with pytest.raises(IndexRangeError, match="None needs a mode that stays; d integers give a number"):
        kind.random((3, 4), rank=2, seed=0)[0, None, 1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 1, 3, 4)])
def test_ones_are_ones(kind, shape):
    ones = kind.ones(shape, dtype="float32")
    assert (ones.max_rank, ones.dtype) == (1, np.dtype("float32"))
    np.testing.assert_array_equal(ones.to_dense(), np.ones(shape))


# --- arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: t[np.array([0, 1])], FormatError, "gather takes arrays of indices"),
        (lambda t: t[::0], FormatError, "cannot be taken: slice step cannot be zero"),
        (lambda t: t[0.5:], FormatError, "cannot be taken"),
        (lambda t: t[0, 0, 0, 0], IndexRangeError, "4 indices for a tensor with 3 modes, of shape (3, 4, 5)"),
        (lambda t: t.permute(1), IndexRangeError, "order (1,) must name each of the modes 0, …, 2 once"),
        (lambda t: t.permute(None), IndexRangeError, "a mode is given by its number; got None"),
        (lambda t: t.matricize("01"), IndexRangeError, "a mode is given by its number; got '01'"),
        (lambda t: t.sum(np.array([0.5])), IndexRangeError, "a mode is given by its number"),
        (lambda t: t.gather([[0], [1, 2]]), FormatError, "rows have different lengths"),
        (lambda t: t.evaluate(None), FormatError, "evaluate needs a sequence of one vector a mode; got NoneType"),
        (lambda t: t.evaluate([np.ones((1, 1, 3))] * 3), FormatError, "vectors of mode 0 must be (n,) or (B, n)"),
        (lambda t: np.asarray(t, copy=False), ValueError, "a format has no array to share"),
        (lambda t: tna.concatenate([np.ones(3), t], 0), FormatError, "concatenate needs formats; got ndarray"),
        (lambda t: t.to_ht(3), TreeError, "a tree over 3 modes is needed; got the number 3"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(kind, call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call(kind.random((3, 4, 5), rank=2, seed=0))


@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_are_numbers_of_numpy(kind):
    tensor = kind.random((3, 4, 5), rank=2, seed=0)
    assert tensor.matricize(np.int64(-1)).shape == (5, 12)
    assert tensor.sum(np.array([0, 2])).shape == (4,)
    assert tensor[np.int8(1), np.uint8(2)].shape == (5,)
    assert tensor.evaluate([np.ones((0, size), complex) for size in (3, 4, 5)]).dtype == complex
    if kind is not tna.CPTensor:
        np.testing.assert_allclose(tensor.orthogonalize(np.int64(1)).norm(), tensor.norm())


def test_nodes_of_a_tree_are_checked():
    tensor = tna.HTTensor.random((3, 4, 5), rank=2, seed=0)
    assert tensor.node_rank(np.int64(0)) == 2
    for wrong in (7, -1, (1, 0)):
        with pytest.raises(TreeError, match=r"is no node of the tree \(\(0, 1\), 2\); its nodes"):
            tensor.node_rank(wrong)
    with pytest.raises(TreeError, match=re.escape("has the modes 0, …, 2; got (7,)")):
        tensor.tree.without((7,))
    assert tna.DimensionTree.balanced(np.int64(4)) == tna.DimensionTree.balanced(4)


def test_formats_without_a_small_common_one_are_compared_by_their_entries():
    """On this tree a node would carry three bonds of the train: 8 · 40 · 40 and more, where there are 8⁵ entries."""
    x = np.random.default_rng(0).standard_normal((8, 8, 8, 8, 8))
    train = tna.TTTensor.from_dense(x, max_rank=[8, 40, 40, 8])
    tree = tna.HTTensor.from_dense(x, max_rank=30, tree=((((0, 2), 4), 1), 3))
    truth = np.linalg.norm(train.to_dense() - tree.to_dense())
    assert train.distance(tree) == pytest.approx(truth, rel=1e-12)
    assert tree.distance(train) == pytest.approx(truth, rel=1e-12)


def test_conversions_that_would_fill_the_memory_are_refused(monkeypatch):
    monkeypatch.setattr(network, "as_bytes", lambda limit: 10_000)
    train = tna.TTTensor.random((8,) * 5, rank=8, seed=0)
    with pytest.raises(
        MemoryLimitError, match=r"the exact conversion would take \d+ bytes, more than half of what is free"
    ):
        train.to_ht(((((0, 2), 4), 1), 3))


@pytest.mark.parametrize("tree", [((0, 1), (2, (3, 4))), ((((0, 2), 4), 1), 3)])
def test_the_size_of_a_conversion_is_known_before(tree):
    train = tna.TTTensor.random((3, 4, 5, 2, 3), rank=(2, 3, 2, 2), seed=0)
    ht = train.to_ht(tree)
    assert network.embedded_size(train.network(), network.on_tree(ht.tree)) == ht.n_params
    assert network.embedded_size(ht.network(), network.chain(5)) == ht.to_tt().n_params


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_a_distance_of_entries_has_every_scale(scale):
    tree, terms = tna.HTTensor.random((2,) * 4, 6, seed=0), tna.CPTensor.random((2,) * 4, 8, seed=1)
    assert (tree * scale).distance(terms * scale) / scale == pytest.approx(tree.distance(terms), rel=1e-12)


# --- scales within one part --------------------------------------------------------------------------------------


FAR = [(1e160, "float64"), (1e200, "float64"), (1e300, "complex128"), (1e25, "float32")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("scale", "dtype"), FAR)
def test_numbers_that_meet_may_be_of_far_scales(kind, scale, dtype):
    """One column of a part is huge and another tiny, and so are the rows that they meet, the other way round."""
    a, b = np.random.default_rng(0).standard_normal((2, 4, 2)).astype(dtype)
    far, near = np.array([scale, 1 / scale], dtype), np.array([1 / scale, scale], dtype)
    tensor = {
        tna.CPTensor: lambda: tna.CPTensor([a * far, b * near]),
        tna.TTTensor: lambda: tna.TTTensor([(a * far)[None], (b * near).T[:, :, None]]),
        tna.HTTensor: lambda: tna.HTTensor((0, 1), [a * far, b * near], [np.eye(2, dtype=dtype)[..., None]]),
    }[kind]()
    truth, tolerance = a @ b.T, 100 * float(np.finfo(dtype).eps)
    norm = np.linalg.norm(truth)
    others = [
        tensor,
        tensor * tensor.conj(),
        tensor.mode_dot(np.eye(4), 0),
        tensor.to_tt(),
        tensor.to_ht(),
        tensor + tensor,
    ]
    wanted = [truth, abs(truth) ** 2, truth, truth, truth, 2 * truth]
    if kind is not tna.CPTensor:
        others += [tensor.round(eps=tolerance), tensor.orthogonalize(0)]
        wanted += [truth, truth]
    for found, expected in zip(others, wanted, strict=True):
        assert relative_error(found.to_dense(), expected) < tolerance
        assert found.norm() == pytest.approx(np.linalg.norm(expected), rel=tolerance)
    assert abs(tensor.inner(tensor)) == pytest.approx(norm**2, rel=tolerance)
    assert tensor.distance(tensor + tensor) == pytest.approx(norm, rel=tolerance)
    assert tensor.fit_cp(max_rank=2).distance(tensor) < tolerance * norm
    space = tna.TangentSpace(tna.TTTensor.random((4, 4), 1, seed=0, dtype=dtype))
    assert space.project(tensor).norm() == pytest.approx(space.project(truth).norm(), rel=tolerance)


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_at_the_end_of_the_range_are_leveled_without_a_warning(kind):
    most = np.finfo(float).max
    tensor = in_format(kind, tna.TTTensor([np.array([[[most, most]]]), np.array([[[most]], [[1 / most]]])]))
    assert tensor.norm() == np.inf
    assert tensor.log_norm() == pytest.approx(2 * np.log(most))
    assert (tensor * (1 / most) * (1 / most)).norm() == pytest.approx(1)


def test_a_tree_of_far_scales_is_a_cp_tensor():
    h = tna.HTTensor.random((3,) * 4, rank=2, seed=0)
    far = tna.HTTensor(h.tree, [leaf * 1e150 for leaf in h.leaves], [part * 1e150 ** (-4 / 3) for part in h.transfers])
    assert far.to_cp().distance(h) < 1e-12 * h.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_the_product_of_hundreds_of_parts_may_be_beyond_the_range(kind):
    """Numbers of one half in a row are 0 long before the last one makes up for all of them."""
    count, scale = 1500, 2.0**0.0715  # in [½, 1) with the exponent taken out
    tensor = in_format(kind, train([scale] * (count - 1) + [scale ** -(count - 1)]))
    for key in ((0,) * (count - 1), (slice(None),) + (0,) * (count - 1)):
        np.testing.assert_allclose(tensor[key].to_dense(), [1, 1], rtol=1e-9)
    assert tensor[(0,) * (count - 700)].sum(range(699)).log_norm() == pytest.approx(699.5 * np.log(2))
