"""The reference pages: the dialect from SPEC.md, passes and the API from docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MODULES = ("builder", "contrib", "losses", "schedules", "second_order", "tree", "projections", "perturbations",
           "assignment", "microbatching", "experimental")  # fmt: skip
"""Public modules with a page of their own."""
SECTIONS = re.compile(r"(Args|Arguments|Returns|Raises|Yields|State|Source|Sources|Example|Examples):$")


def reference_pages() -> dict[str, str]:
    """The text of each page by its path below docs/."""
    spec = (ROOT / "dialect" / "SPEC.md").read_text()
    pages = {"reference/dialect.md": spec, "reference/passes.md": passes_page()}
    top = importlib.import_module("optcc")
    public = {name: getattr(top, name) for name in public_names(ROOT / "optcc" / "__init__.py")}
    for title in TOP:
        chosen = {name: thing for name, thing in public.items() if group_of(thing) == title}
        pages[f"reference/api/{slug(title)}.md"] = api_page(title, chosen)
    for name in MODULES:
        module = importlib.import_module(f"optcc.{name}")
        names = getattr(module, "__all__", None) or public_names(Path(str(module.__file__)))
        text = inspect.getdoc(module) or ""
        things = {one: getattr(module, one) for one in names if not inspect.ismodule(getattr(module, one))}
        pages[f"reference/api/optcc.{name}.md"] = api_page(f"optcc.{name}", things, text)
    return pages


def slug(title: str) -> str:
    """A title as the name of a file."""
    return title.lower().replace(" ", "-")


def group_of(thing: Any) -> str:
    """The page of a name of `optcc` itself: by the module that defines it."""
    module = getattr(thing, "__module__", "") or ""
    if ".losses" in module or ".schedules" in module:
        return "Losses and schedules"
    if module.startswith(("optcc.transforms", "optcc.contrib")):
        first = next(iter(inspect.signature(thing).parameters), "") if inspect.isfunction(thing) else ""
        if isinstance(thing, type):
            return "States"
        return "Optimizers" if first == "learning_rate" else "Transformations"
    compiling = ("optcc.compilation", "optcc.runtime", "optcc.report", "optcc.verify", "optcc.errors", "optcc.imported",
                 "optcc.base")  # fmt: skip
    return "Compiling" if module.startswith(compiling) else "Other functions"


TOP = ("Compiling", "Optimizers", "Transformations", "States", "Losses and schedules", "Other functions")
"""The pages of the names of `optcc` itself."""


def public_names(path: Path) -> list[str]:
    """The names that a module defines, or imports as themselves, which is how this package makes them public."""
    tree = ast.parse(path.read_text())
    aliases = [alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    names = {a.name for a in aliases if a.asname == a.name}
    names |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name[0] != "_"}
    return sorted(names, key=str.lower)


def api_page(title: str, things: dict[str, Any], text: str = "") -> str:
    """A heading, signature and docstring for each name; constants and modules are left out."""
    parts = [f"# {title}\n", markdown_of(text)]
    for name, thing in things.items():
        if inspect.ismodule(thing) or not callable(thing):
            continue
        parts.append(f"## `{name}`\n\n{signature_of(name, thing)}\n\n{markdown_of(doc_of(thing))}")
        if inspect.isclass(thing) and not issubclass(thing, tuple | Exception):
            parts += [
                f"### `{name}.{method}`\n\n{signature_of(method, found)}\n\n{markdown_of(doc_of(found))}"
                for method, found in methods_of(thing)
            ]
    return "\n\n".join(parts) + "\n"


def methods_of(thing: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class defines, with docstrings."""
    for name, found in vars(thing).items():
        plain = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
        if not name.startswith("_") and inspect.isfunction(plain) and plain.__doc__:
            yield name, plain


def doc_of(thing: Any) -> str:
    """A docstring; that of a named tuple without fields of its own is not one."""
    text = inspect.getdoc(thing) or ""
    return "" if text.startswith(f"{getattr(thing, '__name__', '')}(") else text


def signature_of(name: str, thing: Any) -> str:
    """A call as a block of Python: functions as defaults by their names, and a line for each argument of a long one."""
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return ""
    parts = list(map(shown, found.parameters.values()))
    kinds = [p.kind for p in found.parameters.values()]
    keyword = inspect.Parameter.KEYWORD_ONLY
    if keyword in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parts.insert(kinds.index(keyword), "*")
    one_line = f"{name}({', '.join(parts)})"
    text = one_line if len(one_line) < 100 else f"{name}(\n    " + ",\n    ".join(parts) + ",\n)"
    return f"```text\n{text}\n```"


@dataclass(frozen=True)
class Written:
    """A part of a signature that is shown as the text it is."""

    text: str

    def __repr__(self) -> str:
        return self.text


def named(annotation: Any) -> Any:
    """The names of types that are long when they are written out."""
    from optcc.base import ScalarOrSchedule, Schedule

    names = {
        Schedule: "Schedule",
        ScalarOrSchedule: "ScalarOrSchedule",
        ScalarOrSchedule | None: "ScalarOrSchedule | None",
    }
    return next((f"base.{name}" for type_, name in names.items() if annotation == type_), annotation)


def shown(parameter: inspect.Parameter) -> str:
    """A parameter: annotations without quotes, functions as defaults by their names."""
    default, annotation = parameter.default, named(parameter.annotation)
    if callable(default) and default is not inspect.Parameter.empty:
        default = Written(getattr(default, "__name__", type(default).__name__))
    elif " at 0x" in repr(default):
        default = Written(f"{type(default).__name__}(...)")
    if isinstance(annotation, str):
        annotation = Written(annotation)
    return str(parameter.replace(default=default, annotation=annotation))


def passes_page() -> str:
    """A section for each pass of this package, and the pipelines."""
    from optcc.passes import PASSES, PIPELINES

    parts = ["# Passes\n\nGenerated from the docstrings of `passes/`. `optcc opt FILE -p NAME` runs one on a module.\n"]
    for name, load in sorted(PASSES.items()):
        one = load()
        if not one.__module__.startswith("optcc."):
            continue
        parts.append(f"## `{name}`\n\n{markdown_of(inspect.getdoc(one) or '')}\n")
    parts.append("## Pipelines\n")
    for name, passes in PIPELINES.items():
        parts.append(f"- `{name}`: {', '.join(f'`{one.pipeline_pass_spec()}`' for one in passes)}")
    return "\n".join(parts) + "\n"


def markdown_of(text: str) -> str:
    """A docstring as Markdown: literal blocks, sections with their entries, tables and IR as code."""
    lines: list[str] = []
    section, fenced = "", ""
    for line in text.splitlines():
        if not fenced and (line.startswith(("Before:", "====")) or re.match(r"C\d+ {2}", line)):
            fenced = "table" if line.startswith("====") else "block"
            lines += ["", "```text"]
        elif fenced == "block" and not line.strip():
            lines.append("```")
            fenced = ""
        if fenced:
            lines.append(line)
            continue
        if SECTIONS.match(line):
            section = line
            lines += ["", f"**{line[:-1]}**", ""]
        elif section and (found := re.match(r" {2,4}(\**\w+(?:, \w+)*): (.*)", line)):
            lines.append(f"- `{found[1]}`: {found[2]}")
        else:
            section = section if line.startswith(" ") or not line else ""
            lines.append(line[:-1] if line.endswith("::") else line)
    return "\n".join([*lines, *(["```"] if fenced else [])])
