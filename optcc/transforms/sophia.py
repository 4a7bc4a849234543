"""sophia: clipped steps over an estimate of the diagonal of the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from optcc import base
from optcc.base import OptState, Params, PyTree, Updates
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair
from optcc.transforms.combining import chain
from optcc.transforms.moments import DType, bias_correction, canonical, update_moment
from optcc.transforms.scaling import add_decayed_weights, scale_by_learning_rate

if TYPE_CHECKING:
    from optcc.formula.builder import Builder
    from optcc.formula.values import Scalar, Tree

HESSIAN = "hessian"


class HutchinsonState(NamedTuple):
    """The key of the signs to come."""

    key: jax.Array


class SophiaState(NamedTuple):
    """The number of steps taken, a 0-d int32, the first moment, the average Hessian, and the estimator's state."""

    count: base.Count
    mu: base.Updates
    nu: base.Updates
    hessian_fn_state: Any


def hutchinson_estimator_diag_hessian(random_seed: jax.Array | None = None) -> base.GradientTransformationExtraArgs:
    """Estimate the diagonal of the Hessian by a product with random signs: ``u = s * (H s)``.

    ``update`` ignores the updates; it needs the parameters and ``obj_fn``, a function of them whose Hessian is H.
    ``random_seed`` is a key; by default that of seed 0. It is plain JAX, no formula of the IR. State:
    ``HutchinsonState(key)``. Raises ValueError without parameters or ``obj_fn``. Source: Liu et al. 2024, algorithm 1;
    Hutchinson 1989.
    """

    def init(params: base.Params) -> HutchinsonState:
        del params
        return HutchinsonState(jax.random.PRNGKey(0) if random_seed is None else random_seed)

    def update(
        updates: base.Updates,
        state: OptState,
        params: base.Params | None = None,
        obj_fn: Callable[[base.Params], jax.Array] | None = None,
        **extra_args: Any,
    ) -> tuple[base.Updates, HutchinsonState]:
        del updates, extra_args
        for name, given in (("params", params), ("obj_fn", obj_fn)):
            if given is None:
                what = f"{name} must be provided to hutchinson update function"
                raise ValueError(message(what, fix="call update(grads, state, params, obj_fn=loss)"))
        key, subkey = jax.random.split(state.key)
        leaves, structure = jax.tree.flatten(params)
        keys = jax.random.split(subkey, len(leaves))
        draw = jax.random.rademacher
        signs = jax.tree.unflatten(structure, [draw(k, x.shape, x.dtype) for k, x in zip(keys, leaves, strict=True)])
        assert obj_fn is not None
        _, product = jax.jvp(jax.grad(obj_fn), (params,), (signs,))
        return jax.tree.map(jnp.multiply, product, signs), HutchinsonState(key)

    return base.GradientTransformationExtraArgs(init, update)


def scale_by_sophia(
    b1: jax.typing.ArrayLike = 0.965,
    b2: jax.typing.ArrayLike = 0.99,
    eps: jax.typing.ArrayLike = 1e-8,
    gamma: jax.typing.ArrayLike = 0.01,
    clip_threshold: jax.typing.ArrayLike | None = 1.0,
    update_interval: jax.typing.ArrayLike = 10,
    hessian_diagonal_fn: base.GradientTransformation | None = None,
    mu_dtype: DType | None = None,
    verbose: bool = False,
    print_win_rate_every_n_steps: int = 0,
) -> base.GradientTransformationExtraArgs:
    """The scaling of `sophia`, which documents the arguments."""
    if verbose or print_win_rate_every_n_steps:
        what = "sophia prints nothing: a compiled step has no place for it"
        raise NotImplementedError(message(what, "sophia", "put monitor(...) behind it, and read the state"))
    dtype, estimator = canonical(mu_dtype), hessian_diagonal_fn or hutchinson_estimator_diag_hessian()

    def init(b: Builder, params: Tree) -> Any:
        from optcc.importers.foreign import foreign_definition

        estimator_state = b.initialize(HESSIAN, foreign_definition(estimator), params)
        return SophiaState(b.integer(0), b.zeros_like(params, dtype), b.zeros_like(params), estimator_state)

    def update(b: Builder, g: Tree, state: OptState, params: Tree | None, **hypers: Scalar):
        params, count = b.require_params(params), b.increment(state.count)
        b1, b2 = hypers["b1"], hypers["b2"]
        mu = update_moment(g, state.mu, b1)
        u = bias_correction(b, mu, b1, count) / b.maximum(hypers["gamma"] * state.nu, hypers["eps"])
        if clip_threshold is not None:
            limit = hypers["clip_threshold"]
            u = b.minimum(b.maximum(u, -limit), limit)
        interval = b.cast_scalar(hypers["update_interval"], np.int32)
        due = b.remainder(state.count, interval).equals(0)
        hessian, estimator_state = _estimate(b, estimator, due, g, state.hessian_fn_state, params)
        nu = b.where(due, update_moment(hessian, state.nu, b2), state.nu)
        new: Any = SophiaState(count, mu, nu, estimator_state)
        return u, new

    hypers = {"b1": b1, "b2": b2, "eps": eps, "gamma": gamma, "update_interval": update_interval}
    limit = {} if clip_threshold is None else {"clip_threshold": clip_threshold}
    return as_pair(Definition("scale_by_sophia", init, update, hypers | limit, uses_extra_args=True))


