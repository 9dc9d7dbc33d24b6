"""Compiled kernels on the disk: found again, and done without where the disk fails, never with another number."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.execute.kernels import jit, kept

numba = pytest.importorskip("numba")
DAMAGES = {
    "emptied": lambda data: b"",
    "halved": lambda data: data[: len(data) // 2],
    "random": lambda data: np.random.default_rng(0).bytes(len(data)),
    "one bit": lambda data: data[:-99] + bytes([data[-99] ^ 1]) + data[-98:],
    "longer": lambda data: data + b"\0",
    "of another kernel": lambda data: b"\0" * kept.DIGEST + data[kept.DIGEST :],
}
A, B = np.array([[1.0, -2.0, 3.0]]), np.array([[0.5, -3.0], [-1.0, 2.0], [5.0, 7.0]])
VALUE = np.maximum(np.maximum(A[:, :, None], B), 0).sum(axis=1)
LOST, AGAIN = "compiled kernels cannot be kept in {} ({}", "a compiled kernel in {} is damaged (ValueError: "
WAYS = pytest.mark.parametrize("way", ["at once", "by steps"], indirect=True)


def forget():
    """As in a new process."""
    for cache in (jit.jitted, jit.native):
        cache.cache_clear()
    tna.plan_cache.clear()
    kept.TOLD.clear()


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("TNALGEBRA_CACHE_DIR", str(tmp_path / "kernels"))
    forget()
    yield tmp_path / "kernels"
    forget()


@pytest.fixture
def way(request, monkeypatch):
    """All steps by one call, or each by a kernel of its own."""
    if request.param == "by steps":
        monkeypatch.setattr("tnalgebra.execute.run.native_program", lambda plan, dtype: None)


@pytest.fixture
def full(monkeypatch):
    """A disk with room for one byte."""
    write = Path.write_bytes

    def fail(path, data):
        write(path, data[:1])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)


@pytest.fixture
def read_only(folder, monkeypatch):
    def fail(path, *_, **__):
        raise PermissionError(errno.EROFS, "Read-only file system", str(path))

    for name in ("write_bytes", "mkdir"):
        monkeypatch.setattr(Path, name, fail)


def program():
    return tna.compile(tna.contract_expression("ij,jk->ik", A.shape, B.shape, xi="rectifier", reduce="add"))


def assert_right(*messages):
    """The value of a call in a new process, and what it warns of."""
    forget()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        found = program()(A, B)
    np.testing.assert_array_equal(found, VALUE)
    assert [item.category for item in warned] == [RuntimeWarning] * len(messages)
    for item, message in zip(warned, messages, strict=True):
        assert message in str(item.message)
        assert "set TNALGEBRA_CACHE_DIR" in str(item.message)


@WAYS
@pytest.mark.usefixtures("way")
def test_kernels_are_found_again(folder):
    assert_right()
    files = {path: path.stat().st_ino for path in folder.iterdir()}
    assert {path.suffix for path in files} == {".nbc"}
    assert_right()
    assert {path: path.stat().st_ino for path in folder.iterdir()} == files


def test_another_process_finds_them(tmp_path):
    code = (
        "import numpy as np, tnalgebra as tna\n"
        "e = tna.contract('i,i->', tna.leaf('A', 'i'), tna.leaf('B', 'i'), xi='rectifier')\n"
        "print(tna.value_and_grad(e).compiled()(A=np.array([1.0, -2.0]), B=np.array([0.5, 3.0]))[1]['A'].tolist())"
    )
    found = []
    for _ in range(2):
        environment = {**os.environ, "TNALGEBRA_CACHE_DIR": str(tmp_path)}
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
        assert (run.stdout, run.stderr) == ("[1.0, 0.0]\n", "")
        found.append({path: path.stat().st_ino for path in tmp_path.iterdir()})
    assert found[0] == found[1] != {}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("way", "damage"), [*(("by steps", damage) for damage in DAMAGES), ("at once", "one bit")], indirect=["way"]
)
def test_a_damaged_kernel_is_compiled_again_and_overwritten(folder, damage):
    assert_right()
    for path in folder.iterdir():
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert_right(AGAIN.format(folder))
    assert_right()


@WAYS
@pytest.mark.usefixtures("way", "full")
def test_a_full_disk_keeps_nothing_of_a_kernel(folder):
    assert_right(LOST.format(folder, "OSError: [Errno 28] No space left on device"))
    assert list(folder.iterdir()) == []


@WAYS
@pytest.mark.usefixtures("way", "read_only")
def test_a_folder_that_cannot_be_made_is_done_without(folder):
    assert_right(LOST.format(folder, "PermissionError: [Errno 30] Read-only file system"))
    assert not folder.exists()


def test_a_file_in_the_place_of_the_folder_is_done_without(folder):
    folder.write_text("")
    assert_right(LOST.format(folder, "FileExistsError"))


def test_a_folder_that_is_read_only_serves_what_it_has(folder, request):
    assert_right()
    request.getfixturevalue("read_only")
    request.getfixturevalue("folder")


@WAYS
@pytest.mark.usefixtures("way")
def test_a_read_only_folder_with_a_damaged_kernel_is_done_without(folder, request):
    assert_right()
    for path in folder.iterdir():
        path.write_bytes(b"")
    request.getfixturevalue("read_only")
    assert_right(AGAIN.format(folder), LOST.format(folder, "PermissionError: [Errno 30] Read-only file system"))


def test_a_user_without_a_home_does_without(monkeypatch, folder):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("TNALGEBRA_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", fail)
    assert_right(LOST.format("a home folder", "RuntimeError: there is none"))


def test_threads_that_call_first_meet_one_damage(folder):
    assert_right()
    for path in folder.iterdir():
        path.write_bytes(b"")
    forget()
    call, found = program(), []
    threads = [threading.Thread(target=lambda: found.append(call(A, B))) for _ in range(5)]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [str(item.message).split(" (")[0] for item in warned] == [f"a compiled kernel in {folder} is damaged"]
    np.testing.assert_array_equal(found, [VALUE] * 5)
    assert_right()


def test_what_does_not_compile_is_told_as_before(folder):
    text = "def kernel(a):\n    return a.nothing\n"
    with pytest.raises(numba.errors.NumbaError, match="nothing"):
        jit.jitted(text, "float64")(1.0)
    with pytest.raises(numba.errors.NumbaError, match="nothing"):
        jit.native(text.replace("(a)", "(a, b)"), "float64")
    assert not folder.exists()


def test_other_modules_make_other_kernels(folder, tmp_path, monkeypatch):
    """Kernels call functions of these modules, and the numbers of one are where those of another look for them."""
    package = tmp_path / "kernels_of_another_release"
    shutil.copytree(Path(jit.__file__).parent, package)
    names = [jit._version()]
    monkeypatch.setattr(jit, "__file__", str(package / "jit.py"))
    for name in ("crew.py", "tiles.py"):
        (package / name).write_text((package / name).read_text(encoding="utf-8") + "# changed", encoding="utf-8")
        jit._version.cache_clear()
        names.append(jit._version())
    jit._version.cache_clear()
    assert len({*names}) == 3
