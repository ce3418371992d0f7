"""Containers and their leaves: nested lists, tuples, dicts and registered classes as flat lists, and
back.

``dtorch.utils._pytree`` is this module, as PyTorch has it.

>>> leaves, spec = tree_flatten({"a": [1, 2], "b": 3})
>>> leaves, spec.num_leaves
([1, 2, 3], 3)
>>> tree_unflatten([10, 20, 30], spec)
{'a': [10, 20], 'b': 30}
"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from dtorch.core.shapes import Size

T = TypeVar("T")

__all__ = [
    "Context", "DumpableContext", "FlattenFn", "FromDumpableContextFn", "LeafSpec", "PyTree",
    "PyTreeSpec", "ToDumpableContextFn", "TreeSpec", "UnflattenFn", "is_namedtuple",
    "is_namedtuple_class", "is_namedtuple_instance", "is_structseq", "is_structseq_class",
    "is_structseq_instance", "key_get", "keystr", "register_pytree_node", "tree_all",
    "tree_all_only", "tree_any", "tree_any_only", "tree_flatten", "tree_flatten_with_path",
    "tree_is_leaf", "tree_iter", "tree_leaves", "tree_leaves_with_path", "tree_map", "tree_map_",
    "tree_map_only", "tree_map_only_", "tree_map_with_path", "tree_structure", "tree_unflatten",
    "treespec_dumps", "treespec_loads", "treespec_pprint",
]  # fmt: skip

PyTree = Any
Context = Any
DumpableContext = Any  # what JSON has
FlattenFn = Callable[[Any], tuple[list[Any], Any]]
UnflattenFn = Callable[[Iterable[Any], Any], Any]
ToDumpableContextFn = Callable[[Any], Any]
FromDumpableContextFn = Callable[[Any], Any]
IsLeaf = Callable[[Any], bool]

# -- keys: how a child is reached -------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class SequenceKey:
    """An item of a sequence."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Sequence[Any]) -> Any:
        """The child."""
        return sequence[self.idx]


@dataclasses.dataclass(frozen=True)
class MappingKey:
    """A value of a mapping."""

    key: Hashable

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Mapping[Any, Any]) -> Any:
        """The child."""
        return mapping[self.key]


