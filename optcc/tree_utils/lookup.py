"""Finding and replacing parts of a state by their names.

A name is a field of a NamedTuple, a key of a dict, or the class of a NamedTuple. Paths to what was found say more than
JAX's: the entry of a field has the class beside it, so that fields of one name in several states can be told apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.tree_util import DictKey

from optcc.errors import message

KeyPath = tuple[Any, ...]
"""Entries from the root to a part of a tree: those of `jax.tree_util`, and `NamedTupleKey` for fields."""

Filter = Callable[[KeyPath, Any], bool]
"""Says of a path and the value there whether it is meant."""


@dataclasses.dataclass(frozen=True)
class NamedTupleKey:
    """Entry of a path: the field ``name`` of a NamedTuple of the class ``tuple_name``."""

    tuple_name: str
    name: str

    def __str__(self) -> str:
        return f"{self.tuple_name}.{self.name}"


def tree_get_all_with_path(tree: Any, key: Any, filtering: Filter | None = None) -> list[tuple[KeyPath, Any]]:
    """All parts of a tree that have a name, with the paths to them.

    Args:
      tree: any pytree, such as an optimizer state.
      key: the name: of a field, of a dict's entry, or of the class of a NamedTuple.
      filtering: function of path and value; only values that it is true for are returned.

    Returns:
      Pairs ``(path, value)``, the outer ones before those inside them. `jax.tree_util.keystr` prints a path.
    """
    found = _find(tree, (), key)
    return [(path, value) for path, value in found if filtering is None or filtering(path, value)]


def tree_get(tree: Any, key: Any, default: Any | None = None, filtering: Filter | None = None) -> Any:
    """The one part of a tree that has a name, such as the ``count`` or the ``ScaleByAdamState`` of a chain's state.

    Args:
      tree: any pytree.
      key: the name, as in `tree_get_all_with_path`.
      default: what to return if nothing has that name.
      filtering: function of path and value that chooses among several.

    Raises:
      KeyError: more than one part has the name.
    """
    found = tree_get_all_with_path(tree, key, filtering)
    if len(found) > 1:
        raise KeyError(
            message(
                f"get: Found multiple values for {key!r}",
                where=", ".join(jax.tree_util.keystr(path) for path, _ in found),
                fix="choose one by filtering=, a function of path and value",
            )
        )
    return found[0][1] if found else default


def tree_set(tree: Any, filtering: Filter | None = None, /, **kwargs: Any) -> Any:
    """A copy of a tree in which the parts with the given names are replaced.

    For instance ``tree_set(state, learning_rate=0.1)``. Every part with the name is replaced; nothing inside of it is
    searched. The values need not have the structure of what they replace.

    Args:
      tree: any pytree.
      filtering: function of path and value; only values that it is true for are replaced.
      **kwargs: new value for each name, as in `tree_get_all_with_path`.

    Raises:
      KeyError: nothing has one of the names.
    """
    for key in kwargs:
        if not tree_get_all_with_path(tree, key, filtering):
            raise KeyError(
                message(
                    f"set: Found no values matching {key!r}{' given the filtering operation' if filtering else ''}",
                    where=f"a tree of the type {type(tree).__name__}",
                    fix="look at the names in the tree; jax.tree_util.tree_leaves_with_path shows them",
                )
            )
    return _replace(tree, (), kwargs, filtering)


def _find(node: Any, path: KeyPath, key: Any) -> Iterator[tuple[KeyPath, Any]]:
    if _is_named_tuple(node) and type(node).__name__ == key:
        yield path, node
    children = [((*path, entry), child) for entry, child in _children(node)]
    yield from ((place, child) for place, child in children if _name(place[-1]) == key)
    for place, child in children:
        yield from _find(child, place, key)


def _replace(node: Any, path: KeyPath, new: dict[str, Any], filtering: Filter | None) -> Any:
    def is_meant(name: Any, place: KeyPath, value: Any) -> bool:
        return isinstance(name, str) and name in new and (filtering is None or filtering(place, value))

    def child_at(entry: Any, child: Any) -> Any:
        place = (*path, entry)
        return new[_name(entry)] if is_meant(_name(entry), place, child) else _replace(child, place, new, filtering)

    if _is_named_tuple(node) and is_meant(type(node).__name__, path, node):
        return new[type(node).__name__]
    children = _children(node)
    if not children:
        return node
    structure = jax.tree.structure(node, is_leaf=lambda x: x is not node)
    return jax.tree.unflatten(structure, [child_at(entry, child) for entry, child in children])


def _children(node: Any) -> list[tuple[Any, Any]]:
    """What is one level below a node, each with its entry of a path; nothing for a leaf."""
    if _is_named_tuple(node):
        return [(NamedTupleKey(type(node).__name__, field), getattr(node, field)) for field in node._fields]
    below = jax.tree_util.tree_leaves_with_path(node, is_leaf=lambda x: x is not node)
    return [(path[0], child) for path, child in below if path]


def _is_named_tuple(node: Any) -> bool:
    return isinstance(node, tuple) and hasattr(node, "_fields")


def _name(entry: Any) -> Any:
    """The name that an entry of a path gives to what is there; None if it has a place only."""
    if isinstance(entry, NamedTupleKey):
        return entry.name
    return entry.key if isinstance(entry, DictKey) else None
