"""Which classes are containers, and how they are taken apart."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dtorch.core.shapes import Size
from dtorch.pytree.keys import GetAttrKey, MappingKey, SequenceKey

PyTree = Any
Context = Any
DumpableContext = Any  # what JSON has
FlattenFn = Callable[[Any], tuple[list[Any], Any]]
UnflattenFn = Callable[[Iterable[Any], Any], Any]
ToDumpableContextFn = Callable[[Any], Any]
FromDumpableContextFn = Callable[[Any], Any]
IsLeaf = Callable[[Any], bool]


class NodeDef(NamedTuple):
    """What is known of a class of containers."""

    type: type[Any]
    flatten_fn: FlattenFn
    unflatten_fn: UnflattenFn
    flatten_with_keys_fn: Callable[[Any], Any] | None
    serialized_type_name: str | None
    to_dumpable_context: ToDumpableContextFn
    from_dumpable_context: FromDumpableContextFn


SUPPORTED_NODES: dict[type[Any], NodeDef] = {}


def register_pytree_node(
    cls: type[Any],
    flatten_fn: FlattenFn,
    unflatten_fn: UnflattenFn,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: ToDumpableContextFn | None = None,
    from_dumpable_context: FromDumpableContextFn | None = None,
    flatten_with_keys_fn: Callable[[Any], Any] | None = None,
) -> None:
    """Make instances of a class containers.

    Args:
        flatten_fn: gives the children of an instance, and what else is needed to rebuild it.
        unflatten_fn: makes an instance of children and that.
        serialized_type_name: what `treespec_dumps` calls the class.
        to_dumpable_context, from_dumpable_context: the context as what JSON has, and back.
        flatten_with_keys_fn: like ``flatten_fn``, with pairs of a key and a child.

    Raises:
        ValueError: the class is registered already.
    """
    if cls in SUPPORTED_NODES:
        raise ValueError(f"{cls} is already registered as pytree node.")
    if (to_dumpable_context is None) != (from_dumpable_context is None):
        raise ValueError(
            f"Both to_dumpable_context and from_dumpable_context for {cls} must be None or "
            "registered."
        )
    SUPPORTED_NODES[cls] = NodeDef(
        cls, flatten_fn, unflatten_fn, flatten_with_keys_fn, serialized_type_name,
        to_dumpable_context or json.dumps, from_dumpable_context or json.loads,
    )  # fmt: skip


def register_dataclass(cls: type[Any], **options: Any) -> None:
    """Make instances of a dataclass containers of their fields."""
    if not dataclasses.is_dataclass(cls):
        raise TypeError(f"register_dataclass: {cls} is no dataclass")
    names = [field.name for field in dataclasses.fields(cls) if field.init]

    def flatten_with_keys(value: Any) -> tuple[list[Any], Any]:
        return [(GetAttrKey(name), getattr(value, name)) for name in names], names

    register_pytree_node(
        cls,
        lambda value: ([getattr(value, name) for name in names], names),
        lambda children, context: cls(**dict(zip(context, children, strict=True))),
        flatten_with_keys_fn=flatten_with_keys,
        **options,
    )


def _of_sequence(value: Any) -> tuple[list[Any], Any]:
    return [(SequenceKey(i), child) for i, child in enumerate(value)], None


def _of_mapping(value: Any) -> tuple[list[Any], Any]:
    return [(MappingKey(key), child) for key, child in value.items()], list(value)


def _of_named_tuple(value: Any) -> tuple[list[Any], Any]:
    return [(GetAttrKey(n), getattr(value, n)) for n in type(value)._fields], type(value)


def _pairs(keys: Any, children: Any) -> Any:
    return zip(keys, children, strict=True)


def _dump_default_dict(context: Any) -> Any:
    factory, keys = context
    return {
        "default_factory_module": factory.__module__,
        "default_factory_name": factory.__qualname__,
        "dict_context": keys,
    }


def _load_default_dict(dumped: Any) -> Any:
    # Nothing is imported because a text says so.
    name, factory = dumped["default_factory_module"], dumped["default_factory_name"]
    found = getattr(sys.modules.get(name), factory, None)
    if found is None:
        raise NotImplementedError(
            f"treespec_loads: {name}.{factory} is not there; import {name} first"
        )
    return [found, dumped["dict_context"]]


def _refuse_dump(context: Any) -> Any:
    raise NotImplementedError(f"treespec_dumps: the named tuple {context} has no registered name")


NAMED: Any = type("namedtuple", (), {"__doc__": "All named tuples."})

register_pytree_node(
    tuple, lambda v: (list(v), None), lambda c, _: tuple(c),
    serialized_type_name="builtins.tuple", flatten_with_keys_fn=_of_sequence,
)  # fmt: skip
register_pytree_node(
    list, lambda v: (list(v), None), lambda c, _: list(c),
    serialized_type_name="builtins.list", flatten_with_keys_fn=_of_sequence,
)  # fmt: skip
register_pytree_node(
    dict, lambda v: (list(v.values()), list(v)), lambda c, keys: dict(_pairs(keys, c)),
    serialized_type_name="builtins.dict", flatten_with_keys_fn=_of_mapping,
)  # fmt: skip
register_pytree_node(
    OrderedDict, lambda v: (list(v.values()), list(v)), lambda c, k: OrderedDict(_pairs(k, c)),
    serialized_type_name="collections.OrderedDict", flatten_with_keys_fn=_of_mapping,
)  # fmt: skip
register_pytree_node(
    defaultdict,
    lambda v: (list(v.values()), [v.default_factory, list(v)]),
    lambda c, context: defaultdict(context[0], _pairs(context[1], c)),
    serialized_type_name="collections.defaultdict",
    to_dumpable_context=_dump_default_dict,
    from_dumpable_context=_load_default_dict,
    flatten_with_keys_fn=lambda v: (_of_mapping(v)[0], [v.default_factory, list(v)]),
)
register_pytree_node(
    deque, lambda v: (list(v), v.maxlen), lambda c, maxlen: deque(c, maxlen=maxlen),
    serialized_type_name="collections.deque",
    flatten_with_keys_fn=lambda v: (_of_sequence(v)[0], v.maxlen),
)  # fmt: skip
register_pytree_node(
    NAMED, lambda v: (list(v), type(v)), lambda c, kind: kind(*c),
    serialized_type_name="collections.namedtuple", flatten_with_keys_fn=_of_named_tuple,
    to_dumpable_context=_refuse_dump, from_dumpable_context=json.loads,
)  # fmt: skip
register_pytree_node(
    Size, lambda v: (list(v), None), lambda c, _: tuple(c),
    serialized_type_name="torch.Size", flatten_with_keys_fn=_of_sequence,
)  # fmt: skip

MAPPINGS = (dict, OrderedDict, defaultdict)


def is_namedtuple_class(cls: Any) -> bool:
    """Whether a class is that of a named tuple."""
    fields = getattr(cls, "_fields", None)
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(fields, tuple)
        and all(isinstance(name, str) for name in fields)
    )


def is_namedtuple_instance(obj: object) -> bool:
    """Whether an object is a named tuple."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: object) -> bool:
    """Whether an object is a named tuple, or the class of one."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls: Any) -> bool:
    """Whether a class is a tuple with names that was made in C, as ``time.struct_time``."""
    counts = ("n_fields", "n_sequence_fields", "n_unnamed_fields")
    return (
        isinstance(cls, type)
        and cls.__bases__ == (tuple,)
        and all(isinstance(getattr(cls, name, None), int) for name in counts)
    )


def is_structseq_instance(obj: object) -> bool:
    """Whether an object is one of `is_structseq_class`."""
    return is_structseq_class(type(obj))


def is_structseq(obj: object) -> bool:
    """Whether an object is one of `is_structseq_class`, or such a class."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def get_node_type(tree: Any) -> Any:
    """The class under which a container is registered."""
    kind = type(tree)
    if kind not in SUPPORTED_NODES and is_namedtuple_class(kind):
        return NAMED
    return kind


def tree_is_leaf(tree: PyTree, is_leaf: IsLeaf | None = None) -> bool:
    """Whether something is no container, or one that ``is_leaf`` says is a leaf."""
    return (is_leaf is not None and is_leaf(tree)) or get_node_type(tree) not in SUPPORTED_NODES
