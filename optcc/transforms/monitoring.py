"""Measurements of the updates, kept in the state: snapshot, monitor, measure_with_ema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from optcc import base
from optcc.base import OptState
from optcc.formula.definition import Definition, as_pair, definition_of, transformation
from optcc.formula.hyper_names import child_labels
from optcc.transforms.moments import DType, ema

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree

Measure = Callable[[base.Updates], base.PyTree]
"""From updates to a pytree of arrays."""


class SnapshotState(NamedTuple):
    """The last measurement, by its name."""

    measurement: dict[str, Any]


class MonitorState(NamedTuple):
    """The last measurements by their names, and the state of each measuring transformation, in their order."""

    measurements: dict[str, base.PyTree]
    measure_states: tuple[base.OptState, ...]


def snapshot(measure_name: str, measure: Measure) -> base.GradientTransformationExtraArgs:
    """Keep a function of the updates in the state; the updates pass through.

    ``measure`` maps updates to a pytree of arrays. It is traced JAX code and an opaque call in the IR. State:
    ``SnapshotState({measure_name: measure(updates)})``, in the initial state of the parameters.
    """

    def init(b: Builder, params: Tree) -> SnapshotState:
        return SnapshotState({measure_name: _measured(b, measure, params)})

    def update(b: Builder, updates: Tree, state: SnapshotState, params: Tree | None):
        return updates, SnapshotState({measure_name: _measured(b, measure, updates)})

    return transformation("snapshot", init, update)


def monitor(
    measures: Mapping[str, base.GradientTransformation | Measure],
) -> base.GradientTransformationExtraArgs:
    """Keep measurements of the updates in the state; the updates pass through.

    Each of ``measures`` is a function from updates to a pytree of arrays, or a transformation whose new updates are the
    measurement, such as `measure_with_ema`. State: ``MonitorState(measurements, measure_states)``. In the initial state
    the measurements are zeros, so that the state keeps its structure; Optax has none there.
    """
    children = tuple(map(_measuring, measures.values()))
    names = list(measures)
    labels = child_labels(names)

    def run(b: Builder, updates: Tree, states: list[Any], params: Tree | None) -> tuple[dict[str, Tree], list[Any]]:
        measurements: dict[str, Tree] = {}
        new_states: list[Any] = []
        for name, label, child, state in zip(names, labels, children, states, strict=True):
            measurements[name], new = b.apply(label, child, updates, state, params)
            new_states.append(new)
        return measurements, new_states

    def init(b: Builder, params: Tree) -> MonitorState:
        states = [b.initialize(label, child, params) for label, child in zip(labels, children, strict=True)]
        measurements, _ = run(b, params, states, params)
        return MonitorState({name: b.zeros_like(tree) for name, tree in measurements.items()}, tuple(states))

    def update(b: Builder, updates: Tree, state: MonitorState, params: Tree | None):
        measurements, states = run(b, updates, list(state.measure_states), params)
        return updates, MonitorState(measurements, tuple(states))

    return as_pair(Definition("monitor", init, update, children=children, labels=labels))


def measure_with_ema(
    measure: Measure, decay: jax.typing.ArrayLike, debias: bool = True, accumulator_dtype: DType | None = None
) -> base.GradientTransformationExtraArgs:
    """The exponential moving average of a function of the updates: a measuring transformation for `monitor`.

    Its new updates are the average of ``measure(updates)``, as `ema` makes it. State: ``(EmptyState(), EmaState)``.
    """
    child = definition_of(ema(decay, debias, accumulator_dtype))

    def init(b: Builder, params: Tree) -> Any:
        return base.EmptyState(), b.initialize(1, child, _measured(b, measure, params))

    def update(b: Builder, updates: Tree, state: OptState, params: Tree | None):
        average, new = b.apply(1, child, _measured(b, measure, updates), state[1], None)
        return average, (base.EmptyState(), new)

    return as_pair(Definition("measure_with_ema", init, update, children=(child,), labels=("1",)))


def _measuring(measure: Any) -> Definition:
    """The transformation given, or one without state whose new updates are those of the function given."""
    if hasattr(measure, "update"):
        return definition_of(measure)

    def init(b: Builder, params: Tree) -> Any:
        return base.EmptyState()

    def update(b: Builder, updates: Tree, state: OptState, params: Tree | None):
        return _measured(b, measure, updates), state

    return Definition("measure", init, update)


def _measured(b: Builder, measure: Measure, tree: Tree) -> Tree:
    """What the function makes of a tree, over leaves of its own."""
    from optcc.importers.foreign import as_shapes, opaque_leaf_set

    shapes = jax.eval_shape(measure, as_shapes(b, tree))
    leaf_set, dtypes = opaque_leaf_set(b, "measurement", shapes)

    def call(arrays: Any) -> list[Any]:
        return [jax.tree.leaves(measure(jax.tree.unflatten(tree.leaf_set.structure, arrays)))]

    return b.call("measure", call, [tree], [(leaf_set, dtypes)])[0]
