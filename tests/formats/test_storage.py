"""Tensors in files: nothing is lost, nothing is written by halves, nothing that was altered is read."""

import json
import os
import re
import zipfile

import numpy as np
import pytest

import tnalgebra as tna
from tnalgebra.algebra import registry
from tnalgebra.errors import DataError, UnknownNameError
from tnalgebra.formats import TruncationReport, archive

TREE = tna.DimensionTree(((0, 2), (1, 3)))
SHAPE = (3, 5, 1, 7)


@pytest.mark.skipif(os.name != "posix", reason="the rights of folders and devices are POSIX's")
def test_what_could_not_be_written_is_found_before_the_work(tmp_path, monkeypatch):
    archive.check_target(tmp_path / "x.tna")
    archive.check_target("/dev/null")
    for path in ("", tmp_path):
        with pytest.raises(DataError, match=r"cannot write '.*': it is a folder; give the name of a file in it"):
            archive.check_target(path)
    with pytest.raises(DataError, match=r"cannot write '.*x.tna': there is no folder '.*none'"):
        archive.check_target(tmp_path / "none" / "x.tna")
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)  # the superuser may write everywhere
    with pytest.raises(DataError, match=r"cannot write '.*x.tna': the folder '.*' is read-only"):
        archive.check_target(tmp_path / "x.tna")


def examples():
    for dtype in ("float32", "float64", "complex64", "complex128"):
        yield tna.CPTensor.random(SHAPE, 2, seed=0, dtype=dtype)
        yield tna.TTTensor.random(SHAPE, (2, 3, 4), seed=0, dtype=dtype)
        yield tna.HTTensor.random(SHAPE, 2, seed=0, dtype=dtype, tree=TREE)
    yield tna.TTTensor.random(SHAPE, 2, seed=0, xi="rectifier")
    yield tna.TTTensor.random((4,), (), seed=0)
    yield tna.HTTensor.random((4,), (), seed=0)
    yield tna.CPTensor([np.full((2, 1), np.nan), np.array([[np.inf], [1e-320]])])


@pytest.mark.parametrize("tensor", list(examples()), ids=repr)
def test_a_tensor_comes_back_bit_by_bit(tensor, tmp_path):
    tensor.save(tmp_path / "t.tna")
    found = tna.load(tmp_path / "t.tna")
    assert type(found) is type(tensor)
    assert (found.shape, found.ranks, found.dtype, found.xi) == (tensor.shape, tensor.ranks, tensor.dtype, tensor.xi)
    assert getattr(found, "tree", None) == getattr(tensor, "tree", None)
    for name, part in tensor.parameters().items():
        assert found.parameters()[name].tobytes() == part.tobytes()
        assert not found.parameters()[name].flags.writeable


def test_reports_come_back(tmp_path):
    array = 1 / (1 + sum(np.ogrid[:5, :4, :3]))
    for tensor in (
        tna.TTTensor.from_dense(array, eps=1e-3),
        tna.HTTensor.from_dense(array, eps=1e-3),
        tna.CPTensor.from_dense(array, eps=1e-2),
        tna.TTTensor.from_function(lambda i: i.sum(axis=1), (4, 5, 6), eps=1e-6),
    ):
        tensor.save(str(tmp_path / "t.tna"))
        found = tna.load(str(tmp_path / "t.tna"))
        assert found.truncation == tensor.truncation
        assert found.fit == tensor.fit


def test_numpy_opens_the_file(tmp_path):
    """The layout is documented: a header in JSON, and one array in NumPy's format for each part."""
    tensor = tna.HTTensor.random(SHAPE, 2, seed=0, tree=TREE)
    tensor.save(tmp_path / "t.tna")
    with np.load(tmp_path / "t.tna") as archive:
        np.testing.assert_array_equal(archive["leaf1"], tensor.leaves[1])
        header = json.loads(archive["header.json"])
    assert header["kind"] == "HTTensor"
    assert header["tree"] == "((0, 2), (1, 3))"
    assert header["xi"] == {"name": "multiply", "value": "x * y"}
    assert list(header["arrays"]) == list(tensor.parameters())


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "t.tna"
    tna.TTTensor.random(SHAPE, 2, seed=0).save(path)
    return path


