"""What users are told: each error's text, with what, where and what to do."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import optcc

PARAMS = {"decoder": {"bias": jnp.ones(4), "w": jnp.ones((4, 2))}}
OTHER = {"decoder": {"bias": jnp.ones(8), "w": jnp.ones((4, 2))}}


def fails(error: type[Exception], call: Any) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def test_state_made_for_other_params():
    tx = optcc.adam(0.1)
    state = tx.init(OTHER)
    expected = (
        "state is float32[8], but the state that init makes for these params is float32[4]\n"
        "  where: leaf state[0].mu['decoder']['bias']\n"
        "  fix:   the state was made for other params, or under another library; call init(params) again"
    )
    assert fails(optcc.TreeMismatchError, lambda: tx.update(PARAMS, state, PARAMS)).startswith(expected)
    compiled = optcc.compile(tx, PARAMS)
    text = fails(optcc.TreeMismatchError, lambda: compiled.step(PARAMS, state, PARAMS))
    assert "where: leaf state[0].mu['decoder']['bias']" in text
    assert "float32[8], but the state for the params compiled for is float32[4]" in text


def test_state_of_another_chain():
    text = fails(optcc.TreeMismatchError, lambda: optcc.adam(0.1).update(PARAMS, optcc.sgd(0.1).init(PARAMS), PARAMS))
    assert "the state that init makes for these params has a leaf that state has not" in text
    assert "where: leaf state[0].count" in text


def test_no_parameters():
    """A program without any array still gives its results."""
    compiled = optcc.compile(optcc.centralize(), {})
    state = compiled.init({})
    assert compiled.step({}, state, {}) == ({}, state)
    assert compiled.update({}, state, {}) == ({}, state)
    compiled = optcc.compile(optcc.adamw(0.1), {})
    params, state = compiled.step({}, compiled.init({}), {})
    assert params == {}
    assert state[0].count == 1


def test_flatten_of_real_and_complex_leaves():
    tx = optcc.flatten(optcc.sgd(0.1))
    params = {"a": jnp.ones(3), "b": jnp.ones(2, jnp.complex64)}
    text = fails(TypeError, lambda: tx.update(params, tx.init(params), params))
    assert text == (
        "flatten cannot put real and complex leaves into one vector\n"
        "  where: flatten\n"
        "  fix:   put split_real_and_imaginary around flatten, or partition the parameters"
    )


def test_state_of_another_library():
    import optax

    text = fails(optcc.TreeMismatchError, lambda: optcc.adam(0.1).update(PARAMS, optax.adam(0.1).init(PARAMS), PARAMS))
    assert "have the same leaves in containers of different types" in text
    assert "jax.tree.unflatten(jax.tree.structure(init(params)), jax.tree.leaves(state))" in text


@pytest.mark.parametrize(
    ("grads", "what", "where"),
    [
        ({"decoder": {"w": jnp.ones((4, 2))}}, "has a leaf that grads has not", "leaf grads['decoder']['bias']"),
        (OTHER, "grads is float32[8], but the params compiled for is float32[4]", "leaf grads['decoder']['bias']"),
        (
            {"decoder": {"bias": jnp.ones(4, jnp.int32), "w": jnp.ones((4, 2))}},
            "grads is int32[4], but the params compiled for is float32[4]",
            "leaf grads['decoder']['bias']",
        ),
    ],
    ids=["structure", "shape", "dtype"],
)
def test_gradients_that_do_not_fit(grads: Any, what: str, where: str):
    compiled = optcc.compile(optcc.adam(0.1), PARAMS)
    text = fails(optcc.TreeMismatchError, lambda: compiled.step(grads, compiled.init(PARAMS), PARAMS))
    assert what in text
    assert f"where: {where}" in text
    assert "fix:   pass gradients with the structure, shapes and dtypes of the parameters" in text
    # Nothing was donated: the parameters are still there.
    assert not jax.tree.leaves(PARAMS)[0].is_deleted()


def test_update_checks_as_step_does():
    compiled = optcc.compile(optcc.adam(0.1), PARAMS)
    assert "leaf grads['decoder']['bias']" in fails(
        optcc.TreeMismatchError, lambda: compiled.update(OTHER, compiled.init(PARAMS), PARAMS)
    )
    assert "leaf params['decoder']['bias']" in fails(optcc.TreeMismatchError, lambda: compiled.init(OTHER))


def test_params_missing():
    tx = optcc.chain(optcc.clip(1.0), optcc.add_decayed_weights(0.1))
    text = fails(ValueError, lambda: tx.update(PARAMS, tx.init(PARAMS)))
    assert text == (
        "this transformation needs the current parameters, but `update` was called without `params`\n"
        "  where: chain[1] add_decayed_weights\n"
        "  fix:   call update(updates, state, params)"
    )


def test_integer_parameters():
    text = fails(TypeError, lambda: optcc.adam(0.1).init({"steps": jnp.arange(3)}))
    assert "a parameter must be a float or complex array, got int32[3]" in text
    assert "where: leaf 'steps'" in text


def test_not_a_transformation():
    text = fails(TypeError, lambda: optcc.chain(optcc.clip(1.0), 0.1))  # type: ignore[arg-type]
    assert text.startswith("a gradient transformation is an init/update pair, got float: 0.1")
    assert "chain needs at least one transformation" in fails(ValueError, optcc.chain)


def test_lion_mode():
    text = fails(ValueError, lambda: optcc.scale_by_lion(mode="smoth"))  # type: ignore[arg-type]
    assert text == "mode must be one of ('hard', 'smooth', 'refined'), got 'smoth'\n  fix:   did you mean 'smooth'?"


def test_mask_that_does_not_fit():
    tx = optcc.masked(optcc.scale(2.0), {"encoder": True})
    text = fails(optcc.TreeMismatchError, lambda: tx.init(PARAMS))
    assert text.startswith("the mask is no pytree of bools that is a prefix of the parameters")
    assert "Dict key mismatch: the mask has ['encoder'], the parameters have" in text
    assert "where: masked" in text
    deep = optcc.masked(optcc.scale(2.0), {"a": {"w": True}})
    text = fails(optcc.TreeMismatchError, lambda: deep.init({"a": {"w": jnp.ones(2), "b": jnp.ones(2)}}))
    assert "the mask has ['w'], the parameters have ['b', 'w']" in text


def test_hyperparameter_with_a_shape():
    tx = optcc.chain(optcc.scale(jnp.ones(3)))
    text = fails(TypeError, lambda: tx.update(PARAMS, tx.init(PARAMS), PARAMS))
    assert text == "hyperparameter 'step_size' must be a number or a 0-d array, got float32[3]\n  where: chain[0] scale"


def test_schedule_with_a_shape():
    tx = optcc.scale_by_schedule(lambda count: jnp.ones(3))
    assert "a schedule must return one scalar" in fails(TypeError, lambda: tx.update(PARAMS, tx.init(PARAMS), PARAMS))


def test_unknown_stage():
    compiled = optcc.compile(optcc.adam(0.1), PARAMS)
    text = fails(ValueError, lambda: compiled.ir("sweep"))
    assert text == "unknown stage 'sweep'\n  fix:   did you mean 'sweeps' or 'form-sweeps'?"


def test_unknown_pass():
    from optcc.passes import parse_pipeline

    text = fails(optcc.PipelineError, lambda: parse_pipeline("split-leaves,fuse-map"))
    assert text == (
        "unknown pass 'fuse-map'\n  where: pipeline 'split-leaves,fuse-map'\n  fix:   did you mean 'fuse-maps'?"
    )
    assert "malformed pipeline" in fails(optcc.PipelineError, lambda: parse_pipeline("rematerialize{factor"))
    assert "malformed pipeline" in fails(optcc.PipelineError, lambda: parse_pipeline("rematerialize{size=1}"))


def test_parameters_that_do_not_fit() -> None:
    compiled = optcc.compile(optcc.adam(0.1), PARAMS)
    others = jax.tree.map(lambda x: jnp.zeros((7, 7)), PARAMS)
    text = fails(optcc.TreeMismatchError, lambda: compiled.init(others))
    assert "fix:   pass parameters as those compiled for, or call optcc.compile for these" in text