@dataclasses.dataclass(frozen=True)
class GetAttrKey:
    """An attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """The child."""
        return getattr(obj, self.name)


KeyEntry = Any
KeyPath = tuple[KeyEntry, ...]


def keystr(kp: KeyPath) -> str:
    """The path as it is written in Python.

    >>> keystr((MappingKey("a"), SequenceKey(0)))
    "['a'][0]"
    """
    return "".join(str(key) for key in kp)


def key_get(obj: Any, kp: KeyPath) -> Any:
    """What a path leads to."""
    for key in kp:
        obj = key.get(obj)
    return obj


# -- kinds of containers ----------------------------------------------------------------------------


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


_NAMED: Any = type("namedtuple", (), {"__doc__": "All named tuples."})

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
    _NAMED, lambda v: (list(v), type(v)), lambda c, kind: kind(*c),
    serialized_type_name="collections.namedtuple", flatten_with_keys_fn=_of_named_tuple,
    to_dumpable_context=_refuse_dump, from_dumpable_context=json.loads,
)  # fmt: skip
register_pytree_node(
    Size, lambda v: (list(v), None), lambda c, _: tuple(c),
    serialized_type_name="torch.Size", flatten_with_keys_fn=_of_sequence,
)  # fmt: skip

_MAPPINGS = (dict, OrderedDict, defaultdict)


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


def _get_node_type(tree: Any) -> Any:
    """The class under which a container is registered."""
    kind = type(tree)
    if kind not in SUPPORTED_NODES and is_namedtuple_class(kind):
        return _NAMED
    return kind


def tree_is_leaf(tree: PyTree, is_leaf: IsLeaf | None = None) -> bool:
    """Whether something is no container, or one that ``is_leaf`` says is a leaf."""
    return (is_leaf is not None and is_leaf(tree)) or _get_node_type(tree) not in SUPPORTED_NODES


# -- structures -------------------------------------------------------------------------------------


class TreeSpec:
    """The structure of containers, without their leaves.

    Attributes:
        type: class of the container; None for a leaf.
        context: what is needed to rebuild it beside the children, such as the keys of a dict.
        num_leaves, num_nodes, num_children: how many there are below, itself counted as a node.
    """

    def __init__(self, type: Any, context: Context, children_specs: list[Any]) -> None:
        self.type = type
        self.context = context
        self._children: list[TreeSpec] = list(children_specs)
        self.num_children = len(self._children)
        self.num_nodes: int = 1 + sum(child.num_nodes for child in self._children)
        self.num_leaves: int = 1 if type is None else sum(c.num_leaves for c in self._children)

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The structures of the children."""
        return self._children

    def children(self) -> list[TreeSpec]:
        """The structures of the children."""
        return list(self._children)

    def child(self, index: int) -> TreeSpec:
        """The structure of one child."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Whether it is a leaf."""
        return self.type is None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return (self.type, self.context, self._children) == (
            other.type, other.context, other._children,
        )  # fmt: skip

    def __hash__(self) -> int:
        keys = self.context
        if self.type in (dict, OrderedDict):
            keys = tuple(keys)
        elif self.type is defaultdict:
            keys = (keys[0], tuple(keys[1]))
        elif not isinstance(keys, Hashable):
            keys = None
        return hash((self.type, keys, tuple(self._children)))

    def __repr__(self, indent: int = 0) -> str:
        if self.is_leaf():
            return "*"
        between = ",\n" + " " * (indent + 2)
        children = between.join(child.__repr__(indent + 2) for child in self._children)
        return f"TreeSpec({self.type.__name__}, {self.context}, [{children}])"

    def unflatten(self, leaves: Iterable[Any]) -> PyTree:
        """Containers of this structure, with these leaves.

        Raises:
            ValueError: more or fewer leaves than it has.
        """
        given = list(leaves)
        if len(given) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(given)} but the spec refers "
                f"to a pytree that holds {self.num_leaves} items ({self})."
            )
        return self._fill(iter(given))

    def _fill(self, leaves: Iterator[Any]) -> PyTree:
        if self.is_leaf():
            return next(leaves)
        children = [child._fill(leaves) for child in self._children]
        return SUPPORTED_NODES[self.type].unflatten_fn(children, self.context)

    def flatten_up_to(self, tree: PyTree) -> list[PyTree]:
        """The parts of containers that stand where this structure has leaves.

        Raises:
            ValueError: the containers have another structure above.
        """
        if self.is_leaf():
            return [tree]
        kind = _get_node_type(tree)
        if kind is not self.type and not (kind in _MAPPINGS and self.type in _MAPPINGS):
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {kind!r}.")
        children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
        if len(children) != self.num_children:
            raise ValueError(
                f"Node arity mismatch; expected {self.num_children}, but got {len(children)}."
            )
        if kind in _MAPPINGS:
            keys = self.context[1] if self.type is defaultdict else self.context
            missing, extra = set(keys) - set(tree), set(tree) - set(keys)
            if missing or extra:
                raise ValueError(
                    f"Node keys mismatch; missing key(s): {missing}; extra key(s): {extra}."
                )
            children = [tree[key] for key in keys]
        elif context != self.context:
            raise ValueError(
                f"Node context mismatch for {kind!r}; expected {self.context!r}, but got "
                f"{context!r}."
            )
        parts: list[Any] = []
        for spec, child in zip(self._children, children, strict=True):
            parts += spec.flatten_up_to(child)
        return parts


PyTreeSpec = TreeSpec


class LeafSpec(TreeSpec):
    """The structure of a leaf."""

    def __init__(self) -> None:
        super().__init__(None, None, [])


_LEAF = LeafSpec()


def treespec_leaf() -> TreeSpec:
    """The structure of a leaf."""
    return _LEAF


