"""Steps of sharded parameters beside jitted Optax: values, shardings, collectives and temporaries."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import optcc
from optcc.program.program import Function
from optcc.report.hlo import collectives
from optcc.runtime.primitive import BoundFunction

SHAPES = {"w": (256, 128), "v": (64, 512), "b": (128,), "s": ()}
SPECS = {
    "fsdp": {"w": P("data"), "v": P("data"), "b": P("data"), "s": P()},
    "tensor": {"w": P(None, "model"), "v": P("model"), "b": P("model"), "s": P()},
    "two": {"w": P("data", "model"), "v": P("model"), "b": P(), "s": P()},
    "both": {"w": P(("data", "model")), "v": P(None, ("model", "data")), "b": P("data"), "s": P()},
}
CHAINS = {
    "adamw": lambda m: m.adamw(1e-2, weight_decay=0.1),
    "lion": lambda m: m.lion(1e-2),
    "momentum": lambda m: m.sgd(1e-2, momentum=0.9),
    "masked": lambda m: m.masked(m.adam(1e-2), {"w": True, "v": False, "b": True, "s": False}),
    "accumulated": lambda m: m.MultiSteps(m.adamw(1e-2), 2).gradient_transformation(),
    "clip_adamw": lambda m: m.chain(m.clip_by_global_norm(0.5), m.adamw(1e-2)),
    "finite": lambda m: m.apply_if_finite(m.adamw(1e-2), 3),
    "lamb": lambda m: m.lamb(1e-2),
    "clip_lamb": lambda m: m.chain(m.clip_by_global_norm(0.5), m.lamb(1e-2)),
    "adafactor": lambda m: m.adafactor(1e-2, min_dim_size_to_factor=16),
}
MOST = {"clip_adamw": 1, "finite": 1, "lamb": 1, "clip_lamb": 2, "adafactor": 4}
"""Collectives of a step; the others have none. XLA makes more of Optax's lamb and adafactor."""
STEPS = 2


@cache
def mesh(kind: AxisType = AxisType.Auto):
    return jax.make_mesh((4, 2), ("data", "model"), axis_types=(kind, kind))


def arrays(spec: str, seed: int):
    rng = np.random.default_rng(seed)
    return {
        name: jax.device_put(rng.normal(size=shape).astype(np.float32), NamedSharding(mesh(), SPECS[spec][name]))
        for name, shape in SHAPES.items()
    }


def place(state, like):
    """Optax's state where optcc's is: Optax puts some of it on one device."""
    return jax.tree.unflatten(
        jax.tree.structure(state),
        [jax.device_put(x, y.sharding) for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(like), strict=True)],
    )


@cache
def by_optax(chain: str, spec: str):
    """Parameters and state after some steps, and the compiled step."""
    tx = CHAINS[chain](optax)

    def optax_step(params, state, grads):
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    step = jax.jit(optax_step, donate_argnums=(0, 1))
    params = arrays(spec, 0)
    state = place(tx.init(params), optcc.compile(CHAINS[chain](optcc), params).init(params))
    compiled = step.lower(params, state, arrays(spec, 1)).compile()
    for i in range(STEPS):
        params, state = step(params, state, arrays(spec, i + 1))
    return params, state, compiled


@pytest.mark.parametrize(("spec", "backend"), [*((spec, "auto") for spec in SPECS), ("two", "stablehlo")])
@pytest.mark.parametrize("chain", CHAINS)
def test_a_sharded_step_beside_optax(chain, spec, backend):
    expected, expected_state, theirs = by_optax(chain, spec)
    params = arrays(spec, 0)
    opt = optcc.compile(CHAINS[chain](optcc), params, backend=backend)
    state = opt.init(params)
    where = [x.sharding for x in jax.tree.leaves((params, state))]
    for i in range(STEPS):
        params, state = opt.step(arrays(spec, i + 1), state, params)
    got, wanted = jax.tree.leaves((params, state)), jax.tree.leaves((expected, expected_state))
    for x, y, home in zip(got, wanted, where, strict=True):
        np.testing.assert_allclose(x, y, rtol=3e-5, atol=3e-6)
        assert x.sharding.is_equivalent_to(home, x.ndim)
    found = collectives(opt.hlo())
    assert set(found) <= {"all-reduce"}
    assert found.total() <= MOST.get(chain, 0)
    ours, stats = opt.executable.memory_analysis(), theirs.memory_analysis()
    assert stats is not None
    assert ours.alias_size_in_bytes == opt.donated_bytes
    assert ours.temp_size_in_bytes <= max(1.01 * stats.temp_size_in_bytes, 12_000)
    assert ("optcc_sweep" in opt.hlo()) == (backend == "auto")
    found = opt.report(xla=False).mesh
    assert found is not None
    assert (found.axes, found.why_whole) == ({"data": 4, "model": 2}, "")


