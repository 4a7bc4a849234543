"""Combinators: apply transformations one after another."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from optcc import base
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair, definition_of
from optcc.formula.hyper_names import child_labels

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

    return as_pair(Definition("chain", init, update, children=children, passes_through=True))


def named_chain(*args: tuple[str, base.GradientTransformation]) -> base.GradientTransformationExtraArgs:
    """As `chain`, for pairs of a name and a transformation.

    State: an ordered dict with the state of each by its name. Hyperparameters are named by it, too, if all names are
    words. Raises ValueError without an argument and for a name that occurs twice.
    """
    names = [name for name, _ in args]
    if len(set(names)) < len(names):
        raise ValueError(message(f"the names in named_chain must be unique, got {names}", fix="rename some"))
    if not args:
        raise ValueError(message("named_chain needs at least one transformation", fix="use identity() to do nothing"))
    children = tuple(definition_of(tx) for _, tx in args)
    labels = child_labels(names)

    def init(b: Builder, params: Tree) -> OrderedDict[str, Any]:
        return OrderedDict(
            (name, b.initialize(label, child, params))
            for name, label, child in zip(names, labels, children, strict=True)
        )

    def update(b: Builder, updates: Tree, state: OrderedDict[str, Any], params: Tree | None):
        new_state: OrderedDict[str, Any] = OrderedDict()
        for name, label, child in zip(names, labels, children, strict=True):
            updates, new_state[name] = b.apply(label, child, updates, state[name], params)
        return updates, new_state

    return as_pair(Definition("named_chain", init, update, children=children, labels=labels, passes_through=True))
