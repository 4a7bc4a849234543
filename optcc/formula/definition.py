"""What a transformation is inside optcc: its formula as two functions over a builder.

This module does not import the IR: defining a transformation costs nothing until it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from optcc import base
from optcc.base import Params, Updates

if TYPE_CHECKING:
    from optcc.formula.builder import Builder

InitFn = Callable[..., Any]
UpdateFn = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Definition:
    """One transformation: how its initial state and its update are written in the IR.

    `init(b, params)` returns the state, a pytree of builder values; `update(b, updates, state, params, **hypers)`
    returns the new updates and the new state. `hypers` are numbers, or 0-d arrays, that the user may change at run
    time; `update` sees them as scalars of the IR. A combinator lists the definitions it applies in `children`.
    """

    name: str
    init: InitFn
    update: UpdateFn
    hypers: Mapping[str, Any] = field(default_factory=dict)
    children: tuple[Definition, ...] = ()
    numbers_children: bool = True
    """Whether the children's indices are part of their names, as in a chain."""
    labels: tuple[str, ...] = ()
    """What the children are called in names in place of their indices, if not empty."""
    uses_extra_args: bool = False
    takes_examples: bool = False
    """Whether the updates have an axis of examples in front that the parameters have not."""
    passes_through: bool = False
    """Whether leaves that are no floats pass through, for the children to say what becomes of them."""
    check: Callable[[Mapping[str, Any]], None] | None = None
    """Raises ValueError for hypers, by name, that are out of range: those given, or those of a step."""

    def __post_init__(self) -> None:
        if self.check is not None:
            self.check(self.hypers)


@dataclass(frozen=True, eq=False)
class InterpretedInit:
    """The `init` of a pair: builds the program for these parameters once, then interprets it."""

    definition: Definition

    def __call__(self, params: base.Params) -> base.OptState:
        from optcc.interpret.pairs import interpret_init

        return interpret_init(self.definition, params)


@dataclass(frozen=True, eq=False)
class InterpretedUpdate:
    """The `update` of a pair: builds the program for these arrays once, then interprets it."""

    definition: Definition

    def __call__(
        self, updates: base.Updates, state: base.OptState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, base.OptState]:
        from optcc.interpret.pairs import interpret_update

        return interpret_update(self.definition, updates, state, params, extra_args)


def as_pair(definition: Definition) -> base.GradientTransformationExtraArgs:
    """The public init/update pair of a definition."""
    return base.GradientTransformationExtraArgs(InterpretedInit(definition), InterpretedUpdate(definition))


def transformation(name: str, init: InitFn, update: UpdateFn, **hypers: Any) -> base.GradientTransformationExtraArgs:
    """Make a gradient transformation from its formula; see `Definition`."""
    return as_pair(Definition(name, init, update, hypers))


def stateless(
    name: str, update: UpdateFn, state: type = base.EmptyState, *, passes_through: bool = False, **hypers: Any
) -> base.GradientTransformationExtraArgs:
    """As `transformation`, for one without arrays in its state; `update(b, updates, params, **hypers)`.

    `passes_through` says that it computes with no leaf, so that any may pass through.
    """

    def init(b: Builder, params: Params) -> Any:
        del b, params
        return state()

    def wrapped(b: Builder, updates: Updates, old: Any, params: Params, **values: Any) -> Any:
        return update(b, updates, params, **values), old

    return as_pair(Definition(name, init, wrapped, hypers, passes_through=passes_through))


def definition_of(tx: base.GradientTransformation) -> Definition:
    """The definition behind a pair; a foreign pair becomes opaque calls.

    Raises TypeError if `tx` is no init/update pair.
    """
    known = known_definition(tx)
    if known is not None:
        return known
    from optcc.importers.foreign import foreign_definition

    return foreign_definition(tx)


def known_definition(tx: Any) -> Definition | None:
    """The definition behind a pair of optcc's, or behind an object that has one, such as `MultiSteps`; else None."""
    match getattr(tx, "init", None), getattr(tx, "update", None), getattr(tx, "definition", None):
        case InterpretedInit(first), InterpretedUpdate(second), _ if first is second:
            return second
        case _, _, Definition() as definition:
            return definition
        case _:
            return None