def rewritten(path, change):
    """The archive with members changed: `change` gets and returns a dictionary of bytes."""
    with zipfile.ZipFile(path) as archive:
        members = change({name: archive.read(name) for name in archive.namelist()})
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def with_header(path, **fields):
    def change(members):
        header = json.loads(members["header.json"]) | fields
        header["sha256"] = archive._seal(header)
        return members | {"header.json": json.dumps(header).encode()}

    rewritten(path, change)


@pytest.mark.parametrize("kept", [0, 1, 100, 700, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(saved, kept):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(kept * len(data)) if kept < 1 else kept])
    with pytest.raises(DataError, match="is no tensor file, or it was cut off"):
        tna.load(saved)


def test_every_single_bit_counts(saved, rng):
    """A bit that was flipped anywhere in an array is found; in the archive's own fields it may be none of the tensor."""
    data, tensor = saved.read_bytes(), tna.load(saved)
    start, refused = data.index(b"\x93NUMPY"), 0
    for place in rng.integers(start, len(data), 400):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(rng.integers(8))
        saved.write_bytes(flipped)
        try:
            found = tna.load(saved)
        except DataError:
            refused += 1
        else:
            for name, part in tensor.parameters().items():
                assert found.parameters()[name].tobytes() == part.tobytes()
    assert refused > 200


def array_bytes(array, **options):
    import io

    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m | {"core1.npy": array_bytes(np.zeros((2, 5, 2)))}, "was altered: sha256 of array 'core1' is"),
        (lambda m: m | {"core1.npy": array_bytes(np.zeros((2, 4, 2)))}, "shape of array 'core1' is [2, 4, 2], not [2, 5, 2]"),
        (lambda m: m | {"core1.npy": array_bytes(np.zeros((2, 5, 2), "f4"))}, "dtype of array 'core1' is float32, not float64"),
        (lambda m: m | {"core1.npy": array_bytes(np.array([None]), allow_pickle=True)}, "holds pickled objects, which are not loaded (array 'core1')"),
        (lambda m: m | {"core1.npy": b"nonsense"}, "was altered"),
        (lambda m: m | {"core9.npy": b""}, "was altered: it holds core0, core1, core2, core3, core9, not core0, core1, core2, core3"),
        (lambda m: {n: d for n, d in m.items() if n != "core2.npy"}, "was altered: it holds core0, core1, core3, not"),
        (lambda m: {n: d for n, d in m.items() if n != "header.json"}, "is no tensor file: it has no header.json"),
        (lambda m: m | {"header.json": b"{"}, "has a header.json that cannot be read"),
        (lambda m: m | {"header.json": b'{"format": "other", "version": 1}'}, "is no tensor file: its header.json says format 'other'"),
        (lambda m: m | {"header.json": b'{"format": "tnalgebra", "version": 1}'}, "its header.json has no arrays, kind, sha256"),
    ],
)  # fmt: skip
def test_a_file_that_was_altered_is_refused(saved, change, message):
    rewritten(saved, change)
    with pytest.raises(DataError, match=re.escape(message)):
        tna.load(saved)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": 2}, "has version 2 of the file layout, this library reads up to 1: it was written by tnalgebra"),
        ({"kind": "Network"}, "holds a 'Network'; known: CPTensor, TTTensor, HTTensor, "),
        ({"kind": "CPTensor"}, "was altered: its arrays form no CPTensor"),
        ({"shape": [3, 5, 1, 8]}, "the header says shape (3, 5, 1, 8) and ranks (1, 2, 2, 2, 1), its arrays have (3, 5, 1, 7)"),
        ({"ranks": [1, 2, 3, 2, 1]}, "and ranks (1, 2, 3, 2, 1), its arrays have"),
        ({"shape": [3, 5, 1]}, "was altered: its arrays form no TTTensor: core 2 ends with rank 2, but the last rank is 1"),
        ({"truncation": {"foo": 1}}, "was altered: its arrays form no TTTensor"),
        ({"truncation": [1]}, "was altered: its arrays form no TTTensor"),
        ({"shape": 3}, "was altered: its arrays form no TTTensor"),
        ({"xi": {"name": "hypot", "value": "x * y"}}, "has ξ = hypot with the value 'x * y', but the one that is registered has 'hypot(x, y)'"),
    ],
)  # fmt: skip
def test_a_header_that_does_not_fit_is_refused(saved, fields, message):
    with_header(saved, **fields)
    with pytest.raises(DataError, match=re.escape(message)):
        tna.load(saved)


