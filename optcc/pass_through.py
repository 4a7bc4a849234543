"""Leaves of the caller's pytrees that no transformation computes with: they pass through, outside of the IR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from optcc import base
from optcc.apply import added

Place = int
"""Where a leaf is in a flattened pytree, in which None counts as a leaf, too."""


@jax.tree_util.register_pytree_node_class
class PassedLeaf:
    """Stands where such a leaf is, as a container without leaves. Two of them at one place are equal.

    `given` is the shape and dtype of an array, and anything else itself.
    """

    def __init__(self, place: Place, path: str, given: Any) -> None:
        self.place, self.path, self.given = place, path, given

    def tree_flatten(self) -> tuple[tuple[()], PassedLeaf]:
        """For JAX: no leaves."""
        return (), self

    @classmethod
    def tree_unflatten(cls, leaf: PassedLeaf, _: Any) -> PassedLeaf:
        """For JAX."""
        return leaf

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PassedLeaf) and (self.place, self.path) == (other.place, other.path)

    def __hash__(self) -> int:
        return hash((self.place, self.path))

    def __repr__(self) -> str:
        return f"PassedLeaf({self.path}: {self.described})"

    @property
    def described(self) -> str:
        """Dtype and shape of an array, the type of anything else."""
        given = self.given
        return f"{given.dtype}{list(given.shape)}" if hasattr(given, "dtype") else f"a {type(given).__name__}"


def set_aside(tree: Any) -> Any:
    """The pytree with a `PassedLeaf` for each leaf that is neither float nor complex."""
    if isinstance(tree, base.LookaheadParams):
        return base.LookaheadParams(*map(set_aside, tree))
    if all(map(_is_computed, jax.tree.leaves(tree))):
        return tree
    pairs, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=_is_place)
    return structure.unflatten(_passed(i, path, x) for i, (path, x) in enumerate(pairs))


def as_given(tree: Any) -> Any:
    """The pytree with what each `PassedLeaf` says was given in its place."""
    return jax.tree.map(lambda x: x.given if isinstance(x, PassedLeaf) else x, tree, is_leaf=_is_place)


def passed_leaves(tree: Any) -> tuple[PassedLeaf, ...]:
    """The leaves that pass through in a pytree."""
    return tuple(x for x in jax.tree.leaves(tree, is_leaf=_is_place) if isinstance(x, PassedLeaf))


def passed_in(structure: Any) -> tuple[PassedLeaf, ...]:
    """The leaves that pass through in the structure of a pytree."""
    return passed_leaves(_zeros_in(structure)) if _passes_any(structure) else ()


@lru_cache(maxsize=64)
def _passes_any(structure: Any) -> bool:
    # Structures are equal also where what was given differs, so that no more can be cached.
    return bool(passed_leaves(_zeros_in(structure)))


def _zeros_in(structure: Any) -> Any:
    return structure.unflatten([0] * structure.num_leaves)


def has_objects(tree: Any) -> bool:
    """Whether a pytree has leaves that JAX takes for no arrays, such as functions."""
    return not all(hasattr(x, "dtype") or isinstance(x, int | float | complex) for x in jax.tree.leaves(tree))


@dataclass(frozen=True)
class Aside:
    """What was given in the places where updates, and parameters, have nothing to compute with.

    There are several parameters in a place for `LookaheadParams`, and none if none were given.
    """

    updates: Mapping[Place, Any]
    params: tuple[Mapping[Place, Any], ...]

    def with_updates(self, tree: Any, zeroed: frozenset[Place]) -> Any:
        """New updates with those that passed through, or with zeros where `zeroed` says so."""
        if not self.updates:
            return tree
        return _put_back(tree, {i: _zeros(u) if i in zeroed else u for i, u in self.updates.items()})

    def with_params(self, tree: Any, zeroed: frozenset[Place]) -> Any:
        """New parameters with those that passed through, to which their updates are added."""
        if isinstance(tree, base.LookaheadParams):
            return base.LookaheadParams(*(self._restored(t, p, zeroed) for t, p in zip(tree, self.params, strict=True)))
        return self._restored(tree, self.params[0], zeroed)

    def _restored(self, tree: Any, given: Mapping[Place, Any], zeroed: frozenset[Place]) -> Any:
        if not given:
            return tree
        kept = {i: isinstance(p, PassedLeaf) or i in zeroed for i, p in given.items()}
        return _put_back(tree, {i: p if kept[i] else added(p, self.updates.get(i)) for i, p in given.items()})


def set_apart(updates: Any, params: Any = None, like: Any = None) -> tuple[Any, Any, Aside]:
    """Updates and parameters without what no transformation computes with, and that.

    A leaf passes through where the parameter is neither float nor complex; without parameters it is `like` that says
    so, or the update. Where the updates have None the parameters have None, too, or what `like` has: the parameters
    that an optimizer was compiled for, after `set_aside`. Pytrees that do not match are left as they are.
    """
    fields = tuple(params) if isinstance(params, base.LookaheadParams) else (() if params is None else (params,))
    is_plain = all(map(_is_computed, jax.tree.leaves((updates, params)))) and not _has_none(updates)
    if is_plain and not passed_leaves(like):
        return updates, params, Aside({}, tuple({} for _ in fields))
    pairs, structure = jax.tree_util.tree_flatten_with_path(updates, is_leaf=_is_place)
    try:
        columns = [structure.flatten_up_to(field) for field in fields]
        known = [None] * len(pairs) if like is None else structure.flatten_up_to(like)
    except ValueError:
        return set_aside(updates), set_aside(params), Aside({}, tuple({} for _ in fields))
    passed: dict[Place, PassedLeaf] = {}
    for i, ((path, u), p, k) in enumerate(zip(pairs, columns[0] if columns else known, known, strict=True)):
        leaf = k if u is None or isinstance(k, PassedLeaf) else _passed(i, path, u if p is None else p)
        if isinstance(leaf, PassedLeaf):
            passed[i] = leaf
    new = [passed.get(i, u) for i, (_, u) in enumerate(pairs)]
    kept = [structure.unflatten(p if _is_leaf(u) else u for u, p in zip(new, ps, strict=True)) for ps in columns]
    apart = tuple({i: p for i, (u, p) in enumerate(zip(new, ps, strict=True)) if not _is_leaf(u)} for ps in columns)
    new_params = base.LookaheadParams(*kept) if len(kept) > 1 else (kept[0] if kept else None)
    return structure.unflatten(new), new_params, Aside({i: pairs[i][1] for i in passed}, apart)


def _passed(place: Place, path: Any, x: Any) -> Any:
    """What stands for a leaf in its place."""
    if not _passes(x):
        return x
    name = jax.tree_util.keystr(path, simple=True, separator=".")
    return PassedLeaf(place, name, jax.ShapeDtypeStruct(x.shape, x.dtype) if hasattr(x, "dtype") else x)


def _passes(x: Any) -> bool:
    """Whether something in the place of a leaf is one that passes through, and no subtree."""
    return x is not None and not isinstance(x, PassedLeaf) and jax.tree_util.all_leaves([x]) and not _is_computed(x)


def _is_computed(x: Any) -> bool:
    """Whether a leaf is a float or complex array or number."""
    dtype = getattr(x, "dtype", None)
    return isinstance(x, float | complex) if dtype is None else _is_inexact(dtype)


@lru_cache(maxsize=64)
def _is_inexact(dtype: Any) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.inexact))


def _is_place(x: Any) -> bool:
    return x is None or isinstance(x, PassedLeaf)


def _is_leaf(x: Any) -> bool:
    return not _is_place(x)


def _has_none(tree: Any) -> bool:
    return any(x is None for x in jax.tree.leaves(tree, is_leaf=_is_place))


def _put_back(tree: Any, values: Mapping[Place, Any]) -> Any:
    leaves, structure = jax.tree.flatten(tree, is_leaf=_is_place)
    return structure.unflatten(values.get(i, x) if _is_place(x) else x for i, x in enumerate(leaves))


def _zeros(update: Any) -> Any:
    """Zeros in the place of an update that is no float; itself where there is no zero, as of type float0."""
    dtype = getattr(update, "dtype", None)
    return update if dtype is None or dtype == jax.dtypes.float0 else jnp.zeros_like(update)
