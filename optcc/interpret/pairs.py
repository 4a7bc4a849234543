"""The drop-in pair: `init` and `update` through the reference interpreter, with programs built once per shape."""

from __future__ import annotations

import operator
from collections.abc import Callable, Hashable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp

from optcc.base import OptState, Params, PyTree, Updates
from optcc.dialect import Role
from optcc.dtypes import default_float
from optcc.errors import TreeMismatchError, message
from optcc.formula.definition import Definition
from optcc.interpret import interpreter
from optcc.interpret.initial_state import initial_arrays, is_direct, own_arrays
from optcc.pass_through import passed_leaves, set_apart, set_aside
from optcc.program.arrays import is_key, keys_to_data, shapes_of
from optcc.program.build import build_init, build_program, build_update, fast_of, params_like
from optcc.program.program import Function, Program
from optcc.program.signature import ROLES
from optcc.program.state import StateLayout

_PROGRAMS: WeakKeyDictionary[Definition, dict[Hashable, Any]] = WeakKeyDictionary()


def interpret(function: Function, trees: Mapping[Role, PyTree]) -> dict[Role, Any]:
    """Interpret a function, before hyperparameters are lifted, on the caller's pytrees; its results by role."""
    flat = [jnp.asarray(x) for role in ROLES for x in keys_to_data(jax.tree.leaves(trees.get(role)))]
    program, signature = function.program, function.signature
    results = interpreter.evaluate(
        program.module,
        function.name,
        signature.arguments(flat, operator.getitem),
        bindings=program.bindings,
        callables=program.callables,
    )
    # Constants come as numpy scalars, with which a jitted update would be compiled once more than with arrays.
    return function.trees(signature.data_to_keys([jnp.asarray(x) for x in signature.results(results)]))


def interpret_init(definition: Definition, params: Params) -> Any:
    """The initial state for `params`."""
    params = set_aside(params)
    program, _ = init_program(definition, shapes_of(params))
    if not is_direct(params, program.bindings):
        made, structure = jax.tree.flatten(interpret(program.init, {Role.PARAMS: params})[Role.STATE])
        return structure.unflatten(own_arrays(made, jax.tree.leaves(params)))
    return program.init.trees(initial_arrays(program.init, jax.tree.leaves(params)))[Role.STATE]


def interpret_update(
    definition: Definition, updates: Updates, state: OptState, params: Params, extra_args: dict[str, PyTree]
) -> Any:
    """New updates and new state."""
    extra, functions = split_functions(relevant_extra_args(definition, extra_args))
    updates, params, aside = set_apart(updates, params)
    trees = (updates, state, params, extra)
    program = update_program(definition, *map(shapes_of, trees), functions=functions)
    given = zip((Role.UPDATES, Role.STATE, Role.PARAMS, Role.EXTRA), trees, strict=True)
    found = interpret(program.update, dict(given))
    return aside.with_updates(found[Role.UPDATES], program.zeroed), found[Role.STATE]


def init_program(definition: Definition, params: Params) -> tuple[Program, StateLayout]:
    """The `init` program for a pytree of shapes and dtypes, from the cache if it was built before."""
    return _cached(definition, ("init", _key(params)), lambda: build_init(definition, params))


