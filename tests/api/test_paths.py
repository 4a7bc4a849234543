"""Every public path of Optax 0.2.8 leads to something in optcc, and to a function where it does in Optax."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import optax
import pytest

import optcc


def paths(module: ModuleType, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The public attributes of a module and of its public submodules, with their paths."""
    for name, thing in sorted(vars(module).items()):
        if name.startswith("_"):
            continue
        if not isinstance(thing, ModuleType):
            yield prefix + name, thing
        elif thing.__name__.startswith("optax.") and "._" not in thing.__name__:
            yield prefix + name, thing
            yield from paths(thing, f"{prefix}{name}.")


PATHS = dict(paths(optax))


def lookup(path: str) -> Any:
    found: Any = optcc
    for part in path.split("."):
        found = getattr(found, part)
    return found


def test_paths_are_found():
    assert {"adamw", "contrib.muon", "tree.norm", "losses.ntxent", "transforms.partition"} <= set(PATHS)
    assert len(PATHS) > 470


@pytest.fixture(scope="module")
def everything_imported() -> None:
    """A module that is imported becomes an attribute of its package, over a function of that name."""
    public = [m for n, m in vars(optcc).items() if isinstance(m, ModuleType) and not n.startswith("_")]
    for package in (optcc, *(m for m in public if m.__name__.startswith("optcc."))):
        for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
            if not found.name.startswith("__"):  # not `__main__`, which runs the command line
                importlib.import_module(f"{package.__name__}.{found.name}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.usefixtures("everything_imported")
def test_path(path: str):
    ours, theirs = lookup(path), PATHS[path]
    assert isinstance(ours, ModuleType) == isinstance(theirs, ModuleType)
    if inspect.isroutine(theirs) or inspect.isclass(theirs):
        assert callable(ours)


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        (optcc, "adamv", "did you mean 'adam' or 'radam' or 'nadam'? Otherwise a"),
        (optcc, "something_newer", "optcc.compile and optcc.chain take optax.something_newer(...)"),
        (optcc.contrib, "something_newer", "take optax.contrib.something_newer(...)"),
        (optcc.tree, "something_newer", "module 'optcc.tree' has no attribute 'something_newer'"),
    ],
)
def test_missing_name(module: Any, name: str, text: str):
    with pytest.raises(AttributeError) as caught:
        lookup(f"{module.__name__}.{name}".removeprefix("optcc."))
    assert text in str(caught.value)
    assert not hasattr(module, "__wrapped__")


@pytest.mark.parametrize("name", [p for p in PATHS if isinstance(PATHS[p], ModuleType)])
def test_every_public_module_has_a_text_for_missing_names(name: str):
    if name != "experimental.aggregating":
        with pytest.raises(AttributeError, match="works, too"):
            _ = lookup(name).something_newer
