"""What stands for the estimators where scikit-learn is missing: names that can be imported, not used."""

from typing import Any, NoReturn

from ..errors import DataError

__all__ = ["absent"]


def absent(name: str, cause: ImportError) -> type:
    """A class of that name, of which there are no objects and no subclasses."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise DataError(f"{name} needs scikit-learn 1.6 or later: pip install 'tnalgebra[learn]'") from cause

    return type(name, (), {"__new__": refuse, "__init_subclass__": refuse})