def _estimate(
    b: Builder, estimator: base.GradientTransformation, due: Scalar, g: Tree, state: OptState, params: Tree
) -> list[Any]:
    """The estimator's updates and new state: an opaque call, since it runs on the steps that are due only."""
    from optcc.importers.foreign import foreign_definition

    tx = base.with_extra_args_support(estimator)

    def on_due_steps(taken: PyTree) -> base.GradientTransformationExtraArgs:
        def update(updates: Updates, state: OptState, params: Params = None, **extra: Any) -> Any:
            def run() -> Any:
                hessian, new = tx.update(updates, state, params, **extra)
                return jax.tree.map(lambda x, p: x.astype(p.dtype), hessian, params), new

            return jax.lax.cond(taken, run, lambda: (jax.tree.map(jnp.zeros_like, params), state))

        return base.GradientTransformationExtraArgs(tx.init, update)

    why = "the estimator runs on the steps that are due only"
    definition = foreign_definition(on_due_steps(False), on_due_steps, [due], why)
    return b.apply(HESSIAN, definition, g, state, params)


def sophia(
    learning_rate: base.ScalarOrSchedule,
    b1: jax.typing.ArrayLike = 0.965,
    b2: jax.typing.ArrayLike = 0.99,
    eps: jax.typing.ArrayLike = 1e-8,
    weight_decay: base.ScalarOrSchedule = 1e-4,
    weight_decay_mask: base.MaskOrFn = None,
    gamma: jax.typing.ArrayLike = 0.01,
    clip_threshold: jax.typing.ArrayLike | None = 1.0,
    update_interval: jax.typing.ArrayLike = 10,
    hessian_diagonal_fn: base.GradientTransformation | None = None,
    mu_dtype: DType | None = None,
    verbose: bool = False,
    print_win_rate_every_n_steps: int = 0,
) -> base.GradientTransformationExtraArgs:
    """Sophia: a first moment over the average diagonal of the Hessian, clipped; weight decay; minus the learning rate.

    Per leaf, at step t = 1, 2, ..., with the Hessian of the step before::

        mu <- (1 - b1) * g + b1 * mu
        u   = mu / (1 - b1**t) / max(gamma * nu, eps), clipped to [-clip_threshold, clip_threshold]
        nu <- (1 - b2) * h + b2 * nu                on the first step and every update_interval steps after it

    where h are the updates of ``hessian_diagonal_fn``, a transformation; by default
    `hutchinson_estimator_diag_hessian`, for which ``update`` needs ``obj_fn``. It runs on those steps only. State:
    ``(SophiaState, EmptyState or MaskedState, EmptyState or ScaleByScheduleState)``, ``mu`` of ``mu_dtype`` if given.
    Raises ValueError if ``update`` gets no parameters, NotImplementedError where it is asked to print. Source: Liu et
    al. 2024, algorithm 3.
    """
    scaling = scale_by_sophia(
        b1,
        b2,
        eps,
        gamma,
        clip_threshold,
        update_interval,
        hessian_diagonal_fn,
        mu_dtype,
        verbose,
        print_win_rate_every_n_steps,
    )
    return chain(scaling, add_decayed_weights(weight_decay, weight_decay_mask), scale_by_learning_rate(learning_rate))
