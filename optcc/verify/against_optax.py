"""Optax's step as a contender, where Optax is installed. Imported by the command line alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from optcc.base import OptState, Params, Updates
from optcc.errors import OptccError
from optcc.expressions import optax_optimizer
from optcc.verify.compare import Tolerance
from optcc.verify.run import Step

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer


def optax_step(
    expression: str, compiled: CompiledOptimizer, *, changed: bool
) -> tuple[dict[str, tuple[Step, Tolerance]], dict[str, str]]:
    """Optax's step of an expression by its name, or else why there is none.

    Optax rounds narrow numbers after every operation, and its step-level numbers are a few ulps off
    (docs/differences.md), so that it is compared as what has reductions is. `changed` says that hyperparameters have
    other values than those of the expression.
    """
    if changed:
        return {}, {"optax": "hyperparameters were changed by --hyper"}
    try:
        tx = optax_optimizer(expression)
    except OptccError as error:
        return {}, {"optax": str(error).splitlines()[0]}
    narrow = any(x.dtype.itemsize < 4 for x in jax.tree.leaves((compiled.params, compiled.grads)))
    if narrow:
        return {}, {"optax": "it rounds numbers below float32 after every operation"}
    import optax

    structure = jax.tree.structure(jax.eval_shape(tx.init, compiled.params))
    ours = jax.tree.structure(jax.eval_shape(compiled.variant(layout="tree").init, compiled.params))
    if structure.num_leaves != ours.num_leaves:
        return {}, {"optax": "its state has other arrays"}

    @jax.jit
    def run(grads: Updates, state: OptState, params: Params) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    def step(grads: Updates, state: OptState, params: Params) -> Any:
        params, state = run(grads, jax.tree.unflatten(structure, jax.tree.leaves(state)), params)
        return params, jax.tree.unflatten(ours, jax.tree.leaves(state))

    return {"optax": (step, Tolerance(folds=True, jumps=True))}, {}
