"""The conditions under which `MultiSteps` leaves a mini-step out, in the IR where they are optcc's own."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from optcc.base import OptState, Params, Updates
from optcc.errors import message
from optcc.skipping import ShouldSkipUpdateFunction, skip_large_updates, skip_not_finite

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import GroupedLeaves, Scalar, Tree

_LARGE = {"max_squared_norm"}
"""What must be bound of `skip_large_updates`."""


class SkipCondition(Protocol):
    """A condition on the updates of a mini-step: its state at the start, and whether to skip with the new state."""

    @property
    def hypers(self) -> Mapping[str, Any]: ...

    def init(self, b: Builder, params: Tree) -> Any: ...

    def update(
        self, b: Builder, updates: Tree, state: OptState, params: Tree | None, **hypers: Scalar
    ) -> tuple[Scalar | None, Any]:
        """`state` is a `MultiStepsState`; None for a condition that never holds."""
        ...


def skip_condition(function: ShouldSkipUpdateFunction | None) -> SkipCondition:
    """The condition for the `should_skip_update_fn` given."""
    if function is None:
        return _Never()
    if function is skip_not_finite:
        return _NotFinite()
    match function:
        case functools.partial(func=f, args=(), keywords=given) if f is skip_large_updates and set(given) == _LARGE:
            return _Large(dict(given))
        case _:
            return _Opaque(function)


@dataclass(frozen=True)
class _Never:
    hypers: Mapping[str, Any] = field(default_factory=dict)

    def init(self, b: Builder, params: Tree) -> Any:
        return ()

    def update(self, b: Builder, updates: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        return None, ()


@dataclass(frozen=True)
class _NotFinite:
    hypers: Mapping[str, Any] = field(default_factory=dict)

    def init(self, b: Builder, params: Tree) -> Any:
        number = b.number(0, np.dtype(jnp.result_type(int)), weak=False)
        return {"should_skip": b.number(0, bool, weak=False), "num_not_finite": number}

    def update(self, b: Builder, updates: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        # Reductions are over floats: the count is exact below 2**24, and never rounds to zero.
        number = b.where(b.is_finite(updates), 0.0, 1.0).sum()
        skip = number > 0.0
        return skip, {"should_skip": skip, "num_not_finite": b.cast_scalar(number, np.int32)}


@dataclass(frozen=True)
class _Large:
    hypers: Mapping[str, Any]

    def init(self, b: Builder, params: Tree) -> Any:
        from optcc.dtypes import real_of

        dtype = real_of(jnp.result_type(float, *params.dtypes.values()))
        return {"should_skip": b.number(0, bool, weak=False), "norm_squared": b.number(0.0, dtype, weak=False)}

    def update(
        self, b: Builder, updates: Tree, state: OptState, params: Tree | None, *, max_squared_norm: Scalar, **_: Any
    ):
        norm_squared = b.abs_sq(updates).sum()
        # Not `>=`: a NaN is to be skipped, too.
        skip = b.logical("xor", norm_squared < max_squared_norm, True)
        return skip, {"should_skip": skip, "norm_squared": norm_squared}


@dataclass(frozen=True)
class _Opaque:
    """Any other function: a call, with its state as one tree over a leaf set of its own."""

    function: ShouldSkipUpdateFunction
    hypers: Mapping[str, Any] = field(default_factory=dict)

    def init(self, b: Builder, params: Tree) -> Any:
        from optcc.importers.foreign import as_shapes, opaque_leaf_set

        weights = as_shapes(b, params)
        _, shapes = jax.eval_shape(self.function, weights, jax.ShapeDtypeStruct((), jnp.int32), weights)
        leaf_set, dtypes = opaque_leaf_set(b, "skip_state", shapes)
        operands = [b.zeros_like(params), b.integer(0), params]
        return self._call(b, operands, leaf_set, dtypes)[1]

    def update(self, b: Builder, updates: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        operands = [updates, state.gradient_step, *([] if params is None else [params])]
        skip, skip_state = self._call(b, operands, state.skip_state.leaf_set, state.skip_state.dtypes)
        return skip, skip_state

    def _call(
        self, b: Builder, operands: Sequence[Any], leaf_set: GroupedLeaves, dtypes: dict[int, np.dtype]
    ) -> list[Any]:
        structure, where = operands[0].leaf_set.structure, b.where_in_chain
        kept = {i: dtypes[k] for k, members in leaf_set.members.items() for i in members}

        def call(updates: Updates, step: Any, params: Params = None) -> list[Any]:
            weights = None if params is None else jax.tree.unflatten(structure, params)
            skip, skip_state = self.function(jax.tree.unflatten(structure, updates), step, weights)
            skip = jnp.asarray(skip)
            if skip.dtype != bool or skip.shape != ():
                raise ValueError(
                    message(
                        f"should_skip_update_fn must return a 0-d bool first, got {skip.dtype}{list(skip.shape)}",
                        where,
                        "reduce it with jnp.any or jnp.all",
                    )
                )
            return [skip, [jnp.asarray(x, kept[i]) for i, x in enumerate(jax.tree.leaves(skip_state))]]

        return b.call("should_skip", call, operands, [np.dtype(bool), (leaf_set, dtypes)])
