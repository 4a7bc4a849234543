"""Schedules that keep a state, for `inject_hyperparams`."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from optcc import base
from optcc.numerics import safe_increment


class StatefulSchedule(Protocol):
    """A schedule with a state of its own, a pytree of arrays, which may follow extra arguments such as the loss."""

    def init(self) -> Any:
        """The initial state."""
        ...

    def update(self, state: Any, **extra_args: Any) -> Any:
        """The state after a step."""
        ...

    def __call__(self, state: Any, **extra_args: Any) -> jax.typing.ArrayLike:
        """The value of a step, from the state before it."""
        ...


class WrappedScheduleState(NamedTuple):
    """The number of steps, a 0-d int32: the state of a schedule that is a function of it."""

    count: base.Count


class WrappedSchedule:
    """A function of the step count as a schedule that counts by itself."""

    def __init__(self, schedule_fn: base.Schedule) -> None:
        self.schedule_fn = schedule_fn

    def init(self) -> WrappedScheduleState:
        """A count of 0."""
        return WrappedScheduleState(jnp.zeros([], jnp.int32))

    def update(self, state: WrappedScheduleState, **extra_args: Any) -> WrappedScheduleState:
        """The count plus 1; extra arguments are ignored."""
        del extra_args
        return WrappedScheduleState(safe_increment(state.count))

    def __call__(self, state: WrappedScheduleState, **extra_args: Any) -> jax.typing.ArrayLike:
        """The function at the count; extra arguments are ignored."""
        del extra_args
        return self.schedule_fn(state.count)
