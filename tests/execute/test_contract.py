"""Every pair (ξ, ⊕) against nested loops, and the traps of the subject."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import EQUATIONS, operands, relative_error, shapes
from tnalgebra.algebra import known_operators
from tnalgebra.errors import AlgebraError, AxisMismatchError, DTypeError, EquationError, PathError, UnknownNameError
from tnalgebra.execute.contract import _leaves, _node
from tnalgebra.execute.reference import evaluate

BUILTIN = ("multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum", "logical_or", "logical_and")
PAIRS = tuple(itertools.product(BUILTIN, repeat=2))


def kind_of(*names):
    return "boolean" if any(name.startswith("logical") for name in names) else "real"


def truth(equation, arrays, xi, reduce):
    leaves = _leaves([array.ndim for array in arrays])
    return evaluate(
        _node(equation, leaves, xi, reduce), {leaf.name: array for leaf, array in zip(leaves, arrays, strict=True)}
    )


def test_the_corpus_has_sixty_equations():
    assert len(set(EQUATIONS)) >= 60


@pytest.mark.parametrize(("xi", "reduce"), PAIRS)
def test_every_pair_agrees_with_nested_loops(xi, reduce, rng):
    for equation in EQUATIONS:
        arrays = operands(equation, rng, kind=kind_of(xi, reduce))
        found = tna.contract(equation, *arrays, xi=xi, reduce=reduce)
        assert relative_error(found, truth(equation, arrays, xi, reduce)) < 1e-12, equation


def test_pairs_that_distribute_only_on_nonnegative_numbers(rng):
    for op in known_operators():
        for reduce in op.distributes_over_nonnegative - op.distributes_over:
            for equation in EQUATIONS:
                for kind in ("nonnegative", "real"):
                    arrays = operands(equation, rng, kind=kind)
                    found = tna.contract(equation, *arrays, xi=op.name, reduce=reduce)
                    assert relative_error(found, truth(equation, arrays, op.name, reduce)) < 1e-12, (
                        equation,
                        op.name,
                        reduce,
                    )


def test_zero_times_infinity_keeps_no_order():
    x, y, z = np.array([[1.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[np.inf], [1.0]])
    with np.errstate(invalid="ignore"):
        assert np.isnan(tna.contract("ij,jk,kl->il", x, y, z, reduce="maximum"))
    planned = tna.contract_expression("ij,jk->ik", x.shape, y.shape, reduce="maximum", nonnegative=True)
    with pytest.raises(AlgebraError, match="an entry that is negative, infinite or NaN"):
        planned(x, np.full((2, 2), np.inf))


@st.composite
def equations(draw):
    """Random einsum strings: repeated labels, labels of one operand alone, scalars, any output."""
    labels = "abcx"
    terms = draw(st.lists(st.text(labels, max_size=3), min_size=1, max_size=4))
    used = sorted(set("".join(terms)))
    output = (
        "".join(draw(st.permutations(draw(st.lists(st.sampled_from(used), unique=True, max_size=3))))) if used else ""
    )
    return f"{','.join(terms)}->{output}"


@given(equation=equations(), pair=st.sampled_from(PAIRS), seed=st.integers(0, 2**32 - 1))
def test_random_equations_agree_with_nested_loops(equation, pair, seed):
    arrays = operands(equation, np.random.default_rng(seed), kind=kind_of(*pair))
    found = tna.contract(equation, *arrays, xi=pair[0], reduce=pair[1])
    assert relative_error(found, truth(equation, arrays, *pair)) < 1e-12


@given(equation=equations(), seed=st.integers(0, 2**32 - 1), shrink=st.floats(0.05, 1.0))
@settings(max_examples=40)
def test_a_memory_limit_changes_no_number(equation, seed, shrink):
    for xi, reduce in (("multiply", "add"), ("rectifier", "add"), ("add", "logaddexp"), ("hypot", "hypot")):
        arrays = operands(equation, np.random.default_rng(seed))
        plan = tna.contract_path(equation, *arrays, xi=xi, reduce=reduce)
        limit = max(1, int(plan.peak_bytes * shrink))
        try:
            found = tna.contract(equation, *arrays, xi=xi, reduce=reduce, memory_limit=limit)
        except tna.errors.MemoryLimitError as error:
            least = int(re.search(r"at least (\d+) bytes", str(error))[1])
            assert least > limit
            found = tna.contract(equation, *arrays, xi=xi, reduce=reduce, memory_limit=least)
        assert relative_error(found, truth(equation, arrays, xi, reduce)) < 1e-12


@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "add", "hypot"])
def test_order_is_meaning(xi, rng):
    """Left-first and right-first nesting differ from each other and from the one n-ary sum (FEATURES 0.3)."""
    a, b, c = (rng.standard_normal(shape) for shape in ((3, 5), (5, 7), (7, 2)))
    left = tna.contract("ik,kl->il", tna.contract("ij,jk->ik", a, b, xi=xi), c, xi=xi)
    right = tna.contract("ij,jl->il", a, tna.contract("jk,kl->jl", b, c, xi=xi), xi=xi)
    together = tna.contract("ij,jk,kl->il", a, b, c, xi=xi)
    assert min(relative_error(left, right), relative_error(left, together), relative_error(right, together)) > 0.01


@pytest.mark.parametrize("xi", ["multiply", "rectifier"])
def test_nested_expressions_keep_their_sums(xi, rng):
    arrays = dict(zip("ABC", (rng.standard_normal(shape) for shape in ((3, 5), (5, 7), (7, 2))), strict=True))
    leaves = {name: tna.leaf(name, labels) for name, labels in zip("ABC", ("ij", "jk", "kl"), strict=True)}
    inner = tna.contract("ij,jk->ik", leaves["A"], leaves["B"], xi=xi)
    outer = tna.contract("pq,qr->rp", inner, leaves["C"], xi=xi)
    assert relative_error(outer.evaluate(**arrays), evaluate(outer.node, arrays)) < 1e-12
    assert len(outer.plan(**arrays).steps) == 2
    assert outer.plan(**arrays).is_reorderable == (xi == "multiply")


def test_a_shared_subexpression_is_computed_once_or_merged(rng):
    a = tna.leaf("A", "ij")
    gram = tna.contract("ij,kj->ik", a, a)
    square = tna.contract("ij,jk->ik", gram, gram)
    arrays = {"A": rng.standard_normal((3, 50))}
    assert relative_error(square.evaluate(**arrays), np.linalg.matrix_power(arrays["A"] @ arrays["A"].T, 2)) < 1e-13
    assert len(square.plan(A=(3, 50)).steps) == 2


def test_weighted_tiles_are_never_formed_whole(rng):
    """Σ_ij G[ijk] ξ(a[bi], h[bj]): the bilinear unit takes its output and blocks, not b·i·j entries."""
    for xi in ("rectifier", "logaddexp", "hypot", "add", "maximum"):
        a, h, g = tna.leaf("a", "bi"), tna.leaf("h", "bj"), tna.leaf("G", "ijk")
        unit = tna.contract("ijk,bij->bk", g, tna.contract("bi,bj->bij", a, h, xi=xi))
        arrays = {
            "a": rng.standard_normal((7, 5)),
            "h": rng.standard_normal((7, 3)),
            "G": rng.standard_normal((5, 3, 2)),
        }
        kinds = [step.kind for step in unit.plan(**arrays).steps]
        assert (kinds == ["weighted"]) == (xi != "add")  # sums are taken apart
        assert relative_error(unit.evaluate(**arrays), evaluate(unit.node, arrays)) < 1e-12
        large = unit.plan(a=(4096, 128), h=(4096, 128), G=(128, 128, 16))
        assert large.peak_bytes < 4096 * 16 * 8 + 64 * 2**20


def test_labels_of_one_operand_are_not_summed_early(rng):
    """Σ_k max(a_i, b_k, 0) is not max(a_i, Σ_k b_k, 0)."""
    a, b = rng.standard_normal(3), rng.standard_normal(5)
    found = tna.contract("i,k->i", a, b, xi="rectifier")
    np.testing.assert_allclose(found, [sum(max(x, y, 0) for y in b) for x in a], rtol=1e-14)


def test_broadcasting_is_not_summing(rng):
    a, b = rng.standard_normal((3, 1)), rng.standard_normal((3, 5))
    for xi in BUILTIN[:7]:
        found = tna.contract("ij,ij->i", a, b, xi=xi)
        assert relative_error(found, truth("ij,ij->i", [np.repeat(a, 5, 1), b], xi, "add")) < 1e-13
    with pytest.raises(
        AxisMismatchError, match=r"label 'i' of `ii->i` is 1 on operand 0 axis 0 but 3 on operand 0 axis 1"
    ):
        tna.contract("ii->i", np.ones((1, 3)))


@pytest.mark.parametrize("xi", ["multiply", "logaddexp", "hypot"])
def test_blocks_that_do_not_divide_and_large_ones_agree(xi, rng):
    """More entries than one block, in an operand order where no axis is contiguous for both."""
    a, b, c = rng.standard_normal((67, 53)), rng.standard_normal((71, 53)), rng.standard_normal(53)
    f = tna.operator(xi).apply
    expected = f(f(a[:, None, :], b[None, :, :]), c).sum(-1)
    assert relative_error(tna.contract("ik,jk,k->ij", a, b, c, xi=xi), expected) < 1e-13
    assert relative_error(tna.contract("ik,jk,k->ij", a.T.copy().T, b[::-1][::-1], c, xi=xi), expected) < 1e-13


def test_infinities_do_not_become_nan():
    inf = np.inf
    a, b = np.array([inf, -inf, 0.0, -inf]), np.array([-inf, -inf, inf, 3.0])
    np.testing.assert_array_equal(tna.contract("i,i->i", a, b, xi="logaddexp"), [inf, -inf, inf, 3.0])
    np.testing.assert_array_equal(tna.contract("ij->i", np.full((2, 3), -inf), reduce="logaddexp"), [-inf, -inf])
    assert tna.contract("i,i->", np.full(3, -inf), np.full(3, -inf), xi="add", reduce="logaddexp") == -inf
    assert tna.contract("i->", np.array([1e300, 1e300]), reduce="hypot") == pytest.approx(np.sqrt(2) * 1e300)
    assert np.isnan(tna.contract("i,i->i", np.array([np.nan]), np.array([1.0]), xi="rectifier")).all()


def test_reductions_start_from_the_unit():
    one = np.array([-3.0])
    assert tna.contract("i->", one, reduce="hypot") == 3.0
    assert tna.contract("i->", one, reduce="rectifier") == 0.0
    assert tna.contract("i->i", one, reduce="hypot") == -3.0
    empty = np.zeros((0, 2))
    np.testing.assert_array_equal(tna.contract("ij->j", empty), [0, 0])
    np.testing.assert_array_equal(
        tna.contract("ij,j->j", empty, np.ones(2), xi="logaddexp", reduce="maximum"), [-np.inf] * 2
    )
    with pytest.raises(
        AlgebraError, match=re.escape("maximum over a label of size 0 is -inf, which int64 cannot hold")
    ):
        tna.contract("ij->j", np.zeros((0, 2), int), reduce="maximum")


@pytest.mark.parametrize(
    "dtype", ["int8", "int64", "uint16", "float16", "float32", "float64", "complex64", "complex128", "bool"]
)
def test_the_dtype_of_operands_is_kept(dtype, rng):
    a, b = (rng.integers(0, 2, shape).astype(dtype) for shape in ((3, 5), (5, 7)))
    for equation in ("ij,jk->ik", "ij,jk->ijk", "ij,jk->", "ij,jk->i"):
        found = tna.contract(equation, a, b)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, np.einsum(equation, a, b), rtol=1e-3)
    assert tna.contract("ij->i", a).dtype == dtype
    if not dtype.startswith("complex"):
        assert tna.contract("ij,jk->ik", a, b, xi="add", reduce="maximum").dtype == dtype


def test_complex_numbers_have_no_order():
    z = np.array([1 + 2j, 3.0])
    np.testing.assert_allclose(tna.contract("i,i->", z, z), np.sum(z * z))
    np.testing.assert_allclose(tna.contract("i,j->", z, z, xi="add"), 4 * z.sum())
    for xi, reduce in (("maximum", "add"), ("hypot", "add"), ("multiply", "maximum"), ("logaddexp", "add")):
        with pytest.raises(DTypeError, match="is not defined for complex operands"):
            tna.contract("i,i->", z, z, xi=xi, reduce=reduce)
    for reduce in ("minimum", "hypot"):
        with pytest.raises(DTypeError, match=f"operator '{reduce}' is not defined for complex operands"):
            tna.contract("i->", z, reduce=reduce)


def test_results_do_not_share_memory_with_operands(rng):
    a = rng.standard_normal((3, 3))
    for equation in ("ij->ij", "ij->ji", "ii->i"):
        assert not np.shares_memory(tna.contract(equation, a), a)


def test_interleaved_and_other_syntax(rng):
    a, b = rng.standard_normal((2, 3, 5)), rng.standard_normal((2, 5, 7))
    expected = a @ b
    np.testing.assert_allclose(tna.contract("...ij,...jk->...ik", a, b), expected)
    np.testing.assert_allclose(tna.contract(" bij , bjk -> bik ", a, b), expected)
    np.testing.assert_allclose(tna.contract(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]), expected)
    np.testing.assert_allclose(tna.contract(a, ["n", "i", "x"], b, ["n", "x", "k"], ["n", "i", "k"]), expected)
    np.testing.assert_allclose(tna.contract("ij,jk", a[0], b[0]), expected[0])
    np.testing.assert_allclose(tna.contract("...,...->...", a, a, xi="hypot"), np.abs(a) * np.sqrt(2))
    np.testing.assert_allclose(tna.contract("ij,jk->ik", a[0].tolist(), b[0].tolist()), expected[0])


@pytest.mark.parametrize(
    "optimize",
    ["auto", "greedy", "optimal", "dp", "random-greedy", "auto-hq", True, False, [(0, 2), (0, 1)], ([0, 2], [0, 1])],
)
def test_any_optimizer_gives_the_same_numbers(optimize, rng):
    a, b, c = (rng.standard_normal(shape) for shape in ((3, 5), (5, 7), (7, 2)))
    np.testing.assert_allclose(tna.contract("ij,jk,kl->il", a, b, c, optimize=optimize), a @ b @ c)
    for xi in ("rectifier", "hypot"):
        expected = truth("ij,jk,kl->il", [a, b, c], xi, "add")
        assert relative_error(tna.contract("ij,jk,kl->il", a, b, c, xi=xi, optimize=optimize), expected) < 1e-13


@pytest.mark.parametrize(
    "path", [[(0, 1), (0, 2), (0, 1)], [(0, 1, 2), (0, 1)], [(0,), (0, 2, 3), (0, 1)], [(0, 1, 2, 3)]]
)
@pytest.mark.parametrize("xi", ["multiply", "add", "rectifier", "maximum"])
def test_any_path_gives_the_same_numbers(path, xi, rng):
    arrays = [rng.standard_normal(shape) for shape in ((3, 5), (5, 7), (7, 2), (2, 4))]
    for equation, reduce in (
        ("ij,jk,kl,lm->im", "add" if xi == "multiply" else "maximum"),
        ("ij,jk,kl,lm->ijklm", "add"),
    ):
        found = tna.contract(equation, *arrays, xi=xi, reduce=reduce, optimize=path)
        assert relative_error(found, truth(equation, arrays, xi, reduce)) < 1e-13


def test_optimizer_objects_and_cotengra(rng):
    import opt_einsum

    cotengra = pytest.importorskip("cotengra")
    a, b, c = (rng.standard_normal(shape) for shape in ((3, 5), (5, 7), (7, 2)))
    for optimize in (opt_einsum.RandomGreedy(max_repeats=2), cotengra.GreedyOptimizer(), "random-greedy-128"):
        np.testing.assert_allclose(tna.contract("ij,jk,kl->il", a, b, c, optimize=optimize), a @ b @ c)


def test_one_random_search_serves_many_contractions(rng):
    """Slices of several sizes, nested contractions and one call after the other are each another problem."""
    import opt_einsum

    search = opt_einsum.RandomGreedy(max_repeats=2)
    a, b, c, d = (rng.standard_normal((30, 30)) for _ in range(4))
    leaves = {name: tna.leaf(name, "ij") for name in "ABCD"}
    inner = tna.contract("ij,jk,kl->il", *(leaves[name] for name in "ABC"), xi="maximum", reduce="minimum")
    nested = tna.contract("ij,jk,kl,lm->im", inner, leaves["D"], leaves["A"], leaves["B"])
    first = tna.contract("ij,jk,kl,lm->im", a, b, c, d, optimize=search)
    assert len(search.costs) == 2
    np.testing.assert_allclose(first, a @ b @ c @ d)
    np.testing.assert_allclose(tna.contract("ij,jk,kl->il", a, b, c, optimize=search), a @ b @ c)
    np.testing.assert_allclose(
        tna.contract("ij,jk,kl,lm->im", a, b, c, d, optimize=search, memory_limit="20kB"), a @ b @ c @ d
    )
    arrays = dict(zip("ABCD", (a, b, c, d), strict=True))
    np.testing.assert_allclose(nested.evaluate(optimize=search, **arrays), nested.evaluate(**arrays))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: tna.contract("ij,jk->ik", np.ones((2, 3)), np.ones((4, 5))), AxisMismatchError,
         "label 'j' of `ij,jk->ik` is 3 on operand 0 axis 1 but 4 on operand 1 axis 0"),
        (lambda: tna.contract("ij,jk->ik", np.ones((2, 3))), EquationError,
         "`ij,jk->ik` has 2 terms, but 1 operands are given"),
        (lambda: tna.contract("ij->i", np.ones(3)), EquationError,
         "term 'ij' of `ij->i` names 2 axes, but operand 0 has 1"),
        (lambda: tna.contract("i->j", np.ones(3)), EquationError, "cannot read `i->j`"),
        (lambda: tna.contract("i->ii", np.ones(3)), EquationError, "cannot read `i->ii`"),
        (lambda: tna.contract("i!->i", np.ones(3)), EquationError, "`i!->i`"),
        (lambda: tna.contract(), EquationError, "nothing to contract"),
        (lambda: tna.contract(np.ones(2), np.ones(2)), EquationError, "must alternate with lists of labels"),
        (lambda: tna.contract("i->", np.ones(3), xi="relu"), UnknownNameError,
         "unknown operator 'relu'; known: add, hypot"),
        (lambda: tna.contract("i->", np.ones(3), reduce="logaddex"), UnknownNameError, "did you mean 'logaddexp'?"),
        (lambda: tna.contract("i,i,i->", *[np.ones(3)] * 3, optimize="gready"), UnknownNameError,
         "unknown optimizer 'gready'; known: auto"),
        (lambda: tna.contract("i,i,i->", *[np.ones(3)] * 3, optimize=[(0, 1)]), PathError,
         "leaves 2 operands of 3; it must leave 1"),
        (lambda: tna.contract("i,i->", *[np.ones(3)] * 2, optimize=[(0, 5)]), PathError,
         "path step (0, 5) does not pick"),
        (lambda: tna.contract("i->", np.array(["x"])), DTypeError, "operands must be numbers; got dtype <U1"),
        (lambda: tna.contract("i->", np.array([None])), DTypeError, "operands must be numbers; got dtype object"),
        (
            lambda: tna.contract_expression("i->", (1,))(np.array([None])),
            DTypeError,
            "operands must be numbers; got dtype object",
        ),
        (lambda: tna.contract("i->", np.ones(3), memory_limit="much"), tna.errors.MemoryLimitError,
         "memory_limit must be bytes"),
        (lambda: tna.contract("i->", np.ones(3), memory_limit="120%"), tna.errors.MemoryLimitError,
         "memory_limit must be bytes"),
        (lambda: tna.contract("i,j->ij", np.ones(30), np.ones(30), memory_limit=100), tna.errors.MemoryLimitError,
         "memory_limit is 100 bytes, but `i,j->ij` needs at least 7"),
        (lambda: tna.contract_path("i->", 3), EquationError, "operand 0 must be a shape or have one; got int"),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()


def test_memory_limits_are_read_as_users_write_them():
    from tnalgebra.execute.memory import as_bytes

    assert as_bytes("2GiB") == as_bytes("2 gib") == as_bytes("2G") == 2**31
    assert as_bytes("1.5MB") == 1_500_000
    assert 0 < as_bytes("50%") < as_bytes("100%")


def test_shapes_of_the_corpus_are_distinct_primes():
    assert shapes("ab,cd->") == [(2, 3), (5, 7)]


def test_operands_of_several_dtypes_are_computed_in_the_dtype_of_the_result():
    i8, f64 = np.array([100, 100], np.int8), np.ones(2)
    np.testing.assert_array_equal(tna.contract("a,a,b->b", i8, i8, f64), [20000.0, 20000.0])
    assert tna.contract("i,j->i", np.array([200], np.uint8), np.zeros(3), xi="add") == 600
    yes = np.array([True])
    for arrays in ((yes, yes, np.ones(1)), (np.ones(1), yes, yes)):
        assert tna.contract("i,i,i->i", *arrays, xi="add") == 3


def test_a_limit_counts_what_a_block_takes(rng):
    import tracemalloc

    a, b, c = (rng.standard_normal(size) for size in (47, 33, 20))
    tna.contract("i,j,k->ijk", a, b, c, xi="logaddexp", reduce="maximum", memory_limit=400_000)
    tracemalloc.start()
    tna.contract("i,j,k->ijk", a, b, c, xi="logaddexp", reduce="maximum", memory_limit=400_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 400_000 + 2**16  # ufuncs hold a buffer of their own
