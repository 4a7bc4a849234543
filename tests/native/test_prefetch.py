"""Prefetches in kernels: which loops have them, on which leaves and processors, and that no bit depends on them."""

from __future__ import annotations

import ctypes
import mmap
import platform
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from xdsl.dialects.builtin import bf16, f32, f64
from xdsl.ir import Attribute, Block, SSAValue

import optcc
from optcc.dialect import Combiner, TreeType, element_type
from optcc.formula import scalar_code
from optcc.lowering import cache_tiles
from optcc.lowering.native import calls
from optcc.lowering.native.calls import kernels_of
from optcc.lowering.native.llvm import IterationSpace, Kernel, compile_source, generate, prefetch
from optcc.runtime import native
from optcc.runtime.executables import EXECUTABLES
from tests.native.kernel_calls import SIGNATURE, call, make_map, random_input, sweeps

AHEAD = 4096
CHAINS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: optcc.sgd(1e-2),
    "adamw": lambda: optcc.adamw(1e-2, mu_dtype=jnp.bfloat16),
    "clip_adamw": lambda: optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(1e-2)),
    "clip_sgd": lambda: optcc.chain(optcc.clip_by_global_norm(1.0), optcc.sgd(1e-2)),
    "lamb": lambda: optcc.lamb(1e-2),
    "adafactor": lambda: optcc.adafactor(1e-2, min_dim_size_to_factor=8),
}
needs_library = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())


