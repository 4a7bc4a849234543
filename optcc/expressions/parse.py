"""Reading an expression: its syntax tree, names, calls and literals."""

from __future__ import annotations

import ast
import inspect
import math
import operator
import warnings
from collections.abc import Callable, Collection
from typing import Any

from optcc.base import GradientTransformation
from optcc.errors import ExpressionError, OptccError, did_you_mean, message
from optcc.expressions.argument_types import describe, fits, hints_of, kind_of
from optcc.expressions.excerpt import excerpt
from optcc.expressions.functions import callables, is_contrib, signature_of

MAX_LENGTH = 10_000
"""Characters of an expression."""
MAX_DEPTH = 50
"""Levels of nested calls, brackets and operators."""
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
_SYNTAX: dict[type[ast.AST], str] = {
    ast.Attribute: "an attribute",
    ast.BoolOp: "`and` or `or`",
    ast.Call: "the result of a call",
    ast.Compare: "a comparison",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.IfExp: "`if`",
    ast.JoinedStr: "an f-string",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.NamedExpr: "an assignment",
    ast.Set: "a set",
    ast.SetComp: "a comprehension",
    ast.Starred: "`*`",
    ast.Subscript: "an index",
    ast.UnaryOp: "this operator",
}


def read_optimizer(text: str) -> GradientTransformation:
    """As `parse_optimizer`."""
    source = _Source(text)
    tree = source.parse()
    value = source.value(tree, 0)
    if not isinstance(value, GradientTransformation):
        raise source.error(
            f"the expression is {kind_of(value)}, not an optimizer", tree, "write for instance adam(1e-3)"
        )
    return value