def test_a_replicated_leaf_counts_once():
    """Of leaves that are split over different axes each is counted as often as it is there: once."""
    params = arrays("two", 0)
    opt = optcc.compile(optcc.chain(optcc.clip_by_global_norm(1.0), optcc.sgd(1.0)), params)
    grads = arrays("two", 1)
    norm = np.sqrt(sum(float(np.sum(np.square(np.asarray(g, np.float64)))) for g in grads.values()))
    new, _ = opt.step(grads, opt.init(params), arrays("two", 0))
    np.testing.assert_allclose(new["b"] - params["b"], -np.asarray(grads["b"]) / norm, rtol=1e-4, atol=1e-6)


def test_a_step_in_a_jit_of_the_users():
    """Where arrays are is not known there, so it is what was compiled for."""
    params = arrays("two", 0)
    opt = optcc.compile(CHAINS["clip_lamb"](optcc), params)
    state = opt.init(params)
    expected, expected_state, _ = by_optax("clip_lamb", "two")

    @jax.jit
    def update(params, state, grads):
        updates, state = opt.update(grads, state, params)
        return optcc.apply_updates(params, updates), state

    text = update.lower(params, state, arrays("two", 1)).compile().as_text()
    assert text is not None
    assert "optcc_sweep" in text
    assert collectives(text) == {"all-reduce": 2}
    for i in range(STEPS):
        params, state = update(params, state, arrays("two", i + 1))
    for x, y in zip(jax.tree.leaves((params, state)), jax.tree.leaves((expected, expected_state)), strict=True):
        np.testing.assert_allclose(x, y, rtol=3e-5, atol=3e-6)


def test_shapes_with_shardings_are_enough():
    params = arrays("two", 0)
    shapes = {k: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding) for k, x in params.items()}
    opt = optcc.compile(optcc.adamw(1e-2), shapes)
    report = str(opt.report())
    assert "mesh:            8 devices, data = 4 x model = 2" in report
    local = 256 * 128 // 8 + 64 * 512 // 2 + 128 + 1
    assert f"parameters:      {local:,}" in report
    assert opt.donated_bytes == 3 * 4 * local + 4
    assert "collectives" not in report


def test_compiled_for_one_place_and_run_at_another():
    params = arrays("fsdp", 0)
    opt = optcc.compile(CHAINS["adamw"](optcc), params)
    expected, _, _ = by_optax("adamw", "two")
    for spec in ("two", None):
        moved = arrays(spec or "two", 0)
        grads = [arrays(spec or "two", i + 1) for i in range(STEPS)]
        if spec is None:
            moved, *grads = jax.device_get([moved, *grads])
            moved = jax.tree.map(jnp.asarray, moved)
        state = opt.init(moved)
        for g in grads:
            moved, state = opt.step(g, state, moved)
        assert len(moved["w"].sharding.device_set) == (8 if spec else 1)
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=3e-5, atol=3e-6), moved, expected)


WHOLE = {
    "square": (lambda m: m.adafactor(1e-2, min_dim_size_to_factor=16), {"w": (128, 128)}, "two arrays of the shape"),
    "noise": (lambda m: m.chain(m.add_noise(0.1, 0.5, 0), m.sgd(0.1)), {"w": (128, 64)}, "'optim.random'"),
}


