"""An expression's text: its syntax tree, and errors that point at a place in it."""

from __future__ import annotations

import ast
import warnings

from optcc.errors import ExpressionError, message
from optcc.excerpt import excerpt
from optcc.expressions.references import with_dots

MAX_LENGTH = 10_000
"""Characters of an expression."""
MAX_DEPTH = 50
"""Levels of nested calls, brackets and operators."""
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


class Source:
    """A text, and what of it is where."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self._python, self.colons = with_dots(self.text)

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
                return ast.parse(self._python, mode="eval").body
        except SyntaxError as error:
            raise self._syntax_error(error) from None
        except (RecursionError, MemoryError):
            raise ExpressionError(
                message(f"nested more than {MAX_DEPTH} levels deep", self.text[:40] + "...")
            ) from None
        except ValueError as error:
            raise ExpressionError(message(f"not an expression: {error}")) from None

    def error(self, what: str, node: ast.AST, fix: str = "") -> ExpressionError:
        """An error that points at a node."""
        start, end = self.span(node)
        return self._error_at(what, start, end - start, fix)

    def _error_at(self, what: str, start: int, length: int, fix: str = "") -> ExpressionError:
        line = self.text.count("\n", 0, start)
        column = f"column {start - self.text.rfind(chr(10), 0, start)}"
        where = f"line {line + 1}, {column}" if "\n" in self.text else column
        return ExpressionError(message(what, f"{where}\n{excerpt(self.text, start, length)}", fix))

    def span(self, node: ast.AST) -> tuple[int, int]:
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


def syntax_name(node: ast.AST) -> str:
    """What a piece of syntax is called."""
    if isinstance(node, ast.Constant):
        return repr(node.value)
    return _SYNTAX.get(type(node), f"this ({type(node).__name__})")
