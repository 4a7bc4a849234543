"""What a compiled step does where JAX has eight devices: under `shard_map`, on meshes, in XLA's partitioner."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import optcc

BACKENDS = ("auto", "stablehlo")
CHAINS = {
    "adamw": lambda m: m.adamw(1e-2, weight_decay=0.1),
    "lion": lambda m: m.lion(1e-2),
    "clip_lamb": lambda m: m.chain(m.clip_by_global_norm(0.5), m.lamb(1e-2)),
}
PARAMS = {"w": jnp.linspace(-1.0, 1.0, 16 * 8).reshape(16, 8), "b": jnp.zeros(8)}


def mesh(*kinds: AxisType):
    sizes, names = ((8,), ("data",)) if len(kinds) < 2 else ((4, 2), ("data", "model"))
    return jax.make_mesh(sizes, names, axis_types=kinds)


def batch():
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.normal(size=(64, 16)), jnp.float32), jnp.asarray(rng.normal(size=(64, 8)), jnp.float32)


def loss(params, x, y):
    return jnp.mean((x @ params["w"] + params["b"] - y) ** 2)


def optax_step(tx):
    def step(grads, state, params):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return step


def each_device_trains(init, step, loop):
    """Every device trains a model of its own on its own batch, under the default `check_vma`."""

    @partial(
        jax.shard_map,
        mesh=mesh(AxisType.Auto),
        in_specs=(P(), P(), P("data"), P("data")),
        out_specs=P("data"),
    )
    def train(params, state, x, y):
        params, state = jax.tree.map(lambda a: jax.lax.pcast(a, "data", to="varying"), (params, state))

        def once(carry, _):
            params, state = carry
            return step(jax.grad(loss)(params, x, y), state, params), None

        if loop == "scan":
            (params, state), _ = jax.lax.scan(once, (params, state), length=3)
        else:
            for _ in range(3):
                (params, state), _ = once((params, state), None)
        return jax.tree.map(lambda a: a[None], params)

    return jax.jit(train)(PARAMS, init(PARAMS), *batch())


@pytest.mark.parametrize("loop", ["python", "scan"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("chain", CHAINS)
def test_every_device_keeps_its_own_parameters(chain, backend, loop):
    """Without the varying axes in the types JAX summed the second gradient over the devices."""
    tx, opt = CHAINS[chain](optax), optcc.compile(CHAINS[chain](optcc), PARAMS, backend=backend)
    expected = each_device_trains(tx.init, optax_step(tx), loop)
    got = each_device_trains(opt.init, opt.step, loop)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-6), got, expected)
    assert not np.allclose(got["w"][0], got["w"][1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_differs_between_devices_is_not_taken_for_replicated(backend):
    opt = optcc.compile(optcc.chain(optcc.clip_by_global_norm(1e-3), optcc.sgd(0.1)), PARAMS, backend=backend)

    @partial(jax.shard_map, mesh=mesh(AxisType.Auto), in_specs=(P("data"), P("data")), out_specs=P())
    def one_step(x, y):
        grads = jax.grad(lambda p: loss(p, x, y))(
            jax.tree.map(lambda a: jax.lax.pcast(a, "data", to="varying"), PARAMS)
        )
        return opt.step(grads, opt.init(PARAMS), PARAMS)[0]

    with pytest.raises(ValueError, match="can't be statically inferred"):
        one_step(*batch())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_in_cond_under_shard_map(backend):
    opt = optcc.compile(optcc.adamw(1e-2), PARAMS, backend=backend)

    @partial(jax.shard_map, mesh=mesh(AxisType.Auto), in_specs=(P(), P("data"), P("data")), out_specs=P("data"))
    def maybe(state, x, y):
        params, state = jax.tree.map(lambda a: jax.lax.pcast(a, "data", to="varying"), (PARAMS, state))
        grads = jax.grad(loss)(params, x, y)
        take = jax.lax.axis_index("data") % 2 == 0
        new, _ = jax.lax.cond(take, lambda: opt.step(grads, state, params), lambda: (params, state))
        return jax.tree.map(lambda a: a[None], new)

    new = maybe(opt.init(PARAMS), *batch())
    assert np.array_equal(new["w"][1], PARAMS["w"])
    assert not np.allclose(new["w"][0], PARAMS["w"])


SPECS = {"fsdp": {"w": P("data"), "b": P("data")}, "tensor": {"w": P(None, "model"), "b": P("model")}}


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("specs", SPECS)
@pytest.mark.parametrize("chain", CHAINS)
def test_a_partitioned_step_keeps_its_shardings(chain, specs, kind):
    """XLA gathers what a native call takes and replicates what it gives, so `auto` takes none there."""
    grid = mesh(kind, kind)
    shardings = {k: NamedSharding(grid, s) for k, s in SPECS[specs].items()}
    tx, opt = CHAINS[chain](optax), optcc.compile(CHAINS[chain](optcc), PARAMS)
    grads = jax.tree.map(lambda a: jnp.cos(7 * a) + 0.5, PARAMS)

    def placed(tree):
        leaves, structure = jax.tree.flatten(tree)
        by_shape = {PARAMS[k].shape: s for k, s in shardings.items()}
        where = [by_shape.get(x.shape, NamedSharding(grid, P())) for x in leaves]
        return jax.device_put(jax.tree.unflatten(structure, leaves), jax.tree.unflatten(structure, where))

    with jax.set_mesh(grid):
        new, state = opt.step(placed(grads), placed(opt.init(PARAMS)), placed(PARAMS))
        expected, expected_state = jax.jit(optax_step(tx))(placed(grads), placed(tx.init(PARAMS)), placed(PARAMS))
    for got, wanted in zip(jax.tree.leaves((new, state)), jax.tree.leaves((expected, expected_state)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6)
        assert got.sharding.is_equivalent_to(wanted.sharding, got.ndim)
    if chain != "clip_lamb":
        with jax.set_mesh(grid):
            text = jax.jit(opt.step).lower(placed(grads), placed(opt.init(PARAMS)), placed(PARAMS)).compile().as_text()
        assert text is not None
        assert "all-gather" not in text
        assert "optcc_sweep" not in text


def test_types_of_results_on_explicit_axes():
    """A result that claims to be replicated is gathered by the loop that carries it."""
    grid = mesh(AxisType.Explicit)
    opt = optcc.compile(optcc.adamw(1e-2), PARAMS)
    params = {k: jax.device_put(v, NamedSharding(grid, P("data"))) for k, v in PARAMS.items()}
    with jax.set_mesh(grid):
        state = jax.tree.map(
            lambda x: jax.device_put(x, NamedSharding(grid, P("data") if x.ndim else P())), opt.init(PARAMS)
        )
        seen = []

        @jax.jit
        def update(params, state):
            updates, state = opt.update(params, state, params)
            seen.append(jax.typeof(updates["w"]).sharding.spec)
            return updates, state

        updates, _ = update(params, state)
    assert seen == [P("data", None)]
    assert updates["w"].sharding.spec == P("data", None)


def test_hyperparameters_belong_to_no_mesh():
    """They were put on the devices of the mesh that was current at the first step, and stayed there."""
    opt = optcc.compile(optcc.adamw(1e-2), PARAMS, backend="stablehlo")
    devices = np.array(jax.devices())
    for part in (devices[:4], devices[4:], devices[:1]):
        grid = jax.sharding.Mesh(part, ("data",), axis_types=(AxisType.Auto,))
        with jax.set_mesh(grid):
            copies = jax.tree.map(np.array, (PARAMS, opt.init(PARAMS), PARAMS))  # of its own: `step` donates
            new, _ = opt.step(*jax.device_put(copies, NamedSharding(grid, P())))
        assert set(new["w"].sharding.device_set) == set(part)
    opt.step(jax.tree.map(jnp.ones_like, PARAMS), opt.init(PARAMS), jax.tree.map(jnp.copy, PARAMS))
