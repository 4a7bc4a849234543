"""Memory of native steps on realistic leaves: in place, temporaries below 1 %, and the list of exceptions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc
from optcc.params import load_params
from optcc.report.text import why_not
from optcc.runtime import native
from tests import table_structured, table_wrappers
from tests.native.digests import CHAINS
from tests.rows import Row
from tests.table import TABLE

pytestmark = pytest.mark.skipif(not native.available(), reason=native.unavailable_reason())

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
NO_EXAMPLES = [case.row for case in table_structured.CASES if not case.examples]
ROWS = {row.name: row for row in [*TABLE, *table_wrappers.ROWS, *table_wrappers.OWN_ROWS, *NO_EXAMPLES]}
SKIPPED = {"multi_transform_prefix"}
"""Its labels are those of the ragged tree."""
DOCUMENTED = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def exceptions() -> set[str]:
    """The rows that docs/native.md says need more memory."""
    text = (Path(__file__).parents[2] / "docs" / "native.md").read_text()
    section = text[text.index("## What takes more memory") :]
    return set(DOCUMENTED.findall(section))


def shapes(row: Row) -> Any:
    left_out = ("scalar",) if "sm3" in row.name or row.name == "adaptive_grad_clip_axes" else ()
    if row.name == "adaptive_grad_clip_axes":
        left_out = tuple(name for name, shape in SHAPES.items() if len(shape) < 2)
    return {name: jax.ShapeDtypeStruct(s, jnp.float32) for name, s in SHAPES.items() if name not in left_out}


def temporaries(opt: Any, params: Any) -> float:
    """Bytes of temporaries of the step for each byte of parameters; all of state and parameters must be in place."""
    assert not any(why_not(opt))
    stats = opt.executable.memory_analysis()
    assert stats.alias_size_in_bytes == opt.donated_bytes
    return stats.temp_size_in_bytes / sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(params))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", sorted(set(ROWS) - SKIPPED))
def test_temporaries(name: str) -> None:
    params = shapes(ROWS[name])
    used = temporaries(optcc.compile(ROWS[name].make(optcc), params, backend="native"), params)
    assert (used > 0.01) == (name in exceptions()), f"{used:.4f}"


def test_documented_exceptions_exist() -> None:
    assert exceptions()
    assert exceptions() <= set(ROWS)


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_gpt2(name: str) -> None:
    params = load_params("gpt2")
    assert temporaries(optcc.compile(CHAINS[name](), params, backend="native"), params) < 0.01