def update_program(
    definition: Definition,
    updates: Updates,
    state: OptState,
    params: Params,
    extra_args: PyTree = None,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Program:
    """The `update` program for pytrees of shapes and dtypes, checked against each other.

    One with functions among its extra arguments is built anew each time: what they close over may be of one trace.
    Raises TreeMismatchError when updates, state and parameters do not belong together.
    """

    def build() -> Program:
        given = params_like(definition, updates)
        like = given if params is None else params
        if params is not None:
            check_matches(given, fast_of(params), "updates", "params", dtypes=False)
        init, layout = init_program(definition, like)
        expected = init.init.shapes(Role.STATE, results=True)
        check_matches(state, expected, "state", "the state that init makes for these params", dtypes=False)
        return build_update(definition, layout, updates, state, params, extra_args, functions)

    if functions:
        return build()
    return _cached(definition, ("update", _key((updates, state, params, extra_args))), build)


def compiled_program(definition: Definition, params: Params, updates: Updates, extra_args: PyTree = None) -> Program:
    """The program with `@init` and `@update` for parameters, gradients and extra arguments, cached."""

    def build() -> Program:
        return build_program(definition, params, updates, extra_args)

    return _cached(definition, ("both", _key((params, updates, extra_args))), build)


_FIXES = {
    "state": "the state was made for other params, or under another library; call init(params) again, or move the "
    "arrays over with jax.tree.unflatten(jax.tree.structure(init(params)), jax.tree.leaves(state))",
    "params": "pass parameters as those compiled for, or call optcc.compile for these",
}
"""What to do about a pytree that does not fit; anything else is gradients."""


def check_matches(got: PyTree, expected: PyTree, what: str, reference: str, *, dtypes: bool) -> None:
    """Check that two pytrees of shapes have one structure and equal shapes, and dtypes if asked.

    Raises TreeMismatchError that names the first leaf where they differ.
    """
    if _fit(got, expected, dtypes):
        return
    fix = _FIXES.get(what, "pass gradients with the structure, shapes and dtypes of the parameters")
    a, b = (dict(_by_path(tree)) for tree in (got, expected))
    for path in (*a, *b):
        if path not in b or path not in a:
            has, lacks = (what, reference) if path in a else (reference, what)
            raise TreeMismatchError(message(f"{has} has a leaf that {lacks} has not", f"leaf {what}{path}", fix))
    for path, x in a.items():
        y = b[path]
        if not _same(x, y, dtypes):
            raise TreeMismatchError(
                message(
                    f"{what} is {x.dtype}{list(x.shape)}, but {reference} is {y.dtype}{list(y.shape)}",
                    f"leaf {what}{path}",
                    fix,
                )
            )
    if jax.tree.structure(got) != jax.tree.structure(expected):
        raise TreeMismatchError(
            message(
                f"{what} and {reference} have the same leaves in containers of different types",
                f"{jax.tree.structure(got)}\n     and: {jax.tree.structure(expected)}",
                fix,
            )
        )


def _fit(got: PyTree, expected: PyTree, dtypes: bool) -> bool:
    """Whether two pytrees of shapes match; the paths, which cost more, are for the error only.

    Without a leaf any containers do: `{}` may stand for the state of what keeps none.
    """
    a, structure = jax.tree.flatten(got)
    b, other = jax.tree.flatten(expected)
    if not a and not b:
        return True
    return structure == other and all(_same(x, y, dtypes) for x, y in zip(a, b, strict=True))


def _same(x: Any, y: Any, dtypes: bool) -> bool:
    """Whether two arrays have one shape, and dtype if asked. Key data, as JAX once had it, counts as a key."""
    if is_key(y) and not is_key(x):
        y = jax.eval_shape(jax.random.key_data, y)
    return x.shape == y.shape and (not dtypes or x.dtype == y.dtype)


def _by_path(tree: PyTree) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), x) for path, x in jax.tree_util.tree_leaves_with_path(tree)]


def relevant_extra_args(definition: Definition, extra_args: dict[str, PyTree]) -> dict[str, Any] | None:
    """The extra arguments, if some transformation in the chain takes any."""
    return extra_args if extra_args and uses_extra_args(definition) else None


def split_functions(
    extra_args: dict[str, PyTree] | None,
) -> tuple[dict[str, Any] | None, dict[str, Callable[..., Any]]]:
    """The extra arguments that are arrays, and those that are functions."""
    functions = {name: x for name, x in (extra_args or {}).items() if callable(x)}
    arrays = {name: x for name, x in (extra_args or {}).items() if name not in functions}
    return arrays or None, functions


def uses_extra_args(definition: Definition) -> bool:
    """Whether some transformation in the chain takes extra arguments."""
    return definition.uses_extra_args or any(map(uses_extra_args, definition.children))


def _key(shapes: PyTree) -> Hashable:
    leaves, structure = jax.tree.flatten(shapes)
    passed = tuple(leaf.described for leaf in passed_leaves(shapes))
    return structure, tuple((x.shape, x.dtype) for x in leaves), passed, default_float()


def _cached(definition: Definition, key: Hashable, build: Any) -> Any:
    programs = _PROGRAMS.setdefault(definition, {})
    if key not in programs:
        programs[key] = build()
    return programs[key]
