"""A compiled chain, and a file with its module."""

from __future__ import annotations

from pathlib import Path

import pytest

import optcc
from optcc.expressions import parse_optimizer
from optcc.params import load_params
from optcc.runtime.optimizer import CompiledOptimizer
from tests.cli.calls import EXPRESSION, TINY


@pytest.fixture(scope="module")
def compiled() -> CompiledOptimizer:
    return optcc.compile(parse_optimizer(EXPRESSION), load_params(TINY))


@pytest.fixture
def built(compiled: CompiledOptimizer, tmp_path: Path) -> str:
    """A file with the module before any pass."""
    file = tmp_path / "built.mlir"
    file.write_text(compiled.ir("optim"))
    return str(file)
