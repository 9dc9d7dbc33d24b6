"""Work that is shared out among threads: the same numbers, and no more threads than BLAS has."""

import os
import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tnalgebra as tna
from tests.corpus import relative_error
from tests.processes import printed
from tnalgebra.execute.kernels import pieces, weighted
from tnalgebra.execute.threads import in_threads, one_thread, thread_count


def unit(xi, a, h, g):
    e = tna.contract("pi,qj->pqij", tna.leaf("A", "pi"), tna.leaf("H", "qj"), xi=xi)
    return tna.contract("pqij,ijk->qpk", e, tna.leaf("G", "ijk")).evaluate(A=a, H=h, G=g)


@pytest.fixture
def operands(rng):
    return [rng.standard_normal(shape) for shape in ((13, 5), (4001, 3), (5, 3, 2))]


def test_threads_are_those_of_blas():
    with threadpool_limits(1):
        assert thread_count() == 1
    with one_thread():
        assert thread_count() == 1
    assert thread_count() >= 1


def test_the_last_of_several_contexts_gives_the_threads_back():
    before, first, second = thread_count(), one_thread(), one_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert thread_count() == 1
    second.__exit__(None, None, None)
    assert thread_count() == before


def test_work_is_done_when_no_thread_can_be_started():
    """Handlers that run at exit cannot start threads."""
    code = (
        "import atexit, numpy as np\n"
        "from tnalgebra.execute.threads import in_threads\n"
        "seen = np.zeros(10)\n"
        "def work(places): seen[places] += 1\n"
        "atexit.register(lambda: print(seen.sum()))\n"
        "atexit.register(lambda: in_threads(work, 10, 3))\n"
    )
    assert printed(code) == "10.0\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_forked_process_has_threads_of_its_own():
    code = (
        "import os, signal, numpy as np\n"
        "from tnalgebra.execute.threads import in_threads\n"
        "seen = np.zeros(10)\n"
        "def work(places): seen[places] += 1\n"
        "in_threads(work, 10, 3)\n"
        "child = os.fork()\n"
        "signal.alarm(20)\n"
        "in_threads(work, 10, 3)\n"
        "assert (seen == 2).all()\n"
        "if child == 0: os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    assert printed(code) == "7\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_child_has_the_contexts_of_its_own_thread_alone():
    """Whatever another thread held at the fork: a context, or the lock itself."""
    code = (
        "import os, signal, threading, time\n"
        "from tnalgebra.execute import threads\n"
        "before, begun, done = threads.thread_count(), threading.Event(), threading.Event()\n"
        "def hold():\n"
        "    with threads.one_thread():\n"
        "        with threads._LOCK: begun.set(); time.sleep(0.2)\n"
        "        done.wait()\n"
        "thread = threading.Thread(target=hold)\n"
        "thread.start()\n"
        "begun.wait()\n"
        "with threads.one_thread():\n"
        "    child = os.fork()\n"
        "    signal.alarm(20)\n"
        "    inside = len(threads._held)\n"
        "after = len(threads._held)\n"
        "if child == 0: os._exit((inside, after, threads.thread_count()) != (1, 0, before))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), inside, after)\n"
        "done.set()\n"
        "thread.join()\n"
        "print(len(threads._held), threads.thread_count() == before)"
    )
    assert printed(code) == "0 2 1\n0 True\n"


def test_shares_of_a_share_and_errors_in_one():
    seen, lock = np.zeros(60, int), threading.Lock()

    def inner(outer):
        def work(places):
            with lock:
                seen[outer.start : outer.stop][places] += 1

        in_threads(work, outer.stop - outer.start, 3)

    in_threads(inner, 60, 4)
    assert (seen == 1).all()

    def broken(places):
        if places.start:
            raise ValueError(f"at {places.start}")

    with pytest.raises(ValueError, match="at 3"):
        in_threads(broken, 9, 3)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [0, 1, 2, 5, 100])
def test_slices_share_a_range_out(count, length):
    seen, names, lock = np.zeros(length, int), set(), threading.Lock()

    def work(places):
        with lock:
            seen[places] += 1
            names.add(threading.current_thread().name)

    in_threads(work, length, count)
    assert (seen == 1).all()
    assert len(names) <= max(1, min(count, length))


def test_threads_have_the_context_of_the_caller():
    seen = []
    with np.errstate(over="ignore", divide="raise"):
        in_threads(lambda places: seen.append(np.geterr()), 3, 3)
    assert [(found["over"], found["divide"]) for found in seen] == [("ignore", "raise")] * 3


def test_an_error_in_a_thread_arrives():
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        in_threads(lambda places: 1 / (places.start - 1), 2, 2)


@pytest.mark.parametrize("xi", ["rectifier", "logaddexp", "hypot", "add"])
def test_the_numbers_are_those_of_one_thread(xi, operands, monkeypatch):
    with threadpool_limits(1):
        expected = unit(xi, *operands)
    tna.plan_cache.clear()
    for module in (weighted, pieces):
        monkeypatch.setattr(module, "MUCH", 1)
        monkeypatch.setattr(module, "thread_count", lambda: 3)
    found = unit(xi, *operands)
    tna.plan_cache.clear()
    assert relative_error(found, expected) < 1e-14
