"""The names that users are promised exist, and the package says which names are public."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import dtorch

# Of the reference API, by the module that has them. Methods are listed under their class.
PROMISED = {
    "dtorch": """
        Tensor Size Storage Generator Variable dtype device no_grad enable_grad set_grad_enabled
        is_grad_enabled save load manual_seed initial_seed seed get_rng_state set_rng_state
        float16 float32 float64 half float double int8 int16 int32 int64 short int long uint8 bool
        bfloat16 complex64 complex128 cfloat cdouble get_default_dtype set_default_dtype
        tensor as_tensor from_numpy zeros ones empty full eye arange linspace zeros_like ones_like
        empty_like full_like rand randn randint randperm rand_like randn_like bernoulli
        is_tensor is_storage is_floating_point numel set_printoptions get_num_threads
        set_num_threads add sub mul div floor_divide remainder fmod pow neg abs sign sqrt rsqrt
        square exp expm1 log log1p log2 log10 sin cos tan asin acos atan atan2 sinh cosh tanh
        sigmoid relu floor ceil round trunc frac clamp lerp maximum minimum reciprocal
        eq ne lt le gt ge equal isclose allclose isnan isinf isfinite where
        logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor
        sum mean prod max min amax amin argmax argmin std var norm all any cumsum logsumexp
        softmax log_softmax matmul mm bmm mv dot outer addmm addcmul addcdiv
        reshape flatten transpose permute t squeeze unsqueeze expand broadcast_to narrow select
        cat stack split chunk unbind gather scatter_add index_select masked_select masked_fill
        autograd nn optim distributed data multiprocessing utils
    """,
    "dtorch.Tensor": """
        backward grad grad_fn requires_grad requires_grad_ is_leaf volatile detach detach_ data
        register_hook retain_grad shape dtype device ndim size stride dim numel element_size
        is_contiguous contiguous storage storage_offset data_ptr numpy item tolist to type cpu cuda
        float double half long int short byte char bool view view_as reshape expand expand_as
        repeat T clone copy_ fill_ zero_ uniform_ normal_ bernoulli_ random_ new new_empty
        new_zeros new_ones new_full new_tensor share_memory_ is_shared resize_
        add_ sub_ mul_ div_ clamp_ exp_ relu_ sigmoid_ tanh_ squeeze_ unsqueeze_ transpose_ t_
        masked_fill_ scatter_add_ index_add_ index_put_ sum mean max min argmax softmax matmul
    """,
    "dtorch.autograd": """
        Variable Function backward grad no_grad enable_grad set_grad_enabled is_grad_enabled
        gradcheck gradgradcheck
    """,
    "dtorch.nn": """
        Module Parameter Sequential ModuleList ModuleDict Linear Conv2d MaxPool2d BatchNorm2d ReLU
        Dropout Flatten CrossEntropyLoss functional init parallel
    """,
    "dtorch.nn.Module": """
        forward parameters named_parameters buffers named_buffers modules named_modules children
        register_parameter register_buffer add_module register_forward_hook
        register_forward_pre_hook state_dict load_state_dict train eval zero_grad apply to cpu cuda
        float double half requires_grad_
    """,
    "dtorch.nn.functional": """
        linear conv2d max_pool2d batch_norm relu dropout softmax log_softmax cross_entropy
        nll_loss mse_loss pad
    """,
    "dtorch.nn.parallel": "DistributedDataParallel",
    "dtorch.optim": "Optimizer SGD Adam",
    "dtorch.optim.Optimizer": "step zero_grad state_dict load_state_dict add_param_group",
    "dtorch.data": """
        Dataset IterableDataset TensorDataset ConcatDataset Subset random_split DataLoader Sampler
        SequentialSampler RandomSampler SubsetRandomSampler WeightedRandomSampler BatchSampler
        DistributedSampler default_collate get_worker_info
    """,
    "dtorch.utils.data": "Dataset DataLoader DistributedSampler",
    "dtorch.multiprocessing": """
        Process Queue SimpleQueue Pool spawn get_context get_sharing_strategy set_sharing_strategy
    """,
    "dtorch.distributed": """
        init_process_group destroy_process_group is_initialized is_available get_rank
        get_world_size get_backend new_group ReduceOp broadcast all_reduce reduce all_gather gather
        scatter reduce_scatter all_to_all barrier send recv broadcast_object_list
        all_gather_object
    """,
    "dtorch.serialization": "save load",
}


def resolve(path: str) -> object:
    """A module, or a class in one."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize("path", PROMISED)
def test_promised_names_exist(path):
    owner = resolve(path)
    assert [name for name in PROMISED[path].split() if not hasattr(owner, name)] == []


def test_all_lists_what_the_package_imports_and_defines():
    tree = ast.parse(Path(dtorch.__file__).read_text(encoding="utf-8"))
    bound = {"__version__"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            bound |= set(importlib.import_module(str(node.module)).__all__)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            bound |= {alias.asname or alias.name for alias in node.names}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            bound |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    private = {name for name in bound if name.startswith("_")}
    private -= {"__version__", "__array_namespace_info__"}
    assert sorted(dtorch.__all__) == sorted(bound - private)


def test_all_names_exist_once():
    assert len(set(dtorch.__all__)) == len(dtorch.__all__)
    assert [name for name in dtorch.__all__ if not hasattr(dtorch, name)] == []


@pytest.mark.parametrize("name", ["nn", "optim", "data", "distributed", "multiprocessing"])
def test_packages_export_what_their_all_says(name):
    package = importlib.import_module(f"dtorch.{name}")
    exported = getattr(package, "__all__", [])
    assert [entry for entry in exported if not hasattr(package, entry)] == []


def test_dir_lists_what_there_is_also_packages_that_are_not_loaded_yet():
    assert set(dtorch.__all__) <= set(dir(dtorch))
    assert {"cuda", "distributed", "vision", "utils"} <= set(dir(dtorch))


def test_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = dtorch.no_such_name
