"""Reading an expression: its syntax tree, names, calls and literals."""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from optcc.base import GradientTransformation
from optcc.errors import ExpressionError, OptccError, did_you_mean
from optcc.expressions.argument_types import describe, fits, hints_of, kind_of
from optcc.expressions.functions import find, is_contrib, is_plugin, known_names, signature_of
from optcc.expressions.references import COLON, call_user_function, load_reference
from optcc.expressions.source import MAX_DEPTH, Source, syntax_name
from optcc.user_code import UserCodeError

MAX_BITS = 63
"""Bits of an integer."""
MAX_EXPONENT = 1024
"""Of a power."""

DTYPES = ("float32", "bfloat16", "float16", "float64")

_DTYPE_PREFIXES = ("", "jnp.", "jax.numpy.", "np.", "numpy.")
_CALL_PREFIXES = tuple(f"{library}{part}" for library in ("", "optcc.", "optax.") for part in ("", "schedules."))
_CONTRIB_PREFIXES = ("contrib.", "optcc.contrib.", "optax.contrib.")
_CAUSES = (TypeError, ValueError, NotImplementedError, ArithmeticError, OptccError)
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def read_optimizer(text: str, library: ModuleType | None = None) -> Any:
    """As `parse_optimizer`; with a `library`, its functions are called, and what they return is returned."""
    source = _Reader(text)
    tree = source.parse()
    value = source.value(tree, 0)
    if library is not None:
        source.library = library
        return source.value(tree, 0)
    if not isinstance(value, GradientTransformation):
        raise source.error(
            f"the expression is {kind_of(value)}, not an optimizer", tree, "write for instance adam(1e-3)"
        )
    return value


