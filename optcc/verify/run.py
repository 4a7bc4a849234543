"""Running the contenders of a verification from the reference's state, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import jax

from optcc.apply import apply_updates
from optcc.base import OptState, Params, PyTree, Updates
from optcc.dialect import Role
from optcc.errors import message
from optcc.formula.definition import Definition, as_pair
from optcc.program.arrays import shapes_of
from optcc.runtime import native
from optcc.runtime.hyperparameters import Hyperparameters
from optcc.runtime.packed_trees import PackedParams, PackedState
from optcc.targets import platform_of
from optcc.verify.compare import Difference, Tolerance, difference
from optcc.verify.inputs import KINDS, tree_like
from optcc.verify.origin import origin_of, tolerance_of
from optcc.verify.result import Check, Verification
from optcc.versions import versions

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer

Step = Callable[[Any, Any, Any], Any]
"""A step of gradients, state and parameters, all pytrees that are not packed: new parameters and state."""
STEPS = 10


def verify(
    compiled: CompiledOptimizer,
    *,
    steps: int = STEPS,
    seed: int = 0,
    others: Mapping[str, tuple[Step, Tolerance]] | None = None,
    skipped: Mapping[str, str] | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Verification:
    """Compare every backend and layout with the interpreter, leaf by leaf, on ordinary and on special values.

    The contenders are the interpreter before any pass, StableHLO, native kernels and packed layouts, and `others`,
    which run on ordinary values only; `skipped` says why others do not run. Each step starts at the reference's state,
    so that differences do not add up. `progress` is called with what begins. Raises TypeError for an optimizer that
    needs extra arguments.
    """
    _check_needs_nothing(compiled)
    reference = compiled.variant(layout="tree")
    contenders, left_out = _contenders(reference)
    tolerance = tolerance_of(reference.staged.program.step)
    worst: dict[tuple[str, str, str], tuple[int, Difference]] = {}
    for kind in KINDS:
        allowed = replace(tolerance, special=kind == "special")
        chosen = {name: (step, allowed) for name, step in contenders.items()}
        chosen |= dict(others or {}) if kind == "normal" else {}
        for number, (grads, state, params, expected) in enumerate(_reference_steps(reference, kind, steps, seed), 1):
            for name, (step, limits) in chosen.items():
                progress(f"{kind} inputs, step {number} of {steps}, {name}")
                for leaf, found in _differences(step(grads, state, params), expected, limits):
                    key = name, kind, leaf
                    if key not in worst or found.excess > worst[key][1].excess:
                        worst[key] = number, found
    origins = _origins(reference)
    checks = tuple(Check(*key, *origins[key[2]], number, **asdict(found)) for key, (number, found) in worst.items())
    return Verification(checks, left_out | dict(skipped or {}), steps, platform_of(compiled.target), versions())


def _check_needs_nothing(compiled: CompiledOptimizer) -> None:
    """Raises TypeError for an optimizer whose step takes more than gradients, state and parameters."""
    try:
        _ = compiled.staged
    except TypeError as error:
        fix = "compare with `interpret_step`, or verify a chain without the transformation that asks for it"
        raise TypeError(message(f"cannot verify: {str(error).splitlines()[0]}", "verify", fix)) from error


def _contenders(reference: CompiledOptimizer) -> tuple[dict[str, Step], dict[str, str]]:
    """The steps to compare, and those that there are not with the reason."""
    found: dict[str, Step] = {}
    skipped: dict[str, str] = {}
    source = reference.source
    if isinstance(source, Definition) and reference.hyperparams == _defaults(reference):
        found["before passes"] = _before_passes(source)
    elif isinstance(source, Definition):
        skipped["before passes"] = "its hyperparameters are those of the definition"
    found["stablehlo"] = _plain(reference.variant(backend="stablehlo"))
    best = "native" if native.available() and jax.default_backend() == "cpu" else "stablehlo"
    if best == "native":
        found["native"] = _plain(reference.variant(backend="native"))
    else:
        skipped["native"] = native.unavailable_reason() or f"there are no native kernels for {jax.default_backend()}"
    if not isinstance(source, Definition):
        skipped["packed"] = "the layout of a module is in its slots"
        return found, skipped
    found["packed state"] = _packed(reference.variant(backend=best, layout="packed"), all_of_it=False)
    if shapes_of(reference.grads) != shapes_of(reference.params):
        skipped["packed"] = "gradients are packed in the shapes and dtypes of the parameters only"
        return found, skipped
    found["packed"] = _packed(reference.variant(backend=best, layout="packed"), all_of_it=True)
    return found, skipped


def _before_passes(definition: Definition) -> Step:
    """The pair: the interpreter on the program as it was built."""
    pair = as_pair(definition)

    def step(grads: Updates, state: OptState, params: Params) -> Any:
        updates, state = pair.update(grads, state, params)
        return apply_updates(params, updates), state

    return step


def _defaults(reference: CompiledOptimizer) -> dict[str, Any]:
    """The hyperparameters that the definition has."""
    return Hyperparameters(lambda: reference.program).values


def _plain(compiled: CompiledOptimizer) -> Step:
    return lambda grads, state, params: compiled.step(grads, state, params, donate=False)


def _packed(compiled: CompiledOptimizer, *, all_of_it: bool) -> Step:
    """A step with a packed state, and with packed gradients and parameters, too."""

    def step(grads: Updates, state: OptState, params: Params) -> Any:
        given = map(compiled.pack, (grads, params)) if all_of_it else (grads, params)
        packed_grads, packed_params = given
        new, new_state = compiled.step(packed_grads, compiled.pack_state(state), packed_params, donate=False)
        assert isinstance(new_state, PackedState)
        return compiled.unpack(new) if isinstance(new, PackedParams) else new, compiled.unpack_state(new_state)

    return step


def _reference_steps(reference: CompiledOptimizer, kind: str, steps: int, seed: int) -> Iterator[Any]:
    """Gradients, state, parameters, and what the interpreter makes of them, for every step."""
    params = tree_like(reference.params, kind, seed, is_gradient=False)
    state = reference.init(params)
    for number in range(steps):
        grads = tree_like(reference.grads, kind, seed + 1 + number, is_gradient=True)
        expected = reference.interpret_step(grads, state, params)
        yield grads, state, params, expected
        params, state = expected


def _differences(got: PyTree, expected: PyTree, tolerance: Tolerance) -> Iterator[tuple[str, Difference]]:
    """The difference of each leaf of parameters and state."""
    for what, one, other in zip(("params", "state"), got, expected, strict=True):
        pairs = zip(jax.tree_util.tree_leaves_with_path(other), jax.tree.leaves(one), strict=True)
        for (path, y), x in pairs:
            yield what + jax.tree_util.keystr(path), difference(x, y, tolerance)


def _origins(reference: CompiledOptimizer) -> dict[str, tuple[str, str]]:
    """For each leaf of the results its dtype, and the op that makes it."""
    function = reference.staged.program.step
    found: dict[str, tuple[str, str]] = {}
    for what, role in (("params", Role.PARAMS), ("state", Role.STATE)):
        shapes = function.shapes(role, results=True)
        for number, (path, x) in enumerate(jax.tree_util.tree_leaves_with_path(shapes)):
            found[what + jax.tree_util.keystr(path)] = str(x.dtype), origin_of(function, role, number)
    return found
