"""Targets that need not be there: names, cards, what is read from HLO, and reports."""

from __future__ import annotations

import re
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.errors import TargetError
from optcc.params import load_params
from optcc.report.hlo import collectives, kernel_count, kernels, memory_bytes
from optcc.targets import cards, target, target_of

PARAMS = {"w": jax.ShapeDtypeStruct((256, 384), jnp.float32), "b": jax.ShapeDtypeStruct((384,), jnp.float32)}
CHAIN = optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(3e-4))
COMPILERS = {
    "cuda:h100": ("jax_cuda12_plugin", "pip install 'optcc[cuda]'"),
    "tpu:v5e": ("libtpu", "pip install 'optcc[tpu]'"),
}

GPU = """HloModule step, is_scheduled=true

%inner (a: f32[8]) -> f32[8] {
  %a = f32[8]{0} parameter(0)
  ROOT %all-reduce.1 = f32[8]{0} all-reduce(%a), replica_groups={{0,1}}, to_apply=%add
}

%command_buffer (a: f32[8]) -> f32[8] {
  %a.1 = f32[8]{0} parameter(0)
  ROOT %copy.1 = f32[8]{0} copy(%a.1)
}

ENTRY %main (p: f32[8], g: f32[8]) -> (f32[8], f32[]) {
  %g = f32[8]{0} parameter(1)
  %p = f32[8]{0} parameter(0)
  %zero = f32[] constant(0)
  %input_reduce_fusion = f32[] fusion(%g), kind=kInput, calls=%fused_reduce
  %all-gather-start = (f32[4]{0}, f32[8]{0}) all-gather-start(%p), replica_groups={{0,1}}
  %all-gather-done = f32[8]{0} all-gather-done(%all-gather-start)
  %loop_fusion = (f32[8]{0}, f32[8]{0}) fusion(%all-gather-done, %g, %input_reduce_fusion), kind=kLoop, calls=%body
  %element = f32[8]{0} get-tuple-element(%loop_fusion), index=0
  %new = f32[8]{0} call(%element), to_apply=%command_buffer
  ROOT %tuple = (f32[8]{0}, f32[]) tuple(%new, %input_reduce_fusion)
}
"""
TPU = """HloModule step, is_scheduled=true

ENTRY %main (p: f32[8], s: f32[]) -> f32[8] {
  %s = f32[]{:T(128)} parameter(1)
  %p = f32[8]{0:T(128)} parameter(0)
  %copy-start = (f32[8]{0:T(128)S(1)}, f32[8]{0:T(128)}, u32[]{:S(2)}) copy-start(%p)
  %multiply.1 = f32[]{:T(128)S(6)} multiply(%s, %s)
  %copy-done = f32[8]{0:T(128)S(1)} copy-done(%copy-start)
  ROOT %fusion = f32[8]{0:T(128)} fusion(%copy-done, %multiply.1), kind=kLoop, calls=%body
}
"""


def test_kernels_of_a_text() -> None:
    assert kernels(GPU) == {"fusion": 2, "all-gather": 1, "copy": 1}
    assert kernel_count(GPU) == 4


def test_scalars_of_a_tpu_are_no_kernels() -> None:
    assert kernels(TPU) == {"copy": 1, "fusion": 1}


def test_collectives_of_a_text() -> None:
    assert collectives(GPU) == {"all-reduce": 1, "all-gather": 1}
    assert not collectives(TPU)


def test_bytes_on_the_chip_are_not_memory() -> None:
    """What is fetched ahead of its use is read once, and what waits on the chip is not in memory."""
    fetched, scalar, stored = 32, 4, 32
    assert memory_bytes(TPU) == fetched + scalar + stored
    slices = """
ENTRY %main (p: bf16[16,8]) -> f32[8,8] {
  %p = bf16[16,8]{1,0:T(8,128)} parameter(0)
  %slice-start = ((bf16[16,8]{1,0:T(8,128)}), bf16[8,8]{1,0:T(8,128)S(1)}, s32[]{:S(2)}) slice-start(%p), slice={[0:8]}
  %slice-done = bf16[8,8]{1,0:T(8,128)S(1)} slice-done(%slice-start)
  ROOT %fusion = f32[8,8]{1,0:T(8,128)} fusion(%slice-done, %p), kind=kLoop, calls=%body
}
"""
    assert memory_bytes(slices) == 8 * 8 * 2 + 16 * 8 * 2 + 8 * 8 * 4


def test_unknown_target() -> None:
    with pytest.raises(TargetError) as caught:
        optcc.compile(CHAIN, PARAMS, target="cuda:h10")
    first, where, fix = str(caught.value).splitlines()
    assert (first, where) == ("unknown target 'cuda:h10'", "  where: target")
    assert "'cuda:h100'" in fix
    with pytest.raises(TargetError, match="one of cpu, cuda:a100, "):
        target_of("amd")


