"""dtorch: tensors, gradients and multi-process training on NumPy.

>>> import dtorch
>>> x = dtorch.ones(2, requires_grad=True)
>>> (3 * x).sum().backward()
>>> x.grad
tensor([3., 3.])
"""

import datetime as _datetime  # noqa: F401 - NumPy imports it and makes an ImportError of Ctrl-C
import importlib as _importlib
import sys as _sys
import typing as _typing
from math import e, inf, nan, pi

from dtorch import (
    amp,
    autograd,
    compiler,
    fft,
    linalg,
    nn,
    optim,
    random,
    serialization,
    sparse,
    version,
)
from dtorch.amp.autocast import autocast
from dtorch.amp.grad_scaler import GradScaler
from dtorch.amp.state import (
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_available,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_cpu_dtype,
    set_autocast_cpu_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
    set_autocast_gpu_dtype,
)
from dtorch.autograd import (
    Variable,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from dtorch.compiler import compile
from dtorch.core import (
    creation as _creation,
    dtype as _dtype,
    generator as _generator,
    lowrank as _lowrank,
    memory_format as _memory_format,
    numerics as _numerics,
    questions as _questions,
    random as _random,
    typed as _typed,
    typed_storage as _typed_storage,
    window_functions as _window_functions,
)
from dtorch.core.backend import (
    get_num_interop_threads,
    get_num_threads,
    set_num_interop_threads,
    set_num_threads,
)
from dtorch.core.coo import layout, sparse_coo, strided
from dtorch.core.creation import *
from dtorch.core.device import device, get_default_device
from dtorch.core.dtype import *
from dtorch.core.errors import NoDeviceError as AcceleratorError, OutOfMemoryError
from dtorch.core.functions import broadcast_tensors
from dtorch.core.generator import *
from dtorch.core.interop import (
    __array_namespace_info__,
    from_dlpack,
    set_namespace as _set_namespace,
)
from dtorch.core.lowrank import *
from dtorch.core.memory_format import *
from dtorch.core.numerics import *
from dtorch.core.ops import sparse as _sparse_ops
from dtorch.core.ops.diagonal import tril_indices, triu_indices
from dtorch.core.ops.joining import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    cartesian_prod,
    meshgrid,
    unravel_index,
)
from dtorch.core.ops.sparse import *
from dtorch.core.ops.view import common_shape as broadcast_shapes
from dtorch.core.printing import set_printoptions
from dtorch.core.public import general as _operations
from dtorch.core.public.general import *
from dtorch.core.questions import *
from dtorch.core.questions import _assert as _assert  # programs know it by this name
from dtorch.core.random import *
from dtorch.core.shapes import Size
from dtorch.core.shared_memory import provide as _provide_shared_memory
from dtorch.core.storage import Storage as UntypedStorage
from dtorch.core.tensor import Tensor
from dtorch.core.typed import *
from dtorch.core.typed_storage import *
from dtorch.core.window_functions import *
from dtorch.on_demand import on_demand as _on_demand
from dtorch.version import __version__

Storage = FloatStorage
bool = bool_
float = float32
double = float64
half = float16
long = int64
int = int32
short = int16
cfloat = complex64
cdouble = complex128
newaxis = None

if _typing.TYPE_CHECKING:
    from dtorch import (
        __config__ as __config__,
        accelerator,
        backends,
        compat,
        cpu,
        cuda,
        data,
        distributed,
        distributions,
        ffi,
        func,
        futures,
        fx,
        hub,
        jit,
        legacy,
        model_zoo,
        mps,
        multiprocessing,
        onnx,
        overrides,
        package,
        profiler,
        special,
        testing,
        types,
        utils,
        vision,
        xpu,
    )
    from dtorch.accelerator import get_device_module
    from dtorch.func import vmap
    from dtorch.futures import Future
    from dtorch.jit import ScriptModule
    from dtorch.low_level import *
    from dtorch.serialization import load, save
    from dtorch.symbolic import (
        SymBool,
        SymFloat,
        SymInt,
        sym_float,
        sym_int,
        sym_ite,
        sym_max,
        sym_min,
        sym_not,
        sym_sqrt,
        sym_sum,
    )

