"""Tensor: an array with a history.

This file holds what is not an operation: construction, attributes, conversion, storage, autograd
fields. Operations attach themselves to `OpMethods`, so nothing here imports one.
"""

from __future__ import annotations

import builtins
import copy
import itertools
import math
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, overload

import numpy as np

from dtorch.core import backend, classic, dtype as dtypes
from dtorch.core.arrays import Array
from dtorch.core.base import (
    INFERENCE,
    PLAIN,
    REQUIRES_GRAD,
    VOLATILE,
    TensorBase,
    fill,
    register_tensor_type,
    set_counter,
    shared_version,
    version_of,
    wrap,
)
from dtorch.core.classic import Classic
from dtorch.core.conversion import dtype_of_type, parse_to, place_of_type, same_device, type_name
from dtorch.core.device import CPU, META, Place, as_device, device
from dtorch.core.dtype import DType, as_dtype, dtype, from_numpy_dtype, get_default_dtype
from dtorch.core.elements import check_dtype, classic_array, placed, shared_array
from dtorch.core.engine import resolve_retain, run_backward
from dtorch.core.entry import entry
from dtorch.core.errors import (
    ArgumentTypeError,
    DeviceError,
    DimensionError,
    DtypeError,
    GradError,
    ShapeError,
)
from dtorch.core.graph import LeafHooks, RemovableHandle
from dtorch.core.memory_format import contiguous_format, is_in, preserve_format
from dtorch.core.op_methods import OpMethods
from dtorch.core.printing import tensor_str
from dtorch.core.shapes import Size, as_sizes, contiguous_stride, normalize_dim, size_of
from dtorch.core.storage import Storage, array_over, copy_in_storage, storage_of
from dtorch.core.typed_storage import TypedStorage, typed_storage

ndarray = np.ndarray


class Elements(itertools.chain[Any]):
    """What iterating over a tensor gives: an iterator, classic ``next()`` included."""

    def __new__(cls, parts: Any) -> Elements:
        return super().__new__(cls, parts)

    def next(self) -> Any:
        """The next element."""
        return next(self)


