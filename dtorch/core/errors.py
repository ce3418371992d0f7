"""Exceptions of dtorch.

Each class also derives from the built-ins that the reference API raises for such a fault (it
uses RuntimeError for many of them), so that code written for it keeps catching the right things::

    DtorchError
    +-- ArgumentError       (ValueError, RuntimeError)   a value outside its domain
    |   +-- ArgumentTypeError  (TypeError)               an argument of a type that is not taken
    |   +-- SettingError       (AssertionError)          a setting that nothing can be made with
    |   +-- UnsupportedError   (NotImplementedError)     what an operation is not there for
    +-- ShapeError          (ValueError, RuntimeError)   sizes that do not fit together
    |   +-- RankError          (IndexError)              another number of dims than expected
    +-- DimensionError      (IndexError, RuntimeError)   a dim or an index out of range
    |   +-- IndicesError       (ValueError, TypeError)   what cannot be used as indices
    +-- DivisionError       (ZeroDivisionError, RuntimeError)   an integer divided by zero
    +-- LinAlgError         (RuntimeError)               a singular or not positive definite matrix
    +-- DtypeError          (TypeError, RuntimeError)    a dtype an operation does not take
    +-- LayoutError         (TypeError, RuntimeError)    an operation not defined for this layout
    +-- DeviceError         (RuntimeError)               missing device, or tensors on different ones
    |   +-- NoDeviceError   (AssertionError)             this build or machine has no such device
    |   +-- NoDataError     (NotImplementedError, TypeError)   a meta tensor has no data
    +-- GradError           (RuntimeError)               misuse of the autograd graph
    |   +-- VersionError                                 a saved tensor was modified in place
    +-- OutOfMemoryError    (MemoryError, RuntimeError)  more memory than there is
    +-- StorageError        (RuntimeError)               memory that cannot be resized, shared, viewed
"""


class DtorchError(Exception):
    """Base of every exception that dtorch defines."""


class ArgumentError(DtorchError, ValueError, RuntimeError):
    """An argument has a value outside its domain."""


class ShapeError(DtorchError, ValueError, RuntimeError):
    """Sizes do not fit together or do not fit the operation."""


class DimensionError(DtorchError, IndexError, RuntimeError):
    """A dimension or an index is out of range."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument is of a type that its parameter does not take."""


class SettingError(ArgumentError, AssertionError):
    """A layer, or something else, cannot be made with such a setting."""


class UnsupportedError(ArgumentError, NotImplementedError):
    """An operation is not there for such a mode, or for tensors of so many dimensions."""


class RankError(ShapeError, DimensionError):
    """A tensor has another number of dimensions than the operation expects."""


class IndicesError(DimensionError, ValueError, TypeError):
    """Something cannot be used as indices: it is of the wrong type, shape or number."""


class DivisionError(DtorchError, ZeroDivisionError, RuntimeError):
    """An integer is divided by zero."""


class LinAlgError(DtorchError, RuntimeError):
    """A matrix is singular, not positive definite, or an iteration did not converge."""


class DtypeError(DtorchError, TypeError, RuntimeError):
    """An operation does not take this dtype."""


class LayoutError(DtorchError, TypeError, RuntimeError):
    """An operation is not defined for the layout of a tensor: sparse, or dense."""


class DeviceError(DtorchError, RuntimeError):
    """A device is missing, or tensors lie on different ones."""


class NoDeviceError(DeviceError, AssertionError):
    """This build or this machine has no such device."""


class NoDataError(DeviceError, NotImplementedError, TypeError):
    """A meta tensor was asked for its data, or for what follows from them."""


class GradError(DtorchError, RuntimeError):
    """The autograd graph was asked for something it cannot do."""


class VersionError(GradError):
    """A tensor needed for the gradient was modified in place after it was saved."""


class OutOfMemoryError(DtorchError, MemoryError, RuntimeError):
    """More memory was asked for than there is."""


class StorageError(DtorchError, RuntimeError):
    """Memory cannot be resized, shared or viewed as asked."""
