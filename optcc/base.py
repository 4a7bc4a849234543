"""Public types: the init/update pair, its states and type aliases. No IR here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax

PyTree: TypeAlias = Any
Count: TypeAlias = Any
"""The number of steps taken, a 0-d int32 array."""
Number: TypeAlias = Any
"""A 0-d float array of a state."""
OptState: TypeAlias = PyTree
"""A pytree of arrays that a gradient transformation keeps between steps."""
Params: TypeAlias = PyTree
"""A pytree of parameter arrays."""
Updates: TypeAlias = Params
"""A pytree with the structure of the parameters: gradients, or what is added to the parameters."""
Schedule: TypeAlias = Callable[[jax.typing.ArrayLike], jax.typing.ArrayLike]
"""A function from the step count, a 0-d int32 array, to a hyperparameter's value."""
ScalarOrSchedule: TypeAlias = float | jax.Array | Schedule
MaskOrFn: TypeAlias = PyTree | Callable[[Params], PyTree] | None
"""A pytree of bools that is a prefix of the parameters, or a function from the parameters to one."""


class TransformInitFn(Protocol):
    """Makes the initial state from the parameters, whose values need not be used."""

    def __call__(self, params: Params) -> OptState: ...


class TransformUpdateFn(Protocol):
    """Transforms updates: returns the new updates and the new state."""

    def __call__(self, updates: Updates, state: OptState, params: Params | None = None) -> tuple[Updates, OptState]: ...


class TransformUpdateExtraArgsFn(Protocol):
    """As `TransformUpdateFn`, with further keyword arguments; those not needed must be accepted and ignored."""

    def __call__(
        self, updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any
    ) -> tuple[Updates, OptState]: ...


class GradientTransformation(NamedTuple):
    """A pair of pure functions that transform gradients.

    Attributes:
      init: from the parameters to the initial state.
      update: from updates, state and, optionally, parameters to new updates and the new state.
    """

    init: TransformInitFn
    update: TransformUpdateFn


class GradientTransformationExtraArgs(GradientTransformation):
    """A gradient transformation whose update accepts keyword arguments beyond the parameters."""

    update: TransformUpdateExtraArgsFn


class EmptyState(NamedTuple):
    """The state of a transformation that keeps none."""


def init_empty_state(params: Params) -> EmptyState:
    """The ``init`` of a transformation that keeps no state."""
    del params
    return EmptyState()


class MaskedNode(NamedTuple):
    """Stands in a masked tree where a leaf is left out; a container without leaves."""


class SplitRealAndImaginaryArrays(NamedTuple):
    """A complex array as two real ones."""

    real: jax.Array
    imaginary: jax.Array


class LookaheadParams(NamedTuple):
    """The two sets of parameters of `lookahead`.

    Attributes:
      fast: what the fast optimizer changes at each step; take gradients with respect to these.
      slow: what follows them from sync to sync; evaluate and deploy these.
    """

    fast: Params
    slow: Params

    @classmethod
    def init_synced(cls, params: Params) -> LookaheadParams:
        """Fast and slow parameters that start from the same values, each in arrays of their own.

        A step that is given both in place would otherwise be given one buffer twice.
        """
        return cls(fast=params, slow=jax.tree.map(lambda x: x.copy() if hasattr(x, "copy") else x, params))


def with_extra_args_support(tx: GradientTransformation) -> GradientTransformationExtraArgs:
    """The same transformation with an update that accepts, and if need be drops, extra keyword arguments."""
    if isinstance(tx, GradientTransformationExtraArgs):
        return tx

    def update(updates: Updates, state: OptState, params: Params | None = None, **extra_args: Any):
        del extra_args
        return tx.update(updates, state, params)

    return GradientTransformationExtraArgs(tx.init, update)
