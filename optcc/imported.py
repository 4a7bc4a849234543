"""`imported`: a look at what an init/update pair of another library became in the IR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from optcc import base
from optcc.base import PyTree
from optcc.compilation import compile as compile_optimizer

if TYPE_CHECKING:
    from optcc.runtime.optimizer import CompiledOptimizer


@dataclass(frozen=True, eq=False)
class Imported:
    """The program that a pair became, before any pass."""

    compiled: CompiledOptimizer

    def ir(self) -> str:
        """The module with `@init` and `@update`."""
        return self.compiled.ir("optim")

    @property
    def calls(self) -> Mapping[str, str]:
        """Why each opaque call is no part of the IR, by its callee: equations, with their lines in the source."""
        return {name: getattr(f, "why", "") for name, f in self.compiled.program.callables.items()}

    @property
    def is_whole(self) -> bool:
        """Whether there is no opaque call."""
        return not self.compiled.program.callables

    @property
    def numbers(self) -> Mapping[str, tuple[float, str]]:
        """The floats of `update` that are hyperparameters: value, and where it is first used, by name."""
        values, places = self.compiled.hyperparams, self.compiled.program.literals
        return {name: (value, places[name]) for name, value in values.items() if name in places}

    def __str__(self) -> str:
        """The calls with their reasons, and the numbers with their places."""
        calls = [f"call {name}: {why}" for name, why in self.calls.items()] or ["imported whole"]
        return "\n".join(calls + [f"{name} = {value} at {place}" for name, (value, place) in self.numbers.items()])


def imported(
    tx: base.GradientTransformation, params: base.Params, *, extra_args: Mapping[str, PyTree] | None = None
) -> Imported:
    """Import an init/update pair for parameters of given shapes and dtypes, and run nothing.

    Args:
      tx: the pair, or a chain of optcc's that has such pairs.
      params: a pytree of arrays or of ``jax.ShapeDtypeStruct``.
      extra_args: as in `compile`.

    Raises what `compile` raises.
    """
    return Imported(compile_optimizer(tx, params, extra_args=extra_args))
