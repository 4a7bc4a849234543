"""State and parameters are donated: what a step refuses is named, and `donate=False` keeps them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import optcc
from optcc.errors import DonationError

TX = optcc.adam(0.1)


def params():
    return {"a": jnp.ones(3), "b": jnp.full(3, 2.0)}


def test_use_after_donation_names_the_leaf():
    opt = optcc.compile(TX, params())
    state, given = opt.init(params()), params()
    opt.step(params(), state, given)
    with pytest.raises(DonationError, match=r"was donated(.|\n)*leaf params\['a'\](.|\n)*donate=False"):
        opt.step(params(), opt.init(params()), given)
    with pytest.raises(DonationError, match=r"was donated(.|\n)*leaf state\[0\].count"):
        opt.step(params(), state, params())


@pytest.mark.parametrize("layout", ["tree", "packed"])
def test_arrays_that_share_a_buffer_are_both_named(layout: str):
    opt = optcc.compile(TX, params(), layout=layout)
    x = jnp.ones(3)
    with pytest.raises(DonationError, match=r"one buffer(.|\n)*leaf params\['a'\] and leaf params\['b'\]"):
        opt.step(params(), opt.init(params()), {"a": x, "b": x})
    y = jnp.ones(3)
    with pytest.raises(DonationError, match=r"leaf params\['a'\] and leaf grads\['b'\]"):
        opt.step({"a": jnp.ones(3), "b": y}, opt.init(params()), {"a": y, "b": jnp.ones(3)})


@pytest.mark.parametrize("backend", ["auto", "stablehlo"])
def test_without_donation_everything_is_kept(backend: str):
    opt = optcc.compile(TX, params(), backend=backend)
    x = jnp.ones(3)
    given, state, grads = {"a": x, "b": x}, opt.init(params()), {"a": x, "b": 3 * x}
    new, new_state = opt.step(grads, state, given, donate=False)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves((given, state, grads)))
    expected, expected_state = opt.step(grads, state, {"a": jnp.ones(3), "b": jnp.ones(3)})
    jax.tree.map(np.testing.assert_array_equal, (new, new_state), (expected, expected_state))


def test_synced_parameters_of_lookahead_share_nothing():
    given = optcc.LookaheadParams.init_synced(params())
    opt = optcc.compile(optcc.lookahead(optcc.sgd(0.1), 2, 0.5), given)
    opt.step(params(), opt.init(given), given)
