"""Mapping over the parts of an optimizer state that look like the parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import jax

from optcc import base


@jax.tree_util.register_static
class ParamsPlaceholder:
    """Stands for the whole tree of parameters: a container without leaves, which every map over it keeps."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParamsPlaceholder)

    def __hash__(self) -> int:
        return hash(ParamsPlaceholder)


class Initable(Protocol):
    """Anything that makes an optimizer state from parameters: an init/update pair, or `MultiSteps`."""

    def init(self, params: base.Params) -> base.OptState: ...


def tree_map_params(
    initable: Initable | Callable[[base.Params], base.OptState],
    f: Callable[..., Any],
    state: base.OptState,
    /,
    *rest: Any,
    transform_non_params: Callable[[Any], Any] | None = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> base.OptState:
    """Apply a function to the parts of an optimizer state that have one value for each parameter.

    Which parts these are is found by making a state for a placeholder in place of the parameters: wherever the
    placeholder turns up, the state has a tree like the parameters. Their moments, traces and per-leaf numbers are such
    trees, a step count is not. For instance, to lay out a state like the parameters::

        specs = tree_map_params(tx, lambda _, spec: spec, state, params_specs, transform_non_params=lambda _: P())

    Args:
      initable: the transformation that made the state, or its ``init``.
      f: function of a leaf of such a tree, and of the leaves of ``rest`` at its place.
      state: the state to map over.
      *rest: pytrees with the structure of the parameters, or that have it as a prefix.
      transform_non_params: function of every other leaf of the state; None keeps them.
      is_leaf: as in `jax.tree.map`, for the trees like the parameters. With ``rest``, the state of `masked` needs
        ``is_leaf=lambda x: isinstance(x, MaskedNode)``, since it lacks some of the leaves; ``f`` then sees these nodes.

    Returns:
      A state of the same structure with the results in place.
    """
    init: Any = getattr(initable, "init", initable)

    def part(like: Any, value: Any) -> Any:
        if isinstance(like, ParamsPlaceholder):
            return jax.tree.map(f, value, *rest, is_leaf=is_leaf)
        return value if transform_non_params is None else transform_non_params(value)

    return jax.tree.map(part, init(ParamsPlaceholder()), state, is_leaf=lambda x: isinstance(x, ParamsPlaceholder))
