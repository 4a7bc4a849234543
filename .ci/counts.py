#!/usr/bin/env python3
"""Counts that say whether the middle of the compiler stays in shape, and their limits. Exits with 1 beyond a limit.

Usage: python .ci/counts.py, from anywhere. `ALLOWED` has what is over a limit today, with its reason. An allowance that
nothing needs any more is printed.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLAIN_JAX = (
    "apply", "assignment", "distributions", "example_clipping", "experimental", "gradient_scaling", "least_squares",
    "linear_algebra", "losses", "microbatching", "monte_carlo", "numerics", "pass_through",
    "perturbations", "projections", "schedules", "second_order", "skipping", "slow_copies", "stateful_schedules",
    "tree", "tree_utils", "unit_clipping", "user_code",
)  # fmt: skip
"""What imports no compiler: plain JAX on pytrees, where `Any` is what a pytree is."""
LONGEST_FUNCTION, LONGEST_FILE, MOST_CLASS_CHECKS, MOST_ANY = 45, 320, 12, 0.05
LINES_AT_C98B241 = 8554
"""Lines of the Python files of passes/, optcc/ir, optcc/lowering and optcc/runtime at c98b241, blank lines as well."""
FEWER = 0.08
"""By how much the same, without `NEW_FILES`, is to be shorter than it was then."""
NEW_FILES = (
    "optcc/formula/complex_code.py", "passes/registry.py", "passes/analysis/diff.py",
    "passes/analysis/matching.py", "optcc/program/module_text.py",
    "optcc/formula/locations.py", "optcc/importers/axes.py", "optcc/importers/canonical.py", "optcc/importers/check.py",
    "optcc/importers/check_jaxpr.py", "optcc/importers/check_ops.py", "optcc/importers/emit.py",
    "optcc/importers/flat_jaxprs.py", "optcc/importers/import_function.py", "optcc/importers/lanes.py",
    "optcc/importers/primitives.py", "optcc/importers/states.py", "optcc/importers/terms.py",
    "dialect/collectives.py", "optcc/program/placement.py", "optcc/runtime/on_mesh.py", "passes/shard.py",
)  # fmt: skip
"""Files for plug-ins, edited modules, comparison, imports, complex numbers, shardings: nothing like it at c98b241."""
_FORMULA = "a formula and its state in one function, in the order of the source"
ALLOWED: dict[str, tuple[float, str]] = {
    "lines of the middle": (13400, "not reached: tiles, meshes, matrices, complex leaves, locations came since"),
    "long function optcc/losses/ctc.py: ctc_loss_with_forward_probs": (47, "one recurrence with its set-up"),
    "long function optcc/transforms/galore.py: scale_by_galore": (49, _FORMULA),
    "long function optcc/transforms/line_searches.py: scale_by_backtracking_linesearch": (56, _FORMULA),
    "long function optcc/transforms/mechanic.py: mechanize": (47, _FORMULA),
    "long function optcc/transforms/muon.py: muon": (48, _FORMULA),
    "long function optcc/transforms/sharpness.py: sam": (47, _FORMULA),
    "long function optcc/transforms/zoom_search.py: scale_by_zoom_linesearch": (64, _FORMULA),
}
"""What is over a limit: how much, at most, and why. These are debts. The lines have a little room for work beside this;
lower them when it is there."""


@dataclass(frozen=True)
class Source:
    """A file of the package: its path from the root, its text and its tree."""

    path: str
    text: str
    tree: ast.Module

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


def sources() -> list[Source]:
    """The Python files of dialect/, passes/ and optcc/; the links in optcc/ are left out."""
    paths = [p for top in ("dialect", "passes", "optcc") for p in sorted((ROOT / top).rglob("*.py"))]
    names = [p.relative_to(ROOT).as_posix() for p in paths]
    kept = {n: p for n, p in zip(names, paths, strict=True) if not n.startswith(("optcc/dialect/", "optcc/passes/"))}
    return [Source(n, text := p.read_text(), ast.parse(text)) for n, p in kept.items()]


def functions(source: Source) -> Iterator[ast.FunctionDef]:
    """All functions, also those inside others."""
    return (node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef))


def code_lines(function: ast.FunctionDef) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    doc = function.body[0]
    has_doc = isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant) and isinstance(doc.value.value, str)
    end = function.end_lineno or function.lineno
    return end - function.lineno + 1 - ((doc.end_lineno or 0) - doc.lineno + 1 if has_doc else 0)


def op_classes(all_sources: list[Source]) -> set[str]:
    """The classes of ops that the dialect defines."""
    trees = [s.tree for s in all_sources if s.path.startswith("dialect/")]
    return {n.name for t in trees for n in ast.walk(t) if isinstance(n, ast.ClassDef) and n.name.endswith("Op")}


def class_checks(source: Source, ops: set[str]) -> list[str]:
    """Where a file asks an op of the dialect for its class, by `isinstance` or `case`."""
    found: list[str] = []
    for node in ast.walk(source.tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            asked = [node.args[1]]
        elif isinstance(node, ast.MatchClass):
            asked = [node.cls]
        names = {n.id for a in asked for n in ast.walk(a) if isinstance(n, ast.Name)} & ops
        found += [f"{source.path}:{asked[0].lineno} {', '.join(sorted(names))}"] if names else []
    return found


def share_of_any(all_sources: list[Source]) -> float:
    """The share of arguments annotated with `Any`, alone or inside, outside the plain-JAX modules."""
    total = of_any = 0
    for source in all_sources:
        if source.path.split("/")[1].removesuffix(".py") in PLAIN_JAX:
            continue
        for function in functions(source):
            args = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            notes = [a.annotation for a in args if a.annotation is not None]
            total += len(notes)
            of_any += sum(any(isinstance(n, ast.Name) and n.id == "Any" for n in ast.walk(note)) for note in notes)
    return of_any / total


def middle_lines(all_sources: list[Source]) -> int:
    """Lines of passes, lowering, runtime, and of the folders that ir became."""
    folders = tuple(f"optcc/{f}/" for f in ("formula", "importers", "interpret", "program", "lowering", "runtime"))
    inside = (s for s in all_sources if s.path.startswith(("passes/", *folders)))
    return sum(s.lines for s in inside if s.path not in NEW_FILES)


def main() -> int:
    """Print the table, and what is over a limit."""
    all_sources = sources()
    long_files = {f"long file {s.path}": s.lines for s in all_sources if s.lines > LONGEST_FILE}
    long_functions = {
        f"long function {s.path}: {f.name}": n
        for s in all_sources
        for f in functions(s)
        if (n := code_lines(f)) > LONGEST_FUNCTION
    }
    ops = op_classes(all_sources)
    checks = [c for s in all_sources if not s.path.startswith("dialect/") for c in class_checks(s, ops)]
    found: dict[str, float] = {**long_files, **long_functions}
    any_share, middle = share_of_any(all_sources), middle_lines(all_sources)
    if len(checks) > MOST_CLASS_CHECKS:
        found["class checks of ops"] = len(checks)
    if any_share > MOST_ANY:
        found["share of Any"] = round(any_share, 3)
    if middle > (1 - FEWER) * LINES_AT_C98B241:
        found["lines of the middle"] = middle
    print(f"class checks of ops outside dialect/    {len(checks):>6}  at most {MOST_CLASS_CHECKS}", *checks, sep="\n  ")
    print(f"arguments annotated with Any            {any_share:>6.1%}  at most {MOST_ANY:.0%}")
    print(f"files over {LONGEST_FILE} lines                    {len(long_files):>6}")
    print(f"functions over {LONGEST_FUNCTION} lines of code         {len(long_functions):>6}")
    print(f"lines of passes, ir, lowering, runtime  {middle:>6}  at most {(1 - FEWER) * LINES_AT_C98B241:.0f}")
    over = {k: v for k, v in found.items() if k not in ALLOWED or v > ALLOWED[k][0]}
    print(*(f"allowed: {k} {n:g}: {why}" for k, (n, why) in ALLOWED.items()), sep="\n")
    print(*(f"OVER: {k} {v:g}" for k, v in over.items()), *(f"UNUSED: {k}" for k in ALLOWED.keys() - found), sep="\n")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
