"""The benchmarks as far as they go here: first calls, and those of a GPU on a stand-in for CuPy."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import tnalgebra as tna
from benchmarks import __main__ as benchmarks
from benchmarks import device, networks, starts
from tests.execute.fake_cupy import make


@pytest.fixture
def stand_in(monkeypatch):
    """CuPy's stand-in with a device that says who it is."""
    module = make()
    module.__version__ = "0"
    chip = SimpleNamespace(id=0, compute_capability="90", attributes={"MultiProcessorCount": 132, "ClockRate": 1000})
    module.cuda.Device = lambda number=0: _Context(chip)
    module.cuda.runtime.getDeviceProperties = lambda number: {"name": b"a chip"}
    module.cuda.runtime.runtimeGetVersion = module.cuda.runtime.driverGetVersion = lambda: 13000
    monkeypatch.setitem(sys.modules, "cupy", module)
    tna.plan_cache.clear()  # keys hold the module
    yield
    tna.plan_cache.clear()


class _Context(SimpleNamespace):
    def __init__(self, chip):
        super().__init__(**vars(chip))

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None


def test_without_a_device_it_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(SystemExit, match=r"nothing can be measured on a GPU: device 'cuda' needs CuPy: pip install"):
        benchmarks.main(["--device", "cuda", "units"])
    with pytest.raises(SystemExit, match="2"):
        benchmarks.main(["--device", "tpu"])
    assert "invalid choice: 'tpu'" in capsys.readouterr().err


def test_a_suite_that_is_not_there_is_named(stand_in):
    with pytest.raises(SystemExit, match="no suite is named like nothing; known: generalized matrix products"):
        benchmarks.main(["--device", "cuda", "nothing"])


@pytest.mark.filterwarnings("ignore:a CUDA kernel does not compile:RuntimeWarning")  # the stand-in compiles nothing
@pytest.mark.filterwarnings("ignore:a plan is not captured:RuntimeWarning")  # and calls cuBLAS in place of kernels
def test_rows_say_what_was_measured_where(stand_in, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmarks, "RESULTS", tmp_path / "contract.json")
    monkeypatch.setattr(benchmarks, "machine", dict)
    monkeypatch.setattr(device, "SIZE", 17)
    monkeypatch.setattr(device, "UNITS", ((5, 3, 2, 4),))
    monkeypatch.setattr(device, "find_spec", lambda name: None)

    def compare(calls, budget):
        return {"seconds": {name: float(call() is not None) for name, call in calls.items()}}

    monkeypatch.setattr(device, "compare", compare)
    monkeypatch.setattr(networks, "SIZES", {"tiny": (2, 3, 4, 3, 2, 2, 5)})
    benchmarks.main(["--device", "cuda"])
    found = json.loads((tmp_path / "cuda.json").read_text(encoding="utf-8"))
    assert list(found) == list(device.SUITES)
    assert [len(found[suite]["rows"]) for suite in found] == [6, 3, 3, 4]
    assert found["bilinear units"]["machine"]["device"] == "a chip"
    for row in found["small plans"]["rows"] + found["training steps"]["rows"]:
        assert [*row["seconds"]] == ["tnalgebra", "launched one by one"]
    products = found["generalized matrix products"]["rows"]
    assert [row["share"] for row in products] == pytest.approx([2 * 17**3 / (132 * 128 * 1e6)] * 6, rel=1e-3)
    shown = capsys.readouterr().out
    assert "torch is not installed: left out" in shown
    assert "rectifier over add, 17, float32" in shown


def test_first_calls_are_medians_over_pairs_of_processes(monkeypatch):
    """An empty cache for the first process of a pair, the same one for the second, and a new one for the next pair."""
    caches = []

    def process(case, library, cache):
        caches.append(cache)
        number = len(set(caches))
        return [5.0 if caches.count(cache) == 1 else 1.0, 0.25] if library == "JAX" else [10.0 * number, number / 2]

    monkeypatch.setattr(starts, "_process", process)
    monkeypatch.setattr(starts, "find_spec", lambda name: True)
    monkeypatch.setattr(starts, "CASES", {"a case": None})
    rows = list(starts.first_calls())
    assert [row["how"] for row in rows] == ["new to the machine", "kept on the disk", "warm"]
    assert [row["seconds"] for row in rows] == [
        {"tnalgebra": 30.0, "JAX": 5.0},
        {"tnalgebra": 30.0, "JAX": 1.0},
        {"tnalgebra": 1.5, "JAX": 0.25},
    ]
    assert [row["ratio"]["JAX"] for row in rows] == [6.0, 30.0, 6.0]
    assert len(caches) == 12


def test_a_process_of_first_calls_prints_two_times(monkeypatch, capsys):
    done = []
    monkeypatch.setattr(starts, "CASES", {"a case": lambda: {"tnalgebra": lambda: lambda: done.append(1)}})
    starts.main("a case", "tnalgebra")
    first, warm = json.loads(capsys.readouterr().out)
    assert first > 0 < warm
    assert len(done) == 1 + starts.WARM


def test_a_peer_that_is_wrong_or_breaks_is_not_timed(monkeypatch):
    monkeypatch.setattr(device, "compare", lambda calls, budget: {"seconds": dict.fromkeys(calls, 1.0)})

    def broken():
        raise MemoryError

    calls = {"tnalgebra": lambda: np.ones(3), "right": lambda: np.ones(3), "wrong": lambda: np.ones(3) * 1.5}
    contestants = {name: device.Contestant(call, np.asarray) for name, call in (calls | {"broken": broken}).items()}
    row = device._compared(contestants, np.ones(3))
    assert (row["failed"], [*row["seconds"]]) == ({"wrong": 0.5, "broken": "MemoryError"}, ["tnalgebra", "right"])
    with pytest.raises(AssertionError, match=r"tnalgebra: relative error 5\.0e-01, more than 1e-03"):
        device._compared({"tnalgebra": contestants["wrong"]}, np.ones(3))


def test_rows_of_another_machine_are_not_kept_beside_new_ones(tmp_path):
    path = tmp_path / "results.json"
    for case, cpu in (("a", "old"), ("b", "old"), ("a", "old")):
        benchmarks.keep("suite", {"case": case, "at": cpu}, path, {"cpu": cpu})
    assert [row["case"] for row in json.loads(path.read_text())["suite"]["rows"]] == ["a", "b"]
    benchmarks.keep("suite", {"case": "b", "at": "new"}, path, {"cpu": "new"})
    found = json.loads(path.read_text())["suite"]
    assert found == {"machine": {"cpu": "new"}, "rows": [{"case": "b", "at": "new"}]}