class _Source:
    """An expression's text and the interpretation of its syntax tree."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()

    def parse(self) -> ast.expr:
        """The syntax tree."""
        if len(self.text) > MAX_LENGTH:
            raise ExpressionError(
                message(f"the expression has {len(self.text):,} characters; the limit is {MAX_LENGTH:,}")
            )
        if not self.text:
            raise ExpressionError(message("the expression is empty", fix="write for instance adam(1e-3)"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python's advice on strange literals
                return ast.parse(self.text, mode="eval").body
        except SyntaxError as error:
            raise self._syntax_error(error) from None
        except (RecursionError, MemoryError):
            raise ExpressionError(
                message(f"nested more than {MAX_DEPTH} levels deep", self.text[:40] + "...")
            ) from None
        except ValueError as error:
            raise ExpressionError(message(f"not an expression: {error}")) from None

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
                raise self.error(f"{_syntax_name(node)} is not allowed in an expression", node)

    def error(self, what: str, node: ast.AST, fix: str = "") -> ExpressionError:
        """An error that points at a node."""
        start, end = self._span(node)
        return self._error_at(what, start, end - start, fix)

    def _error_at(self, what: str, start: int, length: int, fix: str = "") -> ExpressionError:
        line = self.text.count("\n", 0, start)
        column = f"column {start - self.text.rfind(chr(10), 0, start)}"
        where = f"line {line + 1}, {column}" if "\n" in self.text else column
        return ExpressionError(message(what, f"{where}\n{excerpt(self.text, start, length)}", fix))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        """The characters of a node; the syntax tree counts bytes of UTF-8."""
        lines = self.text.encode().splitlines(keepends=True)

        def position(line: int, column: int) -> int:
            return len((b"".join(lines[: line - 1]) + lines[line - 1][:column]).decode())

        assert isinstance(node, ast.expr | ast.keyword)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return position(node.lineno, node.col_offset), position(node.end_lineno, node.end_col_offset)

    def _syntax_error(self, error: SyntaxError) -> ExpressionError:
        lines = self.text.splitlines(keepends=True)
        line = min(max(error.lineno or 1, 1), len(lines))
        start = sum(map(len, lines[: line - 1])) + max((error.offset or 1) - 1, 0)
        return self._error_at(f"not an expression: {error.msg}", min(start, len(self.text)), 1)

    # Names and calls

    def _name(self, node: ast.expr) -> Any:
        name = self._dotted(node)
        short = name.rpartition(".")[2]
        if short in DTYPES and name.removesuffix(short) in _DTYPE_PREFIXES:
            import jax.numpy as jnp

            return jnp.dtype(short)
        if self._function(name) is not None:
            raise self.error(f"'{name}' is a function", node, f"call it: {name}{signature_of(short)}")
        hint = self._nearest(name, [*DTYPES, *callables()])
        raise self.error(f"unknown name '{name}'", node, hint or f"the names of values are {', '.join(DTYPES)}")

    def _dotted(self, node: ast.expr) -> str:
        match node:
            case ast.Name():
                return node.id
            case ast.Attribute():
                return f"{self._dotted(node.value)}.{node.attr}"
            case _:
                raise self.error(f"an attribute of {_syntax_name(node)} is not allowed in an expression", node)

    def _nearest(self, name: str, known: Collection[str]) -> str:
        """A hint for an unknown name, if its prefix is one that names may have."""
        prefix, _, short = name.rpartition(".")
        start = f"{prefix}.".lstrip(".")
        if start in _CONTRIB_PREFIXES and short not in known:
            return did_you_mean(short, [name for name in known if is_contrib(name)])
        if start not in (*_CALL_PREFIXES, *_DTYPE_PREFIXES):
            return f"write {short}, without '{prefix}.'" if short in known else ""
        return did_you_mean(short, known)

    def _function(self, name: str) -> Callable[..., Any] | None:
        short = name.rpartition(".")[2]
        prefix = name.removesuffix(short)
        allowed = prefix in _CALL_PREFIXES or (prefix in _CONTRIB_PREFIXES and is_contrib(short))
        return callables().get(short) if allowed else None

    def _call(self, node: ast.Call, depth: int) -> Any:
        if not isinstance(node.func, ast.Name | ast.Attribute):
            raise self.error(f"a call of {_syntax_name(node.func)} is not allowed in an expression", node.func)
        name = self._dotted(node.func)
        function = self._function(name)
        if function is None:
            what = f"unknown function '{name}'; an expression calls only what `optcc list` shows"
            raise self.error(what, node.func, self._nearest(name, callables()))
        arguments, keywords = self._arguments(node, function, depth)
        try:
            return function(*arguments, **keywords)
        except _CAUSES as error:
            what, _, fix = str(error).partition("\n  fix:   ")
            what = what.splitlines()[0] if what else type(error).__name__
            raise self.error(what if what.startswith(function.__name__) else f"{name}: {what}", node, fix) from None

    def _arguments(self, node: ast.Call, function: Callable[..., Any], depth: int) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of a call, checked against the function's signature."""
        keywords = self._keywords(node, function)
        values = [(arg, self.value(arg, depth)) for arg in node.args]
        named = {name: (keyword, self.value(keyword.value, depth)) for name, keyword in keywords.items()}
        name = function.__name__
        signature = inspect.signature(function)
        try:
            bound = signature.bind(*values, **named)
        except TypeError as error:
            raise self.error(f"{name}: {error}", node, f"{name}{signature_of(name)}") from None
        hints = hints_of(function)
        for parameter, given in bound.arguments.items():
            several = signature.parameters[parameter].kind is inspect.Parameter.VAR_POSITIONAL
            for where, value in given if several else (given,):
                label = "an argument" if several else parameter
                self._check(name, label, hints.get(parameter, Any), where, value)
        return [value for _, value in values], {key: value for key, (_, value) in named.items()}

    def _keywords(self, node: ast.Call, function: Callable[..., Any]) -> dict[str, ast.keyword]:
        parameters = inspect.signature(function).parameters
        known = [p.name for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        keywords: dict[str, ast.keyword] = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.error("`**` is not allowed in an expression", keyword, "write each argument as name=value")
            if keyword.arg not in known:
                what = f"{function.__name__} has no argument '{keyword.arg}'"
                fix = did_you_mean(keyword.arg, known) or f"{function.__name__}{signature_of(function.__name__)}"
                raise self.error(what, keyword, fix)
            if keyword.arg in keywords:
                raise self.error(f"argument '{keyword.arg}' is given twice", keyword)
            keywords[keyword.arg] = keyword
        return keywords

    def _check(self, name: str, parameter: str, hint: Any, node: ast.AST, value: Any) -> None:
        """Check an argument against the type that the function declares for it."""
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

    def _checked_number(self, value: Any, node: ast.expr) -> Any:
        if isinstance(value, complex):
            raise self.error("the result is a complex number", node)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise self.error(f"an integer has at most {MAX_BITS} bits", node, "write it as a float, for instance 1e30")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error("the number is too large for a float", node)
        return value


def _syntax_name(node: ast.AST) -> str:
    """What a piece of syntax is called."""
    if isinstance(node, ast.Constant):
        return repr(node.value)
    return _SYNTAX.get(type(node), f"this ({type(node).__name__})")
