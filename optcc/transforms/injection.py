"""Hyperparameters as part of the state: `inject_hyperparams`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.base import OptState
from optcc.errors import did_you_mean, message
from optcc.formula.definition import Definition, as_pair, known_definition
from optcc.formula.hyper_names import INNER
from optcc.functions_given import is_function
from optcc.stateful_schedules import WrappedScheduleState
from optcc.transforms.injected_schedules import ObjectSchedule, PlainSchedule, injected
from optcc.transforms.moments import DType, canonical

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

_NOTE = (
    "Within the function given to inject_hyperparams, hyperparameters are values of the IR: Python's operators work on "
    "them, jax.numpy and truth tests do not; name an argument in static_args to get it as it was given."
)


class InjectHyperparamsState(NamedTuple):
    """The number of steps, a 0-d int32, the hyperparameters by name, each a 0-d array, and the inner state."""

    count: base.Count
    hyperparams: dict[str, Any]
    inner_state: base.OptState


class InjectStatefulHyperparamsState(NamedTuple):
    """As `InjectHyperparamsState`, with the states of the schedules, where one of them keeps a state."""

    count: base.Count
    hyperparams: dict[str, Any]
    hyperparams_states: dict[str, Any]
    inner_state: base.OptState


def inject_hyperparams(
    inner_factory: Callable[..., base.GradientTransformation],
    static_args: str | Iterable[str] = (),
    hyperparam_dtype: DType | None = None,
) -> Callable[..., base.GradientTransformationExtraArgs]:
    """Keep the hyperparameters of a transformation in its state, where they can be read, changed and scheduled.

    The function returned takes the arguments of ``inner_factory``; numbers and 0-d arrays become entries of
    ``state.hyperparams``, and any of them may be a schedule, evaluated at the number of earlier steps. A new value
    assigned to an entry that has no schedule is used from the next step on, without a compilation. Bools, None,
    strings and all other objects, and what ``static_args`` names, are passed on as they are.

    Args:
      inner_factory: makes the transformation. It is called when a program is built, with values of the IR for the
        hyperparameters: Python's operators work on them, ``jax.numpy`` and truth tests do not.
      static_args: names of arguments to leave alone, such as functions that are no schedules.
      hyperparam_dtype: the dtype of real hyperparameters; by default the widest of the parameters, float32
        at least.

    State: ``InjectHyperparamsState(count, hyperparams, inner_state)``; with a schedule that keeps a state, an object
    with ``init()``, ``update(state, **extra_args)`` and ``__call__(state, **extra_args)``,
    ``InjectStatefulHyperparamsState(count, hyperparams, hyperparams_states, inner_state)``.

    Raises ValueError where ``static_args`` names no argument, TypeError for an array that is not 0-d; and, when a
    program is built, TypeError for what has to be known then, such as a size, and is not in ``static_args``.
    """
    static = {static_args} if isinstance(static_args, str) else set(static_args)
    signature = inspect.signature(inner_factory)
    for name in static:
        if name not in signature.parameters:
            raise ValueError(
                message(
                    f"static_args names {name!r}, which is no argument of {_name_of(inner_factory)}",
                    fix=did_you_mean(name, signature.parameters) or f"one of {', '.join(signature.parameters)}",
                )
            )

    @functools.wraps(inner_factory)
    def make(*args: Any, **kwargs: Any) -> base.GradientTransformationExtraArgs:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = {name: value for name, value in bound.arguments.items() if name not in static}
        for name, value in given.items():
            _check_text(signature.parameters[name], value, _name_of(inner_factory))
        numbers = {name: value for name, value in given.items() if _is_number(name, value)}
        schedules = {name: injected(name, value) for name, value in given.items() if is_function(value)}

        def rebuild(values: Mapping[str, Any]) -> base.GradientTransformation:
            now = inspect.BoundArguments(signature, type(bound.arguments)({**bound.arguments, **values}))
            return inner_factory(*now.args, **now.kwargs)

        return as_pair(
            _Injection(rebuild, numbers, schedules, canonical(hyperparam_dtype), _name_of(inner_factory)).definition()
        )

    return make


inject_stateful_hyperparams = inject_hyperparams
"""The older name for schedules that keep a state."""


def _name_of(factory: Callable[..., Any]) -> str:
    """What errors call a factory: a name to type, also for a lambda or a partial application."""
    name = getattr(factory, "__name__", "")
    return name if name.isidentifier() else "factory"


def _check_text(parameter: inspect.Parameter, value: Any, factory: str) -> None:
    """Raises TypeError for a string in the place of a number, which would be left alone and found at the first step."""
    annotated = any(word in str(parameter.annotation) for word in ("Scalar", "ArrayLike", "float |"))
    numeric = isinstance(parameter.default, int | float) or annotated
    if isinstance(value, str | bytes) and numeric and not isinstance(parameter.default, bool):
        what = f"hyperparameter {parameter.name!r} must be a number or a 0-d array, got {value!r}"
        fix = "pass a number, or a schedule where one may be"
        raise TypeError(message(what, f"inject_hyperparams({factory})", fix))


def _is_number(name: str, value: Any) -> bool:
    """Whether an argument becomes a hyperparameter: bools, and numpy's scalars, do not, as in Optax."""
    if isinstance(value, bool) or not isinstance(value, int | float | jax.Array | np.ndarray):
        return False
    if np.ndim(value):
        raise TypeError(
            message(
                f"a hyperparameter must be a number or a 0-d array, but {name} has the shape {list(np.shape(value))}",
                fix=f"pass static_args={name!r}, so that it is left alone",
            )
        )
    return True


