"""Schedules of injected hyperparameters: functions of the step count, and objects that keep a state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.stateful_schedules import StatefulSchedule, WrappedScheduleState

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


def injected(name: str, schedule: Any) -> PlainSchedule | ObjectSchedule:
    """The schedule of a hyperparameter: one with `init` and `update` keeps a state."""
    keeps_state = all(callable(getattr(schedule, method, None)) for method in ("init", "update"))
    return ObjectSchedule(name, schedule) if keeps_state else PlainSchedule(schedule)


@dataclass(frozen=True)
class PlainSchedule:
    """A function of the step count."""

    function: base.Schedule

    def init(self, b: Builder) -> WrappedScheduleState:
        return WrappedScheduleState(b.integer(0))

    def value(self, b: Builder, state: WrappedScheduleState) -> Scalar:
        return b.schedule(self.function, state.count)

    def advance(self, b: Builder, state: WrappedScheduleState) -> WrappedScheduleState:
        return WrappedScheduleState(b.increment(state.count))


@dataclass(frozen=True)
class ObjectSchedule:
    """An object with `init`, `update` and `__call__`, as opaque calls; its state is a tree over leaves of its own."""

    name: str
    schedule: StatefulSchedule

    def init(self, b: Builder) -> Tree:
        from optcc.importers.foreign import opaque_leaf_set

        results = [opaque_leaf_set(b, f"{self.name}_state", jax.eval_shape(self.schedule.init))]
        return b.call(f"{self.name}_init", lambda: [jax.tree.leaves(self.schedule.init())], [], results)[0]

    def value(self, b: Builder, state: Tree) -> Scalar:
        from optcc.importers.foreign import as_shapes

        call, operands = self._call(b, self.schedule, state)
        shape = jax.eval_shape(call, *(jax.tree.leaves(as_shapes(b, tree)) for tree in operands))
        results = [np.dtype(shape.dtype)]
        return b.call(f"{self.name}_value", lambda *arrays: [jnp.asarray(call(*arrays))], operands, results)[0]

    def advance(self, b: Builder, state: Tree) -> Tree:
        call, operands = self._call(b, self.schedule.update, state)
        results = [(state.leaf_set, state.dtypes)]
        return b.call(f"{self.name}_update", lambda *arrays: [jax.tree.leaves(call(*arrays))], operands, results)[0]

    def _call(self, b: Builder, function: Callable[..., Any], state: Tree) -> tuple[Callable[..., Any], list[Tree]]:
        """A method of the schedule on lists of arrays, and the trees they are: the state and the extra arguments."""
        extras = b.extra_args or {}
        operands = [state, *extras.values()]

        def call(*arrays: Any) -> Any:
            first, *rest = (
                jax.tree.unflatten(tree.leaf_set.structure, a) for tree, a in zip(operands, arrays, strict=True)
            )
            return function(first, **dict(zip(extras, rest, strict=True)))

        return call, operands