@pytest.mark.parametrize("name", COMPILERS)
def test_missing_compiler(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "find_spec", lambda name: None)
    target._on_one_device.cache_clear()
    compiled = optcc.compile(CHAIN, PARAMS, target=name)
    assert "optim.sweep" in compiled.ir()  # which needs no compiler of another
    with pytest.raises(TargetError) as caught:
        compiled.report()
    what = f"the compiler for {name} is not installed"
    assert str(caught.value) == f"{what}\n  where: target {name!r}\n  fix:   {COMPILERS[name][1]}"


def test_compiler_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**given: str) -> None:
        raise RuntimeError("no such topology\nand a long trace")

    monkeypatch.setattr(target, "find_spec", lambda name: True)
    monkeypatch.setattr(target.topologies, "get_topology_desc", broken)
    target._on_one_device.cache_clear()
    with pytest.raises(TargetError) as caught:
        _ = target_of("tpu:v5e").sharding
    first, _, fix = str(caught.value).splitlines()
    assert first == "the compiler for tpu:v5e does not start: no such topology"
    assert "optcc[tpu]" in fix


def test_own_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine with the card its device is compiled for, and XLA may tune kernels; not on one with another."""
    device = SimpleNamespace(device_kind="NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [device])
    assert target_of("cuda:h100").own_device is device
    assert not target_of("cuda:h100").compiler_options
    assert target_of("cuda:a100").own_device is None
    assert target_of("cuda:a100").compiler_options == {"xla_gpu_autotune_level": 0}
    assert target_of("tpu:v5e").own_device is None


def test_cards() -> None:
    for name, card in cards().items():
        assert 5e11 < card.bandwidth < 1e13, name
        assert 1e10 < card.memory < 3e11, name
        assert bool(card.config) == name.startswith("cuda:")
    assert "cuda_compute_capability { major: 9 minor: 0 }" in cards()["cuda:h100"].config


def test_cpu_target() -> None:
    compiled = optcc.compile(CHAIN, PARAMS, target="cpu", backend="stablehlo")
    text = str(compiled.report())
    assert "0 of 2 sweeps native, on cpu" in text
    assert "roofline" not in text
    assert re.search(r"^kernels: +\d+ \(.* that run, \d+ of them fusions\)$", text, re.MULTILINE)


def _without(module: str) -> Any:
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


@pytest.mark.parametrize(
    ("name", "fusions"),
    [
        pytest.param("cuda:h100", 6, marks=_without("jax_cuda12_plugin")),
        pytest.param("tpu:v5e", 5, marks=_without("libtpu")),
    ],
)
def test_card(name: str, fusions: int) -> None:
    """Two leaves: at most two folds, which a GPU may do in two kernels, their sum, and two updates; all in place."""
    target._on_one_device.cache_clear()
    compiled = optcc.compile(CHAIN, PARAMS, target=name)
    assert kernels(compiled.hlo())["fusion"] <= fusions
    text = str(compiled.report())
    assert f"0 of 2 sweeps native, on {name.partition(':')[0]}" in text
    assert f"target:          {cards()[name].name}: " in text
    for line in ("bytes accessed: ", "roofline: ", "memory: "):
        assert f"\n{line}" in text
    assert "donated buffers are not reused" not in text


@_without("libtpu")
def test_tiles_are_not_copied_on_a_tpu() -> None:
    """Stored as a 1-d array, a buffer of tiles was laid out anew to fold its rows: a reshape of all of it."""
    target._on_one_device.cache_clear()
    compiled = optcc.compile(optcc.lamb(1e-3), PARAMS, layout="tiled", target="tpu:v5e")
    assert kernels(compiled.hlo())["reshape"] == 0


@_without("libtpu")
def test_lamb_reads_its_moments_once_a_sweep_on_a_tpu() -> None:
    """40 bytes a parameter: folded by one `reduce` the moments were stored, and then read again for the norms."""
    target._on_one_device.cache_clear()
    params = {"w": jax.ShapeDtypeStruct((1 << 12, 1 << 12), jnp.float32)}
    compiled = optcc.compile(optcc.lamb(1e-3, weight_decay=0.1), params, layout="tiled", target="tpu:v5e")
    assert memory_bytes(compiled.hlo()) / (1 << 24) == pytest.approx(40, abs=0.1)


@_without("jax_cuda12_plugin")
@pytest.mark.parametrize(
    ("tx", "most", "temporaries"),
    [
        pytest.param(CHAIN, 115, 1e6, id="clip + adamw"),
        pytest.param(optcc.lamb(1e-3), 170, 1e6, id="lamb"),
        pytest.param(optcc.adafactor(1e-3), 300, 1.2e8, id="adafactor"),
    ],
)
def test_trees_on_a_gpu(tx: optcc.GradientTransformation, most: int, temporaries: float) -> None:
    """GPT-2's 148 leaves: large ones take a kernel in each sweep, the others few; stores are in place."""
    target._on_one_device.cache_clear()
    compiled = optcc.compile(tx, load_params("gpt2"), target="cuda:h100")
    assert kernel_count(compiled.hlo()) <= most
    assert compiled.executable.memory_analysis().temp_size_in_bytes < temporaries
