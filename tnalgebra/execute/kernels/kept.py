"""Machine code that is kept on the disk, each with its digest: what is not whole there is compiled again.

Numba's own cache hands every error of the disk to the caller, and runs machine code whose bytes have changed.
"""

import hashlib
import os
import pickle
import sys
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

__all__ = ["Kept"]

Result = Any
"""What Numba's compiler returns."""
DIGEST = hashlib.sha256().digest_size
AGAIN = "and is compiled again: where this is told again, delete the folder, or set TNALGEBRA_CACHE_DIR to another"
LOST = (
    "and every process compiles them again: make room there, or set TNALGEBRA_CACHE_DIR to a folder that can be written"
)
TOLD = set[str]()
"""What has been told, so that it is not told for each kernel."""


class Kept:
    """The machine code of one kernel, a file for each signature: in the place of a cache of Numba.

    Numba's lock is held where it is read and written.
    """

    def __init__(self, name: str) -> None:
        self._name, self._folder = name, _folder()

    def load_overload(self, sig: Any, target_context: Any) -> Result | None:
        """What is kept for a signature; None where that is nothing, or not whole."""
        target_context.refresh()
        try:
            data = self._path(sig, target_context.codegen()).read_bytes()
        except (OSError, RuntimeError):
            return None
        try:
            return _rebuilt(data, target_context)
        except Exception as error:  # what unpickling raises has no bounds
            _told(f"a compiled kernel in {self._folder} is damaged", error, AGAIN)
        return None

    def save_overload(self, sig: Any, result: Result) -> None:
        """Keep what was compiled for a signature; a warning where that cannot be done."""
        if result.library.has_dynamic_globals:  # addresses of this process
            return
        try:
            _write(self._path(sig, result.codegen), _reduced(result))
        except Exception as error:  # neither a disk nor a pickle may stop a computation
            _told(f"compiled kernels cannot be kept in {self._folder or 'a home folder'}", error, LOST)

    def _path(self, sig: Any, codegen: Any) -> Path:
        from numba import __version__

        if self._folder is None:
            raise RuntimeError("there is none")
        parts = (self._name, repr(sig), repr(codegen.magic_tuple()), __version__, sys.version)
        return self._folder / f"kernel_{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}.nbc"


def _folder() -> Path | None:
    """Where machine code is kept; None for a user without a home."""
    if given := os.environ.get("TNALGEBRA_CACHE_DIR"):
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tnalgebra"
    except RuntimeError:
        return None


def _reduced(result: Result) -> bytes:
    from numba.core.serialize import dumps

    data: bytes = dumps(result._reduce())
    return hashlib.sha256(data).digest() + data


def _rebuilt(data: bytes, target_context: Any) -> Result:
    """The result of these bytes. Raises `ValueError` where they are not those that were written."""
    from numba.core.compiler import CompileResult

    digest, data = data[:DIGEST], data[DIGEST:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("a file is not as it was written")
    return CompileResult._rebuild(target_context, *pickle.loads(data))


def _write(path: Path, data: bytes) -> None:
    """Write a file as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{uuid4().hex[:16]}")  # processes of two containers may have one number
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _told(what: str, error: Exception, advice: str) -> None:
    """Warn of this, once in all."""
    if what not in TOLD:
        TOLD.add(what)
        warnings.warn(f"{what} ({type(error).__name__}: {error}), {advice}", RuntimeWarning, stacklevel=4)
