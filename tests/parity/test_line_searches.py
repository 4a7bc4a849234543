"""L-BFGS and the line searches beside Optax: a valley under one jit, with the state's value and gradient used again."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.parity.states import same_structure
from tests.parity.trajectories import same


def valley(params: Any, weight: Any = 1.0) -> Any:
    """Rosenbrock's function of one leaf, and a quadratic of another."""
    x = params["x"]
    curved = jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    return curved + weight * jnp.sum((params["y"] - 2) ** 2)


START = {"x": jnp.array([-1.2, 1.0, 0.3]), "y": jnp.ones((2, 2))}


def run(lib: Any, tx: Any, steps: int, *, reuse: bool, start: Any = START, function: Any = valley, **extra: Any) -> Any:
    """Parameters and state after some steps."""
    tx = lib.with_extra_args_support(tx)
    stored = lib.value_and_grad_from_state(function)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        value, grad = stored(params, state=state, **extra) if reuse else jax.value_and_grad(function)(params, **extra)
        updates, state = tx.update(grad, state, params, value=value, grad=grad, value_fn=function, **extra)
        return lib.apply_updates(params, updates), state

    params, state = start, tx.init(start)
    for _ in range(steps):
        params, state = step(params, state)
    return params, state


def zoom(lib: Any, *args: Any, **keywords: Any) -> Any:
    return lib.chain(lib.scale(-1.0), lib.scale_by_zoom_linesearch(*args, **keywords))


def backtracking(lib: Any, *args: Any, **keywords: Any) -> Any:
    return lib.chain(lib.sgd(1.0), lib.scale_by_backtracking_linesearch(*args, **keywords))


CASES = {
    "lbfgs": (lambda lib: lib.lbfgs(), True),
    "lbfgs_alone": (lambda lib: lib.lbfgs(1e-3, 3, False, None), False),
    "lbfgs_backtracking": (
        lambda lib: lib.lbfgs(1.0, 4, True, lib.scale_by_backtracking_linesearch(15, 1e-3, 0.7, 1.2, 2.0, 1e-6, 1e-6)),
        False,
    ),
    "backtracking": (lambda lib: backtracking(lib, 20, store_grad=True), True),
    "backtracking_gives_up": (lambda lib: backtracking(lib, 2), False),
    "zoom": (lambda lib: zoom(lib, 8, 3.0, 1e-3, 1.5, 1e-3, 0.5, None, 1e-4), True),
    "zoom_short_steps": (lambda lib: zoom(lib, 12, 1e-4, initial_guess_strategy="one"), True),
    "zoom_gives_up": (lambda lib: zoom(lib, 2), True),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.exhaustive] if "_" in name else []) for name in CASES]
)
def test_ten_steps_equal_optax(name: str):
    make, reuse = CASES[name]
    found, expected = (run(lib, make(lib), 10, reuse=reuse, weight=0.5) for lib in (optcc, optax))
    same_structure(found[1], expected[1])
    same(found, expected, 1e-5, name)


def test_a_value_that_is_not_finite_is_stepped_around():
    """The logarithm is NaN beyond the first trial, and everywhere from the second start on."""

    def function(params: Any) -> Any:
        return jnp.sum(params - jnp.log(params))

    for make in (lambda lib: zoom(lib, 15), lambda lib: backtracking(lib, 15, store_grad=True)):
        for start in (jnp.array([0.02, 3.0]), jnp.array([-1.0, 1.0])):
            found, expected = (
                run(lib, make(lib), 3, reuse=False, start=start, function=function) for lib in (optcc, optax)
            )
            same(found, expected, 1e-5, "logarithm")


def test_lbfgs_solves_a_least_squares_fit():
    """Its gradients vanish, with fewer evaluations than steps of the default are allowed."""
    rng = np.random.default_rng(0)
    a, b = jnp.asarray(rng.normal(size=(30, 8)), jnp.float32), jnp.asarray(rng.normal(size=30), jnp.float32)

    def function(w: Any) -> Any:
        return jnp.mean((a @ w - b) ** 2)

    found, _ = run(optcc, optcc.lbfgs(), 25, reuse=True, start=jnp.zeros(8), function=function)
    np.testing.assert_allclose(found, np.linalg.lstsq(np.asarray(a), np.asarray(b), rcond=None)[0], atol=1e-4)


def test_bfloat16_keeps_its_dtypes():
    start = jax.tree.map(lambda x: x.astype(jnp.bfloat16), START)
    params, state = run(optcc, optcc.lbfgs(), 2, reuse=False, start=start)
    expected = optcc.lbfgs().init(start)
    assert jax.tree.map(lambda x: x.dtype, (params, state)) == jax.tree.map(lambda x: x.dtype, (start, expected))


def test_errors():
    with pytest.raises(ValueError, match="memory_size must be >= 1"):
        optcc.lbfgs(memory_size=0)
    with pytest.raises(ValueError, match=r"Unknown initial guess strategy: on\n.*'one'"):
        optcc.scale_by_zoom_linesearch(5, initial_guess_strategy="on")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="Value or gradient not found in the state"):
        optcc.value_and_grad_from_state(valley)(START, state=optcc.adam(0.1).init(START))
    with pytest.raises(TypeError, match=r"Unexpected keyword arguments passed to .*\['unknown'\]"):
        run(optcc, optcc.lbfgs(), 1, reuse=False, unknown=1.0, function=lambda p, **_: valley(p))


def test_two_values_are_ambiguous():
    tx = optcc.chain(backtracking(optcc, 3), backtracking(optcc, 3))
    with pytest.raises(KeyError, match="2 fields 'value'"):
        optcc.value_and_grad_from_state(valley)(START, state=tx.init(START))


def test_a_python_number_as_first_guess():
    """As `tree.set` may put it into the state; the searches alone, without a chain."""

    def run_both(lib: Any, search: Any) -> Any:
        state = lib.tree.set(search.init(START), learning_rate=0.5)
        value, grad = jax.value_and_grad(valley)(START)
        down = jax.tree.map(lambda g: -g, grad)
        return search.update(down, state, START, value=value, grad=grad, value_fn=valley)[0]

    for make in (lambda lib: lib.scale_by_zoom_linesearch(9), lambda lib: lib.scale_by_backtracking_linesearch(9)):
        ours, theirs = (run_both(lib, make(lib)) for lib in (optcc, optax))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs)