class Tensor(OpMethods, TensorBase):
    """A multi-dimensional array of one dtype that can record how it was computed.

    ``Tensor(2, 3)`` makes an uninitialised tensor of these sizes, ``Tensor([1, 2])`` one of these
    numbers, both of the default dtype; `dtorch.tensor` infers the dtype from the numbers.

    Shape: any, also ``()`` (one number) and sizes of 0.
    """

    __slots__ = ("__dict__",)
    __array_priority__ = 1000  # NumPy leaves ``ndarray * tensor`` to the tensor
    __hash__ = object.__hash__

    @entry("Tensor")
    def __new__(cls, *args: Any, dtype: DType | None = None, device: Place | None = None) -> Tensor:
        tensor: Tensor = object.__new__(cls)
        wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
        source = args[0] if len(args) == 1 else None
        if isinstance(source, (TensorBase, TypedStorage, Storage)):
            array, storage = shared_array(cls.__name__, source, wanted)
            fill(tensor, array)
            storage.track(tensor)
        else:
            fill(
                tensor,
                placed(
                    classic_array(cls.__name__, args, wanted), CPU if device is None else device
                ),
            )
        return tensor

    @staticmethod
    def _make_subclass(cls: Any, data: Tensor, require_grad: builtins.bool = False) -> Any:
        """The memory of a tensor as a tensor of a subclass, as libraries make their own."""
        made = cls._wrap(data._array)
        storage_of(data).track(made)
        return made.requires_grad_(require_grad)

    @classmethod
    def _wrap(cls, array: Array) -> Tensor:
        """A plain tensor over ``array``; nothing is copied."""
        tensor: Tensor = object.__new__(cls)
        fill(tensor, array)
        return tensor

    # -- what it is -------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes."""
        return size_of(Size, self._array.shape)

    @property
    def dtype(self) -> dtype:
        """The type of the elements."""
        return from_numpy_dtype(self._array.dtype)

    @property
    def device(self) -> device:
        """Where the elements lie."""
        return backend.device_of(self._array)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return int(self._array.ndim)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self._array.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self._array.size * self._array.dtype.itemsize)

    @property
    def is_cuda(self) -> bool:
        """Whether the elements lie on a CUDA device."""
        return hasattr(self._array, "__cuda_array_interface__")

    @property
    def is_cpu(self) -> bool:
        """Whether the elements lie in the memory of the processor."""
        return self.device.type == "cpu"

    @property
    def is_meta(self) -> bool:
        """Whether there are no elements: sizes, strides and dtype alone."""
        return type(self._array) is backend.MetaArray

    # What there is not.
    is_ipu = is_maia = is_mps = is_mtia = is_vulkan = is_xla = is_xpu = False
    is_mkldnn = is_nested = is_quantized = False

    @overload
    def size(self, dim: None = None) -> Size: ...
    @overload
    def size(self, dim: builtins.int) -> builtins.int: ...
    def size(self, dim: builtins.int | None = None) -> Any:
        """All sizes, or that of one dimension."""
        shape = self._array.shape
        if dim is None:
            return Size(shape)
        try:
            return shape[_existing_dim("size", dim, len(shape))]
        except IndexError:
            if shape or dim not in (0, -1):
                raise
            if classic.allows(Classic.ONE_ELEMENT):
                return 1
            raise classic.hinted(
                DimensionError(f"size: a 0-dim tensor has no dimension {dim}")
            ) from None

    @overload
    def stride(self, dim: None = None) -> tuple[builtins.int, ...]: ...
    @overload
    def stride(self, dim: builtins.int) -> builtins.int: ...
    def stride(self, dim: builtins.int | None = None) -> Any:
        """Steps between neighbours, in elements: of every dimension, or of one."""
        array = self._array
        if self.is_sparse:
            strides = (0,) * array.ndim
        elif array.size:
            strides = tuple(stride // array.dtype.itemsize for stride in array.strides)
        else:  # NumPy has zeros there
            strides = contiguous_stride(array.shape)
        return strides if dim is None else strides[_existing_dim("stride", dim, len(strides))]

    def dim(self) -> int:
        """Number of dimensions."""
        return int(self._array.ndim)

    ndimension = dim

    def numel(self) -> int:
        """Number of elements."""
        return int(self._array.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes of one element."""
        return int(self._array.dtype.itemsize)

    def is_floating_point(self) -> bool:
        """Whether the dtype is a floating-point one."""
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return self.dtype.is_complex

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return self.dtype.is_signed

    def is_contiguous(self, memory_format: Any = contiguous_format) -> bool:
        """Whether the elements lie in memory in the order of their indices, or of a format."""
        if self.is_sparse:
            return False
        if memory_format is contiguous_format:
            return bool(self._array.flags.c_contiguous)
        return is_in(self._array, memory_format)

    @entry("is_same_size")
    def is_same_size(self, other: TensorBase) -> bool:
        """Whether ``other`` has the same sizes."""
        return bool(self._array.shape == other._array.shape)

    def get_device(self) -> int:
        """Number of the CUDA device, -1 on the CPU."""
        return -1 if self.device.index is None else self.device.index

    # -- memory -----------------------------------------------------------------------------

    @property
    def _cdata(self) -> int:
        """A number that tells this tensor from any other."""
        return id(self)

    def data_ptr(self) -> int:
        """Address of the first element."""
        return backend.address(self._array)

    def storage_offset(self) -> int:
        """Distance of the first element from the start of the storage, in elements."""
        if self.is_meta:
            return int(self._array.start // self.itemsize)
        start = storage_of(self).data_ptr()
        return (self.data_ptr() - start) // self.element_size() if self.numel() else 0

    def untyped_storage(self) -> Storage:
        """The memory the tensor views."""
        return storage_of(self)

    def storage(self) -> TypedStorage:
        """The memory the tensor views, as numbers of its dtype."""
        return typed_storage(storage_of(self), self.dtype)

    def storage_type(self) -> builtins.type[TypedStorage]:
        """The class of `storage`."""
        return type(self.storage())

    def is_shared(self) -> bool:
        """Whether other processes can see the memory; always so on CUDA."""
        return self.is_cuda or storage_of(self).is_shared()

    def share_memory_(self) -> Tensor:
        """Move the memory, and all tensors that view it, to where other processes can see it."""
        if not self.is_cuda:
            storage_of(self).share_memory_()
        return self

    @entry("resize_", computes=False)
    def resize_(self, *sizes: Any) -> Tensor:
        """Change the sizes in place; the tensor then views the first elements of its storage from
        its offset on, in order. The storage grows if it must, for every tensor that views it; new
        elements are uninitialised.

        Raises:
            GradError: the tensor requires grad.
            StorageError: the storage must grow and cannot: it is shared, mapped, or viewed from
                outside, as by `numpy()`.
        """
        shape, offset = as_sizes("resize_", sizes), self.storage_offset()
        for same in self._formerly_same() if classic.is_on() else ():
            same._set_geometry("resize_", shape, offset)
        return self._set_geometry("resize_", shape, offset)

    def _formerly_same(self) -> list[Any]:
        """Tensors that were this one in 2017: that of which it is the ``data``, and the like."""
        array = self._array
        return [
            other
            for other in storage_of(self).tensors()
            if other is not self
            and other._view is self._view is None
            and (other._array.shape, other._array.strides) == (array.shape, array.strides)
            and other._array.dtype == array.dtype
            and classic.allows(Classic.RESIZE)
        ]

    def resize(self, *sizes: Any) -> Tensor:
        """A view with other sizes of as many elements (a classic name of `view`)."""
        return self.view(*sizes)

    def resize_as(self, tensor: TensorBase) -> Tensor:
        """A view with the sizes of ``tensor`` (classic)."""
        return self.resize(*tensor._array.shape)

    def record_stream(self, stream: Any) -> None:
        """Keep the memory until the work queued so far on ``stream`` (CuPy's) is done.

        Raises:
            DeviceError: the tensor lies on the CPU.
        """
        if not self.is_cuda:
            raise DeviceError("record_stream: the tensor lies on the CPU, which has no streams")
        stream.launch_host_func(lambda _: None, self._array)  # CuPy holds the argument until then

    def _set_geometry(
        self, name: str, shape: tuple[builtins.int, ...], offset: builtins.int
    ) -> Tensor:
        self._check_no_grad(name)
        if self._array.shape != shape:
            storage, numpy_dtype = storage_of(self), self._array.dtype
            needed = (offset + math.prod(shape)) * numpy_dtype.itemsize
            if self.is_meta:
                self._look_at(Storage(self._array), backend.xp_for(META).empty(shape, numpy_dtype))
                return self
            if needed > storage.size():
                storage.resize_(needed)
            self._look_at(storage, array_over(storage, numpy_dtype, offset, shape, None))
        return self

    def _check_no_grad(self, name: str) -> None:
        if self._mode == REQUIRES_GRAD:
            raise GradError(f"{name}: the tensor requires grad; detach() it first")

    def _look_at(self, storage: Storage, array: ndarray) -> None:
        """View another piece of memory, as no view of any tensor."""
        self._array = array
        self._view = None
        if self._storage is not storage:
            self._storage = None
            storage.track(self)
        shared_version(self).value += 1

    @entry("set_", computes=False)
    def set_(
        self,
        source: Any = None,
        storage_offset: builtins.int = 0,
        size: Any = None,
        stride: Any = None,
    ) -> Tensor:
        """View the memory of a tensor or storage instead; without one, no memory.

        Args:
            source: a tensor of this dtype, whose sizes are taken over, or a storage.
            storage_offset, size, stride: in elements; by default all of a storage, in one dim.
        Raises:
            GradError: the tensor requires grad.
            DtypeError: ``source`` is of another dtype.
            ShapeError: elements would lie outside the storage.
        """
        self._check_no_grad("set_")
        if source is None:
            self._look_at(Storage(), np.empty(0, self._array.dtype))
            return self
        if isinstance(source, TensorBase) and size is None:
            check_dtype("set_", from_numpy_dtype(source._array.dtype), self.dtype)
            self._look_at(storage_of(source), source._array.view())
            return self
        storage, length = self._memory_of("set_", source)
        if storage.device != self.device:
            raise DeviceError(
                f"set_: the tensor is on {self.device}, the storage on {storage.device}; the devices "
                "must match"
            )
        if size is None:
            size = (length - storage_offset,)
        sizes = as_sizes("set_", size if isinstance(size, (tuple, list)) else (size,))
        array = array_over(storage, self._array.dtype, storage_offset, sizes, stride)
        self._look_at(storage, array)
        return self

    def _memory_of(self, name: str, source: Any) -> tuple[Storage, builtins.int]:
        """The storage that ``source`` stands for, and how many elements of this dtype it holds."""
        if isinstance(source, TensorBase):
            source = source.storage()  # type: ignore[attr-defined]  # a Tensor
        if isinstance(source, TypedStorage):
            check_dtype(name, source.dtype, self.dtype)
            source = source.untyped()
        if not isinstance(source, Storage):
            raise TypeError(
                f"{name}: source is {type(source).__name__}, expected a tensor or a storage"
            )
        return source, source.size() // self.itemsize

    @entry("is_set_to")
    def is_set_to(self, tensor: Tensor) -> builtins.bool:
        """Whether ``tensor`` views the same memory in the same way."""
        return (
            storage_of(self) is storage_of(tensor)
            and self.storage_offset() == tensor.storage_offset()
            and self._array.shape == tensor._array.shape
            and self._array.strides == tensor._array.strides
        )

    def is_pinned(self, device: Any = "cuda") -> builtins.bool:
        """Whether the memory is page-locked, for faster copies to a card."""
        return self._storage is not None and isinstance(self._storage.owner, backend.PinnedMemory)

    def pin_memory(self, device: Any = "cuda") -> Tensor:
        """A copy in page-locked memory; itself if it lies there.

        Raises:
            DeviceError: there is no CUDA device.
        """
        if self.is_pinned():
            return self
        owner = backend.PinnedMemory(self.nbytes)
        pinned = Storage.from_bytes(owner.array, owner)
        copied: Tensor = wrap(array_over(pinned, self._array.dtype, 0, self._array.shape, None))
        pinned.track(copied)
        copied._array[...] = backend.to_numpy(self._array)
        return copied

    # -- autograd ---------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operations on the tensor are recorded."""
        return self._mode == REQUIRES_GRAD

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set whether operations on this leaf are recorded.

        Raises:
            GradError: the tensor is no leaf, or of a dtype without gradients.
        """
        if self._grad_fn is not None:
            if not requires_grad:
                raise GradError(
                    "requires_grad can be changed of leaf tensors only; use detach() for a tensor "
                    "without history"
                )
            return self
        if requires_grad and self._array.dtype.kind not in "fcV":
            raise GradError(
                f"only floating-point and complex tensors can require grad, this one is {self.dtype}"
            )
        self._mode = REQUIRES_GRAD if requires_grad else PLAIN
        return self

    @property
    def volatile(self) -> bool:
        """Whether nothing computed from the tensor is recorded (classic inference mode)."""
        return self._mode == VOLATILE

    @volatile.setter
    def volatile(self, value: bool) -> None:
        if self._grad_fn is not None:
            raise GradError("volatile can be changed of leaf tensors only")
        if value:
            self._mode = VOLATILE
        elif self._mode == VOLATILE:
            self._mode = PLAIN

    @property
    def is_leaf(self) -> bool:
        """Whether the tensor was made by the user, not by a recorded operation."""
        return self._grad_fn is None

    @property
    def grad_fn(self) -> Any:
        """The node that recorded how the tensor was computed; None for a leaf. Of a classic-style
        `Function` it is the function itself."""
        return None if self._grad_fn is None else self._grad_fn.public

    creator = grad_fn

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` the tensor is."""
        return self._output_nr

    @property
    def _version(self) -> builtins.int:
        """How often the memory was changed in place."""
        return version_of(self)

    def _is_view(self) -> builtins.bool:
        """Whether the tensor views the memory of another one that shares its history."""
        return self._view is not None

    @property
    def _base(self) -> Tensor | None:
        """The tensor whose memory this one views; None if it is no view."""
        return None if self._view is None else self._view.base

    def is_inference(self) -> builtins.bool:
        """Whether the tensor was made in inference mode from tensors that require grad."""
        return self._mode == INFERENCE

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient; None before the first backward pass."""
        return self._grad  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, TensorBase):
                raise TypeError(f"grad: got {type(value).__name__}, expected a tensor or None")
            if value._array.shape != self._array.shape:
                raise ShapeError(
                    f"grad: got shape {tuple(value.shape)}, expected {tuple(self.shape)}"
                )
            if value._array.dtype != self._array.dtype:
                raise DtypeError(f"grad: got {value.dtype}, expected {self.dtype}")
            if value is self:
                raise GradError("grad: a tensor cannot be its own gradient")
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    @property
    def data(self) -> Tensor:
        """A plain tensor over the same memory; changes made through it go unnoticed by autograd."""
        plain = wrap(self._array)
        storage_of(self).track(plain)
        return plain  # type: ignore[no-any-return]

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, TensorBase):
            raise TypeError(f"data: got {type(value).__name__}, expected a tensor")
        if self._mode == REQUIRES_GRAD and value._array.dtype.kind not in "fcV":
            raise DtypeError(
                f"data: the tensor requires grad, which numbers of {value.dtype} have not; call "
                "requires_grad_(False) first"
            )
        self._array = value._array
        self._storage = None
        storage_of(value).track(self)

    def detach(self) -> Tensor:
        """A leaf over the same memory, without history; in-place changes of either are noticed."""
        plain = self.data
        set_counter(plain, shared_version(self))
        if self._mode & (VOLATILE | INFERENCE):
            plain._mode = self._mode
        return plain

    def detach_(self) -> Tensor:
        """Forget the history.

        Raises:
            GradError: the tensor is a view; its history is that of its base.
        """
        if self._view is not None and self._grad_fn is not None:
            raise GradError("detach_: the tensor is a view; use detach()")
        self._grad_fn = None
        self._output_nr = 0
        if self._mode == REQUIRES_GRAD:
            self._mode = PLAIN
        return self

    def backward(
        self,
        gradient: Tensor | None = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        retain_variables: bool | None = None,
        inputs: Tensor | Iterable[Tensor] | None = None,
    ) -> None:
        """Accumulate the gradient of this tensor into the ``grad`` of the leaves.

        Args:
            gradient: gradient of the tensor, of its shape; may be left out for one element.
            retain_graph: keep the graph for another pass. Default: ``create_graph``.
            create_graph: record the pass itself, for derivatives of higher order.
            retain_variables: classic name of ``retain_graph``.
            inputs: accumulate into these only.
        Raises:
            GradError: no history, no gradient for several elements, or a freed graph.
        Example:
            >>> import dtorch
            >>> x = dtorch.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).sum().backward()
            >>> x.grad
            tensor([2., 4.])
        """
        retain = resolve_retain(retain_graph, retain_variables, create_graph)
        if inputs is not None:
            inputs = [inputs] if isinstance(inputs, Tensor) else tuple(inputs)
        run_backward([self], [gradient], retain, create_graph, inputs)

    def reinforce(self, reward: Any) -> None:
        """Set the reward of this sample of a `StochasticFunction`: a number, or a tensor like it.

        Raises:
            GradError: the tensor is no such sample, or has a reward.
        """
        node = self._grad_fn
        if node is None or not node.stochastic:
            raise classic.hinted(
                GradError("reinforce: the tensor is no sample of a StochasticFunction")
            )
        node.reinforce(reward)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Call ``hook(grad)`` when the gradient of the tensor is complete; what it returns, if
        not None, takes its place.

        Raises:
            GradError: the tensor does not require grad.
        """
        if self._mode != REQUIRES_GRAD:
            raise GradError("register_hook: the tensor does not require grad")
        if self._grad_fn is None:
            return RemovableHandle(self._leaf_hooks().on_grad, hook)
        hooks = self._grad_fn._hooks().on_output.setdefault(self._output_nr, {})
        return RemovableHandle(hooks, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Call ``hook(tensor)`` each time after ``tensor.grad`` of this leaf was updated."""
        if self._mode != REQUIRES_GRAD or self._grad_fn is not None:
            raise GradError(
                "register_post_accumulate_grad_hook: only for a leaf that requires grad"
            )
        return RemovableHandle(self._leaf_hooks().post_accumulate, hook)

    @property
    def _backward_hooks(self) -> dict[builtins.int, Any] | None:
        """The hooks that `register_hook` added, by the ids of their handles; None if there were none."""
        if self._grad_fn is None:
            return None if self._hooks is None else self._hooks.on_grad
        hooks = self._grad_fn.hooks
        return None if hooks is None else hooks.on_output.get(self._output_nr)

    def _leaf_hooks(self) -> LeafHooks:
        if self._hooks is None:
            self._hooks = LeafHooks()
        return self._hooks  # type: ignore[no-any-return]

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf in ``grad`` after backward."""
        if self._mode != REQUIRES_GRAD:
            raise GradError("retain_grad: the tensor does not require grad")
        if self._grad_fn is None:
            return
        self._grad_fn._hooks().retained[self._output_nr] = _Retain(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on this non-leaf."""
        node = self._grad_fn
        return (
            node is not None and node.hooks is not None and self._output_nr in node.hooks.retained
        )

    # -- conversion ---------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> ndarray:
        """The elements as a NumPy array that shares the memory.

        Raises:
            GradError: the tensor requires grad; use ``detach().numpy()`` or ``force=True``.
            DeviceError: it lies on another device; use ``cpu()`` or ``force=True``.
        """
        if not force:
            if self._mode == REQUIRES_GRAD:
                raise GradError("numpy: the tensor requires grad; use detach().numpy()")
            if self.is_cuda:
                raise DeviceError(f"numpy: the tensor lies on {self.device}; use cpu().numpy()")
        array = np.asarray(backend.to_numpy(self._array))
        return array if array.ndim else classic.array_of_number(array)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            raise ValueError(f"cannot convert {array.dtype} to {dtype} without a copy")
        return array.astype(dtype)

    def __array_wrap__(
        self, array: Any, context: Any = None, return_scalar: builtins.bool = False
    ) -> Tensor:
        """What NumPy's functions of tensors return: tensors; truths as uint8, as they always were."""
        array = np.asarray(array)
        return Tensor._wrap(array.astype(np.uint8) if array.dtype == np.bool_ else array)

    def item(self) -> builtins.int | Any:
        """The one element, as a Python number of the kind of the dtype.

        Raises:
            ShapeError: there is not exactly one.
        """
        if self._array.size != 1:
            raise ShapeError(
                f"item: the tensor has shape {tuple(self.shape)}, expected one element"
            )
        value = self._array.item()
        return value if self._array.dtype.kind != "V" else float(value)

    def tolist(self) -> Any:
        """Nested lists of Python numbers; one number for a 0-dim tensor."""
        array = np.asarray(backend.to_numpy(self._array))  # sparse ones say what to do
        return array.astype(np.float32).tolist() if array.dtype.kind == "V" else array.tolist()

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """Convert: ``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)`` or
        ``to(memory_format=...)``.

        Returns: the tensor itself if nothing changes and ``copy`` is not set.
        """
        wanted_dtype, wanted_device, copy, wanted_format = parse_to(args, kwargs)
        result = self
        if wanted_device is not None and not same_device(wanted_device, self.device):
            result = result._move(wanted_device)
        if wanted_dtype is not None and wanted_dtype is not result.dtype:
            result = result._convert(wanted_dtype)
        if wanted_format is not None:
            result = result._arranged("to", wanted_format)
        return result.clone() if copy and result is self else result

    def type(self, dtype: DType | None = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        """The type's name, such as ``dtorch.FloatTensor``; or the tensor converted to a type."""
        if dtype is None:
            dtype = kwargs.pop("new_type", None)
        if dtype is None:
            return type_name(self.dtype, self.device, self.is_sparse)
        return self.to(place_of_type(dtype), dtype_of_type(dtype))

    def type_as(self, other: Tensor) -> Tensor:
        """Converted to the dtype and device of ``other``."""
        return self.to(other)

    def cpu(self, memory_format: Any = preserve_format) -> Tensor:
        """On the CPU; itself if it is there."""
        return self.to(CPU, memory_format=_asked(memory_format))

    def cuda(self, device: Place | None = None, non_blocking: bool = False, **_: Any) -> Tensor:
        """On a CUDA device, the current one by default."""
        return self.to(as_device("cuda" if device is None else device))

    def float(self, memory_format: Any = preserve_format) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32, memory_format=_asked(memory_format))

    def double(self, memory_format: Any = preserve_format) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64, memory_format=_asked(memory_format))

    def half(self, memory_format: Any = preserve_format) -> Tensor:
        """As float16."""
        return self.to(dtypes.float16, memory_format=_asked(memory_format))

    def bfloat16(self, memory_format: Any = preserve_format) -> Tensor:
        """As bfloat16."""
        return self.to(dtypes.bfloat16, memory_format=_asked(memory_format))

    def cfloat(self) -> Tensor:
        """As complex64."""
        return self.to(dtypes.complex64)

    def cdouble(self) -> Tensor:
        """As complex128."""
        return self.to(dtypes.complex128)

    def byte(self, memory_format: Any = preserve_format) -> Tensor:
        """As uint8."""
        return self.to(dtypes.uint8, memory_format=_asked(memory_format))

    def char(self, memory_format: Any = preserve_format) -> Tensor:
        """As int8."""
        return self.to(dtypes.int8, memory_format=_asked(memory_format))

    def short(self, memory_format: Any = preserve_format) -> Tensor:
        """As int16."""
        return self.to(dtypes.int16, memory_format=_asked(memory_format))

    def int(self, memory_format: Any = preserve_format) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32, memory_format=_asked(memory_format))

    def long(self, memory_format: Any = preserve_format) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64, memory_format=_asked(memory_format))

    def bool(self, memory_format: Any = preserve_format) -> Tensor:
        """As bool: False where an element is 0."""
        return self.to(dtypes.bool_, memory_format=_asked(memory_format))

    # -- Python protocols -----------------------------------------------------------------------

    def __len__(self) -> int:  # type: ignore[valid-type]  # int is a method of this class
        if not self._array.ndim:
            if classic.allows(Classic.ONE_ELEMENT):
                return 1
            raise classic.hinted(TypeError("len() of a 0-dim tensor"))
        return len(self._array)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            if classic.allows(Classic.ONE_ELEMENT):
                return iter((self,))
            raise classic.hinted(TypeError("iteration over a 0-dim tensor"))
        return Elements(self.unbind(0))

    def __bool__(self) -> bool:  # type: ignore[valid-type]
        if self._array.size != 1:
            if classic.allows(Classic.TRUTH):
                return bool(self._array.size)
            raise classic.hinted(
                ShapeError(
                    "Boolean value of Tensor with more than one value is ambiguous, and of one "
                    f"without any: the shape is {tuple(self.shape)}; use any() or all()"
                )
            )
        return bool(self._array.item())

    __nonzero__ = __bool__  # by their names in Python 2

    def __float__(self) -> float:  # type: ignore[valid-type]
        return float(self.item())

    def __int__(self) -> int:  # type: ignore[valid-type]
        return int(self.item())

    __long__ = __int__

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:  # type: ignore[valid-type]
        if self._array.size != 1 or self._array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of one element can be used as an index")
        return int(self._array.item())

    def __round__(self, ndigits: builtins.int | None = None) -> Any:
        if not self._array.ndim and classic.allows(Classic.ELEMENT):
            return round(self.item(), ndigits)
        raise classic.hinted(
            TypeError("round: a tensor is no number; round(t.item()), or t.round()")
        )

    def __contains__(self, element: Any) -> bool:  # type: ignore[valid-type]
        if not isinstance(element, (TensorBase, builtins.bool, builtins.int, builtins.float,
                                    builtins.complex, np.generic)):  # fmt: skip
            raise ArgumentTypeError(
                f"Tensor.__contains__ only supports Tensor or scalar, got {type(element).__name__}"
            )
        backend.require_data("in", self._array)
        equal: Any = self == element
        return bool(equal.any())

    def __delitem__(self, index: Any) -> None:
        raise TypeError("Tensor does not support deleting items; index with what is to stay")

    def __repr__(self) -> str:
        return tensor_str(self)

    def __format__(self, spec: str) -> str:
        if not self._array.ndim:
            return format(self.item(), spec)
        if not spec:
            return str(self)
        raise TypeError(
            f"format: {spec!r} is for a number, the tensor has shape {tuple(self.shape)}; format "
            "its item(), or call set_printoptions() and print the tensor"
        )

    def __copy__(self) -> Tensor:
        result = self.data
        result.__class__ = self.__class__
        if self._grad_fn is None:
            result._mode = self._mode
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:  # type: ignore[valid-type]
        if self._grad_fn is not None:
            raise GradError("deepcopy: only leaf tensors can be copied deeply; detach() it first")
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        result = type(self)._wrap(copy_in_storage(self, memo))
        result._mode = self._mode
        memo[id(self)] = result
        if id(self._storage) in memo:
            memo[id(self._storage)].track(result)
        if self._grad is not None:
            result._grad = copy.deepcopy(self._grad, memo)
        result.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        if self._hooks is not None:
            warnings.warn("pickle: the hooks of a tensor are not stored", stacklevel=2)
        kept = self._mode & (REQUIRES_GRAD | VOLATILE)
        state = self.__dict__ or None
        storage = self._storage
        if storage is None or not self.is_cpu or not self._array.size:
            array = self._array if self.is_meta else backend.to_numpy(self._array)
            return _rebuild, (type(self), array, kept), state
        # Tensors over one storage stay so: pickle remembers it.
        place = (self.dtype, self.storage_offset(), tuple(self.shape), self.stride())
        return _rebuild_in_storage, (type(self), storage, place, kept), state

    def __setstate__(self, state: Any) -> None:
        # Without it a hostile pickle could set the fields that the tensor's memory depends on.
        if not isinstance(state, dict):
            raise TypeError(f"a tensor's state is {type(state).__name__}, expected a dict")
        self.__dict__.update(state)


register_tensor_type(Tensor)


def _hash(tensor: Tensor) -> int:
    """Of an integer that of the number, so that it is found as a key."""
    array = tensor._array
    if array.ndim or array.dtype.kind not in "iu" or not classic.allows(Classic.ELEMENT):
        return object.__hash__(tensor)
    return hash(array.item())


def _hash_by_number(on: bool) -> None:
    Tensor.__hash__ = _hash if on else object.__hash__  # type: ignore[method-assign, assignment]  # classic mode is switched


classic.follow(_hash_by_number)


class _Retain:
    """Puts the gradient of a non-leaf into its ``grad``, without keeping it alive."""

    __slots__ = ("tensor",)

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = weakref.ref(tensor)

    def __call__(self, grad: Tensor) -> None:
        tensor = self.tensor()
        if tensor is not None:
            so_far = tensor._grad
            tensor._grad = grad if so_far is None else so_far + grad


def _rebuild_in_storage(
    cls: type[Tensor], storage: Storage, place: tuple[Any, ...], mode: builtins.int
) -> Tensor:
    d, offset, size, stride = place
    tensor = _rebuild(cls, array_over(storage, d.numpy, offset, size, stride), mode)
    storage.track(tensor)
    return tensor


def _rebuild(cls: type[Tensor], array: ndarray, mode: builtins.int) -> Tensor:
    tensor = cls._wrap(array)
    tensor._mode = VOLATILE if mode & VOLATILE else mode & REQUIRES_GRAD
    return tensor


def _asked(format: Any) -> Any:
    """A memory format that a conversion is to give, None for that which is there."""
    return None if format is preserve_format else format


def _existing_dim(op: str, dim: Any, ndim: int) -> int:
    if ndim == 0:
        return normalize_dim(op, dim, -1)
    return normalize_dim(op, dim, ndim)
