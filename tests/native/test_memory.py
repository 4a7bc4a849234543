"""Memory of native steps on realistic leaves: in place, temporaries below 1 %, and the list of exceptions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.expressions import parse_optimizer
from optcc.params import load_params
from optcc.report import why_not
from optcc.runtime import native
from tests.table import TABLE, Row, optimizers
from tests.table.row import secondary

kernels = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())

SHAPES: dict[str, tuple[int, ...]] = {
    "wte": (50257, 768),
    "wpe": (1024, 768),
    "qkv": (768, 2304),
    "fc": (768, 3072),
    "proj": (3072, 768),
    "bias": (2304,),
    "scale": (768,),
    # Names and ranks that some rows select.
    "scalar": (),
    "empty": (0, 3),
    "one": (1,),
    "vector": (7,),
    "odd": (3, 5),
    "deep": (2, 3, 4),
}
"""GPT-2's large leaves, and one of each kind of small ones."""
ROWS = [row for row in TABLE if not row.examples]
GPT2 = [row for row in ROWS if (row.listed or row in optimizers.ROWS) and not row.memory]
"""Every optimizer, and what docs/sweeps.md lists, but for what needs memory."""


def documented() -> list[tuple[str, str]]:
    """The rows that docs/native.md says need more memory, and why."""
    text = (Path(__file__).parents[2] / "docs" / "native.md").read_text()
    section = text[text.index("## What takes more memory") :]
    return re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE)


def shapes(row: Row) -> Any:
    return {name: jax.ShapeDtypeStruct(s, jnp.float32) for name, s in SHAPES.items() if len(s) >= row.least_rank}


def temporaries(tx: Any, params: Any, backend: str) -> float:
    """Bytes of temporaries of the step for each byte of parameters; all of state and parameters must be in place."""
    opt = optcc.compile(tx, params, backend=backend)
    assert backend == "stablehlo" or not any(why_not(opt))
    stats = opt.executable.memory_analysis()
    assert stats.alias_size_in_bytes == opt.donated_bytes
    return stats.temp_size_in_bytes / sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))


@pytest.mark.exhaustive
@kernels
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_temporaries(row: Row) -> None:
    used = temporaries(row.make(optcc), row.like(shapes(row)), "native")
    assert (used > 0.01) == bool(row.memory), f"{used:.4f}"


def test_exceptions_are_documented() -> None:
    reasons = [(row.name, row.memory) for row in ROWS if row.memory]
    said: list[tuple[str, str]] = []
    for name, why in documented():
        said.append((name, said[-1][1] if why == "the same" else why))
    assert sorted(said) == sorted(reasons)


@kernels
@pytest.mark.parametrize("row", list(map(secondary, GPT2)))
def test_gpt2(row: Row) -> None:
    assert temporaries(row.make(optcc), row.like(load_params("gpt2")), "native") < 0.01


def _without_kernels(row: Row) -> Any:
    """Those that reduce always; without a compiler all, as no other test is over GPT-2 then."""
    first = row.is_optimizer and (row.reduces or row.xla_arrays)
    return pytest.param(row, id=row.name, marks=[] if first or not native.available() else [pytest.mark.exhaustive])


@pytest.mark.parametrize("row", [_without_kernels(row) for row in GPT2 if row.listed])
def test_gpt2_without_kernels(row: Row) -> None:
    """XLA:CPU keeps one array of the size of all parameters for what reduces along several axes."""
    used = temporaries(parse_optimizer(row.listed), row.like(load_params("gpt2")), "stablehlo")
    assert used < row.xla_arrays + 0.01
