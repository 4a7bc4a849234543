"""Transformations that keep something in bounds: nonnegative parameters, no NaN, no update at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from optcc import base
from optcc.formula.definition import stateless, transformation
from optcc.pass_through import passed_in

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree

NonNegativeParamsState = base.EmptyState


class ZeroNansState(NamedTuple):
    """For each leaf whether the last updates had a NaN in it, a 0-d bool."""

    found_nan: base.PyTree


def set_to_zero() -> base.GradientTransformationExtraArgs:
    """Replace the updates by zeros, whatever they are. State: ``EmptyState()``."""

    def update(b: Builder, updates: Tree, params: Tree | None) -> Tree:
        b.zeroed.update(leaf.place for leaf in passed_in(updates.leaf_set.structure))
        return b.zeros_like(updates)

    return stateless("set_to_zero", update, passes_through=True)


def keep_params_nonnegative() -> base.GradientTransformationExtraArgs:
    """Make a parameter zero where its update would make it negative: ``u = -p`` where ``p + g < 0``, else ``u = g``.

    State: ``EmptyState()``. Raises ValueError if ``update`` gets no parameters.
    """

    def update(b: Builder, g: Tree, params: Tree | None) -> Tree:
        p = b.require_params(params)
        return b.where(p + g < 0.0, -p, g)

    return stateless("keep_params_nonnegative", update)


def zero_nans() -> base.GradientTransformationExtraArgs:
    """Replace every NaN by zero: ``u = 0`` where ``g`` is NaN, else ``u = g``.

    State: ``ZeroNansState(found_nan)``, a bool for each leaf, about the last step.
    """

    def init(b: Builder, params: Tree) -> ZeroNansState:
        return ZeroNansState(found_nan=b.full_like(params, 0.0, bool, extent=b.PER_LEAF))

    def update(b: Builder, g: Tree, state: ZeroNansState, params: Tree | None):
        is_nan = b.compare("ne", g, g)
        found = b.reduce_leaves(b.where(is_nan, 1.0, 0.0), b.MAX) > 0.5
        return b.where(is_nan, 0.0, g), ZeroNansState(found_nan=found)

    return transformation("zero_nans", init, update)
