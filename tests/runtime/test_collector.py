"""The garbage collector while the compiler works."""

from __future__ import annotations

import gc

import jax.numpy as jnp
import pytest

import optcc
from optcc.runtime.collector import collector_paused


def test_it_goes_on_afterwards() -> None:
    assert gc.isenabled()
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(KeyError), collector_paused():
        raise KeyError
    assert gc.isenabled()


def test_it_stays_off_where_it_was() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_nothing_is_collected_while_a_program_is_made() -> None:
    """However low the threshold: neither in the passes nor in the lowering."""
    opt = optcc.compile(optcc.adamw(0.1), {"w": jnp.ones(4)}, backend="stablehlo")
    _ = opt.program
    _ = opt._hyperparameters.on_device(opt.staged.program.step)
    collections: list[str] = []
    threshold = gc.get_threshold()
    gc.callbacks.append(lambda phase, info: collections.append(phase))
    try:
        gc.set_threshold(100, 10, 10)
        _ = opt.lowered
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.pop()
    # One may start before, and one after.
    assert len(collections) <= 4
