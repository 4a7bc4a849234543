"""One of two processes that train together, with four devices each: beside Optax, and on from a checkpoint.

Usage: python train.py PROCESS PORT FOLDER [train|doomed|resume]. Writes what it found to FOLDER/PROCESS.json. A doomed
training saves a checkpoint and goes on, until one of its processes kills itself; `resume` goes on from there.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
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


def begun(wide):
    """An optimizer, parameters and state after some steps."""
    params = placed(0, NamedSharding(wide, P("data")))
    opt = optcc.compile(chain(optcc), params)
    _, params, state = train(opt.step, params, opt.init(params), wide, 0, STEPS)
    return opt, params, state


def saved(path: Path, params, state) -> None:
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, {"params": params, "state": state})
        checkpointer.wait_until_finished()


def gone_on(path: Path):
    """What a checkpoint has on a mesh of another shape, and the training from there: losses and a digest of the end."""
    square = mesh((4, 2))
    other = placed(1, NamedSharding(square, P("data")))
    new = optcc.compile(chain(optcc), other)
    like = jax.tree.map(ocp.utils.to_shape_dtype_struct, {"params": other, "state": new.init(other)})
    with ocp.StandardCheckpointer() as checkpointer:
        restored = checkpointer.restore(path, like)
    # The restored arrays are looked at after they were donated.
    kept = jax.tree.map(jnp.copy, restored)
    after, end, state = train(new.step, restored["params"], restored["state"], square, STEPS, STEPS)
    digest = hashlib.sha256()
    for x in jax.tree.leaves((end, state)):
        digest.update(np.asarray(x.addressable_data(0)).tobytes())
    return kept, {"after": after, "digest": digest.hexdigest(), "mesh": dict(_mesh(end["w"]).shape)}


def resumed(folder: Path):
    """Train, save, and go on: on the mesh saved from, and restored on one of another shape."""
    wide = mesh((8,))
    opt, params, state = begun(wide)
    saved(folder / "checkpoint", params, state)
    restored, found = gone_on(folder / "checkpoint")
    same = all(
        np.array_equal(x.addressable_data(0), _part(y, x.addressable_data(0), x))
        for x, y in zip(jax.tree.leaves(restored), jax.tree.leaves({"params": params, "state": state}), strict=True)
    )
    before, _, _ = train(opt.step, params, state, wide, STEPS, STEPS)
    return found | {"before": before, "same": same}


def doomed(process: int, folder: Path) -> None:
    """Train, save, and go on, until a process is gone from one moment to the next."""
    wide = mesh((8,))
    opt, params, state = begun(wide)
    saved(folder / "doomed", params, state)
    (folder / f"{process}.saved").touch()
    for i in range(STEPS):
        if (process, i) == (1, 2):
            os.kill(os.getpid(), signal.SIGKILL)
        _, params, state = train(opt.step, params, state, wide, STEPS + i, 1)


def _mesh(x: jax.Array):
    assert isinstance(x.sharding, NamedSharding)
    return x.sharding.mesh


def _part(whole: jax.Array, like: jax.Array, x: jax.Array):
    """What an array holds where another, on another mesh, has its first part; from all processes."""
    gathered = jax.jit(lambda a: a, out_shardings=NamedSharding(_mesh(whole), P()))(whole)
    return np.asarray(gathered.addressable_data(0))[x.addressable_shards[0].index].reshape(like.shape)


def main(process: int, port: str, folder: Path, job: str) -> None:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=process)
    if job == "doomed":
        doomed(process, folder)
        return
    if job == "resume":
        found = gone_on(folder / "doomed")[1]
    else:
        found = {name: beside_optax(*case) for name, case in SPECS.items()} | {"resumed": resumed(folder)}
    (folder / f"{process}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4])