def treespec_tuple(iterable: Iterable[TreeSpec] = ()) -> TreeSpec:
    """The structure of a tuple of such children."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(
    mapping: Mapping[Any, TreeSpec] | Iterable[tuple[Any, TreeSpec]] = (), **kwargs: TreeSpec
) -> TreeSpec:
    """The structure of a dict of such values."""
    specs = dict(mapping, **kwargs)
    return TreeSpec(dict, list(specs), list(specs.values()))


# -- to leaves and back -----------------------------------------------------------------------------


def tree_flatten(tree: PyTree, is_leaf: IsLeaf | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves from left to right, and the structure.

    Args:
        is_leaf: says of containers whether they are taken as a whole.
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, is_leaf, leaves)


def _flatten(tree: PyTree, is_leaf: IsLeaf | None, leaves: list[Any]) -> TreeSpec:
    if tree_is_leaf(tree, is_leaf):
        leaves.append(tree)
        return _LEAF
    kind = _get_node_type(tree)
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    return TreeSpec(kind, context, [_flatten(child, is_leaf, leaves) for child in children])


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> PyTree:
    """Containers of a structure, with these leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            "Expected `treespec` to be an instance of PyTreeSpec but got item of type "
            f"{type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_iter(tree: PyTree, is_leaf: IsLeaf | None = None) -> Iterator[Any]:
    """The leaves, one after the other."""
    if tree_is_leaf(tree, is_leaf):
        yield tree
        return
    children, _ = SUPPORTED_NODES[_get_node_type(tree)].flatten_fn(tree)
    for child in children:
        yield from tree_iter(child, is_leaf)


def tree_leaves(tree: PyTree, is_leaf: IsLeaf | None = None) -> list[Any]:
    """The leaves."""
    return list(tree_iter(tree, is_leaf))


def arg_tree_leaves(*args: Any, **kwargs: Any) -> list[Any]:
    """The leaves of the arguments of a call."""
    return [*tree_iter(args), *tree_iter(kwargs)]


def tree_structure(tree: PyTree, is_leaf: IsLeaf | None = None) -> TreeSpec:
    """The structure."""
    return tree_flatten(tree, is_leaf)[1]


def tree_flatten_with_path(
    tree: PyTree, is_leaf: IsLeaf | None = None
) -> tuple[list[tuple[KeyPath, Any]], TreeSpec]:
    """Pairs of a leaf's path and the leaf, and the structure."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_leaves_with_path(tree: PyTree, is_leaf: IsLeaf | None = None) -> list[tuple[KeyPath, Any]]:
    """Pairs of a leaf's path and the leaf."""
    return list(_with_path((), tree, is_leaf))


def _with_path(
    path: KeyPath, tree: PyTree, is_leaf: IsLeaf | None
) -> Iterator[tuple[KeyPath, Any]]:
    if tree_is_leaf(tree, is_leaf):
        yield path, tree
        return
    kind = _get_node_type(tree)
    with_keys = SUPPORTED_NODES[kind].flatten_with_keys_fn
    if with_keys is None:
        raise ValueError(f"Did not find a flatten_with_keys_fn for type: {kind}.")
    for key, child in with_keys(tree)[0]:
        yield from _with_path((*path, key), child, is_leaf)


def tree_map(
    func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: IsLeaf | None = None
) -> PyTree:
    """Containers of the same structure, whose leaves a function makes of those at their place.

    Args:
        func: gets a leaf of ``tree``, and of each of ``rests`` what stands there.

    >>> tree_map(lambda a, b: a + b, [1, {"x": 2}], [10, {"x": 20}])
    [11, {'x': 22}]
    """
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec.flatten_up_to(rest) for rest in rests)]
    return spec.unflatten(map(func, *columns))


def tree_map_(
    func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: IsLeaf | None = None
) -> PyTree:
    """Call a function with every leaf; returns ``tree`` itself."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *(spec.flatten_up_to(rest) for rest in rests)]
    for arguments in zip(*columns, strict=True):
        func(*arguments)
    return tree


def tree_map_with_path(
    func: Callable[..., Any], tree: PyTree, *rests: PyTree, is_leaf: IsLeaf | None = None
) -> PyTree:
    """`tree_map` with a function that gets the path of the leaf first."""
    found, spec = tree_flatten_with_path(tree, is_leaf)
    columns: list[Any] = [*zip(*found, strict=True)] if found else [[], []]
    columns += [spec.flatten_up_to(rest) for rest in rests]
    return spec.unflatten(map(func, *columns))


def map_only(type_or_types_or_pred: Any, /) -> Callable[[Callable[[T], Any]], Callable[[T], Any]]:
    """Decorates a function so that it leaves what is not of a type, or of several, alone."""
    chosen = type_or_types_or_pred
    if isinstance(chosen, (type, tuple, types.UnionType)):

        def applies(value: Any) -> bool:
            return isinstance(value, chosen)

    elif callable(chosen):
        applies = chosen
    else:
        raise TypeError("Argument must be a type, a tuple of types, or a callable.")
    return lambda func: lambda value: func(value) if applies(value) else value


def tree_map_only(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: PyTree,
    is_leaf: IsLeaf | None = None,
) -> PyTree:
    """`tree_map` over the leaves of a type, of several, or for which a function says so."""
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Any,
    /,
    func: Callable[[Any], Any],
    tree: PyTree,
    is_leaf: IsLeaf | None = None,
) -> PyTree:
    """`tree_map_` over the leaves of a type, of several, or for which a function says so."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: PyTree, is_leaf: IsLeaf | None = None) -> bool:
    """Whether something holds for every leaf."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: PyTree, is_leaf: IsLeaf | None = None) -> bool:
    """Whether something holds for a leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(
    type_or_types: Any,
    /,
    pred: Callable[[Any], bool],
    tree: PyTree,
    is_leaf: IsLeaf | None = None,
) -> bool:
    """Whether something holds for every leaf of a type."""
    return all(pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, type_or_types))


