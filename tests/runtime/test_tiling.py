"""Tiled layouts: steps against those on trees, on every backend, and one expression for all leaves in StableHLO."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.lowering.packed_values import Buffer, PackedView
from optcc.lowering.stablehlo.tiles import Tiles
from optcc.lowering.xla_cpu.functions import XlaCpu
from optcc.program.storage import TILE, Packing
from tests.runtime.packed import BACKENDS, assert_near
from tests.runtime.test_packing import CHAINS, PARTS, trained
from tests.trees import matrices_only

SHAPES: dict[str, tuple[int, ...]] = {"a": (40, 30), "b": (7,), "c": (3, 700), "d": (TILE,), "e": (2 * TILE,), "s": ()}
"""Leaves that end in a tile, that end with one, and that are smaller."""
FOLDS = ["clip", "lamb", "lars", "novograd", "zero_nans"]


def tree(seed: int, *, mixed: bool = False) -> dict[str, Any]:
    """Random arrays, some of them bfloat16 if they are mixed."""
    rng = np.random.default_rng(seed)
    dtypes = {"c": jnp.bfloat16, "d": jnp.bfloat16} if mixed else {}
    return {k: jnp.asarray(rng.standard_normal(s), dtypes.get(k, jnp.float32)) for k, s in SHAPES.items()}


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        *(("stablehlo", name) for name in ("adamw", "masks", *FOLDS)),
        *(pytest.param("native", name, marks=BACKENDS[1].marks) for name in ("adamw", "lamb", "adafactor")),
    ],
)
def test_steps_equal_those_on_trees(backend: str, name: str) -> None:
    chain = CHAINS[name]

    def make(seed: int) -> Any:
        return tree(seed, mixed=chain.mixed)

    compiled = optcc.compile(chain.make(), make(0), backend=backend, layout="tiled")
    expected = trained(compiled, (False, False, False), make)
    assert_near(trained(compiled, PARTS["all"], make), expected, 1e-5)


@pytest.mark.parametrize(("platform", "operands"), [("cuda", 2), ("tpu", 1)])
def test_folds_of_one_map(platform: str, operands: int) -> None:
    """On a GPU one `reduce` is one kernel; on a TPU one of two operands is fused with no store."""
    compiled = optcc.compile(optcc.lamb(1e-3), tree(0), layout="tiled")
    arguments = (compiled.pack(tree(0)), compiled.init(tree(0)), compiled.pack(tree(0)))
    lowered = jax.jit(compiled.step).trace(*arguments).lower(lowering_platforms=(platform,)).as_text()
    of_rows = re.findall(r"stablehlo\.reduce\((.*?) across dimensions = \[1\].*tensor<\d+x1024xf32>", lowered)
    assert {found.count("init:") for found in of_rows} == {operands}


@pytest.mark.parametrize("name", ["lamb", "novograd", "zero_nans"])
def test_folds_apart(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XlaCpu, "folds_together", False)
    compiled = optcc.compile(CHAINS[name].make(), tree(0), backend="stablehlo", layout="tiled")
    expected = trained(compiled, (False, False, False), tree)
    assert_near(trained(compiled, PARTS["all"], tree), expected, 1e-5)


def test_a_state_alone() -> None:
    compiled = optcc.compile(optcc.lamb(0.1), tree(0), backend="stablehlo", layout="tiled")
    expected = trained(compiled, (False, False, False), tree)
    assert_near(trained(compiled, PARTS["state"], tree), expected, 1e-5)


def test_gaps_do_not_enter_folds() -> None:
    """Here the update of the gaps, 0 / 0, is NaN: it stays out of norms of leaves and of the tree."""
    tx = optcc.chain(optcc.scale_by_adam(b1=0.0, b2=0.0, eps=0.0), optcc.clip_by_global_norm(1.0), optcc.lamb(0.1))
    compiled = optcc.compile(tx, tree(0), backend="stablehlo", layout="tiled")
    got = trained(compiled, PARTS["all"], tree)
    assert_near(got, trained(compiled, (False, False, False), tree), 1e-5)
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(got))


@pytest.mark.parametrize(
    "make",
    [
        lambda: optcc.adamw(0.1),
        lambda: optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(0.1)),
        lambda: optcc.lamb(0.1),
        lambda: optcc.lamb(0.1, mask=matrices_only),
    ],
    ids=["adamw", "clip_adamw", "lamb", "masked_lamb"],
)
def test_one_expression_for_all_leaves(make: Any) -> None:
    """Twice the leaves are the same number of operations, and no leaf is cut out of a buffer, or put into one."""

    def operations(leaves: int) -> list[str]:
        shapes = {f"{i}": jax.ShapeDtypeStruct((40 + i, 20) if i % 2 else (30,), jnp.float32) for i in range(leaves)}
        compiled = optcc.compile(make(), shapes, backend="stablehlo", layout="tiled")
        packed, state = jax.eval_shape(compiled.pack, shapes), jax.eval_shape(compiled.init, shapes)
        text = jax.jit(lambda p, s, g: compiled.step(g, s, p)).lower(packed, state, packed).as_text()
        return re.findall(r"stablehlo\.(\w+)", text)

    found = operations(20)
    assert found == operations(40)
    assert "concatenate" not in found
    assert found.count("scatter") == 0


def test_tables_of_tiles() -> None:
    packing = Packing.of([(TILE + 1,), (3,), (2, TILE)], TILE)
    assert packing.offsets == (0, 2 * TILE, 3 * TILE)
    assert packing.size == 5 * TILE
    view = PackedView(Buffer(None, packing), ((2 * TILE, (3,)), (0, (TILE + 1,))))
    tiles = Tiles.of(view)
    assert tiles.leaf.tolist() == [1, 1, 0, -1, -1]
    assert tiles.valid.tolist() == [TILE, 1, 3, 0, 0]
    assert not tiles.is_whole


def test_a_layout_of_its_own() -> None:
    """What was packed without tiles is refused, with the leaf; arrays of floats have whole tiles."""
    params = tree(0)
    tiled = optcc.compile(optcc.adamw(0.1), params, layout="tiled")
    assert all(slot.shape.shape[1:] == (TILE,) for slot in tiled.state_layout.slots if slot.packing)
    state = optcc.compile(optcc.adamw(0.1), params, layout="packed").init(params)
    with pytest.raises(optcc.TreeMismatchError, match="packed state"):
        tiled.step(params, state, params)


def test_report_names_the_layout() -> None:
    opt = optcc.compile(optcc.adamw(0.1), {"w": jnp.ones(3)}, backend="stablehlo", layout="tiled")
    report = str(opt.report())
    assert "layout:          tiled, the 3 arrays of the state in 3" in report
    assert "with parameters and gradients tiled, too" in report


@pytest.mark.parametrize("layout", ["packed", "tiled"])
def test_training_step_unpacks_for_the_loss(layout: str) -> None:
    """The loss sees the tree; parameters, gradients and state stay in their buffers."""

    def loss(params: Any, x: Any) -> Any:
        return jnp.mean((x @ params["w"] + params["b"]) ** 2)

    params = {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}
    x = jnp.linspace(-1.0, 1.0, 8).reshape(2, 4)
    opt = optcc.compile(optcc.chain(optcc.clip_by_global_norm(0.5), optcc.adamw(0.1)), params, layout=layout)
    train, tree, packed = opt.jit_step(loss), jax.tree.map(jnp.copy, params), opt.pack(params)
    state, packed_state = opt.unpack_state(opt.init(params)), opt.init(params)
    for _ in range(3):
        tree, state, expected = train(tree, state, x)
        packed, packed_state, value = train(packed, packed_state, x)
        np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert_near((opt.unpack(packed), opt.unpack_state(packed_state)), (tree, state), 1e-5)
