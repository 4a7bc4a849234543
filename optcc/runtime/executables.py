"""Functions jitted around programs, shared by all optimizers that compute the same with other numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import RLock
from typing import Any

import jax
import jax.numpy as jnp

from optcc.interpret.pairs import check_matches
from optcc.lowering.native.llvm.prefetch import bytes_ahead
from optcc.program.program import Program, data_to_keys, keys_to_data, shapes_of
from optcc.runtime.packed_trees import Packed, check_layout
from optcc.runtime.primitive import BoundProgram, bind
from optcc.runtime.stages import HyperValues, function_of

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


def key_of(program: Program, values: HyperValues) -> Any:
    """What an executable depends on: the function that runs every step, and the pytrees around it."""
    opaque = tuple(sorted((name, id(f)) for name, f in program.callables.items()))
    dtypes = tuple(x.dtype for x in jax.tree.leaves(program.in_shapes))
    tables = "".join(str(op) for op in program.module.ops if op.name == "optim.leaves")
    structures = jax.tree.structure(program.in_shapes), jax.tree.structure(program.out_shapes)
    return str(function_of(program)), tables, values.layout, structures, dtypes, opaque, bytes_ahead()


def jit_init(executable: BoundProgram) -> Any:
    """The jitted initial state, of the leaves of the parameters and of hyperparameters."""
    program = executable.program

    def optcc_init(params: Any, hypers: Any) -> Any:
        arrays = [jnp.asarray(x) for x in executable.interpret(*keys_to_data(params), *hypers)]
        return jax.tree.unflatten(jax.tree.structure(program.out_shapes), data_to_keys(arrays, program.outputs))

    return jax.jit(optcc_init)


def jit_step(executable: BoundProgram) -> Any:
    """The jitted step. Parameters and state come first, in the order of the results, so that XLA, which pairs donated
    buffers with results of their shape in order, gives each array its own buffer back."""
    grads_like, state_like, params_like, _ = executable.program.in_shapes

    def optcc_step(params: Any, state: Any, grads: Any, hypers: Any) -> Any:
        check_step(grads_like, params_like, state_like, grads, state, params)
        flat = bind(executable, [*jax.tree.leaves((grads, state, params)), *hypers])
        return jax.tree.unflatten(jax.tree.structure(executable.program.out_shapes), flat)

    return jax.jit(optcc_step, donate_argnums=(0, 1))


def check_step(grads_like: Any, params_like: Any, state_like: Any, grads: Any, state: Any, params: Any) -> None:
    """Check arrays against the parameters and state compiled for. Raises TreeMismatchError."""
    for what, got, like in (
        ("grads", grads, grads_like),
        ("state", state, state_like),
        ("params", params, params_like),
    ):
        if isinstance(got, Packed) and isinstance(like, Packed):
            check_layout(got, like.layout, what)
        elif what != "params" or params is not None:
            reference = "the state for the params compiled for" if what == "state" else "the params compiled for"
            check_matches(shapes_of(got), like, what, reference, dtypes=True)
