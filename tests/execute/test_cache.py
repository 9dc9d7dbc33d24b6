"""A cache that nobody waits for: not a fork, not a signal handler, not one of several threads."""

import os
import signal
import threading

import pytest

from tests.processes import printed
from tnalgebra.execute.cache import Cache


class Key:
    """Equal to all of its kind, after a call of the one that is searched."""

    def __init__(self, call):
        self.call = call

    def __hash__(self):
        return 7

    def __eq__(self, other):
        other.call()
        return True


def test_who_interrupts_a_search_searches_too():
    """As a signal handler does."""
    cache, found = Cache(), []
    cache.get(Key(lambda: None), lambda: 2)

    def interrupt():
        if not found:
            found.append(cache.get("another", lambda: 3))
            cache.resize(5)

    thread = threading.Thread(target=lambda: found.append(cache.get(Key(interrupt), lambda: 5)), daemon=True)
    thread.start()
    thread.join(30)
    assert found == [3, 2]
    assert cache.info() == (1, 2, 2, 5)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="there are no alarms here")
def test_a_handler_contracts_while_a_plan_is_searched():
    code = (
        "import faulthandler, signal, numpy as np, tnalgebra as tna\n"
        "faulthandler.dump_traceback_later(60, exit=True)\n"
        "from tests.execute.test_cache import Key\n"
        "a, seen = np.ones((2, 3)), []\n"
        "signal.signal(signal.SIGALRM, lambda *_: seen.append(tna.contract('ij->i', a)))\n"
        "tna.plan_cache.get(Key(lambda: None), lambda: 2)\n"
        "tna.plan_cache.get(Key(lambda: signal.raise_signal(signal.SIGALRM)), lambda: 3)\n"
        "print(*seen)"
    )
    assert printed(code) == "[3. 3.]\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_child_does_not_wait_for_a_search_of_its_parent():
    code = (
        "import os, signal, threading\n"
        "from tests.execute.test_cache import Cache, Key\n"
        "cache, begun, done = Cache(), threading.Event(), threading.Event()\n"
        "cache.get(Key(lambda: None), lambda: 2)\n"
        "wait = lambda: (begun.set(), done.wait())\n"
        "thread = threading.Thread(target=cache.get, args=(Key(wait), lambda: 3))\n"
        "thread.start()\n"
        "begun.wait()\n"
        "child = os.fork()\n"
        "signal.alarm(20)\n"
        "if child == 0: os._exit(cache.get(Key(lambda: None), lambda: 5))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "done.set()\n"
        "thread.join()"
    )
    assert printed(code) == "2\n"


def test_threads_find_what_was_built_for_their_key():
    cache, wrong = Cache(3), []
    cache.get("kept", lambda: "kept")

    def work(seed):
        for i in range(3000):
            key = i * seed % 11 + 10
            if cache.get(key, lambda key=key: key) != key:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (2, 3, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.info().size <= 3
    assert cache.get("kept", lambda: "built again") == "built again"
