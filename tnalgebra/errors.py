"""The one family of errors and warnings: each names what is wrong and what to do instead."""

__all__ = [
    "AlgebraError",
    "AxisMismatchError",
    "BudgetError",
    "ConditionWarning",
    "ConstructionError",
    "ConvergenceWarning",
    "DTypeError",
    "DataError",
    "DeviceError",
    "DivergenceError",
    "EquationError",
    "FormatError",
    "IndexRangeError",
    "LawError",
    "MemoryLimitError",
    "NonFiniteError",
    "PathError",
    "PictureError",
    "RankError",
    "TnAlgebraError",
    "ToleranceError",
    "TrainingError",
    "TreeError",
    "UnknownNameError",
]


class TnAlgebraError(Exception):
    """Base of every error that the library raises on purpose."""


class EquationError(TnAlgebraError, ValueError):
    """An equation cannot be read, or does not fit its operands."""


class AxisMismatchError(EquationError):
    """One label has two sizes."""


class AlgebraError(TnAlgebraError, ValueError):
    """An operation is not defined for this ξ; the message names what is."""


class LawError(AlgebraError):
    """An operator breaks a law that it declares; the message gives the law and the sample."""


class UnknownNameError(TnAlgebraError, ValueError):
    """A name is not registered; the message lists the known ones."""


class PathError(TnAlgebraError, ValueError):
    """A contraction path does not fit its operands."""


class DTypeError(TnAlgebraError, TypeError):
    """An array has a dtype on which the operation is not defined."""


class NonFiniteError(TnAlgebraError, ValueError):
    """NaN or infinity where a decomposition or a rank needs finite numbers."""


class FormatError(TnAlgebraError, ValueError):
    """Parts that do not form a tensor: cores whose ranks do not chain, an axis that is missing."""


class IndexRangeError(FormatError, IndexError):
    """An index outside its mode, or an empty slice."""


class TreeError(FormatError):
    """A dimension tree that does not cover the modes exactly once."""


class RankError(TnAlgebraError, ValueError):
    """A rank that no tensor can have."""


class BudgetError(TnAlgebraError, ValueError):
    """A number of calls that a search cannot keep to."""


class ToleranceError(TnAlgebraError, ValueError):
    """An ``eps`` outside [0, 1)."""


class ConstructionError(TnAlgebraError, ValueError):
    """What a construction of `theory` rests on does not hold; the message says what, and by how much."""


class MemoryLimitError(TnAlgebraError, ValueError):
    """Nothing fits the memory limit; the message gives the least that would."""


class DeviceError(TnAlgebraError, ValueError):
    """Operands on two devices, or a device that is not there."""


class DataError(TnAlgebraError, ValueError):
    """A file or a data set that cannot be read as a tensor."""


class TrainingError(TnAlgebraError, ValueError):
    """Training cannot start or go on; the message says at which step, and what to change."""


class DivergenceError(TrainingError):
    """The loss is no number any more; the message says at which step, and what to change."""


class PictureError(TnAlgebraError, ValueError):
    """A picture cannot be drawn or saved; the message says what is missing, or which endings there are."""


class ConvergenceWarning(UserWarning):
    """An iteration stopped before its goal; the result says how far it came."""


class ConditionWarning(UserWarning):
    """A matrix is nearly singular; the message has its condition number."""
