"""Equations, nodes and sizes; and that merging nested nodes changes no number."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tnalgebra as tna
from tests.corpus import relative_error
from tnalgebra.errors import AxisMismatchError, EquationError
from tnalgebra.execute import Expression, reference
from tnalgebra.execute.expression import evaluate
from tnalgebra.graph import Contract, Leaf, Map, Sum, label_sizes, parse, shape_of
from tnalgebra.graph.node import postorder
from tnalgebra.graph.parse import from_interleaved
from tnalgebra.graph.rewrite import inline
from tnalgebra.plan import build_plan

ADD, MULTIPLY, MAXIMUM, HYPOT = map(tna.operator, ("add", "multiply", "maximum", "hypot"))
A, B = Leaf("A", ("i", "j")), Leaf("B", ("j", "k"))


def product(*children, inputs, output, xi=MULTIPLY, reduce=ADD):
    return Contract(xi, reduce, tuple(map(tuple, inputs.split(","))), children, tuple(output))


def test_what_equations_mean():
    for equation, ndims, inputs, output in (
        ("ij,jk->ik", (2, 2), "ij jk", "ik"), (" ij , jk -> ki ", (2, 2), "ij jk", "ki"),
        ("ij,jk", (2, 2), "ij jk", "ik"),
        ("kj,ji", (2, 2), "kj ji", "ik"), ("ii", (2,), "ii", ""), ("ba", (2,), "ba", "ab"), ("->", (0,), " ", ""),
        (",->", (0, 0), " ", ""), ("αß,ßc->αc", (2, 2), "αß ßc", "αc"), ("iI->I", (2,), "iI", "I"),
    ):  # fmt: skip
        expected = tuple(tuple(term.strip()) for term in (inputs.split() or [""] * len(ndims)))
        assert parse(equation, ndims) == (expected, tuple(output)), equation


def test_an_ellipsis_names_the_axes_that_are_left():
    (first, second), output = parse("...ij,...jk->...ik", (4, 3))
    assert first[-2:] == ("i", "j")
    assert second == (first[1], "j", "k")
    assert output == (*first[:2], "i", "k")
    (only,), output = parse("i...", (3,))
    assert output == (*only[1:], "i")
    assert parse("...->", (2,))[1] == ()
    assert parse("...,i->...i", (0, 1)) == (((), ("i",)), ("i",))


@pytest.mark.parametrize(
    ("equation", "ndims", "message"),
    [
        ("ij,jk->ik", (2,), "`ij,jk->ik` has 2 terms, but 1 operands are given"),
        ("ij->i", (3,), "term 'ij' of `ij->i` names 2 axes, but operand 0 has 3"),
        ("i,jk...->i", (1, 1), "term 'jk...' of `i,jk...->i` names 2 axes, but operand 1 has 1"),
        ("i->j", (1,), "cannot read `i->j`"),
        ("i->ii", (1,), "cannot read `i->ii`"),
        ("i->j->k", (1,), "cannot read `i->j->k`"),
        ("i-j", (3,), "cannot read `i-j`"),
        ("i..->i", (1,), "`i..->i`"),
        ("i......->i", (3,), "`i......->i`"),
    ],
)
def test_equations_that_cannot_be_read(equation, ndims, message):
    with pytest.raises(EquationError, match=re.escape(message)):
        parse(equation, ndims)


def test_interleaved_operands_become_an_equation():
    assert from_interleaved(["A", [0, 1], "B", [1, 2], [0, 2]]) == ("ab,bc->ac", ["A", "B"])
    assert from_interleaved(["A", ("x", "y"), "B", ("y", "z")])[0] == "ab,bc"
    with pytest.raises(EquationError, match=r"must alternate with lists of labels, .*; got int where a list"):
        from_interleaved(["A", 3, "B", [1]])
    with pytest.raises(EquationError, match=r"must alternate with lists of labels, .*; got list where a list"):
        from_interleaved(["A", [[0]], [0]])


def test_nodes_print_as_equations():
    inner = product(A, B, inputs="ij,jk", output="ik", xi=HYPOT)
    outer = product(inner, A, inputs="pq,pr", output="rq", reduce=MAXIMUM)
    assert str(A) == "A[ij]"
    assert str(inner) == "out[ik] = Σ_j hypot(A[ij], B[jk])"
    assert str(outer) == "t1[ik] = Σ_j hypot(A[ij], B[jk])\nout[rq] = max_p t1[pq] · A[pr]"
    assert str(Sum((A, Map("exp(x)", A)))) == "t1[ij] = exp(x) at x = A[ij]\nout[ij] = A[ij] + t1[ij]"
    assert str(product(A, inputs="ij", output="ji")) == "out[ji] = A[ij]"
    assert str(product(A, inputs="ij", output="i", reduce=tna.operator("logaddexp"))) == "out[i] = ⊕logaddexp_j A[ij]"
    long = Contract(MULTIPLY, MULTIPLY, (("batch", "i"),), (A,), ("batch",))
    assert str(long) == "out[batch] = Π_i A[batch,i]"
    assert long.equation == "batch,i->batch"
    assert str(product(inner, inner, inputs="ij,ij", output="")).count("hypot") == 1


def test_nodes_are_values():
    inner = product(A, B, inputs="ij,jk", output="ik")
    same = product(Leaf("A", ("i", "j")), Leaf("B", ("j", "k")), inputs="ij,jk", output="ik")
    assert inner == same
    assert hash(inner) == hash(same)
    assert len({inner, same, A, Leaf("A", ("i", "j"))}) == 2
    others = [
        product(A, B, inputs="ij,jk", output="ki"), product(A, B, inputs="ij,jk", output="ik", xi=HYPOT),
        product(A, B, inputs="ij,jk", output="ik", reduce=MAXIMUM), product(B, A, inputs="ij,jk", output="ik"),
        product(A, B, inputs="ij,lk", output="ik"), Map("x", inner), Sum((inner,)), A, Leaf("A", ("i", "k")), None, "A",
    ]  # fmt: skip
    assert all(inner != other for other in others)
    assert Map("x", A) != Map("-x", A)
    assert Sum((A, A)) != Sum((A,))
    for node, field in ((A, "name"), (inner, "xi"), (Map("x", A), "function"), (Sum((A,)), "children")):
        with pytest.raises(AttributeError, match="cannot assign to field"):
            setattr(node, field, None)


def test_deep_and_shared_graphs_are_compared_and_planned_at_once():
    def squares(count, xi):
        node = Leaf("A", ("i", "j"))
        for _ in range(count):
            node = product(node, node, inputs="ij,jk", output="ik", xi=xi)
        return node

    def chain(count):
        node = Leaf("A", ("i",))
        for _ in range(count):
            node = product(node, Leaf("W", ("i", "j")), inputs="i,ij", output="j", xi=MAXIMUM)
        return node

    for build in (lambda: squares(40, HYPOT), lambda: squares(40, MULTIPLY), lambda: chain(1500)):
        assert build() == build()
        assert len(set(postorder(build()))) == len(list(postorder(build())))
    assert squares(40, HYPOT) != squares(41, HYPOT)
    np.testing.assert_array_equal(evaluate(squares(40, MULTIPLY), {"A": np.eye(2)}), np.eye(2))
    assert len(inline(squares(3, MULTIPLY)).operands) == 8
    np.testing.assert_array_equal(evaluate(chain(300), {"A": np.zeros(1), "W": np.eye(1)}), [1.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: product(A, inputs="ij,jk", output="ik"), "`ij,jk->ik` has 2 terms, but 1 operands are given"),
        (lambda: product(A, B, inputs="ij,j", output="i"), "term 'j' of `ij,j->i` names 1 axes, but operand 1 has 2"),
        (lambda: product(A, inputs="ij", output="k"), "output label 'k' of `ij->k` is in no operand"),
        (lambda: product(A, inputs="ij", output="ii"), "label 'i' stands twice in the output of `ij->ii`"),
        (lambda: Sum((A, Leaf("v", ("i",)))), "a sum needs nodes of one order; got [2, 1]"),
        (lambda: Sum(()), "a sum needs nodes of one order; got []"),
        (lambda: shape_of(A, {"B": (2, 3)}), "leaf 'A' is not given; given: B"),
        (lambda: shape_of(A, {}), "leaf 'A' is not given; given: none"),
        (lambda: shape_of(A, {"A": (2, 3, 5)}), "leaf A[ij] names 2 axes, but its array has 3"),
        (lambda: tna.leaf("a b", "ij"), "leaf name 'a b' must be an identifier, and none of optimize, memory_limit"),
        (lambda: tna.leaf("A", [0, 1]), "labels of leaf 'A' must be strings, as in 'ij'; got [0, 1]"),
        (lambda: tna.leaf("optimize", "ij"), "leaf name 'optimize' must be an identifier, and none of optimize"),
    ],
)
def test_nodes_that_cannot_be(make, message):
    with pytest.raises(EquationError, match=re.escape(message)):
        make()


def sizes_of(equation, *shapes):
    return label_sizes([tuple(term) for term in equation.split("->")[0].split(",")], shapes, equation)


def test_sizes_of_labels():
    assert sizes_of("ij,jk->ik", (2, 3), (3, 5)) == {"i": 2, "j": 3, "k": 5}
    assert sizes_of("ij,ij->ij", (1, 3), (2, 1)) == {"i": 2, "j": 3}
    assert sizes_of("ij,ij->ij", (2, 1), (1, 3)) == {"i": 2, "j": 3}
    assert sizes_of("ii,i->i", (1, 1), (3,)) == {"i": 3}
    assert sizes_of("i,i->", (0,), (1,)) == {"i": 0}
    assert sizes_of("ij->", (0, 3)) == {"i": 0, "j": 3}


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", ((2, 3), (5, 7)), "label 'j' of `ij,jk->ik` is 3 on operand 0 axis 1 but 5 on operand 1 axis 0"),
        ("i,ki,ki->", ((1,), (2, 3), (2, 5)),
         "label 'i' of `i,ki,ki->` is 3 on operand 1 axis 1 but 5 on operand 2 axis 1"),
        ("ki,i,ki->", ((2, 3), (1,), (2, 5)),
         "label 'i' of `ki,i,ki->` is 3 on operand 0 axis 1 but 5 on operand 2 axis 1"),
        ("iji->j", ((2, 3, 5),), "label 'i' of `iji->j` is 2 on operand 0 axis 0 but 5 on operand 0 axis 2"),
        ("iji->j", ((1, 3, 5),), "label 'i' of `iji->j` is 1 on operand 0 axis 0 but 5 on operand 0 axis 2"),
        ("iji->j", ((5, 3, 1),), "label 'i' of `iji->j` is 5 on operand 0 axis 0 but 1 on operand 0 axis 2"),
        ("i,i->", ((0,), (2,)), "label 'i' of `i,i->` is 0 on operand 0 axis 0 but 2 on operand 1 axis 0"),
        ("i,jii->", ((5,), (2, 3, 3)), "label 'i' of `i,jii->` is 5 on operand 0 axis 0 but 3 on operand 1 axis 1"),
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit(equation, shapes, message):
    with pytest.raises(AxisMismatchError, match=re.escape(message)):
        sizes_of(equation, *shapes)


def test_sizes_are_checked_before_nodes_are_merged():
    """A diagonal does not broadcast, also where merging would make it a broadcast of two vectors."""
    table = tna.contract("p,q->pq", tna.leaf("v", "p"), tna.leaf("w", "q"))
    message = "label 'i' of `ii->i` is 1 on operand 0 axis 0 but 3 on operand 0 axis 1"
    with pytest.raises(AxisMismatchError, match=re.escape(message)):
        tna.contract("ii->i", table).evaluate(v=np.ones(1), w=np.ones(3))
    with pytest.raises(AxisMismatchError, match=re.escape("a sum needs nodes of one shape; got [(2, 3), (5, 7)]")):
        evaluate(Sum((A, Leaf("B", ("i", "j")))), {"A": np.ones((2, 3)), "B": np.ones((5, 7))})


@pytest.mark.parametrize("xi", ["multiply", "rectifier"])
def test_a_diagonal_of_what_broadcasts(xi):
    """Two axes of a value are of one size where those of its operands are not."""
    a, b = np.array([[2.0, 3.0]]), np.array([[5.0, 7.0], [11.0, 13.0]])
    e = tna.contract("ii->i", tna.contract("ij,ij->ij", tna.leaf("A", "ij"), tna.leaf("B", "ij"), xi=xi))
    np.testing.assert_array_equal(e.evaluate(A=a, B=b), np.diagonal(tna.operator(xi).apply(a, b)))
    assert tna.value_and_grad(tna.contract("i->", e))(A=a, B=b)[1]["A"].shape == (1, 2)


def test_a_promise_about_leaves_is_none_about_functions_of_them(rng):
    """multiply distributes over maximum on non-negative numbers, but −x is none."""
    arrays = {"A": rng.random((2, 3)), "B": rng.random((3, 5)), "C": rng.random(5)}
    children = Map("0 - x", A), B, Leaf("C", ("k",))
    node = product(*children, inputs="ij,jk,k", output="i", reduce=MAXIMUM)
    found = evaluate(node, arrays, nonnegative=True)
    assert relative_error(found, reference.evaluate(node, arrays)) < 1e-14


@pytest.mark.usefixtures("own_registry")
def test_a_promise_about_leaves_is_none_about_operators_that_lose_it():
    """A format with cores that are not negative may be negative, if its own ξ is; and ⊕ over nothing may be."""
    tna.register_operator(tna.Operator(name="shifted", value="x + y - 1", unit=1.0))
    cp = tna.CPTensor([np.array([[0.1], [0.2]]), np.array([[0.1], [0.3]])], xi="shifted")
    weight = np.array([[0.0, 1.0], [0.5, 0.25]])
    assert tna.contract("ij,kl->", cp, weight, reduce="maximum") == 0.0
    e = tna.contract("i,ij->", tna.contract("ij->i", tna.leaf("A", "ij"), reduce="maximum"), tna.leaf("B", "ij"))
    node, empty = replace(e.node, reduce=MAXIMUM), {"A": (2, 0), "B": (2, 3)}
    assert not build_plan(node, empty, nonnegative=True).nonnegative
    assert build_plan(node, {"A": (2, 1), "B": (2, 3)}, nonnegative=True).nonnegative


def test_what_may_be_merged():
    def merged(xi, reduce, inner_xi, inner_reduce, inner_output="ik"):
        inner = product(A, B, inputs="ij,jk", output=inner_output, xi=inner_xi, reduce=inner_reduce)
        labels = "pq" if len(inner_output) == 2 else "pqs"
        outer = product(inner, Leaf("C", ("q",)), inputs=f"{labels},q", output="p", xi=xi, reduce=reduce)
        return len(inline(outer).operands) == 3

    assert merged(MULTIPLY, ADD, MULTIPLY, ADD)
    assert merged(ADD, MAXIMUM, ADD, MAXIMUM)
    assert not merged(HYPOT, ADD, HYPOT, ADD)  # the inner sum must stay inside ξ
    assert not merged(MULTIPLY, ADD, MULTIPLY, MAXIMUM)
    assert not merged(MULTIPLY, MAXIMUM, MULTIPLY, MAXIMUM)  # on real numbers
    assert not merged(MULTIPLY, ADD, HYPOT, ADD)
    assert merged(HYPOT, ADD, HYPOT, MAXIMUM, "ijk")  # no inner sum: ξ is associative
    assert not merged(HYPOT, ADD, MULTIPLY, ADD, "ijk")


def test_merging_renames_labels_that_collide():
    inner = product(A, B, inputs="ij,jk", output="ik")
    node = inline(product(inner, inner, inputs="kj,ji", output="ki"))
    assert len(node.operands) == 4
    assert node.output == ("k", "i")
    assert len(node.summed) == 3
    assert len({label for term in node.inputs for label in term}) == 5


SIZES = {"a": 2, "b": 3, "c": 5, "x": 1}
NAMES = ("multiply", "rectifier", "logaddexp", "add", "hypot", "maximum", "minimum")
DISTRIBUTIVE = (
    ("multiply", "add"), ("add", "maximum"), ("add", "logaddexp"), ("minimum", "maximum"), ("maximum", "rectifier"),
)  # fmt: skip


@st.composite
def graphs(draw):
    """Nested nodes of any (ξ, ⊕): labels repeat, collide between levels, are summed; nodes are shared."""
    nodes = [Leaf(name, tuple(draw(st.text("abcx", max_size=2)))) for name in "ABC"]
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(("contract",) * 8 + ("map", "sum")))
        children = draw(st.lists(st.sampled_from(nodes[-4:]), min_size=1, max_size=3))
        if kind == "map":
            nodes.append(Map(draw(st.sampled_from(("x * x", "maximum(x, 0)", "exp(x / 8)", "-x"))), children[0]))
        elif kind == "sum":
            nodes.append(Sum((children[0], Map("x / 2", children[0]), children[0])))
        else:
            # an axis keeps its letter, so that sizes fit; a prime makes it another label of that size
            inputs = tuple(
                tuple(label[0] + draw(st.sampled_from(("", "", "'"))) for label in child.output) for child in children
            )
            known = sorted({label for term in inputs for label in term})
            output = draw(st.lists(st.sampled_from(known), unique=True, max_size=2)) if known else []
            free = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES))
            xi, reduce = map(tna.operator, draw(st.one_of(st.sampled_from(DISTRIBUTIVE), free)))
            nodes.append(Contract(xi, reduce, inputs, tuple(children), tuple(output)))
    return nodes[-1]


def work(node):
    """Points of all loops of the reference."""
    total = 0
    for inner in postorder(node):
        if isinstance(inner, Contract):
            labels = {label for term in inner.inputs for label in term}
            total += int(np.prod([SIZES[label[0]] for label in labels]))
    return total


@given(node=graphs(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=250, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_merged_graphs_agree_with_nested_loops(node, seed):
    generator = np.random.default_rng(seed)
    leaves = {leaf.name: leaf for leaf in postorder(node) if isinstance(leaf, Leaf)}
    arrays = {
        name: generator.standard_normal([SIZES[label] for label in leaf.output]) / 2 for name, leaf in leaves.items()
    }
    if work(node) > 3000:
        return
    with np.errstate(all="ignore"):
        expected = reference.evaluate(node, arrays)
        if np.all(np.isfinite(expected)) and np.all(np.abs(expected) < 1e12):
            assert relative_error(Expression(node).evaluate(**arrays), expected) < 1e-10


def test_expressions_say_which_leaves_they_need(rng):
    a, b = tna.leaf("A", "ij"), tna.leaf("B", "jk")
    e = tna.contract("ij,jk->ik", a, b)
    assert e.free == ("A", "B")
    assert repr(e) == "<Expression ik of A, B>"
    bound = tna.contract("ij,jk->ik", a, rng.standard_normal((3, 5)))
    assert bound.free == ("A",)
    for call, message in (
        (lambda: e.evaluate(A=np.ones((2, 3))), "leaves do not fit: missing B; the expression has A, B"),
        (lambda: e.evaluate(A=1, B=2, C=3), "leaves do not fit: unknown C; the expression has A, B"),
        (lambda: e.plan(C=(2, 3)), "leaves do not fit: missing A, B; unknown C; the expression has A, B"),
        (lambda: e.evaluate(A=np.ones((2, 3)), B=np.ones((5, 7))),
         "label 'j' of `ij,jk->ik` is 3 on operand 0 axis 1 but 5 on operand 1 axis 0"),
    ):  # fmt: skip
        with pytest.raises(EquationError, match=re.escape(message)):
            call()


def test_a_leaf_may_have_any_name():
    e, x = tna.contract("i,i->", tna.leaf("self", "i"), tna.leaf("call", "i")), {"self": np.ones(3), "call": np.ones(3)}
    assert e.evaluate(**x) == e.compiled()(**x) == tna.value_and_grad(e)(**x)[0] == 3
    assert e.plan(**x).shapes == tna.value_and_grad(e).plan(**x).shapes[:2] == ((3,), (3,))
