"""Complex leaves among real ones: Optax's numbers where it has a meaning for them, an error with the leaf where not."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import optcc
from tests.parity.trajectories import follow, same
from tests.table import Row
from tests.trees import Leaves

LEAVES = Leaves("complex", {"w": (5, 3), "b": (4,), "v": (7,), "matrix": (3, 4)})
COMPLEX = ("w", "v")


def tree(seed: int, dtype: Any = jnp.float32) -> Any:
    """Complex and real leaves of one precision."""
    real, imaginary = LEAVES.fill(seed, dtype), LEAVES.fill(seed + 50, dtype)
    return {name: jax.lax.complex(x, imaginary[name]) if name in COMPLEX else x for name, x in real.items()}


def is_complex(params: Any) -> Any:
    return jax.tree.map(jnp.iscomplexobj, params)


CHAINS = {
    "sgd": lambda lib: lib.sgd(0.1, momentum=0.8, nesterov=True),
    "clip_adamw": lambda lib: lib.chain(lib.clip_by_global_norm(0.5), lib.adamw(0.1, 0.8, 0.95, weight_decay=0.1)),
    "amsgrad": lambda lib: lib.amsgrad(0.1, 0.8, 0.95),
    "adabelief": lambda lib: lib.adabelief(0.1, 0.8, 0.95),
    "adamax": lambda lib: lib.adamax(0.1, 0.8, 0.95),
    "yogi": lambda lib: lib.yogi(0.1, 0.8, 0.95),
    "radam": lambda lib: lib.radam(0.1, 0.8, 0.95),
    "nadam": lambda lib: lib.nadam(lib.exponential_decay(0.1, 3, 0.7), 0.8, 0.95),
    "adan": lambda lib: lib.adan(0.1, 0.8, 0.9, 0.95),
    "rmsprop_centered": lambda lib: lib.rmsprop(0.1, 0.8, centered=True, momentum=0.7),
    "adagrad": lambda lib: lib.adagrad(0.1),
    "novograd": lambda lib: lib.novograd(0.1, 0.8, 0.3, weight_decay=0.1),
    "lion": lambda lib: lib.lion(0.1, 0.8, 0.95),
    "lamb": lambda lib: lib.lamb(0.1, 0.8, 0.95),
    "adafactor": lambda lib: lib.adafactor(0.1, min_dim_size_to_factor=3),
    "adaptive_grad_clip": lambda lib: lib.chain(lib.adaptive_grad_clip(0.1), lib.centralize(), lib.ema(0.8)),
    "clip_by_block_rms": lambda lib: lib.chain(lib.clip_by_block_rms(0.3), lib.zero_nans()),
    "dog": lambda lib: lib.contrib.dog(1.0, ("distance", 1e-2)),
    "adopt": lambda lib: lib.contrib.adopt(0.1, 0.8, 0.95, use_clipping=False),
    "schedule_free": lambda lib: lib.contrib.schedule_free_adamw(0.1, 3, b1=0.8),
    "masked": lambda lib: lib.masked(lib.adam(0.1), is_complex),
    "apply_if_finite": lambda lib: lib.apply_if_finite(lib.adam(0.1), 2),
    "apply_every": lambda lib: lib.chain(lib.apply_every(3), lib.scale(0.1)),
    "noisy_sgd": lambda lib: lib.noisy_sgd(0.1, 0.1, key=3),
}
IN_BRIEF = ("clip_adamw", "yogi", "novograd", "lion", "adafactor", "apply_every", "schedule_free", "noisy_sgd")
"""One of each kind; the others look at the same code once more."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in IN_BRIEF else [pytest.mark.exhaustive]) for n in CHAINS]
)
def test_ten_steps_equal_optax(name: str):
    """Pair and compiled step (native kernels where there are any), dtypes of states included."""
    follow(Row(name, CHAINS[name], sweeps=1, bytes=0), tree(0), lambda step: tree(step + 1), steps=10)


def test_complex128():
    with jax.enable_x64(True):
        row = Row("clip_adamw", CHAINS["clip_adamw"], sweeps=1, bytes=0)
        follow(row, tree(0, jnp.float64), lambda step: tree(step + 1, jnp.float64), steps=10)


@pytest.mark.parametrize("name", ["clip_adamw", "lion", "apply_every"])
def test_stablehlo_equals_the_interpreter(name: str):
    tx, params = CHAINS[name](optcc), tree(0)
    opt = optcc.compile(tx, params, backend="stablehlo")
    state, stepped, stepped_state = tx.init(params), tree(0), opt.init(params)
    for step in range(3):
        grads = tree(step + 1)
        updates, state = jax.jit(tx.update)(grads, state, params)
        params = optcc.apply_updates(params, updates)
        stepped, stepped_state = opt.step(grads, stepped_state, stepped)
    same((stepped, stepped_state), (params, state), 2e-6, name)


def test_report_and_layouts():
    """Sweeps are native, an element of complex64 is 8 bytes, and packed arrays hold them."""
    params = tree(0)
    opt = optcc.compile(optcc.adam(0.1), params, backend="native")
    report = opt.report()
    assert report.moved == report.floor == 7 * sum(x.nbytes for x in jax.tree.leaves(params))
    assert [sweep.backend for sweep in report.sweeps] == ["native"]
    packed = optcc.compile(optcc.adam(0.1), params, layout="packed")
    grads = tree(1)
    expected, _ = opt.step(grads, opt.init(params), jax.tree.map(jnp.copy, params))
    got, _ = packed.step(packed.pack(grads), packed.init(params), packed.pack(params))
    same(packed.unpack(got), expected, 1e-6, "packed")


