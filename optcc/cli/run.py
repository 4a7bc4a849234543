"""`optcc run`: some steps of an optimizer or of a module, beside the interpreter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from optcc.base import PyTree
from optcc.cli.compiling import Source, backend_option, hyper_option, params_option, step_pipeline_option, wide_enough
from optcc.cli.options import PipelineCommand

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer


@click.command("run", cls=PipelineCommand)
@click.argument("source", metavar="FILE.mlir|EXPR")
@params_option
@click.option("--steps", type=click.IntRange(min=1), default=3, show_default=True, help="How many steps to take.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random parameters and gradients.")
@step_pipeline_option
@backend_option
@hyper_option
@click.pass_context
def run_command(ctx: click.Context, source: str, steps: int, seed: int, **options: Any) -> None:
    """Take steps on random numbers, and compare each with the interpreter.

    Prints the norm of parameters and state after every step, and the largest difference from what the interpreter makes
    of the same module, relative to the largest number of an array. Exit code 1 where they differ by more than 1e-5, or
    by more than two units in the last place of the array's type.
    """
    given = Source.of(ctx, source, options)
    make, shapes = given.load()
    with wide_enough(shapes):
        compiled = make()
        worst = [_step(compiled, number, values) for number, values in enumerate(_runs(compiled, steps, seed), start=1)]
    if not all(worst):
        raise click.exceptions.Exit(1)


def _runs(compiled: CompiledOptimizer, steps: int, seed: int) -> Any:
    """Gradients, state and parameters of every step: those that the compiled steps before it made."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(seed)

    def random(tree: PyTree) -> Any:
        return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), tree)

    shapes = compiled.params
    params = random(shapes)
    state = compiled.init(params)
    for _ in range(steps):
        grads = random(shapes)
        result: list[Any] = []
        yield grads, state, params, result
        params, state = result


def _step(compiled: CompiledOptimizer, number: int, values: Any) -> bool:
    """Take one step both ways and print what came out; whether the two agree."""
    import jax
    import jax.numpy as jnp

    grads, state, params, result = values
    expected = compiled.interpret_step(grads, state, params)
    result += compiled.step(grads, state, params)
    pairs = list(zip(jax.tree.leaves(tuple(result)), jax.tree.leaves(expected), strict=True))
    floats = [(a, b) for a, b in pairs if jnp.issubdtype(a.dtype, jnp.inexact)]
    worst = max((_difference(a, b) / _allowed(a.dtype) for a, b in floats), default=0.0)
    largest = max((_difference(a, b) for a, b in floats), default=0.0)
    norm = sum(float(jnp.sum(jnp.abs(a).astype(float) ** 2)) for a, _ in floats) ** 0.5
    click.echo(f"step {number}: norm {norm:.6g}, largest difference from the interpreter {largest:.2g}")
    return worst <= 1.0 and all((a == b).all() for a, b in pairs if not jnp.issubdtype(a.dtype, jnp.inexact))


def _difference(got: PyTree, expected: PyTree) -> float:
    """The largest difference of two arrays, relative to the largest number of the second; NaN for NaN is none."""
    import numpy as np

    a, b = (np.asarray(x).astype(complex if np.iscomplexobj(x) else float) for x in (got, expected))
    both = np.isnan(a) & np.isnan(b) | (a == b)
    scale = np.max(np.abs(b), initial=0.0, where=np.isfinite(b)) or 1.0
    return float(np.max(np.where(both, 0.0, np.nan_to_num(np.abs(a - b), nan=np.inf)), initial=0.0) / scale)


def _allowed(dtype: Any) -> float:
    import jax.numpy as jnp

    return max(1e-5, 2 * float(jnp.finfo(dtype).eps))
