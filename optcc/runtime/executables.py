"""Functions jitted around programs, shared by all optimizers that compute the same with other numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any

import jax
import jax.numpy as jnp

from optcc.base import OptState, Params, PyTree, Updates
from optcc.dialect import Role, leaf_tables
from optcc.errors import message
from optcc.formula.definition import Definition
from optcc.interpret.initial_state import own_arrays
from optcc.interpret.pairs import check_matches, relevant_extra_args, split_functions
from optcc.lowering.native.llvm.prefetch import rule
from optcc.pass_through import set_apart
from optcc.program.arrays import keys_to_data, shapes_of
from optcc.program.program import Function, Program
from optcc.program.signature import ROLES
from optcc.runtime.on_mesh import OnMesh
from optcc.runtime.packed_trees import Packed, check_layout, like_of, trees_of
from optcc.runtime.primitive import BoundFunction

MAKING = RLock()
"""Held while something is made for the first time, so that two threads do not make it twice."""


class Cache:
    """What was made for a key, for whichever optimizer asked first; the least recently used goes first.

    An optimizer keeps its own as long as it lives.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The value for a key, made if it is not there."""
        with MAKING:
            if key not in self._kept:
                self._kept[key] = make()
                while len(self._kept) > self.most:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def clear(self) -> None:
        """Forget everything."""
        with MAKING:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)


EXECUTABLES = Cache(most=256)
"""Executables, or functions jitted around them, by `key_of` what they compute."""


class Made(dict[tuple[bool, bool, bool, bool], Any]):
    """The jitted steps by which of gradients, state and parameters are packed, and whether the last two are donated.

    They are made when first asked for.
    """

    def __init__(self, make: Callable[[bool, bool, bool, bool], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: tuple[bool, bool, bool, bool]) -> Any:
        return self.setdefault(key, self._make(*key))


def key_of(function: Function) -> Any:
    """What an executable depends on: the text of the function that runs every step, and the pytrees around it."""
    program = function.program
    # An id is enough as long as what is kept for it keeps the callable alive, which the executable does.
    opaque = tuple(sorted((name, id(f)) for name, f in program.callables.items()))
    tables = "".join(map(str, leaf_tables(program.module)))
    structures = tuple(function.structure(role, results=results) for role in ROLES for results in (False, True))
    return str(function.op), tables, structures, tuple(sorted(function.packed)), opaque, rule(), program.zeroed


def jit_init(bound: BoundFunction) -> Any:
    """The jitted initial state, of the leaves of the parameters and of hyperparameters."""

    def optcc_init(params: Params, hypers: Sequence[jax.Array]) -> Any:
        arrays = own_arrays([jnp.asarray(x) for x in bound.interpret(*keys_to_data(params), *hypers)], params)
        return trees_of(bound.function, bound.function.signature.data_to_keys(arrays))[Role.STATE]

    return jax.jit(optcc_init)


def jit_step(bound: BoundFunction | OnMesh, *, donate: bool) -> Any:
    """The jitted step. Parameters and state come first, in the order of the results, so that XLA, which pairs donated
    buffers with results of their shape in order, gives each array its own buffer back."""
    like = {role: like_of(bound.function, role) for role in (Role.UPDATES, Role.STATE, Role.PARAMS)}
    zeroed = bound.function.program.zeroed

    def optcc_step(
        params: Params, state: OptState, grads: Updates, hypers: Sequence[jax.Array], extra: PyTree = None
    ) -> Any:
        grads, params, aside = set_apart(grads, params, like[Role.UPDATES])
        trees = {Role.UPDATES: grads, Role.STATE: state, Role.PARAMS: params, Role.EXTRA: extra}
        check_step(like, trees)
        found = call(bound, trees, hypers)
        return aside.with_params(found[Role.PARAMS], zeroed), found[Role.STATE]

    return jax.jit(optcc_step, donate_argnums=(0, 1) if donate else ())


def jit_training(step: Any, unpack: Any, loss: Callable[..., Any], *, has_aux: bool) -> Any:
    """The jitted step of a training: gradients of a loss, and `step`, with parameters and state donated."""

    def of_tree(params: Params, *batch: Any) -> Any:
        return loss(unpack(params) if isinstance(params, Packed) else params, *batch)

    value_and_grad = jax.value_and_grad(of_tree, has_aux=has_aux)

    def optcc_train(params: Params, state: OptState, *batch: Any) -> Any:
        value, grads = value_and_grad(params, *batch)
        return *step(grads, state, params), value

    return jax.jit(optcc_train, donate_argnums=(0, 1))


def call(bound: BoundFunction | OnMesh, trees: Mapping[Role, PyTree], hypers: Sequence[jax.Array]) -> dict[Role, Any]:
    """Run a function on the caller's pytrees; the pytrees of its results."""
    flat = [x for role in ROLES for x in jax.tree.leaves(trees.get(role))]
    return trees_of(bound.function, bound.run([*flat, *hypers]))


def interpret(function: Function, trees: Mapping[Role, PyTree], hypers: Sequence[jax.Array]) -> dict[Role, Any]:
    """What a function gives, from the reference interpreter. Raises TreeMismatchError."""
    check_step({role: like_of(function, role) for role in trees}, trees)
    flat = [jnp.asarray(x) for role in ROLES for x in keys_to_data(jax.tree.leaves(trees.get(role)))]
    arrays = BoundFunction(function, "stablehlo").interpret(*flat, *hypers)
    return trees_of(function, function.signature.data_to_keys([jnp.asarray(x) for x in arrays]))


def extra_arrays(source: Definition | Program, extra_args: dict[str, PyTree]) -> dict[str, Any] | None:
    """The extra arguments that some transformation of a chain asks for, as arrays. Raises TypeError for a function."""
    if not extra_args or isinstance(source, Program):
        return None
    arrays, functions = split_functions(relevant_extra_args(source, extra_args))
    if functions:
        what = f"a compiled optimizer takes arrays as extra arguments, but {', '.join(functions)} is a function"
        raise TypeError(message(what, fix="use the update of the pair, under a jax.jit of your own"))
    return None if arrays is None else jax.tree.map(jnp.asarray, arrays)


NAMES = {Role.UPDATES: "grads", Role.STATE: "state", Role.PARAMS: "params"}
"""What errors call the pytrees of a step."""


def check_step(like: Mapping[Role, PyTree], trees: Mapping[Role, PyTree]) -> None:
    """Check arrays against the parameters and state compiled for. Raises TreeMismatchError."""
    for role, what in NAMES.items():
        got, expected = trees.get(role), like[role]
        if isinstance(got, Packed) and isinstance(expected, Packed):
            check_layout(got, expected.layout, what)
        elif role is not Role.PARAMS or got is not None:
            reference = "the state for the params compiled for" if role is Role.STATE else "the params compiled for"
            check_matches(shapes_of(got), expected, what, reference, dtypes=True)
