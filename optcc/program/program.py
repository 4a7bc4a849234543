"""A module of the IR with what its caller keeps outside of it: pytree structures, values, and opaque functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Any

import jax
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.traits import SymbolTable

from optcc.dialect import Role
from optcc.passes.lift_hyperparameters import HOST_SUFFIX
from optcc.program.arrays import PyTreeDef
from optcc.program.signature import ROLES, Signature

INIT, UPDATE, STEP = "init", "update", "update"


@dataclass(frozen=True)
class Program:
    """A module, and the caller's pytrees.

    The module says what every array is; see `Signature`. `structures` are the pytrees by role. `returned` are those of
    results that have another structure than the argument of their role.
    """

    module: ModuleOp
    structures: Mapping[Role, PyTreeDef]
    returned: Mapping[Role, PyTreeDef] = field(default_factory=dict)
    bindings: Mapping[str, Any] = field(default_factory=dict)
    """The values of hyperparameters that were given as arrays, by name; numbers are defaults in the module."""
    callables: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """The functions behind the module's opaque calls, by callee."""
    zeroed: frozenset[int] = frozenset()
    """The places of leaves that pass through `@update` and whose updates are zeros; see `optcc.pass_through`."""
    literals: Mapping[str, str] = field(default_factory=dict)
    """Where the numbers of foreign functions stand that are hyperparameters, by name: file and line."""

    def with_module(self, module: ModuleOp) -> Program:
        """The same program at another stage of its module."""
        return replace(self, module=module)

    def function(self, name: str) -> Function:
        """A function of the module. Raises KeyError if it is not there."""
        found = SymbolTable.lookup_symbol(self.module, name)
        if not isinstance(found, FuncOp):
            raise KeyError(f"the module has no function @{name}")
        return Function(self, found)

    @cached_property
    def init(self) -> Function:
        """`@init`, which makes the state."""
        return self.function(INIT)

    @cached_property
    def update(self) -> Function:
        """`@update`, which transforms updates."""
        return self.function(UPDATE)

    @cached_property
    def step(self) -> Function:
        """`@step`, which returns new parameters."""
        return self.function(STEP)


@dataclass(frozen=True, eq=False)
class Function:
    """One function of a program, as its caller sees it."""

    program: Program
    op: FuncOp
    packed: frozenset[Role] = frozenset()
    """The pytrees that the caller has in packed form, also where they hold no tree, and so nothing is packed."""

    @property
    def name(self) -> str:
        """The function's symbol."""
        return self.op.sym_name.data

    @cached_property
    def signature(self) -> Signature:
        """The calling convention."""
        return Signature(self.op)

    @cached_property
    def host(self) -> FuncOp | None:
        """The function that computes this one's hyperparameters, once they are lifted."""
        found = SymbolTable.lookup_symbol(self.program.module, self.name + HOST_SUFFIX)
        return found if isinstance(found, FuncOp) else None

    def structure(self, role: Role, *, results: bool = False) -> PyTreeDef:
        """The caller's pytree of a role; that of None where the caller passes none."""
        program = self.program
        given = program.structures.get(role, jax.tree.structure(None))
        return program.returned.get(role, given) if results else given

    def trees(
        self, arrays: Sequence[jax.Array], packed: Callable[[Role, list[Any]], Any] | None = None
    ) -> dict[Role, Any]:
        """The caller's pytrees of the results, from flat arrays; None for a role that is not returned.

        `packed` makes the pytree of a role that is returned packed.
        """
        rest = iter(arrays)
        found: dict[Role, Any] = {}
        for role in ROLES:
            leaves = list(islice(rest, len(self.signature.shapes(role, results=True))))
            if packed is not None and role in self.packed:
                found[role] = packed(role, leaves)
                continue
            structure = self.structure(role, results=True)
            found[role] = structure.unflatten(leaves) if structure.num_leaves == len(leaves) else None
        return found

    def shapes(self, role: Role, *, results: bool = False) -> Any:
        """The caller's pytree of a role, of shapes and dtypes. Its arrays must not be packed."""
        leaves = self.signature.shapes(role, results=results)
        return jax.tree.unflatten(self.structure(role, results=results), leaves)