def _dtype_of(value: Any, real: np.dtype) -> np.dtype:
    """The dtype of an entry: a float takes `real`, unless it is an array with a dtype of its own."""
    if isinstance(value, jax.Array) and not value.aval.weak_type:
        return np.dtype(value.dtype)
    dtype = np.dtype(jnp.result_type(value))
    return real if jnp.issubdtype(dtype, jnp.floating) else dtype


def _widened(b: Builder, value: Scalar) -> Scalar:
    """A hyperparameter as formulas use it: in float32 if it is narrower, without a say in the dtype of results."""
    from optcc.dtypes import compute_dtype

    dtype = compute_dtype(value.dtype)
    return value if dtype == value.dtype else b.cast_scalar(value, dtype, weak=True)


@dataclass(frozen=True)
class _Injection:
    """What is injected: `rebuild` makes the inner transformation from hyperparameters by name.

    `factory` is the name of what makes it, for errors.
    """

    rebuild: Callable[[Mapping[str, Any]], base.GradientTransformation]
    numbers: Mapping[str, Any]
    schedules: Mapping[str, PlainSchedule | ObjectSchedule]
    dtype: np.dtype | None
    factory: str

    def definition(self) -> Definition:
        return Definition(
            "inject_hyperparams", self.init, self.update, self.numbers, uses_extra_args=True, passes_through=True
        )

    def init(self, b: Builder, params: Tree) -> Any:
        from optcc.dtypes import compute_dtype, real_of

        # A decay of 0.999 is 1 in bfloat16.
        real = self.dtype or compute_dtype(real_of(jnp.result_type(*(params.dtypes.values() or [float]))))
        hyperparams = {
            name: b.cast_scalar(b.hyper(name, value), _dtype_of(value, real)) for name, value in self.numbers.items()
        }
        states: dict[str, Any] = {name: schedule.init(b) for name, schedule in self.schedules.items()}
        for name, schedule in self.schedules.items():
            value = schedule.value(b, states[name])
            kept = value.array_dtype
            hyperparams[name] = b.cast_scalar(
                value, real if value.weak and jnp.issubdtype(kept, jnp.floating) else kept
            )
        inner_state = self._with_inner(b, hyperparams, lambda inner: b.initialize(INNER, inner, params))
        return self._state(b.integer(0), hyperparams, states, inner_state)

    def update(self, b: Builder, updates: Tree, state: OptState, params: Tree | None, **_: Scalar):
        count = WrappedScheduleState(state.count)
        states: dict[str, Any] = getattr(state, "hyperparams_states", dict.fromkeys(self.schedules, count))
        hyperparams = dict(state.hyperparams)
        for name, schedule in self.schedules.items():
            hyperparams[name] = b.cast_scalar(schedule.value(b, states[name]), hyperparams[name].dtype)
        states = {name: schedule.advance(b, states[name]) for name, schedule in self.schedules.items()}
        new, inner_state = self._with_inner(
            b, hyperparams, lambda inner: b.apply(INNER, inner, updates, state.inner_state, params)
        )
        return new, self._state(b.increment(state.count), hyperparams, states, inner_state)

    def _state(self, count: Scalar, hyperparams: dict[str, Scalar], states: dict[str, Any], inner_state: Any) -> Any:
        if any(isinstance(schedule, ObjectSchedule) for schedule in self.schedules.values()):
            return InjectStatefulHyperparamsState(count, hyperparams, states, inner_state)
        return InjectHyperparamsState(count, hyperparams, inner_state)

    def _with_inner(self, b: Builder, hyperparams: Mapping[str, Scalar], use: Callable[[Definition], Any]) -> Any:
        """What `use` makes of the inner transformation, which may need some arguments as they were given."""

        from optcc.formula.folds import MixedGroupError

        def attempt(static: Collection[str]) -> Any:
            return use(self._inner(b, {name: value for name, value in hyperparams.items() if name not in static}))

        try:
            return attempt(())
        except MixedGroupError:
            raise  # not a failure: the program is built again
        except Exception as error:
            # The function being built is given up, so what the attempts add to it harms nobody.
            needed = _least_that_works([*self.numbers, *self.schedules], attempt)
            if not needed:
                raise
            refusal = self._needs_static(needed, b.where_in_chain)
            refusal.add_note(_NOTE)
            raise refusal from error

    def _needs_static(self, names: Sequence[str], where: str) -> TypeError:
        quoted = ", ".join(f'"{name}"' for name in names)
        plural = "s" if len(names) > 1 else ""
        form = "as given" if set(names) & set(self.schedules) else f"as {'' if plural else 'a '}Python number{plural}"
        return TypeError(
            message(
                f"{self.factory} needs its argument{plural} {quoted} {form} when the program is built, "
                f"but inject_hyperparams makes {'hyperparameters of them' if plural else 'a hyperparameter of it'}",
                where,
                f"inject_hyperparams({self.factory}, static_args=({quoted}{'' if plural else ','})); "
                f"or let {self.factory} use only Python's operators",
            )
        )

    def _inner(self, b: Builder, hyperparams: Mapping[str, Scalar]) -> Definition:
        try:
            tx = self.rebuild({name: _widened(b, value) for name, value in hyperparams.items()})
        except Exception as error:
            error.add_note(_NOTE)
            raise
        known = known_definition(tx)
        if known is not None:
            return known
        from optcc.importers.foreign import foreign_definition

        # Not optcc's: it is made again inside the opaque call, where the hyperparameters are arrays.
        names = list(hyperparams)
        return foreign_definition(
            tx, lambda *values: self.rebuild(dict(zip(names, values, strict=True))), list(hyperparams.values())
        )


def _least_that_works(names: Sequence[str], attempt: Callable[[Collection[str]], Any]) -> Sequence[str]:
    """Names that suffice for `attempt` to succeed, none of which can be left out; none if all do not."""

    def works(chosen: Collection[str]) -> bool:
        try:
            attempt(chosen)
        except Exception:  # whatever a factory raises: only whether it does is asked
            return False
        return True

    if not works(names):
        return ()
    needed = list(names)
    for name in names:
        fewer = [other for other in needed if other != name]
        if fewer and works(fewer):
            needed = fewer
    return needed
