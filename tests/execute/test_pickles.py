"""Copies and pickles of what is called many times: the same numbers, here and in another process."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.algebra import registry
from tnalgebra.errors import UnknownNameError

ROOT = Path(__file__).resolve().parents[2]
WAYS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"protocol {protocol}": lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
    },
}
OTHER = """
import pickle, sys
sys.path.insert(0, {root!r})
functions, arrays, named = pickle.load(sys.stdin.buffer)
found = [f(*arrays) if is_planned else f(**named) for is_planned, f in functions]
sys.stdout.buffer.write(pickle.dumps(found))
"""
SHAPES = {"A": (2, 3), "B": (3, 5), "C": (5, 1)}


@pytest.fixture
def own(monkeypatch):
    """An operator that no other process has registered."""
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    return tna.register_operator(tna.Operator(name="soft", value="x + y + x * y", unit=0.0, partial="1 + y"))


@pytest.fixture
def arrays(rng):
    return {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}


def functions(arrays, xi="rectifier"):
    """By name, each function and whether its arrays are given in order."""
    leaves = [tna.leaf(name, labels) for name, labels in (("A", "ij"), ("B", "jk"))]
    e = tna.contract("ik,kl->il", tna.contract("ij,jk->ik", *leaves, xi=xi), arrays["C"])
    planned = tna.contract_expression(
        "ij,jk,kl->il", SHAPES["A"], SHAPES["B"], arrays["C"], xi=xi, reduce="maximum", constants=[2]
    )
    gradient = tna.value_and_grad(tna.contract("il->", e))
    return {
        "planned": (True, planned),
        "compiled planned": (True, tna.compile(planned)),
        "expression": (False, e.evaluate),
        "compiled expression": (False, tna.compile(e)),
        "gradient": (False, gradient),
        "compiled gradient": (False, tna.compile(gradient)),
    }


def called(is_planned, f, arrays):
    given = {name: arrays[name] for name in "AB"}
    return f(*given.values()) if is_planned else f(**given)


@pytest.mark.parametrize("is_used", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", functions({"C": np.ones(SHAPES["C"])}))
def test_copies_give_the_same_numbers(name, way, is_used, arrays):
    is_planned, f = functions(arrays)[name]
    if is_used:
        called(is_planned, f, arrays)
    np.testing.assert_equal(
        called(is_planned, WAYS[way](f), arrays),
        called(is_planned, f, arrays),
    )


def test_pickles_by_value_give_the_same_numbers(arrays):
    cloudpickle = pytest.importorskip("cloudpickle")
    for is_planned, f in functions(arrays).values():
        other = pickle.loads(cloudpickle.dumps(f))
        np.testing.assert_equal(called(is_planned, other, arrays), called(is_planned, f, arrays))


def test_copies_keep_the_plan_its_promise_and_its_kernels():
    planned = tna.contract_expression("i,i->", (3,), (3,), reduce="maximum", nonnegative=True)
    for f in (planned, tna.compile(planned)):
        other = pickle.loads(pickle.dumps(f))
        assert (repr(other), other.plan, other._is_compiled) == (repr(f), f.plan, f._is_compiled)
        with pytest.raises(tna.TnAlgebraError, match="planned with nonnegative=True, but an operand has an entry"):
            other(-np.ones(3), np.ones(3))


def test_deep_copies_have_constants_of_their_own():
    constant = np.ones(3)
    f = tna.contract_expression("i,i->", (3,), constant, constants=[1])
    shared, other = copy.copy(f), copy.deepcopy(f)
    constant[:] = 2
    assert (f(np.ones(3)), shared(np.ones(3)), other(np.ones(3))) == (6, 6, 3)


def test_another_process_computes_the_same_with_operators_that_it_does_not_know(arrays, own):
    given = {name: arrays[name] for name in "AB"}
    sent = list(functions(arrays, own).values())
    run = subprocess.run(
        [sys.executable, "-c", OTHER.format(root=str(ROOT))],
        input=pickle.dumps((sent, list(given.values()), given)),
        capture_output=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr.decode()
    np.testing.assert_equal(pickle.loads(run.stdout), [called(*each, arrays) for each in sent])


def test_an_operator_travels_with_the_plan_and_is_not_registered(own, monkeypatch):
    data = pickle.dumps(tna.contract_expression("i,i->", (3,), (3,), xi=own))
    monkeypatch.delitem(registry._OPERATORS, "soft")
    assert pickle.loads(data)(np.ones(3), np.ones(3)) == 9
    with pytest.raises(UnknownNameError, match="unknown operator 'soft'"):
        tna.operator("soft")


def test_graphs_of_another_process_are_equal_to_those_made_here():
    """Strings have other hashes there."""
    code = (
        f"import pickle, sys; sys.path.insert(0, {str(ROOT)!r}); import tnalgebra as tna; "
        "e = tna.contract('ij,jk->ik', tna.leaf('A', 'ij'), tna.leaf('B', 'jk'), xi='hypot'); "
        "sys.stdout.buffer.write(pickle.dumps(e))"
    )
    sent = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    found = pickle.loads(sent)
    here = tna.contract("ij,jk->ik", tna.leaf("A", "ij"), tna.leaf("B", "jk"), xi="hypot")
    assert found.node == here.node
    assert hash(found.node) == hash(here.node)
