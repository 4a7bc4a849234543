"""Wrappers that add updates up over several steps: `apply_every` and `MultiSteps`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.formula.definition import Definition, as_pair, definition_of, transformation
from optcc.formula.hyper_names import INNER
from optcc.skipping import ShouldSkipUpdateFunction
from optcc.transforms.moments import DType, canonical
from optcc.transforms.skip_conditions import skip_condition

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree


class ApplyEvery(NamedTuple):
    """The number of steps since updates were last let through, a 0-d int32, and the sum of the updates since then."""

    count: base.Count
    grad_acc: base.Updates


class MultiStepsState(NamedTuple):
    """The state of `MultiSteps`.

    Attributes:
      mini_step: how many mini-steps are accumulated, a 0-d int32.
      gradient_step: how often the inner transformation was applied, a 0-d int32.
      inner_opt_state: its state.
      acc_grads: the mean, or the sum, of the updates accumulated.
      skip_state: what the function that decides on skipping returned last.
    """

    mini_step: base.Count
    gradient_step: base.Count
    inner_opt_state: Any
    acc_grads: base.Updates
    skip_state: base.PyTree = ()


def apply_every(k: jax.typing.ArrayLike = 1) -> base.GradientTransformationExtraArgs:
    """Let through the sum of k steps' updates at every k-th step, and zeros at the others.

    Transformations before and after it in a chain see every step; `MultiSteps` accumulates in front of a whole
    optimizer. State: ``ApplyEvery(count, grad_acc)``, ``count`` modulo ``k``. A NaN is forgotten with the k steps that
    it was in.
    """

    def init(b: Builder, params: Tree) -> ApplyEvery:
        return ApplyEvery(count=b.integer(0), grad_acc=b.zeros_like(params))

    def update(b: Builder, g: Tree, state: ApplyEvery, params: Tree | None, *, k: Scalar):
        k = b.cast_scalar(k, np.int32)
        count = b.remainder(state.count, k)
        total = b.where(count.equals(0), 0.0, state.grad_acc) + g
        new_count = b.remainder(b.increment(state.count), k)
        return b.where(count.equals(k - 1), total, 0.0), ApplyEvery(new_count, total)

    return transformation("apply_every", init, update, k=k)


class MultiSteps:
    """Accumulate updates over k mini-steps, then apply a transformation to their mean.

    On the mini-steps between, the updates are zeros and the inner state stays as it is. With n mini-steps accumulated,
    per leaf ``acc <- acc + (g - acc) / (n + 1)``, or ``acc <- acc + g`` for a sum; at the k-th, ``u = inner(acc)`` and
    ``acc`` is zeros again. The choice is made inside the sweeps, so that no second copy of the state is needed.

    Args:
      opt: the transformation to apply.
      every_k_schedule: k, or a function from the gradient step, a 0-d int32, to k.
      use_grad_mean: whether the mean is taken, or the sum.
      should_skip_update_fn: decides, from the updates of a mini-step, the gradient step and the parameters, whether to
        leave the mini-step out as if it had not been; for instance ``skip_not_finite``, or
        ``functools.partial(skip_large_updates, max_squared_norm=1.0)``. Any other function is an opaque call.
      accumulator_dtype: the dtype of ``acc_grads``, of complex leaves that of their parts; None for that of the
        parameters.

    State: `MultiStepsState`. It is an init/update pair and goes wherever one does.
    """

    def __init__(
        self,
        opt: base.GradientTransformation,
        every_k_schedule: int | Callable[[jax.typing.ArrayLike], jax.typing.ArrayLike],
        use_grad_mean: bool = True,
        should_skip_update_fn: ShouldSkipUpdateFunction | None = None,
        accumulator_dtype: DType | None = jnp.float32,
    ) -> None:
        self._opt = base.with_extra_args_support(opt)
        self.definition = _multi_steps(
            definition_of(opt), every_k_schedule, use_grad_mean, should_skip_update_fn, canonical(accumulator_dtype)
        )
        self._pair = as_pair(self.definition)

    @property
    def inner_opt(self) -> base.GradientTransformationExtraArgs:
        """The transformation that is applied to what was accumulated."""
        return self._opt

    def init(self, params: base.Params) -> MultiStepsState:
        """The initial state."""
        return self._pair.init(params)

    def update(
        self, updates: base.Updates, state: MultiStepsState, params: base.Params | None = None, **extra_args: Any
    ) -> tuple[base.Updates, MultiStepsState]:
        """Accumulate, and apply the inner transformation at every k-th mini-step."""
        return self._pair.update(updates, state, params, **extra_args)

    def has_updated(self, state: MultiStepsState) -> jax.Array:
        """Whether the last mini-step applied the inner transformation, a 0-d bool."""
        return jnp.logical_and(state.mini_step == 0, state.gradient_step > 0)

    def gradient_transformation(self) -> base.GradientTransformationExtraArgs:
        """The same as an init/update pair."""
        return self._pair


def _accumulators(b: Builder, params: Tree, dtype: np.dtype | None) -> Tree:
    """Zeros of a dtype; for complex leaves of the complex one with such parts, at least complex64."""
    dtypes = params.dtypes if dtype is None else dict.fromkeys(params.dtypes, dtype)
    of_complex = {k: jnp.result_type(dtypes[k], np.complex64) for k, old in params.dtypes.items() if old.kind == "c"}
    return b.full(params.leaf_set, 0.0, {**dtypes, **of_complex})


def _multi_steps(
    child: Definition,
    every_k_schedule: int | Callable[[jax.typing.ArrayLike], jax.typing.ArrayLike],
    use_grad_mean: bool,
    should_skip_update_fn: ShouldSkipUpdateFunction | None,
    accumulator_dtype: np.dtype | None,
) -> Definition:
    skips = skip_condition(should_skip_update_fn)
    scheduled = every_k_schedule if callable(every_k_schedule) else None

    def init(b: Builder, params: Tree) -> MultiStepsState:
        return MultiStepsState(
            mini_step=b.integer(0),
            gradient_step=b.integer(0),
            inner_opt_state=b.initialize(INNER, child, params),
            acc_grads=_accumulators(b, params, accumulator_dtype),
            skip_state=skips.init(b, params),
        )

    def update(b: Builder, g: Tree, state: MultiStepsState, params: Tree | None, **hypers: Scalar):
        k = b.schedule(scheduled, state.gradient_step) if scheduled else hypers["every_k_schedule"]
        k = b.cast_scalar(k, np.int32)
        skip, skip_state = skips.update(b, g, state, params, **hypers)
        old = state.acc_grads
        acc = old + (g - old) / (state.mini_step + 1) if use_grad_mean else g + old
        new, inner_state = b.apply(INNER, child, b.cast_like(acc, g), state.inner_opt_state, params)
        last = state.mini_step.equals(k - 1)
        taken = last if skip is None else b.where(skip, False, last)
        new_state = MultiStepsState(
            mini_step=b.remainder(b.increment(state.mini_step), k),
            gradient_step=b.where(taken, b.increment(state.gradient_step), state.gradient_step),
            inner_opt_state=b.select(taken, inner_state, state.inner_opt_state),
            acc_grads=b.where(last, 0.0, acc),
            skip_state=skip_state,
        )
        if skip is not None:
            new_state = new_state._replace(
                mini_step=b.where(skip, state.mini_step, new_state.mini_step),
                acc_grads=b.where(skip, old, new_state.acc_grads),
            )
        return b.where(taken, new, 0.0), new_state

    hypers = {**({} if scheduled else {"every_k_schedule": every_k_schedule}), **skips.hypers}
    return Definition("MultiSteps", init, update, hypers, children=(child,), labels=(INNER,))