# Names of rarely used modules that are dtorch's own.
_SYMBOLIC = (
    "SymBool", "SymFloat", "SymInt", "_assert", "_assert_async", "_check", "_check_index",
    "_check_is_size", "_check_type", "_check_value", "sym_float", "sym_int", "sym_ite", "sym_max",
    "sym_min", "sym_not", "sym_sqrt", "sym_sum",
)  # fmt: skip
_LOW_LEVEL = (
    "affine_grid_generator", "alpha_dropout", "alpha_dropout_", "batch_norm",
    "binary_cross_entropy_with_logits", "constant_pad_nd", "cosine_embedding_loss", "ctc_loss",
    "dropout", "dropout_", "embedding", "embedding_bag", "embedding_renorm_",
    "feature_alpha_dropout", "feature_alpha_dropout_", "feature_dropout", "feature_dropout_",
    "grid_sampler", "grid_sampler_2d", "grid_sampler_3d", "group_norm", "gru", "gru_cell",
    "hinge_embedding_loss", "instance_norm", "kl_div", "layer_norm", "lstm", "lstm_cell",
    "margin_ranking_loss", "norm_except_dim", "poisson_nll_loss", "rnn_relu", "rnn_relu_cell",
    "rnn_tanh", "rnn_tanh_cell", "triplet_margin_loss",
)  # fmt: skip
_FOREACH_OPERATIONS = [
    "abs",
    "acos",
    "add",
    "addcdiv",
    "addcmul",
    "asin",
    "atan",
    "ceil",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "div",
    "erf",
    "erfc",
    "exp",
    "expm1",
    "floor",
    "frac",
    "lerp",
    "lgamma",
    "log",
    "log10",
    "log1p",
    "log2",
    "maximum",
    "minimum",
    "mul",
    "neg",
    "pow",
    "reciprocal",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "sqrt",
    "sub",
    "tan",
    "tanh",
    "trunc",
]
_FOREACH = (
    *(f"_foreach_{name}{end}" for name in _FOREACH_OPERATIONS for end in ("", "_")),
    "_foreach_clone", "_foreach_copy_", "_foreach_max", "_foreach_norm", "_foreach_zero_",
)  # fmt: skip

_ON_DEMAND = (
    "__config__",
    "accelerator",
    "backends",
    "compat",
    "cpu",
    "cuda",
    "data",
    "distributed",
    "distributions",
    "ffi",
    "func",
    "futures",
    "fx",
    "hub",
    "jit",
    "legacy",
    "model_zoo",
    "mps",
    "multiprocessing",
    "onnx",
    "overrides",
    "package",
    "profiler",
    "special",
    "testing",
    "types",
    "utils",
    "vision",
    "xpu",
)

__all__ = [
    "AcceleratorError", "Future", "GradScaler", "OutOfMemoryError", "ScriptModule", "Size",
    "Storage", "SymBool", "SymFloat", "SymInt", "Tensor", "UntypedStorage", "Variable",
    "__array_namespace_info__", "__version__", "accelerator", "amp", "atleast_1d", "atleast_2d",
    "atleast_3d", "autocast", "autograd", "backends", "bool", "broadcast_shapes",
    "broadcast_tensors", "cartesian_prod", "cdouble", "cfloat", "clear_autocast_cache", "compat",
    "compile", "compiler", "cpu", "cuda", "data", "device", "distributed", "distributions",
    "double", "e", "enable_grad", "ffi", "fft", "float", "from_dlpack", "func", "futures", "fx",
    "get_autocast_cpu_dtype", "get_autocast_dtype", "get_autocast_gpu_dtype", "get_default_device",
    "get_device_module", "get_num_interop_threads", "get_num_threads", "half", "hub", "inf",
    "inference_mode", "int", "is_autocast_available", "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled", "is_autocast_enabled", "is_grad_enabled",
    "is_inference_mode_enabled", "jit", "layout", "legacy", "linalg", "load", "long", "meshgrid",
    "model_zoo", "mps", "multiprocessing", "nan", "newaxis", "nn", "no_grad", "onnx", "optim",
    "overrides", "package", "pi", "profiler", "random", "save", "serialization",
    "set_autocast_cache_enabled", "set_autocast_cpu_dtype", "set_autocast_cpu_enabled",
    "set_autocast_dtype", "set_autocast_enabled", "set_autocast_gpu_dtype", "set_grad_enabled",
    "set_num_interop_threads", "set_num_threads", "set_printoptions", "short", "sparse",
    "sparse_coo", "special", "strided", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min",
    "sym_not", "sym_sqrt", "sym_sum", "testing", "tril_indices", "triu_indices", "types",
    "unravel_index", "utils", "version", "vision", "vmap", "xpu",
]  # fmt: skip
__all__ += _LOW_LEVEL
__all__ += _creation.__all__
__all__ += _dtype.__all__
__all__ += _generator.__all__
__all__ += _lowrank.__all__
__all__ += _memory_format.__all__
__all__ += _numerics.__all__
__all__ += _questions.__all__
__all__ += _random.__all__
__all__ += _sparse_ops.__all__
__all__ += _typed.__all__
__all__ += _typed_storage.__all__
__all__ += _window_functions.__all__
__all__ += _operations.__all__


if not _typing.TYPE_CHECKING:
    # Sockets and processes are a third of the time of an import.
    __getattr__ = _on_demand(
        __name__,
        {name: name for name in _ON_DEMAND}
        | dict.fromkeys(("load", "save"), "serialization")
        | dict.fromkeys(
            ("_dirichlet_grad", "_sample_dirichlet", "_standard_gamma", "_standard_gamma_grad"),
            "distributions.gamma",
        )
        | {
            "get_device_module": "accelerator",
            "Future": "futures",
            "ScriptModule": "jit",
            "vmap": "func",
        }
        | dict.fromkeys(_SYMBOLIC, "symbolic")
        | dict.fromkeys(_LOW_LEVEL, "low_level")
        | dict.fromkeys(_FOREACH, "foreach"),
    )


# What core knows of the packages above it, it is told here.
_set_namespace(_sys.modules[__name__])
_provide_shared_memory(lambda: _importlib.import_module("dtorch.multiprocessing.arena"))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
