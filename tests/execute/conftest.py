"""CuPy's stand-in, or CuPy where there is a device, for tests of what runs there."""

import shutil
import sys

import numpy as np
import pytest

import tnalgebra as tna
from tests.execute import cuda_sources, fake_cupy
from tests.execute.cuda_sources import Host, stand_in
from tests.execute.fake_cupy import CuPyArray


class Place:
    """Arrays of one library, there and back."""

    def __init__(self, there, back):
        self.there, self.back = there, back

    def all_there(self, arrays):
        return {name: self.there(array) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("no g++ to compile CUDA sources for the CPU")
    return Host(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def use(monkeypatch):
    """Put something in place of CuPy."""

    def used(compiler):
        monkeypatch.setitem(sys.modules, "cupy", stand_in(compiler))
        tna.plan_cache.clear()  # keys hold the module

    yield used
    tna.plan_cache.clear()


@pytest.fixture
def watched(monkeypatch):
    """What is asked of the device, in its order: kernels, copies of bytes, and launches of graphs."""
    done, compute, write, launch = [], fake_cupy.computed, fake_cupy.written, fake_cupy.Graph.launch
    copy = fake_cupy.MemoryPointer.copy_from_device_async

    def computed(function, *args, **kwargs):
        found = compute(function, *args, **kwargs)
        if getattr(function, "__name__", "").startswith("empty"):
            return found
        arrays = [arg.array for arg in (found, *args) if isinstance(arg, CuPyArray)]
        is_view = any(np.may_share_memory(arrays[0], array) for array in arrays[1:])
        return found if is_view or not isinstance(found, CuPyArray) else done.append("kernel") or found

    def copied(*args):
        number = len(done)
        copy(*args)
        done[number:] = ["copy"]

    def launched(graph, stream=None):
        number = len(done)
        launch(graph, stream)
        done[number:] = ["launch"]

    monkeypatch.setattr(fake_cupy, "computed", computed)
    for module in (fake_cupy, cuda_sources):
        monkeypatch.setattr(module, "written", lambda call: done.append("kernel") or write(call))
    monkeypatch.setattr(fake_cupy.MemoryPointer, "copy_from_device_async", copied)
    monkeypatch.setattr(fake_cupy.Graph, "launch", launched)
    return done


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def device(request, use):
    if request.param == "real":
        cupy = pytest.importorskip("cupy")
        yield Place(cupy.asarray, cupy.asnumpy)
        return
    use(request.getfixturevalue("host"))
    with np.errstate(all="ignore"):  # a device warns of nothing
        yield Place(CuPyArray, lambda array: array.get())