@pytest.mark.parametrize("case", WHOLE)
def test_what_needs_whole_arrays_is_partitioned_by_xla_and_says_so(case):
    make, shapes, why = WHOLE[case]

    def placed(seed):
        rng = np.random.default_rng(seed)
        home = NamedSharding(mesh(), P("data"))
        return {k: jax.device_put(rng.normal(size=s).astype(np.float32), home) for k, s in shapes.items()}

    tx, params = make(optax), placed(0)
    opt = optcc.compile(make(optcc), params)
    assert f"XLA partitions the step, since {why}" in str(opt.report(xla=False))
    assert "optcc_sweep" not in opt.hlo()
    state, old = opt.init(params), tx.init(params)
    homes = [x.sharding for x in jax.tree.leaves(state)]
    updates, _ = jax.jit(tx.update)(placed(1), old, params)
    expected = optax.apply_updates(params, updates)
    new, state = opt.step(placed(1), state, params)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5), new, expected)
    assert new["w"].sharding.is_equivalent_to(NamedSharding(mesh(), P("data")), 2)
    for x, home in zip(jax.tree.leaves(state), homes, strict=True):
        assert x.sharding.is_equivalent_to(home, x.ndim)


@pytest.mark.parametrize("layout", ["packed", "tiled"])
def test_a_packed_layout_refuses_leaves_that_are_sharded_differently(layout):
    with pytest.raises(optcc.ShardingError, match=r"leaf 'v'|leaf 's'|leaf 'w'") as error:
        optcc.compile(optcc.adamw(1e-2), arrays("two", 0), layout=layout)
    assert 'layout="tree"' in str(error.value)
    assert optcc.compile(optcc.adamw(1e-2), arrays("two", 0), layout="auto").layout == "tree"


@pytest.mark.parametrize("chain", ["clip_lamb", "adafactor"])
def test_the_interpreter_on_each_device(chain):
    """JAX infers that what is not split is the same on all devices: every fold was combined over the right axes."""
    params = arrays("two", 0)
    opt = optcc.compile(CHAINS[chain](optcc), params, backend="stablehlo")
    local, state, grads = opt.per_device, opt.init(params), arrays("two", 1)
    assert isinstance(local, Function)
    given = [*jax.tree.leaves((grads, params, state)), *opt._hyperparameters.arrays(local)]
    specs = [x.sharding.spec if isinstance(x.sharding, NamedSharding) else P() for x in map(jnp.asarray, given)]
    out = specs[len(params) : len(jax.tree.leaves((grads, params, state)))]
    run = jax.shard_map(
        lambda *xs: tuple(BoundFunction(local).interpret(*xs)), mesh=mesh(), in_specs=tuple(specs), out_specs=tuple(out)
    )
    expected = opt.step(grads, opt.init(params), params, donate=False)
    for x, y in zip(jax.jit(run)(*given), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=3e-5, atol=3e-6)


# The state sharded where the parameters are not (ZeRO)


@pytest.mark.parametrize("chain", ["adamw", "clip_lamb", "adafactor"])
def test_a_state_that_is_split_over_one_more_axis(chain):
    def whole(seed):
        return jax.device_put(arrays("two", seed), NamedSharding(mesh(), P()))

    tx, params = CHAINS[chain](optax), whole(0)
    opt = optcc.compile(CHAINS[chain](optcc), params, shard_state="data")
    state = opt.init(params)
    large = [x for x in jax.tree.leaves(state) if x.size > 128]
    assert large
    assert all(x.sharding.shard_shape(x.shape) != x.shape for x in large if chain != "adafactor")
    homes = [x.sharding for x in jax.tree.leaves(state)]
    expected, old = whole(0), tx.init(whole(0))
    step = jax.jit(tx.update)
    for i in range(STEPS):
        updates, old = step(whole(i + 1), old, expected)
        expected = optax.apply_updates(expected, updates)
        params, state = opt.step(whole(i + 1), state, params)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=3e-5, atol=3e-6), params, expected)
    assert all(x.is_fully_replicated for x in jax.tree.leaves(params))
    assert all(x.sharding.is_equivalent_to(h, x.ndim) for x, h in zip(jax.tree.leaves(state), homes, strict=True))
    found = collectives(opt.hlo())
    assert found["all-gather"] <= len(SHAPES)
    assert found["all-reduce"] <= MOST.get(chain, 0)
    assert "optcc_sweep" in opt.hlo()


def test_a_state_cannot_be_split_over_an_axis_that_there_is_not():
    with pytest.raises(optcc.ShardingError, match="its axes: 'data', 'model'"):
        optcc.compile(optcc.adamw(1e-2), arrays("two", 0), shard_state="pipeline")
    with pytest.raises(optcc.ShardingError, match="no shardings of one mesh"):
        optcc.compile(optcc.adamw(1e-2), {"w": jnp.zeros(8)}, shard_state="data")
