"""One of two processes that train together, with four devices each: beside Optax, and on from a checkpoint.

Usage: python train.py PROCESS PORT FOLDER. Writes what it found to FOLDER/PROCESS.json.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import optcc

SHAPES = {"w": (64, 32), "b": (32,)}
SPECS = {"data_parallel": (P(), None), "fsdp": (P("data"), None), "zero": (P(), "data")}
STEPS = 4


def chain(library):
    return library.chain(library.clip_by_global_norm(0.5), library.adamw(1e-2))


def mesh(sizes: tuple[int, ...]):
    names = ("data", "model")[: len(sizes)]
    return jax.make_mesh(sizes, names, axis_types=(AxisType.Auto,) * len(sizes))


def placed(seed: int, home: NamedSharding):
    rng = np.random.default_rng(seed)
    return {k: jax.device_put(rng.normal(size=s).astype(np.float32), home) for k, s in SHAPES.items()}


def loss(params, x, y):
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)


def batch(seed: int, home: NamedSharding):
    rng = np.random.default_rng(seed)
    return tuple(jax.device_put(rng.normal(size=(16, n)).astype(np.float32), home) for n in (64, 32))


def train(step, params, state, grid, start: int, steps: int):
    """The losses of some steps, and parameters and state after them."""
    value_and_grad = jax.jit(jax.value_and_grad(loss))
    losses = []
    for i in range(start, start + steps):
        value, grads = value_and_grad(params, *batch(i, NamedSharding(grid, P("data"))))
        params, state = step(grads, state, params)
        losses.append(float(value))
    return losses, params, state


def beside_optax(spec: P, shard_state: str | None):
    grid = mesh((8,))
    home = NamedSharding(grid, spec)
    params = placed(0, home)
    opt = optcc.compile(chain(optcc), params, shard_state=shard_state)
    state = opt.init(params)
    homes = [x.sharding for x in jax.tree.leaves((params, state))]
    losses, params, state = train(opt.step, params, state, grid, 0, STEPS)
    tx = chain(optax)

    @jax.jit
    def optax_step(grads, state, params):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    theirs, _, _ = train(optax_step, placed(0, home), jax.jit(tx.init)(placed(0, home)), grid, 0, STEPS)
    leaves = jax.tree.leaves((params, state))
    kept = all(x.sharding.is_equivalent_to(h, x.ndim) for x, h in zip(leaves, homes, strict=True))
    sharded = sum(not x.is_fully_replicated for x in leaves)
    return {"losses": losses, "optax": theirs, "kept": kept, "sharded": sharded, "native": "optcc_sweep" in opt.hlo()}


def resumed(folder: Path):
    """Train, save, and go on: on the mesh saved from, and restored on one of another shape."""
    wide, square = mesh((8,)), mesh((4, 2))
    params = placed(0, NamedSharding(wide, P("data")))
    opt = optcc.compile(chain(optcc), params)
    _, params, state = train(opt.step, params, opt.init(params), wide, 0, STEPS)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(folder / "checkpoint", {"params": params, "state": state})
        checkpointer.wait_until_finished()
        other = placed(1, NamedSharding(square, P("data")))
        new = optcc.compile(chain(optcc), other)
        like = jax.tree.map(ocp.utils.to_shape_dtype_struct, {"params": other, "state": new.init(other)})
        restored = checkpointer.restore(folder / "checkpoint", like)
    same = all(
        np.array_equal(x.addressable_data(0), _part(y, x.addressable_data(0), x))
        for x, y in zip(jax.tree.leaves(restored), jax.tree.leaves({"params": params, "state": state}), strict=True)
    )
    before, _, _ = train(opt.step, params, state, wide, STEPS, STEPS)
    after, end, _ = train(new.step, restored["params"], restored["state"], square, STEPS, STEPS)
    return {"before": before, "after": after, "same": same, "mesh": dict(_mesh(end["w"]).shape)}


def _mesh(x: jax.Array):
    assert isinstance(x.sharding, NamedSharding)
    return x.sharding.mesh


def _part(whole: jax.Array, like: jax.Array, x: jax.Array):
    """What an array holds where another, on another mesh, has its first part; from all processes."""
    gathered = jax.jit(lambda a: a, out_shardings=NamedSharding(_mesh(whole), P()))(whole)
    return np.asarray(gathered.addressable_data(0))[x.addressable_shards[0].index].reshape(like.shape)


def main(process: int, port: str, folder: Path) -> None:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    found = {name: beside_optax(*case) for name, case in SPECS.items()}
    found["resumed"] = resumed(folder)
    (folder / f"{process}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
