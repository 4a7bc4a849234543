"""A module given as text, for instance an edited one, as a program."""

from __future__ import annotations

import jax
from xdsl.ir import Operation

from optcc.base import Params
from optcc.dialect import Role, calls_in, hypers_in
from optcc.errors import TreeMismatchError, message
from optcc.program.arrays import leaf_paths
from optcc.program.module_text import Chunk
from optcc.program.program import Program
from optcc.program.signature import Signature


def program_of_text(text: str, params: Params, name: str = "module") -> Program:
    """The program of a module with `@init` and `@update`; its state is a tuple of arrays in the order of their places.

    `params` is a pytree of shapes and dtypes. Raises SourceError for text that is no valid module, ValueError for one
    whose functions cannot be called, and TreeMismatchError where it is for other parameters.
    """
    module = Chunk(name, text).parse()
    structure = jax.tree.structure(params)
    program = Program(module, {Role.PARAMS: structure, Role.UPDATES: structure})
    try:
        update = program.update.signature
        _ = program.init
    except KeyError as error:
        what = str(error.args[0])
        fix = "give a module as `CompiledOptimizer.ir` prints it, with @init and @update"
        raise ValueError(message(what, name, fix)) from None
    state = jax.tree.structure(tuple(range(len(update.shapes(Role.STATE)))))
    _check_params(update, params)
    return Program(module, {Role.PARAMS: structure, Role.UPDATES: structure, Role.STATE: state})


def _check_params(signature: Signature, params: Params) -> None:
    """Raises TreeMismatchError that names the first parameter that the module has otherwise."""
    expected, given = signature.shapes(Role.PARAMS), jax.tree.leaves(params)
    fix = "give the parameters that the module was made for"
    if len(expected) != len(given):
        what = f"the module has {len(expected)} parameters, but {len(given)} are given"
        raise TreeMismatchError(message(what, "params", fix))
    for path, got, wanted in zip(leaf_paths(jax.tree.structure(params)), given, expected, strict=True):
        if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
            what = f"{got.dtype}{list(got.shape)} is given, but the module has {wanted.dtype}{list(wanted.shape)}"
            raise TreeMismatchError(message(what, f"leaf {path!r}", fix))


def check_runnable(program: Program) -> None:
    """Check that `@update` returns new parameters and needs nothing that is not in the module.

    Raises ValueError that names the op or the result.
    """
    function = program.update
    if function.signature.of_role(Role.UPDATES, results=True):
        fix = 'run it with pipeline="step", which makes an update a step'
        raise ValueError(message("@update returns updates, not parameters", "the module", fix))
    for op in hypers_in(function.op):
        what = f"hyperparameter {op.key.data!r} is not lifted"
        raise ValueError(message(what, _where(op), 'run it with pipeline="lift-hyperparameters"'))
    for op in calls_in(function.op):
        what = f"the function {op.callee.data!r} is not known to a module given as text"
        raise ValueError(message(what, _where(op), "compile the chain itself with optcc.compile"))


def _where(op: Operation) -> str:
    return f"'{op.name}' in @update"
