"""Registries of rules by op: how the interpreter evaluates each op, and how a backend lowers it.

The dialect says what an op means to the passes and knows nothing of JAX. What runs it is registered from outside, so a
package of its own can bring ops of its own::

    @INTERPRETER.register(DoubleOp)
    def _(run, op, args):
        return [[2 * leaf for leaf in args[0]]]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar, cast

from xdsl.ir import Operation

from optcc.errors import MissingRuleError, message

C = TypeVar("C")
V = TypeVar("V")
S = TypeVar("S")
O = TypeVar("O", bound=Operation)  # noqa: E741
Rule = Callable[[C, O, Sequence[V]], Sequence[V]]
"""From what runs the function, an op and the values of its operands to the values of its results."""
ScalarRule = Callable[[O, Sequence[S]], S]
"""From an op on scalars and its operands, arrays of any one shape, to its result."""


class Rules(Generic[C, V, S]):
    """The rules of one interpreter or backend, by the class of the op.

    `owner` and `path` are how errors call it, and where users import it from. `as_scalar` makes of a value in a
    function what rules of scalars take. What has no rule here is looked up in `fallback`.
    """

    def __init__(
        self, owner: str, path: str, as_scalar: Callable[[V], S], fallback: Rules[C, V, S] | None = None
    ) -> None:
        self.owner = owner
        self.path = path
        self.fallback = fallback
        self._as_scalar = as_scalar
        self._rules: dict[type[Operation], Rule[C, Operation, V]] = {}
        self._scalar_rules: dict[type[Operation], ScalarRule[Operation, S]] = {}

    def register(self, *ops: type[O]) -> Callable[[Rule[C, O, V]], Rule[C, O, V]]:
        """Decorate the rule of ops in a function: `(run, op, operands) -> results`.

        Raises ValueError for an op that has a rule here.
        """

        def decorate(rule: Rule[C, O, V]) -> Rule[C, O, V]:
            for op in ops:
                self._check_new(op)
                self._rules[op] = cast(Rule[C, Operation, V], rule)
            return rule

        return decorate

    def register_scalar(self, *ops: type[O]) -> Callable[[ScalarRule[O, S]], ScalarRule[O, S]]:
        """Decorate the rule of ops on scalars: `(op, operands) -> result`, on arrays of any one shape.

        It serves between maps, and in their bodies. Raises ValueError for an op that has a rule here.
        """

        def decorate(rule: ScalarRule[O, S]) -> ScalarRule[O, S]:
            for op in ops:
                self._check_new(op)
                self._scalar_rules[op] = cast(ScalarRule[Operation, S], rule)
            return rule

        return decorate

    def run(self, context: C, op: Operation, args: Sequence[V]) -> Sequence[V]:
        """The results of an op. Raises MissingRuleError for an op without a rule."""
        rules: Rules[C, V, S] | None = self
        while rules is not None:
            if rule := rules._rules.get(type(op)):
                return rule(context, op, args)
            if scalar := rules._scalar_rules.get(type(op)):
                return [cast(V, scalar(op, [self._as_scalar(a) for a in args]))]
            rules = rules.fallback
        raise self._missing(op, "register")

    def run_scalar(self, op: Operation, args: Sequence[S]) -> S:
        """The result of an op on scalars. Raises MissingRuleError for an op without such a rule."""
        rules: Rules[C, V, S] | None = self
        while rules is not None:
            if rule := rules._scalar_rules.get(type(op)):
                return rule(op, args)
            rules = rules.fallback
        raise self._missing(op, "register_scalar")

    def _check_new(self, op: type[Operation]) -> None:
        if op in self._rules or op in self._scalar_rules:
            raise ValueError(message(f"{self.owner} has a rule for '{op.name}' already", fix="register each op once"))

    def _missing(self, op: Operation, call: str) -> MissingRuleError:
        if self.fallback is not None:
            # A rule there serves all who fall back on it.
            return self.fallback._missing(op, call)
        module, _, name = self.path.rpartition(".")
        fix = f"register one with @{name}.{call}({type(op).__name__}), where {name} is from {module}"
        return MissingRuleError(message(f"{self.owner} has no rule for '{op.name}'", fix=fix))
