"""Where `init` puts a state of sharded parameters, and that the first step is given all of it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import optcc

SHAPES = {"w": (256, 128), "v": (128, 256), "b": (128,), "s": ()}
SPECS = {
    "fsdp": {"w": P("data"), "v": P("data"), "b": P("data"), "s": P()},
    "two": {"w": P("data", "model"), "v": P("model"), "b": P(), "s": P()},
}
CHAINS = {
    "adamw": lambda m: m.adamw(1e-2),
    "momentum": lambda m: m.sgd(1e-2, momentum=0.9),
    "masked": lambda m: m.masked(m.adam(1e-2), {"w": True, "v": False, "b": True, "s": False}),
    "clip_lamb": lambda m: m.chain(m.clip_by_global_norm(0.5), m.lamb(1e-2)),
}


def sharded(spec: str):
    mesh = jax.make_mesh((4, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    rng = np.random.default_rng(0)
    return {
        name: jax.device_put(jnp.asarray(rng.normal(size=shape), jnp.float32), NamedSharding(mesh, SPECS[spec][name]))
        for name, shape in SHAPES.items()
    }


def given_sharding(spec: str, name: str):
    return sharded(spec)[name].sharding


def inits(chain: str, params):
    tx = CHAINS[chain](optcc)
    return {"pair": tx.init, "compiled": optcc.compile(tx, params).init}


@pytest.mark.parametrize("how", ["pair", "compiled"])
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("chain", CHAINS)
def test_moments_lie_where_their_parameters_are(chain, spec, how):
    params = sharded(spec)
    state = inits(chain, params)[how](params)
    expected = CHAINS[chain](optax).init(params)
    for (path, x), y in zip(jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(expected), strict=True):
        where = jax.tree_util.keystr(path)
        np.testing.assert_array_equal(x, y)
        name = next((k.key for k in path if isinstance(k, jax.tree_util.DictKey)), None)
        assert not name or x.sharding.is_equivalent_to(params[name].sharding, x.ndim), where


@pytest.mark.parametrize("spec", SPECS)
def test_the_first_step_is_given_all_arrays(spec):
    params = sharded(spec)
    opt = optcc.compile(optcc.adamw(1e-2), params)
    state = opt.init(params)
    given = [x for x in jax.tree.leaves((params, state)) if x.ndim]
    new = opt.step(sharded(spec), state, params)
    assert all(x.is_deleted() for x in given)
    for name, x in new[0].items():
        assert x.sharding.is_equivalent_to(given_sharding(spec, name), x.ndim)