class _Reader(Source):
    """The interpretation of a syntax tree. With a `library`, functions of that are called in the place of optcc's."""

    library: ModuleType | None = None

    def value(self, node: ast.expr, depth: int) -> Any:
        """What a node of the tree stands for."""
        if depth > MAX_DEPTH:
            raise self.error(f"nested more than {MAX_DEPTH} levels deep", node)
        match node:
            case ast.Call():
                return self._call(node, depth + 1)
            case ast.Constant(value=None | bool() | int() | float() | str()):
                return self._checked_number(node.value, node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                operand = self._number(node.operand, depth + 1)
                return -operand if isinstance(node.op, ast.USub) else operand
            case ast.BinOp():
                return self._arithmetic(node, depth + 1)
            case ast.List():
                return [self.value(item, depth + 1) for item in node.elts]
            case ast.Tuple():
                return tuple(self.value(item, depth + 1) for item in node.elts)
            case ast.Dict():
                return self._dict(node, depth + 1)
            case ast.Name() | ast.Attribute():
                return self._name(node)
            case _:
                raise self.error(f"{syntax_name(node)} is not allowed in an expression", node)

    # Names and calls

    def _name(self, node: ast.expr) -> Any:
        name = self._dotted(node)
        function = self._function(name, node)
        if isinstance(function, GradientTransformation):
            return function
        short = name.rpartition(".")[2]
        if short in DTYPES and name.removesuffix(short) in _DTYPE_PREFIXES:
            import jax.numpy as jnp

            return jnp.dtype(short)
        if function is not None:
            raise self.error(f"'{name}' is a function", node, f"call it: {name}{signature_of(function)}")
        hint = self._nearest(name, [*DTYPES, *known_names()])
        raise self.error(f"unknown name '{name}'", node, hint or f"the names of values are {', '.join(DTYPES)}")

    def _dotted(self, node: ast.expr) -> str:
        match node:
            case ast.Name():
                return node.id
            case ast.Attribute():
                separator = COLON if self.span(node.value)[1] in self.colons else "."
                return f"{self._dotted(node.value)}{separator}{node.attr}"
            case _:
                raise self.error(f"an attribute of {syntax_name(node)} is not allowed in an expression", node)

    def _nearest(self, name: str, known: Collection[str]) -> str:
        """A hint for an unknown name, if its prefix is one that names may have."""
        prefix, _, short = name.rpartition(".")
        start = f"{prefix}.".lstrip(".")
        if start in _CONTRIB_PREFIXES and short not in known:
            return did_you_mean(short, [name for name in known if is_contrib(name)])
        if start not in (*_CALL_PREFIXES, *_DTYPE_PREFIXES):
            return f"write {short}, without '{prefix}.'" if short in known else ""
        return did_you_mean(short, known)

    def _function(self, name: str, node: ast.expr) -> Any:
        """The function that a name stands for, or for `module:name` maybe a transformation; None if there is none."""
        if COLON in name:
            try:
                return load_reference(name)
            except UserCodeError as error:
                raise self._user_error(error, name, node) from error.__cause__
        short = name.rpartition(".")[2]
        prefix = name.removesuffix(short)
        allowed = prefix in _CALL_PREFIXES or (prefix in _CONTRIB_PREFIXES and is_contrib(short))
        return find(short) if allowed else None

    def _user_error(self, error: UserCodeError, name: str, node: ast.expr) -> ExpressionError:
        """An error of the user's code, with the line of its file behind it, if it is one."""
        place = f" ({error.where})" if error.where not in (name, f"{name.partition(COLON)[0]}:...") else ""
        return self.error(f"{error.what}{place}", node, error.fix)

    def _call(self, node: ast.Call, depth: int) -> Any:
        if not isinstance(node.func, ast.Name | ast.Attribute):
            raise self.error(f"a call of {syntax_name(node.func)} is not allowed in an expression", node.func)
        name = self._dotted(node.func)
        function = self._function(name, node.func)
        if function is None:
            what = f"unknown function '{name}'; an expression calls only what `optcc list` shows"
            raise self.error(what, node.func, self._nearest(name, known_names()))
        if isinstance(function, GradientTransformation):
            raise self.error(f"'{name}' is a transformation, not a function", node, f"write {name}")
        is_users = COLON in name or is_plugin(name.rpartition(".")[2])
        label = name if is_users else function.__name__
        arguments, keywords = self._arguments(node, label, function, depth)
        if self.library is not None and not is_users:
            function = self._of_library(self.library, name, node)
        try:
            if is_users:
                return call_user_function(name, function, *arguments, **keywords)
            return function(*arguments, **keywords)
        except UserCodeError as error:
            raise self._user_error(error, name, node) from error.__cause__
        except _CAUSES as error:
            what, _, fix = str(error).partition("\n  fix:   ")
            what = what.splitlines()[0] if what else type(error).__name__
            raise self.error(what if what.startswith(label) else f"{name}: {what}", node, fix) from None

    def _of_library(self, library: ModuleType, name: str, node: ast.Call) -> Any:
        """The function of another library that has the name of one of optcc's."""
        short = name.rpartition(".")[2]
        for place in (library, *(getattr(library, part, None) for part in ("schedules", "contrib", "transforms"))):
            if hasattr(place, short):
                return getattr(place, short)
        raise self.error(f"{library.__name__} has no {short}", node)

    def _arguments(
        self, node: ast.Call, name: str, function: Callable[..., Any], depth: int
    ) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call, checked against the function's signature."""
        keywords = self._keywords(node, name, function)
        values = [(arg, self.value(arg, depth)) for arg in node.args]
        named = {name: (keyword, self.value(keyword.value, depth)) for name, keyword in keywords.items()}
        signature = inspect.signature(function)
        try:
            bound = signature.bind(*values, **named)
        except TypeError as error:
            raise self.error(f"{name}: {error}", node, f"{name}{signature_of(function)}") from None
        hints = hints_of(function)
        for parameter, given in bound.arguments.items():
            several = signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL
            for where, value in given if several else (given,):
                label = "an argument" if several else parameter
                self._check(name, label, hints.get(parameter, Any), where, value)
        return [value for _, value in values], {key: value for key, (_, value) in named.items()}

    def _keywords(self, node: ast.Call, name: str, function: Callable[..., Any]) -> dict[str, ast.keyword]:
        parameters = inspect.signature(function).parameters
        known = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        keywords: dict[str, ast.keyword] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.error("`**` is not allowed in an expression", keyword, "write each argument as name=value")
            if keyword.arg not in known:
                what = f"{name} has no argument '{keyword.arg}'"
                fix = did_you_mean(keyword.arg, known) or f"{name}{signature_of(function)}"
                raise self.error(what, keyword, fix)
            if keyword.arg in keywords:
                raise self.error(f"argument '{keyword.arg}' is given twice", keyword)
            keywords[keyword.arg] = keyword
        return keywords

    def _check(self, name: str, parameter: str, hint: object, node: ast.AST, value: object) -> None:
        """Check an argument against the type that the function declares for it; once, as optcc's own."""
        if self.library is not None:
            return
        if not fits(value, hint):
            raise self.error(
                f"{name}: {parameter} is {describe(hint) or 'of another type'}, got {kind_of(value)}", node
            )
        if parameter.endswith("dtype") and value is not None and str(value) not in DTYPES:
            what = f"{name}: {parameter} is a floating dtype, got {kind_of(value)}"
            raise self.error(what, node, did_you_mean(str(value), DTYPES) or f"one of {', '.join(DTYPES)}")

    # Literals

    def _dict(self, node: ast.Dict, depth: int) -> dict[Any, Any]:
        keys: list[Any] = []
        for key in node.keys:
            if key is None:
                raise self.error("`**` is not allowed in an expression", node)
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str | int):
                raise self.error("a key of a dict is a string or an integer", key)
            keys.append(key.value)
        return dict(zip(keys, [self.value(value, depth) for value in node.values], strict=True))

    def _number(self, node: ast.expr, depth: int) -> int | float:
        value = self.value(node, depth)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(f"arithmetic is for numbers only, got {kind_of(value)}", node)
        return value

    def _arithmetic(self, node: ast.BinOp, depth: int) -> int | float:
        compute = _OPERATORS.get(type(node.op))
        if compute is None:
            raise self.error("this operator is not allowed in an expression", node, "use + - * / // % **")
        left, right = self._number(node.left, depth), self._number(node.right, depth)
        if compute is operator.pow and abs(right) > MAX_EXPONENT:
            raise self.error(f"the exponent is beyond {MAX_EXPONENT}", node.right)
        try:
            value = compute(left, right)
        except ArithmeticError as error:
            raise self.error(str(error), node) from None
        return self._checked_number(value, node)

    def _checked_number(self, value: object, node: ast.expr) -> Any:
        if isinstance(value, complex):
            raise self.error("the result is a complex number", node)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise self.error(f"an integer has at most {MAX_BITS} bits", node, "write it as a float, for instance 1e30")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error("the number is too large for a float", node)
        return value
