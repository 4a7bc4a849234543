"""Train with Optax, save with Orbax, and go on with optcc: `python examples/resume_from_optax.py`.

The state has the same leaves, so that its arrays move over as they are. Prints the losses of going on under either.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp

import optcc

BEFORE, AFTER = 20, 10


def chain(library: Any) -> Any:
    """The same chain of either library."""
    schedule = library.cosine_decay_schedule(0.05, BEFORE + AFTER)
    return library.chain(library.clip_by_global_norm(1.0), library.adamw(schedule, weight_decay=1e-3))


def loss(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((jnp.tanh(x @ params["in"]) @ params["out"] - y) ** 2)


def train_with_optax(params: Any, state: Any, steps: int, x: Any, y: Any) -> tuple[Any, Any, list[float]]:
    """Parameters, state and losses."""
    tx = chain(optax)

    @jax.jit
    def step(params: Any, state: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, x, y)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    losses = []
    for _ in range(steps):
        params, state, value = step(params, state)
        losses.append(float(value))
    return params, state, losses


def run(folder: Path) -> tuple[list[float], list[float]]:
    """The losses of going on under Optax, and under optcc from the checkpoint."""
    random = np.random.default_rng(0)
    x = jnp.asarray(random.normal(size=(64, 8)), jnp.float32)
    y = jnp.sin(x @ jnp.asarray(random.normal(size=(8, 4)), jnp.float32))
    shapes = {"in": (8, 32), "out": (32, 4)}
    params = {name: jnp.asarray(random.normal(size=s) / np.sqrt(s[0]), jnp.float32) for name, s in shapes.items()}
    params, state, _ = train_with_optax(params, chain(optax).init(params), BEFORE, x, y)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "optax", {"params": params, "state": jax.tree.leaves(state)})
    _, _, expected = train_with_optax(params, state, AFTER, x, y)

    # From here on there is no Optax: a new process would begin here.
    opt = optcc.compile(chain(optcc), jax.eval_shape(lambda: params))
    empty = jax.eval_shape(opt.init, params)
    with ocp.StandardCheckpointer() as checkpointer:
        saved = checkpointer.restore(folder / "optax", {"params": params, "state": jax.tree.leaves(empty)})
    params, state = saved["params"], jax.tree.unflatten(jax.tree.structure(empty), saved["state"])
    train, losses = opt.jit_step(loss), []
    for _ in range(AFTER):
        params, state, value = train(params, state, x, y)
        losses.append(float(value))
    return expected, losses


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        expected, losses = run(Path(folder))
    for step, (theirs, ours) in enumerate(zip(expected, losses, strict=True), BEFORE):
        print(f"step {step}: loss {theirs:.6f} under Optax, {ours:.6f} under optcc")


if __name__ == "__main__":
    main()