def test_multi_steps_keeps_imaginary_parts():
    """Optax's accumulators are float32 by default and drop them."""
    tx = optcc.MultiSteps(optcc.sgd(1.0), 2)
    params = {"z": jnp.zeros(2, jnp.complex64), "x": jnp.zeros(2)}
    state = tx.init(params)
    assert [x.dtype for x in jax.tree.leaves(state.acc_grads)] == [jnp.float32, jnp.complex64]
    for grads in ({"z": jnp.full(2, 1 + 1j), "x": jnp.ones(2)}, {"z": jnp.full(2, 3 - 5j), "x": jnp.ones(2)}):
        updates, state = tx.update(grads, state, params)
    np.testing.assert_allclose(updates["z"], [-2 + 2j] * 2)


SQUARES = {
    "adadelta": lambda: optcc.adadelta(1.0),
    "simplified_ademamix": lambda: optcc.contrib.simplified_ademamix(0.1),
    "prodigy": lambda: optcc.contrib.prodigy(),
    "dadapt_adamw": lambda: optcc.contrib.dadapt_adamw(),
    "mechanize": lambda: optcc.contrib.mechanize(optcc.sgd(1.0), s_init=0.1),
    "momo": lambda: optcc.contrib.momo(1.0),
    "momo_adam": lambda: optcc.contrib.momo_adam(1.0),
}


@pytest.mark.parametrize("name", SQUARES)
def test_a_rotation_turns_the_steps(name: str):
    """Where Optax squares complex gradients, sizes are taken: a factor of size 1 goes through."""
    tx, turn = SQUARES[name](), np.complex64(0.6 + 0.8j)
    params = {"z": tree(0)["v"]}
    turned = {"z": params["z"] * turn}
    states = tx.init(params), tx.init(turned)
    for step in range(4):
        grads = {"z": tree(step + 1)["v"]}
        extra = {"value": 3.0} if name.startswith("momo") else {}
        updates, first = tx.update(grads, states[0], params, **extra)
        others, second = tx.update({"z": grads["z"] * turn}, states[1], turned, **extra)
        np.testing.assert_allclose(others["z"], updates["z"] * turn, rtol=1e-4, atol=1e-6)
        params, turned, states = (*map(optcc.apply_updates, (params, turned), (updates, others)), (first, second))
    assert bool(jnp.any(updates["z"].imag != 0))


def test_skip_large_updates_takes_sizes():
    """The sum of the squares of ``3i`` is -9, that of the sizes 9."""
    skip = partial(optcc.skip_large_updates, max_squared_norm=5.0)
    tx, params = optcc.MultiSteps(optcc.sgd(1.0), 1, should_skip_update_fn=skip), {"z": jnp.zeros(1, jnp.complex64)}
    updates, state = tx.update({"z": jnp.full(1, 3j)}, tx.init(params), params)
    assert float(state.skip_state["norm_squared"]) == 9.0
    np.testing.assert_array_equal(updates["z"], [0])


def test_injected_hyperparameters_are_real():
    tx, params = optcc.inject_hyperparams(optcc.sgd)(0.5), {"z": jnp.zeros(1, jnp.complex64)}
    updates, state = tx.update({"z": jnp.full(1, 2 + 4j)}, tx.init(params), params)
    assert state.hyperparams["learning_rate"].dtype == jnp.float32
    np.testing.assert_allclose(updates["z"], [-1 - 2j])


REFUSED = {
    "cocob": (lambda: optcc.contrib.cocob(), "complex numbers have no 'max'"),
    "clip": (lambda: optcc.clip(1.0), "complex numbers have no 'max'"),
    "keep_params_nonnegative": (lambda: optcc.keep_params_nonnegative(), "complex numbers have no order"),
    "rprop": (lambda: optcc.rprop(0.1), "complex numbers have no order"),
    "sm3": (lambda: optcc.sm3(0.1), "this transformation does not support complex parameters"),
    "madgrad": (lambda: optcc.contrib.madgrad(0.1), "complex numbers have no 'pow'"),
    "mu_dtype": (lambda: optcc.adam(0.1, mu_dtype=jnp.float32), "complex numbers cannot be stored as f32"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_no_meaning_is_an_error(name: str):
    make, text = REFUSED[name]
    tx, params = optcc.chain(optcc.identity(), make()), tree(0)
    with pytest.raises(ValueError, match=f"^{re.escape(text)}\n  where: chain.*, leaf 'v'\n  fix:   "):
        tx.update(params, tx.init(params), params)


@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("backend", ["native", "stablehlo"])
def test_sizes_neither_overflow_nor_vanish(size: float, backend: str):
    params = {"z": jnp.zeros(40, jnp.complex64)}
    opt = optcc.compile(optcc.scale_by_sign(), params, backend=backend)
    grads = {"z": jnp.full(40, (3 - 4j) * size, jnp.complex64).at[0].set(0)}
    updates, _ = opt.update(grads, opt.init(params), params)
    np.testing.assert_allclose(updates["z"], [0] + [0.6 - 0.8j] * 39, rtol=1e-6)


def test_a_foreign_pair_is_a_call():
    params = tree(0)
    tx: Any = optax.adam(0.1)
    opt = optcc.compile(tx, params)
    assert [call.why.endswith("its numbers are complex") for call in opt.report().opaque] == [True]
    updates, _ = opt.update(params, opt.init(params), params)
    same(updates, optax.adam(0.1).update(params, optax.adam(0.1).init(params), params)[0], 1e-6, "adam")