def test_a_header_that_was_edited_is_refused(saved):
    def edited(members):
        header = members["header.json"].replace(b'"multiply"', b'"maximum"')
        assert header != members["header.json"]
        return members | {"header.json": header}

    rewritten(saved, edited)
    with pytest.raises(DataError, match=r"was altered: its header\.json does not have the digest that it says"):
        tna.load(saved)


def test_a_bound_that_is_infinite_comes_back(tmp_path):
    report = TruncationReport(requested=1e-3, bound=np.inf, discarded={"0|1": 0.5})
    tna.TTTensor([np.ones((1, 2, 1))], truncation=report).save(tmp_path / "t.tna")
    assert tna.load(tmp_path / "t.tna").truncation == report


@pytest.mark.skipif(os.name != "posix", reason="permissions and links are those of POSIX")
def test_a_file_has_the_usual_permissions_and_a_link_stays_one(tmp_path):
    t, path, link = tna.TTTensor([np.ones((1, 2, 1))]), tmp_path / "t.tna", tmp_path / "link.tna"
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    t.save(path)
    assert path.stat().st_mode == plain.stat().st_mode
    link.symlink_to(path)
    (t * 2).save(link)
    assert link.is_symlink()
    assert tna.load(path)[0] == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.tna", "plain", "t.tna"]


def test_an_operator_of_the_users_own_has_to_be_registered(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_OPERATORS", dict(registry._OPERATORS))
    own = tna.register_operator(tna.Operator(name="soft", value="x + y + x * y", unit=0.0))
    tna.CPTensor.random((2, 3), 2, seed=0, xi=own).save(tmp_path / "t.tna")
    assert tna.load(tmp_path / "t.tna").xi == own
    del registry._OPERATORS["soft"]
    with pytest.raises(
        UnknownNameError, match=re.escape("register_operator(Operator(name='soft', value='x + y + x * y'")
    ):
        tna.load(tmp_path / "t.tna")


def test_a_file_is_whole_or_as_it_was(saved, monkeypatch, tmp_path):
    """A disk that fills up while writing: the old file is intact, and no part of the new one is left."""
    before = saved.read_bytes()

    def full(file, header, arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive, "_pack", full)
    with pytest.raises(DataError, match=r"cannot write .*t\.tna': No space left on device"):
        tna.TTTensor.random(SHAPE, 3, seed=1).save(saved)
    assert saved.read_bytes() == before
    assert os.listdir(tmp_path) == ["t.tna"]


def test_places_that_are_not_there(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.tna"):
        tna.load(tmp_path / "nowhere.tna")
    with pytest.raises(DataError, match=r"cannot write .*t\.tna': No such file or directory"):
        tna.TTTensor.random((2, 3), 2).save(tmp_path / "nowhere" / "t.tna")
    with pytest.raises(DataError, match="cannot read"):
        tna.load(tmp_path)
    (tmp_path / "text").write_text("not a zip archive at all")
    with pytest.raises(DataError, match="is no tensor file, or it was cut off: File is not a zip file"):
        tna.load(tmp_path / "text")
