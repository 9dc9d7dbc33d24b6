"""Workers of compiled kernels: one crew a process, which an interrupt leaves free and awake."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tnalgebra.execute.kernels import crew

pytest.importorskip("numba")


@pytest.fixture
def new(monkeypatch):
    """No crew yet."""
    monkeypatch.setattr(crew, "_crews", {})


def test_threads_that_come_at_once_have_one_crew(new, monkeypatch):
    class Slow(crew.Crew):
        def __init__(self):
            super().__init__()
            time.sleep(0.05)

    monkeypatch.setattr(crew, "Crew", Slow)
    barrier = threading.Barrier(6)

    def found(_):
        barrier.wait()
        return crew.free_crew()

    with ThreadPoolExecutor(6) as pool:
        assert len({*map(id, pool.map(found, range(6)))}) == 1


def test_an_interrupt_leaves_the_crew_free(new, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt("at the first worker")

    monkeypatch.setattr(crew, "Thread", interrupted)
    with pytest.raises(KeyboardInterrupt, match="at the first worker"):
        crew.run_tasks([(0, 0, 0)] * 2)
    assert crew.free_crew() is not None


@pytest.mark.parametrize("then", ["lead", "end"])
def test_a_worker_whose_bell_an_interrupt_kept_still_is_rung(then):
    made = crew.Crew()
    rang = made._rang

    def interrupted(*arguments):
        assert rang(*arguments)
        raise KeyboardInterrupt("before the bell")

    made._rang = interrupted
    with pytest.raises(KeyboardInterrupt, match="before the bell"):
        made.lead(2)
    made._rang = rang
    thread = threading.Thread(target=getattr(made, then), args=(2,) * (then == "lead"), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    limit = time.monotonic() + 30
    while made._words[crew.AWAKE // 8 :].any() and time.monotonic() < limit:
        time.sleep(0.01)
    assert not made._words[crew.AWAKE // 8 :].any()
    made.end()