@pytest.fixture(autouse=True)
def intel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere as on a processor that gains, whatever the environment says, in programs of any size."""
    monkeypatch.delenv(prefetch.VARIABLE, raising=False)
    monkeypatch.setattr(prefetch, "_processor", lambda: "GenuineIntel")
    monkeypatch.setattr(calls, "LEAST_PROGRAM", 0)


def kernels(chain: str, *shapes: tuple[int, ...]) -> list[Kernel]:
    """The kernels of a step on leaves of some shapes."""
    leaves = {f"w{i}": jax.ShapeDtypeStruct(shape, jnp.float32) for i, shape in enumerate(shapes)}
    return kernels_of(optcc.compile(CHAINS[chain](), leaves).staged.program.step.op)


def streams(source: str) -> list[int]:
    """How many bytes ahead each array is prefetched that is at all."""
    return [int(n) for n in re.findall(r"%\"ahead(\d+)\.\d+\"", source.split("\n{")[0])]


# What is in the loops


@pytest.mark.parametrize("chain", CHAINS)
def test_vector_loops_prefetch_their_streams(chain: str) -> None:
    """In each sweep, folds and folds over axes included: a loop of vectors with a prefetch of each stream at least."""
    found = kernels(chain, (1024, 1024))
    assert found
    for kernel in found:
        compiled = compile_source(kernel.source)
        asked = streams(kernel.source)
        assert asked
        ahead = [b for b in re.split(r"\n\n", compiled.optimized) if "call void @llvm.prefetch" in b]
        assert ahead
        for block in ahead:
            label = block.split(":")[0]
            assert f"label %{label}" in block.split("\n")[-1]
            assert not label.startswith("vec.epilog")
            assert re.search(r"= load <\d+ x \w+>", block)
            assert block.count("call void @llvm.prefetch") >= len(asked)
        if platform.machine() in ("x86_64", "AMD64"):
            assert compiled.assembly.count("prefetcht0") == compiled.optimized.count("call void @llvm.prefetch")
            assert re.search(r"vmovup[sd].*[yz]mm", compiled.assembly)


@pytest.mark.parametrize(("type_", "size"), [(f32, 4), (bf16, 2), (f64, 8)], ids=str)
def test_one_prefetch_for_each_line_of_an_iteration(type_: Attribute, size: int) -> None:
    """`y = 2 x` in place, as LLVM unrolls it, and into an array of its own, which is a stream as well."""

    def twice(block: Block, args: Any) -> list[SSAValue]:
        return [scalar_code.binary(block, "add", args[0], args[0])]

    for target, arrays in ((0, 1), (None, 2)):
        text = compile_source(generate(make_map([type_], twice), [target], ahead=AHEAD).source).optimized
        (loop,) = (block for block in text.split("\n\n") if "call void @llvm.prefetch" in block)
        lanes = sum(int(n) for n in re.findall(r"= load <(\d+) x ", loop))
        assert loop.count("call void @llvm.prefetch") == arrays * max(1, lanes * size // 64)


def test_distance_is_that_of_all_streams_together() -> None:
    """The same elements ahead in each, whatever the type of an element."""
    op = make_map([f32, bf16, f64], lambda block, args: [args[0], args[1]])
    assert streams(generate(op, [0, None], ahead=1600).source) == [400, 200, 800, 200]
    assert streams(generate(op, [0, None], ahead=1600, near=[0, 2]).source) == [800, 800]
    assert streams(generate(op, [0, None], ahead=15).source) == []


def test_only_arrays_with_every_element_are_streams() -> None:
    """A row that is read again and again is in the cache, and so is what a row is folded into."""

    def product(block: Block, args: Any) -> list[SSAValue]:
        return [scalar_code.binary(block, "mul", args[0], args[1])]

    op = make_map([f32, f32], product, [Combiner.ADD])
    kernel = generate(op, [None], IterationSpace(2, (3, 2), (1,)), ahead=AHEAD)
    assert streams(kernel.source) == [AHEAD]
    assert '"ahead4096.0"' in kernel.source


# Bits


def assert_same_bits(op: Any, overwritten: Any, inputs: Any, dims: Any, pattern: IterationSpace | None = None) -> None:
    with_, without = (generate(op, overwritten, pattern, ahead) for ahead in (AHEAD, 0))
    assert with_.name != without.name
    assert "prefetch" in compile_source(with_.source).optimized
    for chunk in (32768, 100):
        results = [call(kernel, inputs, dims, chunk) for kernel in (with_, without)]
        for x, y in zip(*results, strict=True):
            assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
@pytest.mark.parametrize("chain", ["sgd", "adamw", "clip_adamw", "lamb"])
def test_no_bit_changes(chain: str, dtype: str) -> None:
    """Stored results and folds, on empty, ragged and large leaves, chunk by chunk."""
    with jax.enable_x64(dtype == "float64"):
        maps = sweeps(CHAINS[chain](), {"w": jnp.ones((4, 4), dtype)})
    rng = np.random.default_rng(0)
    for op, overwritten in maps:
        elements = [isinstance(t, TreeType) and t.has_elements for t in op.operand_types]
        for size in (0, 1, 7, 33, 999, 70_001):
            shapes = [(size,) if e else () for e in elements]
            inputs = [random_input(rng, element_type(t), s) for t, s in zip(op.operand_types, shapes, strict=True)]
            assert_same_bits(op, overwritten, inputs, [size])


@pytest.mark.parametrize("kept", range(7))
def test_no_bit_of_axis_folds_changes(kept: int) -> None:
    def body(block: Block, args: Any) -> list[SSAValue]:
        y = scalar_code.binary(block, "mul", args[0], args[1])
        return [y, y, y]

    op = make_map([f32, f32], body, [Combiner.NONE, Combiner.MAX, Combiner.ADD])
    dims = [6, 5, 333]
    rng = np.random.default_rng(kept)
    x = rng.normal(size=dims).astype(np.float32)
    s = rng.normal(size=[n if kept >> d & 1 else 1 for d, n in enumerate(dims)]).astype(np.float32)
    assert_same_bits(op, [0, None, None], [x, s], dims, IterationSpace(3, (7, kept), (7, kept, None)))


@pytest.mark.skipif(not hasattr(mmap, "MAP_ANONYMOUS"), reason="asks for pages")
def test_prefetches_behind_the_end_do_not_fault() -> None:
    """The array ends where memory does."""
    op = make_map([f32], lambda block, args: [scalar_code.binary(block, "add", args[0], args[0])])
    page = mmap.PAGESIZE
    pages = mmap.mmap(-1, 2 * page)
    x = np.frombuffer(pages, np.float32, page // 4)
    x[:] = 1
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(x.ctypes.data + page), ctypes.c_size_t(page), 0) == 0
    address = compile_source(generate(op, [0], ahead=512).source).address
    pointers = (ctypes.c_void_p * 1)(x.ctypes.data)
    SIGNATURE(address)(0, x.size, np.array([x.size], np.int64).ctypes.data, pointers, None, None)
    assert (x == 2).all()


# Where


@pytest.mark.parametrize("chain", CHAINS)
def test_small_leaves_have_none(chain: str) -> None:
    """They end before what is fetched is used; large ones beside them, or many elements in all, make up for it."""
    small = kernels(chain, *[(100,)] * 1000)
    assert [k for k in small if streams(k.source)] == []
    assert any(streams(k.source) for k in kernels(chain, *[(100,)] * 5, (1000, 1000)))


def test_the_least_run() -> None:
    least = prefetch.LEAST_RUN * prefetch.RULES["GenuineIntel"].ahead
    assert not streams(kernels("sgd", (least // 8 - 1,))[0].source)
    assert streams(kernels("sgd", (least // 8,))[0].source)
    assert prefetch.bytes_that_pay(3 * least - 1, 3, 0.0) == 0
    assert prefetch.bytes_that_pay(3 * least, 3, 0.0) == 8192


@needs_library
def test_a_program_that_stays_in_the_cache_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts are the bytes of all arguments: four arrays for adamw, whether packed or not."""
    monkeypatch.setattr(calls, "LEAST_PROGRAM", prefetch.LEAST_PROGRAM)
    assert prefetch.LEAST_PROGRAM == 6 << 20
    monkeypatch.setitem(CHAINS, "adamw", lambda: optcc.adamw(1e-2))
    for elements, expected in (((6 << 16) - 64, False), (6 << 16, True)):
        leaf = {"w": jax.ShapeDtypeStruct((elements,), jnp.float32)}
        assert any(streams(k.source) for k in kernels("adamw", (elements,))) == expected
        for layout in ("tree", "packed"):
            EXECUTABLES.clear()  # the least program is no part of the key
            text = optcc.compile(optcc.adamw(1e-2), leaf, backend="native", layout=layout).stablehlo()
            assert "optcc_sweep" in text
            assert ("ahead" in text) == expected
    EXECUTABLES.clear()


