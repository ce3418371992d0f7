"""Structures as text."""

from __future__ import annotations

import json
from typing import Any

from dtorch.pytree.containers import SUPPORTED_NODES
from dtorch.pytree.structure import LEAF, TreeSpec

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
            return LEAF
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
