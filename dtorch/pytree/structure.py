"""The structure of containers, without their leaves."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

from dtorch.pytree.containers import MAPPINGS, SUPPORTED_NODES, Context, PyTree, get_node_type


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
        kind = get_node_type(tree)
        if kind is not self.type and not (kind in MAPPINGS and self.type in MAPPINGS):
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {kind!r}.")
        children, context = SUPPORTED_NODES[kind].flatten_fn(tree)
        if len(children) != self.num_children:
            raise ValueError(
                f"Node arity mismatch; expected {self.num_children}, but got {len(children)}."
            )
        if kind in MAPPINGS:
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


LEAF = LeafSpec()


def treespec_leaf() -> TreeSpec:
    """The structure of a leaf."""
    return LEAF


def treespec_tuple(iterable: Iterable[TreeSpec] = ()) -> TreeSpec:
    """The structure of a tuple of such children."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(
    mapping: Mapping[Any, TreeSpec] | Iterable[tuple[Any, TreeSpec]] = (), **kwargs: TreeSpec
) -> TreeSpec:
    """The structure of a dict of such values."""
    specs = dict(mapping, **kwargs)
    return TreeSpec(dict, list(specs), list(specs.values()))
