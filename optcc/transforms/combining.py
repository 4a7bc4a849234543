"""Combinators: apply transformations one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optcc import base
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Tree


def chain(*args: base.GradientTransformation) -> base.GradientTransformationExtraArgs:
    """Apply transformations in order, each to the updates of the one before.

    State: a tuple with the state of each. A pair that optcc did not define, Optax's own or hand-written, becomes an
    opaque call. Raises ValueError without an argument, TypeError for an argument that is no init/update pair.
    """
    if not args:
        raise ValueError(message("chain needs at least one transformation", fix="use identity() to do nothing"))
    children = tuple(definition_of(tx) for tx in args)

    def init(b: Builder, params: Tree) -> tuple[Any, ...]:
        return tuple(b.initialize(i, child, params) for i, child in enumerate(children))

    def update(b: Builder, updates: Tree, state: tuple[Any, ...], params: Tree | None):
        new_state: list[Any] = []
        for i, (child, old) in enumerate(zip(children, state, strict=True)):
            updates, new = b.apply(i, child, updates, old, params)
            new_state.append(new)
        return updates, tuple(new_state)

    return as_pair(Definition("chain", init, update, children=children))
