"""Text of the dialect in and out, with errors that name the line and the labelled constraint."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError, VerifyException

from optcc.dialect import SLOT, context
from optcc.errors import OptccError, did_you_mean, message
from optcc.excerpt import excerpt
from optcc.passes.analysis.verify import OpError, verify_module

_COMMENT_OR_STRING = re.compile(r'//[^\n]*|"(?:[^"\\\n\v\f]|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"|"')
_LABELLED = re.compile(r"(C\d+): (.*)", re.DOTALL)


class SourceError(OptccError):
    """Text that is no valid module."""


class _LocatingParser(Parser):
    """A parser that remembers where every op starts."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(context(), text, name)
        self.starts: dict[Operation, int] = {}

    def parse_operation(self) -> Operation:
        start = self.pos
        op = super().parse_operation()
        self.starts[op] = start
        return op


@dataclass(frozen=True)
class Chunk:
    """A part of an input that is one module; `skipped` lines of the input stand before it."""

    name: str
    text: str
    skipped: int = 0

    def parse(self) -> ModuleOp:
        """The verified module. Raises SourceError."""
        if self.is_empty:
            raise SourceError(message("there is no operation in it", self.name, "give text of the optim dialect"))
        self._check_strings()
        parser: _LocatingParser | None = None
        try:
            parser = _LocatingParser(self.text, self.name)  # reads the first token
            module = parser.parse_module()
        except ParseError as error:
            raise self._parse_error(error) from None
        except (VerifyException, ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise SourceError(message(_first_paragraph(error), self._where(parser.pos if parser else 0))) from None
        except (NotImplementedError, AssertionError, AttributeError) as error:  # of xDSL's parser
            what = " ".join(["xDSL cannot parse this:", type(error).__name__, str(error)]).strip()
            raise SourceError(message(what, self._where(parser.pos if parser else 0))) from None
        except RecursionError:
            raise SourceError(message("too deeply nested", self.name)) from None
        try:
            verify_module(module)
        except VerifyException as error:
            op = error.op if isinstance(error, OpError) else _culprit(module, error)
            where = self._where(parser.starts[op]) if op in parser.starts else self.name
            raise SourceError(
                message(str(error) if isinstance(error, OpError) else _labelled(op, error), where)
            ) from None
        return module

    @property
    def is_empty(self) -> bool:
        """True if there is nothing but comments."""
        return all(not line.strip() or line.strip().startswith("//") for line in self.text.splitlines())

    def _check_strings(self) -> None:
        """Find a string that is not closed; on a long one xDSL's own expression takes forever."""
        for found in _COMMENT_OR_STRING.finditer(self.text):
            if found[0] == '"':
                raise SourceError(message("a string that is not closed, or not valid", self._where(found.start())))

    def _parse_error(self, error: ParseError) -> SourceError:
        """xDSL points at the end of the text for a value that is not defined, and does not look for similar names."""
        what, position, fix = error.msg.strip(), error.span.start, ""
        if strange := re.match(r"Unexpected character: (.)", error.msg, re.DOTALL):
            what, fix = (
                f"unexpected character {strange[1]!a}",
                "give text of the optim dialect, as UTF-8 without a mark",
            )
        if undefined := re.match(r"values used but not defined: \[(%[\w$.-]+)", what):
            use = re.search(rf"{re.escape(undefined[1])}(?![\w$.-])", self.text)
            position = use.start() if use else position
        if unknown := re.match(r"Operation (\S+) is not registered", what):
            position = max(self.text.rfind(unknown[1], 0, position), 0)
            fix = did_you_mean(unknown[1], [op.name for op in context().loaded_ops])
        if not self.text[position:].strip():
            what, position = f"the text ends too early: {what}", len(self.text.rstrip())
        return SourceError(message(what, self._where(position), fix))

    def _where(self, position: int) -> str:
        line = self.text.count("\n", 0, position) + self.skipped + 1
        column = position - (self.text.rfind("\n", 0, position) + 1) + 1
        return f"{self.name}:{line}:{column}\n{excerpt(self.text, position)}"


def _culprit(op: Operation, error: VerifyException) -> Operation:
    """The innermost op whose verification fails with this error; xDSL's exception does not name it."""
    for region in op.regions:
        for block in region.blocks:
            for child in block.ops:
                try:
                    child.verify()
                except VerifyException as own:
                    if str(own) == str(error):
                        return _culprit(child, error)
    return op


def _labelled(op: Operation, error: VerifyException) -> str:
    text = _first_paragraph(error)
    if text.startswith(f"'{SLOT}'"):
        return text
    labelled = _LABELLED.fullmatch(text)
    return f"'{op.name}' ({labelled[1]}): {labelled[2]}" if labelled else f"'{op.name}': {text}"


def _first_paragraph(error: Exception) -> str:
    """The error's text, without the module that xDSL may print after it."""
    return " ".join(str(error).strip().split("\n\n")[0].split())


def read_text(file: str) -> tuple[str, str]:
    """Name and text of a file, or of standard input for `-`. Raises SourceError."""
    try:
        if file == "-":
            return "<stdin>", sys.stdin.read()
        return file, Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SourceError(message("no such file", file, "name a file, or - for standard input")) from None
    except UnicodeDecodeError:
        raise SourceError(message("not a text file", file, "give text of the optim dialect")) from None
    except OSError as error:
        raise SourceError(message(f"cannot read the file: {error.strerror or error}", file)) from None


def read_chunks(name: str, text: str, separator: str) -> Iterator[Chunk]:
    """The chunks between lines that consist of the separator."""
    lines: list[str] = []
    skipped = 0
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        if line.rstrip() == separator:
            yield Chunk(name, "".join(lines), skipped)
            lines, skipped = [], number
        else:
            lines.append(line)
    yield Chunk(name, "".join(lines), skipped)


def print_module(module: ModuleOp, *, generic: bool = False, debuginfo: bool = False) -> str:
    """The text of a module; with `debuginfo`, every op has its location behind it."""
    stream = StringIO()
    Printer(stream, print_generic_format=generic, print_debuginfo=debuginfo).print_op(module)
    return stream.getvalue() + "\n"
