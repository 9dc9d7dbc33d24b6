"""What all tests share: the random generator, the Hypothesis profiles, and the reason why GPU tests are skipped."""

import os
import warnings

import numpy as np
import pytest
from hypothesis import settings

import tnalgebra
from tnalgebra.algebra import registry
from tnalgebra.algebra.builtin import BUILTIN

# The same examples on every run. To search further: pytest --hypothesis-profile deep
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("deep", deadline=None, max_examples=2000)
settings.load_profile("ci")


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def why_no_cuda_device():
    """The reason why nothing can run on a GPU here, or None if something can."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy warns about toolkits that it does not find
        try:
            import cupy
        except ImportError as error:
            return f"CuPy cannot be imported ({error})"
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            return str(error)
    return None if count else "CuPy finds none"


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: "test_site" not in item.nodeid)  # pages take minutes, in which other processes go on
    marked = [item for item in items if item.get_closest_marker("gpu")]
    why = why_no_cuda_device() if marked else None  # CuPy is not imported for a run without GPU tests
    if why:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"no CUDA device: {why}"))


@pytest.fixture(autouse=True, scope="session")
def kernels(tmp_path_factory):
    """A folder for compiled kernels that goes with the tests, one for all processes that share them out."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kernels"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TNALGEBRA_CACHE_DIR", str(folder))
        yield


@pytest.fixture
def own_registry(monkeypatch):
    """A registry of the builtin operators alone, put back afterwards."""
    monkeypatch.setattr(registry, "_OPERATORS", {op.name: op for op in BUILTIN})


@pytest.fixture
def by_steps(monkeypatch):
    """Every step by a kernel of its own, and not all by one call."""
    monkeypatch.setattr("tnalgebra.execute.run.native_program", lambda plan, dtype: None)
    tnalgebra.plan_cache.clear()
    yield
    tnalgebra.plan_cache.clear()