def tree_any_only(
    type_or_types: Any,
    /,
    pred: Callable[[Any], bool],
    tree: PyTree,
    is_leaf: IsLeaf | None = None,
) -> bool:
    """Whether something holds for a leaf of a type."""
    return any(pred(leaf) for leaf in tree_iter(tree, is_leaf) if isinstance(leaf, type_or_types))


def broadcast_to_and_flatten(
    tree: PyTree, treespec: TreeSpec, is_leaf: IsLeaf | None = None
) -> list[Any] | None:
    """For each leaf of a structure the leaf of ``tree`` that stands there or above; None where the
    two do not fit together."""
    if tree_is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    kind = _get_node_type(tree)
    if treespec.is_leaf() or kind is not treespec.type:
        return None
    children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    result: list[Any] = []
    for child, spec in zip(children, treespec.children_specs, strict=True):
        part = broadcast_to_and_flatten(child, spec, is_leaf)
        if part is None:
            return None
        result += part
    return result


_broadcast_to_and_flatten = broadcast_to_and_flatten  # the name that libraries import

# -- structures as text -----------------------------------------------------------------------------

_PROTOCOL = 1


def treespec_dumps(treespec: TreeSpec, protocol: int | None = None) -> str:
    """A structure as JSON.

    Raises:
        NotImplementedError: a class without a registered name.
    """
    if not isinstance(treespec, TreeSpec):
        raise TypeError(f"treespec_dumps: got {type(treespec).__name__}, expected a TreeSpec")
    if protocol not in (None, _PROTOCOL):
        raise ValueError(f"Unknown protocol {protocol}. Available protocols: [{_PROTOCOL}]")
    return json.dumps((_PROTOCOL, _dumpable(treespec)))


def _dumpable(spec: TreeSpec) -> Any:
    if spec.is_leaf():
        return {"type": None, "context": None, "children_spec": []}
    node = SUPPORTED_NODES[spec.type]
    if node.serialized_type_name is None:
        raise NotImplementedError(
            f"No registered serialization name for {spec.type} found. Please update your "
            "register_pytree_node call with a `serialized_type_name` kwarg."
        )
    return {
        "type": node.serialized_type_name,
        "context": node.to_dumpable_context(spec.context),
        "children_spec": [_dumpable(child) for child in spec.children_specs],
    }


def treespec_loads(serialized: str) -> TreeSpec:
    """A structure of what `treespec_dumps` gave."""
    protocol, schema = json.loads(serialized)
    if protocol != _PROTOCOL:
        raise ValueError(f"Unknown protocol {protocol}. Available protocols: [{_PROTOCOL}]")
    names = {n.serialized_type_name: n for n in SUPPORTED_NODES.values() if n.serialized_type_name}

    def load(schema: Any) -> TreeSpec:
        if schema["type"] is None and schema["context"] is None and not schema["children_spec"]:
            return _LEAF
        node = names.get(schema["type"])
        if node is None:
            raise NotImplementedError(f"Could not find the pytree type {schema['type']!r}")
        children = [load(child) for child in schema["children_spec"]]
        return TreeSpec(node.type, node.from_dumpable_context(schema["context"]), children)

    return load(schema)


pytree_to_str = treespec_dumps
str_to_pytree = treespec_loads


class _Asterisk:
    def __repr__(self) -> str:
        return "*"


def treespec_pprint(treespec: TreeSpec) -> str:
    """A structure as its containers are written, with ``*`` for leaves."""
    return repr(treespec.unflatten([_Asterisk()] * treespec.num_leaves))