@needs_library
def test_later_sweeps_of_a_block_find_it_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """They prefetch what no sweep of the block has read before; of a block that is too large, all of it."""
    monkeypatch.setattr(cache_tiles, "BLOCK_BYTES", 1 << 20)
    monkeypatch.setattr(cache_tiles, "LEAST_BYTES", 0)
    leaf, large = (jax.ShapeDtypeStruct((n, 256), jnp.float32) for n in (256, 1024))

    def asked(**leaves: Any) -> list[int]:
        EXECUTABLES.clear()  # the size of a block is no part of the key
        text = optcc.compile(CHAINS["adafactor"](), leaves, backend="native").stablehlo()
        sources = re.findall(r'source = "((?:[^"\\]|\\.)*)"', text)
        return [len(re.findall(r"ahead\d+\.\d+", s.split("\\0A{")[0])) for s in sources if "define" in s]

    # The sweeps read the gradients; the gradients and the parameters; both again, and write the parameters.
    assert asked(a=large) == [1, 2, 2]
    assert asked(a=leaf) == [1, 1, 0]
    assert asked(a=leaf, b=leaf, c=large) == [1, 1, 0, 1, 1, 0, 1, 2, 2]
    EXECUTABLES.clear()


@needs_library
@pytest.mark.parametrize(("layout", "expected"), [("all", True), ("state", False)])
@pytest.mark.parametrize("chain", ["adamw", "lamb"])
def test_small_leaves_that_adjoin_are_one_run(chain: str, layout: str, expected: bool) -> None:
    """Where parameters, gradients and state are packed, what is fetched behind a leaf is the next one."""
    leaves = {f"w{i}": jax.ShapeDtypeStruct((999,), jnp.float32) for i in range(100)}
    opt = optcc.compile(CHAINS[chain](), leaves, backend="native", layout="packed")
    params = leaves if layout == "state" else jax.eval_shape(opt.pack, leaves)
    text = jax.jit(lambda p, s, g: opt.step(g, s, p)).lower(params, jax.eval_shape(opt.init, leaves), params).as_text()
    assert "optcc_sweep" in text
    assert ("ahead" in text) == expected


