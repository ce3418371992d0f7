"""Containers taken apart into leaves and put together again."""

from __future__ import annotations

import dataclasses
import time
from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import pytest

import dtorch
import dtorch.utils._pytree as theirs
from dtorch import pytree
from dtorch.pytree import (
    GetAttrKey,
    LeafSpec,
    MappingKey,
    SequenceKey,
    TreeSpec,
    keystr,
    register_pytree_node,
    tree_flatten,
    tree_leaves,
    tree_map,
    tree_structure,
    tree_unflatten,
)

Point = namedtuple("Point", "x y")  # an untyped one

TREES = [
    1,
    None,
    [1, 2],
    (1, (2, 3)),
    {"b": 1, "a": [2, 3]},
    OrderedDict(b=1, a=2),
    defaultdict(list, {"x": 1}),
    deque([1, 2], maxlen=3),
    Point(1, [2, 3]),
    [],
    {"x": [1, (2, {"y": 3})], "z": Point(4, 5)},
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_what_is_taken_apart_is_put_together_again(tree: Any) -> None:
    leaves, spec = tree_flatten(tree)
    again = tree_unflatten(leaves, spec)
    assert again == tree
    assert type(again) is type(tree)
    assert spec.num_leaves == len(leaves) == len(tree_leaves(tree))
    assert spec == tree_structure(tree_map(str, tree))
    assert hash(spec) == hash(tree_structure(tree))
    assert [leaf for _, leaf in pytree.tree_leaves_with_path(tree)] == leaves
    for path, leaf in pytree.tree_leaves_with_path(tree):
        assert pytree.key_get(tree, path) == leaf


@pytest.mark.parametrize("tree", [t for t in TREES if "Point" not in repr(t)], ids=repr)
def test_structures_survive_as_text(tree: Any) -> None:
    spec = tree_structure(tree)
    assert pytree.treespec_loads(pytree.treespec_dumps(spec)) == spec


def test_paths_are_written_as_in_python() -> None:
    found = pytree.tree_leaves_with_path({"a": [1], "b": Point(2, 3)})
    assert [keystr(path) for path, _ in found] == ["['a'][0]", "['b'].x", "['b'].y"]
    assert found[0][0] == (MappingKey("a"), SequenceKey(0))
    assert found[1][0] == (MappingKey("b"), GetAttrKey("x"))
    with_paths = pytree.tree_map_with_path(lambda p, x, y: f"{keystr(p)}{x}{y}", [1, 2], [3, 4])
    assert with_paths == ["[0]13", "[1]24"]


def test_several_trees_are_mapped_together() -> None:
    assert tree_map(lambda a, b: a + b, {"a": 1, "b": 2}, {"b": 1, "a": 5}) == {"a": 6, "b": 3}
    assert tree_map(lambda a, b: (a, b), [1, 2], [[3], 4]) == [(1, [3]), (2, 4)]
    for other, message in (
        ([3], "Node arity mismatch; expected 2, but got 1"),
        ((3, 4), "Node type mismatch"),
    ):
        with pytest.raises(ValueError, match=message):
            tree_map(lambda a, b: a, [1, 2], other)
    with pytest.raises(ValueError, match="missing key"):
        tree_map(lambda a, b: a, {"a": 1}, {"b": 1})


def test_leaves_are_chosen_by_type_or_by_question() -> None:
    tree = [1, "a", (2.5,)]
    assert pytree.tree_map_only(int, lambda x: x + 1, tree) == [2, "a", (2.5,)]
    assert pytree.tree_map_only((int, str), lambda x: x * 2, tree) == [2, "aa", (2.5,)]
    assert pytree.tree_map_only(int | float, lambda x: x * 2, tree) == [2, "a", (5.0,)]
    assert pytree.tree_map_only(lambda x: x == "a", str.upper, tree) == [1, "A", (2.5,)]
    with pytest.raises(TypeError, match="type, a tuple of types, or a callable"):
        pytree.tree_map_only(3, str, tree)
    assert pytree.tree_all(bool, [1, 2])
    assert not pytree.tree_all(bool, [1, 0])
    assert pytree.tree_any(bool, [1, 0])
    assert pytree.tree_all_only(int, bool, [1, "", 2])
    assert not pytree.tree_any_only(str, bool, [1, "", 2])
    assert tree_leaves([1, (2, 3)], is_leaf=lambda x: isinstance(x, tuple)) == [1, (2, 3)]
    assert pytree.arg_tree_leaves(1, [2], x={"a": 3}) == [1, 2, 3]


def test_functions_without_a_result_run_in_place() -> None:
    seen: list[Any] = []
    tree = {"a": [1, "b"]}
    assert pytree.tree_map_(seen.append, tree) is tree
    pytree.tree_map_only_(str, seen.append, tree)
    assert seen == [1, "b", "b"]


def test_others_register_their_classes() -> None:
    class Pair:
        def __init__(self, left: Any, right: Any) -> None:
            self.left, self.right = left, right

    register_pytree_node(Pair, lambda p: ([p.left, p.right], None), lambda c, _: Pair(*c))
    assert tree_leaves([Pair(1, Pair(2, 3))]) == [1, 2, 3]
    assert tree_map(lambda x: x + 1, Pair(1, 2)).right == 3
    with pytest.raises(ValueError, match="already registered"):
        register_pytree_node(Pair, lambda p: ([], None), lambda c, _: Pair(1, 2))
    with pytest.raises(ValueError, match="flatten_with_keys_fn"):
        pytree.tree_leaves_with_path(Pair(1, 2))
    with pytest.raises(NotImplementedError, match="serialization name"):
        pytree.treespec_dumps(tree_structure(Pair(1, 2)))

    @dataclasses.dataclass
    class Config:
        width: int
        depth: int

    assert tree_leaves(Config(1, 2)) == [Config(1, 2)]
    pytree.register_dataclass(Config)
    assert tree_map(lambda x: x + 1, Config(1, 2)) == Config(2, 3)


def test_structures_are_built_compared_and_shown() -> None:
    spec = tree_structure([1, (2,)])
    assert spec == TreeSpec(list, None, [LeafSpec(), pytree.treespec_tuple([LeafSpec()])])
    assert tree_structure({"a": 1}) == pytree.treespec_dict(a=pytree.treespec_leaf())
    assert tree_structure({"a": 1}) != tree_structure({"b": 1})
    assert repr(spec) == "TreeSpec(list, None, [*,\n  TreeSpec(tuple, None, [*])])"
    assert (
        pytree.treespec_pprint(tree_structure({"a": Point(1, [2])})) == "{'a': Point(x=*, y=[*])}"
    )
    assert (spec.num_nodes, spec.num_children, spec.is_leaf()) == (4, 2, False)
    assert spec.flatten_up_to([5, (6,)]) == [5, 6]
    with pytest.raises(ValueError, match="has length 1 but the spec"):
        tree_unflatten([1], spec)
    wrong: Any = 3
    with pytest.raises(TypeError, match="PyTreeSpec"):
        tree_unflatten([1], wrong)
    assert pytree.broadcast_to_and_flatten([0, None], tree_structure([1, (2, 3)])) == [
        0,
        None,
        None,
    ]
    assert pytree.broadcast_to_and_flatten((0,), spec) is None


def test_named_tuples_and_structures_of_c_are_told_apart() -> None:
    assert pytree.is_namedtuple(Point)
    assert pytree.is_namedtuple_instance(Point(1, 2))
    assert not pytree.is_namedtuple_instance((1, 2))
    assert pytree.is_structseq(time.localtime())
    assert not pytree.is_structseq_class(tuple)
    assert pytree.tree_is_leaf(time)


def test_it_is_the_module_that_libraries_import() -> None:
    assert theirs is pytree
    found, spec = theirs.tree_flatten({"x": dtorch.ones(2)})
    assert spec.unflatten(found)["x"] is found[0]
