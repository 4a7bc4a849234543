"""Settings for all tests: CPU, quiet, no state shared between files."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import pytest

from tests import corrected_optax


@pytest.fixture(autouse=True)
def _exact_step_scalars(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Optax's step-level numbers are further off than the test allows for."""
    if getattr(request.node, "originalname", None) in corrected_optax.TESTS:
        corrected_optax.install(monkeypatch, request.module, request.getfixturevalue("row").name)