# Whether


@pytest.mark.parametrize(
    ("processor", "ahead"),
    [
        ("GenuineIntel 6 207", 8192),
        ("AuthenticAMD 25 1", 4096),
        ("AuthenticAMD 25 17", 0),
        ("", 0),
        ("HygonGenuine 24 1", 0),
    ],
)
def test_processors(processor: str, ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where it was measured."""
    monkeypatch.setattr(prefetch, "_processor", lambda: processor)
    assert prefetch.rule().ahead == ahead
    assert bool(streams(kernels("adamw", (1 << 20,))[0].source)) == bool(ahead)


def test_loops_that_compute_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """On AMD's processors they lose by prefetches: sgd has one operation a stream, the norm a product and a fold."""
    asked = [bool(streams(k.source)) for k in kernels("clip_sgd", (1 << 21,))]
    assert asked == [True, True]
    assert streams(kernels("sgd", (1 << 21,))[0].source)
    monkeypatch.setattr(prefetch, "_processor", lambda: "AuthenticAMD")
    assert not streams(kernels("sgd", (1 << 21,))[0].source)
    assert [bool(streams(k.source)) for k in kernels("clip_sgd", (1 << 21,))] == [True, True]
    monkeypatch.setenv("OPTCC_PREFETCH", "4096")
    assert streams(kernels("sgd", (1 << 21,))[0].source)


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    (default,) = kernels("adamw", (1 << 20,))
    names = {default.name}
    for text, expected in (("0", []), ("1400", [200, 400, 400, 400])):
        monkeypatch.setenv("OPTCC_PREFETCH", text)
        (kernel,) = kernels("adamw", (1 << 20,))
        assert streams(kernel.source) == expected
        names.add(kernel.name)
    assert len(names) == 3


@pytest.mark.parametrize("text", ["", "on", "-1", "8 kB", "1048577", "99999999999999999999"])
def test_environment_that_is_no_distance(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPTCC_PREFETCH", text)
    with pytest.raises(ValueError, match="not a number of bytes") as caught:
        prefetch.rule()
    assert repr(text) in str(caught.value)
    assert "the environment variable OPTCC_PREFETCH" in str(caught.value)
    assert "set it to 0 for no prefetches" in str(caught.value)


@needs_library
@pytest.mark.parametrize("chain", CHAINS)
def test_steps_of_both_in_one_process(chain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executable without prefetches does not stand in for one with them; their results have the same bits."""
    results: list[Any] = []
    for text in ("0", "8192"):
        monkeypatch.setenv("OPTCC_PREFETCH", text)
        rng = np.random.default_rng(0)
        params, grads = ({"w": jnp.asarray(rng.normal(size=(301, 307)), jnp.float32)} for _ in range(2))
        opt = optcc.compile(CHAINS[chain](), params, backend="native")
        assert ("ahead" in opt.stablehlo()) == (text != "0")
        state = opt.init(params)
        for _ in range(2):
            params, state = opt.step(grads, state, params)
        results.append((params, state))
    for x, y in zip(*map(jax.tree.leaves, results), strict=True):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()
