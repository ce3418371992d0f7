"""Places of storages in files (``"cpu"``, ``"cuda:0"``), and where to put them on loading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dtorch.core import backend
from dtorch.core.device import META, as_device, device
from dtorch.core.errors import DeviceError
from dtorch.core.storage import Storage
from dtorch.core.typed_storage import TypedStorage

Tagger = Callable[[Any], str | None]
Deserializer = Callable[[Any, str], Any]
Restore = Callable[[Any, str], Any]

_packages: list[tuple[int, Tagger, Deserializer]] = []


def register_package(priority: int, tagger: Tagger, deserializer: Deserializer) -> None:
    """Teach saving and loading a new kind of place for storages.

    Args:
        priority: those with a low number are asked first; the CPU has 10, CUDA 20.
        tagger: ``tagger(storage)`` gives the tag to write for a storage, or None if it is not of
            this kind.
        deserializer: ``deserializer(storage, tag)`` brings a storage just read (its memory is on
            the CPU) to the place the tag names, or gives None if the tag is not of this kind.
    """
    _packages.append((priority, tagger, deserializer))
    _packages.sort(key=lambda package: package[0])


def location_tag(storage: Any) -> str:
    """The tag written for the place of ``storage``.

    >>> import dtorch
    >>> location_tag(dtorch.ones(2).storage())
    'cpu'
    """
    for _, tagger, _ in _packages:
        tag = tagger(storage)
        if tag is not None:
            return tag
    raise RuntimeError(
        f"save: no registered package knows where a {type(storage).__name__} lies; "
        "see dtorch.serialization.register_package"
    )


def default_restore_location(storage: Any, location: str) -> Any:
    """Bring a storage just read to the place that ``location`` names.

    Raises:
        RuntimeError: no package knows the place, or it is not there on this machine.
    """
    restored = _restored(storage, location)
    if restored is None:
        raise RuntimeError(
            f"load: a tensor was stored on {location!r}, which no registered package knows; pass "
            "map_location='cpu' to load it to the CPU"
        )
    return restored


def _restored(storage: Any, location: str) -> Any:
    for _, _, deserializer in _packages:
        restored = deserializer(storage, location)
        if restored is not None:
            return restored
    return None


def _sent_to(storage: Any, place: str, tag: str) -> Any:
    """A storage, stored on ``tag``, at the place that the caller asked for."""
    if place == tag:
        return default_restore_location(storage, tag)
    restored = _restored(storage, place)
    if restored is None:
        raise RuntimeError(
            f"load: map_location sends what was stored on {tag!r} to {place!r}, which no registered "
            "package knows; expected 'cpu' or 'cuda:<index>'"
        )
    return restored


def restore_by(map_location: Any) -> Restore:
    """The function ``(storage, tag) -> storage`` that a ``map_location`` argument stands for."""
    if map_location is None:
        return default_restore_location
    if isinstance(map_location, Mapping):
        return lambda storage, tag: _sent_to(storage, str(map_location.get(tag, tag)), tag)
    if isinstance(map_location, (str, device)):
        place = str(as_device(map_location)) if isinstance(map_location, device) else map_location
        return lambda storage, tag: _sent_to(storage, place, tag)
    if callable(map_location):
        return _by_function(map_location)
    raise TypeError(
        f"load: map_location is {type(map_location).__name__}, expected None, a device, its name, "
        "a dict of names or a function (storage, tag) -> storage"
    )


def _by_function(function: Callable[[Any, str], Any]) -> Restore:
    def restore(storage: Any, tag: str) -> Any:
        try:
            restored = function(storage, tag)
        except Exception as error:
            raise CallerError(error) from error
        if restored is None:
            return default_restore_location(storage, tag)
        if isinstance(restored, TypedStorage):
            return restored.untyped()
        if not isinstance(restored, (Storage, DeviceStorage)):
            raise CallerError(
                TypeError(
                    f"load: map_location gave {type(restored).__name__} for a storage on {tag!r}, "
                    "expected a storage or None"
                )
            )
        return restored

    return restore


class CallerError(Exception):
    """Carries an error of the caller's own function past those that take errors for damage.

    Attributes:
        error: what the function raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class DeviceStorage:
    """A storage read for another device: its tensors move there as they are made.

    Attributes:
        storage: the bytes, on the CPU.
        device: where the tensors go.
    """

    __slots__ = ("device", "storage")

    def __init__(self, storage: Storage, place: device) -> None:
        self.storage = storage
        self.device = place


def _cpu_tag(storage: Any) -> str | None:
    return "cpu" if isinstance(storage, (Storage, TypedStorage)) else None


def _to_cpu(storage: Any, location: str) -> Any:
    return storage if location == "cpu" else None


def _cuda_tag(storage: Any) -> str | None:
    return str(storage.device) if isinstance(storage, DeviceStorage) else None


def _to_cuda(storage: Any, location: str) -> Any:
    if not location.startswith("cuda"):
        return None
    place = as_device(location)
    try:
        backend.require(place)
    except DeviceError as error:
        raise DeviceError(
            f"load: a tensor belongs on {location}, by the file or by map_location, which is not "
            f"here ({error}); pass map_location='cpu' to load it to the CPU"
        ) from error
    return DeviceStorage(storage, place)


def _to_meta(storage: Any, location: str) -> Any:
    return DeviceStorage(storage, META) if location == "meta" else None


register_package(10, _cpu_tag, _to_cpu)
register_package(20, _cuda_tag, _to_cuda)
register_package(21, lambda storage: None, _to_meta)
