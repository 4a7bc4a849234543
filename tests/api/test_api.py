"""The public API against the manifest of Optax's names, `data/api.json`: presence, signatures, states, documentation.

An entry of the manifest has the paths that a name has in Optax, its signature (one that serves the callers of every
version), the fields of a NamedTuple and the public methods of a class.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import optcc

ENTRIES: dict[str, dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data" / "api.json").read_text())

NAMED_DEFAULTS = {
    "jnp.float32": jnp.float32,
    "jax.vmap": jax.vmap,
    "jnp.mean": jnp.mean,
    "jax.random.normal": jax.random.normal,
    "lax.Precision.HIGHEST": lax.Precision.HIGHEST,
    "AccumulationType.CONCAT": optcc.microbatching.AccumulationType.CONCAT,
    "AccumulationType.SUM": optcc.microbatching.AccumulationType.SUM,
}
"""What the default values in the manifest that are no literals stand for."""


def names_with(key: str, value: Any = None) -> list[str]:
    """The names whose entry has this key, with this value if one is given."""
    return [n for n, e in ENTRIES.items() if key in e and value in (None, e[key])]


def resolve(path: str) -> Any:
    """What `path` is in optcc, by attributes alone, as after `import optcc as optax`."""
    found: Any = optcc
    for part in path.split("."):
        found = getattr(found, part)
    return found


def first(name: str) -> Any:
    """What the first path of a name leads to."""
    return resolve(ENTRIES[name]["paths"][0])


def test_manifest_is_whole():
    assert len(ENTRIES) == 373


@pytest.mark.parametrize("name", ENTRIES)
def test_present(name: str):
    """Under every path that Optax has or had it under, and the same object under each."""
    paths = ENTRIES[name]["paths"]
    assert all(resolve(path) is resolve(paths[0]) for path in paths)


def parameters(signature: str) -> list[tuple[str, inspect._ParameterKind, str | None]]:
    """Name, kind and default of the parameters of a signature as the manifest writes it, such as ``f(a, *, b=1)``."""
    statement = ast.parse(f"def {signature}: ...").body[0]
    assert isinstance(statement, ast.FunctionDef)
    args = statement.args
    positional = [*args.posonlyargs, *args.args]
    defaults = [None] * (len(positional) - len(args.defaults)) + [ast.unparse(d) for d in args.defaults]
    found: list[tuple[str, inspect._ParameterKind, str | None]] = []
    for i, (arg, default) in enumerate(zip(positional, defaults, strict=True)):
        only = i < len(args.posonlyargs)
        kind = inspect.Parameter.POSITIONAL_ONLY if only else inspect.Parameter.POSITIONAL_OR_KEYWORD
        found.append((arg.arg, kind, default))
    if args.vararg is not None:
        found.append((args.vararg.arg, inspect.Parameter.VAR_POSITIONAL, None))
    for arg, value in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found.append((arg.arg, inspect.Parameter.KEYWORD_ONLY, None if value is None else ast.unparse(value)))
    if args.kwarg is not None:
        found.append((args.kwarg.arg, inspect.Parameter.VAR_KEYWORD, None))
    return found


def made_by(name: str) -> type:
    """The class of what a function of the manifest returns: a default value that is a call."""
    return {"Gumbel": optcc.perturbations.Gumbel}.get(name, optcc.GradientTransformationExtraArgs)


def same_default(got: Any, text: str | None) -> bool:
    if text is None:
        return got is inspect.Parameter.empty
    if text in NAMED_DEFAULTS:
        return got is NAMED_DEFAULTS[text] or got == NAMED_DEFAULTS[text]
    if text.startswith("lambda ") or (text.isidentifier() and text not in ("None", "True", "False")):
        return callable(got)  # a private function of Optax
    if isinstance(call := ast.parse(text, mode="eval").body, ast.Call):
        return isinstance(got, made_by(ast.unparse(call.func)))
    expected = ast.literal_eval(text)
    return type(got) is type(expected) and got == expected


def check_signature(function: Any, signature: str) -> None:
    """The parameters of the manifest, in its order; any more must be keyword-only and optional."""
    expected = parameters(signature)
    got = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    wanted = [name for name, _, _ in expected]
    for extra in (p for p in got if p.name not in wanted):
        assert extra.kind is inspect.Parameter.KEYWORD_ONLY, f"{extra} is not in {signature}"
        assert extra.default is not inspect.Parameter.empty, f"{extra} is not in {signature}"
    kept = [p for p in got if p.name in wanted]
    assert [(p.name, p.kind) for p in kept] == [(name, kind) for name, kind, _ in expected]
    for p, (name, _, default) in zip(kept, expected, strict=True):
        assert same_default(p.default, default), f"{name}={p.default!r}, expected {default}"


@pytest.mark.parametrize("name", names_with("signature"))
def test_signature(name: str):
    check_signature(first(name), ENTRIES[name]["signature"])


@pytest.mark.parametrize("name", names_with("fields"))
def test_fields(name: str):
    entry = ENTRIES[name]
    cls: Any = first(name)
    assert tuple in cls.__mro__
    assert list(cls._fields) == entry["fields"]
    assert {k: repr(v) for k, v in cls._field_defaults.items()} == entry.get("field_defaults", {})
    if "alias_of" in entry:
        assert cls is resolve(entry["alias_of"])
    else:
        assert cls.__name__ == entry["paths"][0].rpartition(".")[2]


@pytest.mark.parametrize("name", names_with("methods"))
def test_methods(name: str):
    cls = first(name)
    for method in ENTRIES[name]["methods"]:
        found = inspect.getattr_static(cls, method.partition("(")[0])
        if "(" in method:
            check_signature(getattr(cls, method.partition("(")[0]), method)
        else:
            assert isinstance(found, property)


@pytest.mark.parametrize(
    ("signature", "function"),
    [
        ("f(a, b=1)", lambda b, a=1: None),
        ("f(a, b=1)", lambda a, b=1.0: None),
        ("f(a, b=1)", lambda a, *, b=1: None),
        ("f(a)", lambda a, b=1: None),
        ("f(a)", lambda a, *, b: None),
        ("f(a, /)", lambda a: None),
        ("f(a, *rest)", lambda a: None),
        ("f(a, b=jnp.float32)", lambda a, b=jnp.bfloat16: None),
    ],
)
def test_other_signatures_are_refused(signature: str, function: Any):
    with pytest.raises(AssertionError):
        check_signature(function, signature)


# What the public names say about themselves


def public() -> Iterator[tuple[str, Any]]:
    """Every public function and class of optcc and of its public submodules, once for each object."""
    seen: set[int] = set()
    for prefix, module in [("", optcc), *((name, getattr(optcc, name)) for name in SUBMODULES)]:
        for name, thing in vars(module).items():
            if name.startswith("_") or isinstance(thing, ModuleType) or id(thing) in seen:
                continue
            if callable(thing) and getattr(thing, "__module__", "").startswith("optcc"):
                seen.add(id(thing))
                yield (f"{prefix}.{name}" if prefix else name), thing


SUBMODULES = (
    "assignment",
    "contrib",
    "experimental",
    "losses",
    "microbatching",
    "perturbations",
    "projections",
    "schedules",
    "second_order",
    "transforms",
    "tree",
    "tree_utils",
)
PUBLIC = dict(public())


def test_public_names_are_found():
    assert {"adamw", "EmptyState", "stateless", "tree_map_params", "huber_loss"} <= set(PUBLIC)
    assert len(PUBLIC) > 120


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring(name: str):
    """A sentence at least, and its own: a NamedTuple without one has a text made from its fields."""
    text = PUBLIC[name].__doc__ or ""
    assert text.split("\n")[0].endswith((".", ":")), text
    assert not text.startswith(f"{PUBLIC[name].__name__}(")


def functions() -> Iterator[tuple[str, Any]]:
    """The public functions, and the public methods of the public classes."""
    for name, thing in PUBLIC.items():
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing):
            for method, function in vars(thing).items():
                if inspect.isfunction(function) and (not method.startswith("_") or method == "__call__"):
                    yield f"{name}.{method}", function


FUNCTIONS = dict(functions())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_annotations(name: str):
    signature = inspect.signature(FUNCTIONS[name])
    bare = [p.name for p in signature.parameters.values() if p.annotation is inspect.Parameter.empty]
    assert bare in ([], ["self"])
    assert signature.return_annotation is not inspect.Signature.empty


NUMBERS = ("sm3", "optimistic_adam", "rprop", "contrib.schedule_free_adamw", "contrib.schedule_free_sgd")
"""Optimizers whose learning rate is a number, in Optax, too."""


@pytest.mark.parametrize("name", [n for n in names_with("kind", "optimizer") if n not in (*NUMBERS, "polyak_sgd")])
def test_learning_rate_may_be_a_schedule(name: str):
    """As Optax's annotations say: types, which tools compare, and no texts."""
    annotation = inspect.signature(first(name)).parameters["learning_rate"].annotation
    assert annotation in (optcc.ScalarOrSchedule, optcc.ScalarOrSchedule | None)
