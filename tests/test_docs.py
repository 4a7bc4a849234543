"""Every block of Python in the docs runs, and every link between pages leads somewhere."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
import pytest
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import optcc
from optcc import base, builder

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the docs are in the checkout only")
BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```", flags=re.MULTILINE | re.DOTALL)
ELSEWHERE = {"README.md", "tools.md"}
"""Pages whose blocks `test_readme.py` runs, and compares with what they show."""


def given() -> dict[str, Any]:
    """What a reader of a page in the middle has at hand: parameters, gradients, a step and the libraries."""
    params = {"w": jnp.ones((8, 4)), "b": jnp.zeros(4)}
    grads = jax.tree.map(jnp.ones_like, params)
    opt = optcc.compile(optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(3e-4)), params)
    names = {name: getattr(builder, name) for name in ("Builder", "Scalar", "Tree", "stateless")}
    return names | {
        "jax": jax, "jnp": jnp, "optax": optax, "optcc": optcc, "base": base, "NamedSharding": NamedSharding, "P": P,
        "mesh": Mesh(jax.devices()[:1], ("data",)), "params": params, "grads": grads, "state": opt.init(params),
        "tx": optcc.adam(1e-3), "loss": lambda p: jnp.sum(p["w"] ** 2),
        "step": lambda g, s, p: opt.step(g, s, p),
    }  # fmt: skip


@pytest.mark.parametrize("page", [p for p in PAGES if p.name not in ELSEWHERE], ids=lambda p: p.name)
def test_blocks_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order, in one namespace; a block that names what only the page's reader has finds it in `given`."""
    blocks = [textwrap.dedent(code) for _, code in BLOCK.findall(page.read_text())]
    names = given()
    for number, code in enumerate(blocks):
        if code.startswith("Row("):
            continue  # a row of the test table, which reads its own rows
        if page.name not in ("training.md",):
            names = given()
        exec(compile(code, f"{page.name}, block {number}", "exec"), names)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
