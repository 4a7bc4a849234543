"""Every pass that can be named: ours, those registered from Python, and those of installed distributions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from xdsl.passes import ModulePass, PassPipeline, get_pass_option_infos
from xdsl.utils.exceptions import ArgSpecParseError, ParseError

from optcc.errors import PipelineError, did_you_mean, message
from optcc.passes.pipelines import PASSES, PIPELINES
from optcc.plugins import Plugin, plugins

GROUP = "optcc.passes"
"""The group of entry points, each the name of a pass and its class."""

NEEDED = ("apply-updates", "lift-hyperparameters")
"""The passes that turn an update into a step: new parameters for updates, hyperparameters as arguments."""

PassType = type[ModulePass]
_P = TypeVar("_P", bound=PassType)

_registered: dict[str, PassType] = {}
_NO_QUOTES = str.maketrans("", "", "' ")
_NESTED = re.compile(r"([\w.]+)\s*\((.*)\)\s*", re.DOTALL)


def register_pass(one: _P) -> _P:
    """Make a pass known by its name, in pipelines of this process; also a decorator of the class.

    A class may be registered again when its definition was run again. Raises PipelineError for a class that is no pass,
    and for a name that another pass or a pipeline has.
    """
    if not _is_pass(one):
        raise PipelineError(
            message(f"{one!r} is no pass", "register_pass", "give a subclass of ModulePass with a name")
        )
    old = _registered.get(one.name)
    same = old is not None and (old.__module__, old.__qualname__) == (one.__module__, one.__qualname__)
    if not same and one.name in (*PIPELINES, *known_passes()):
        fix = "give it another name"
        raise PipelineError(message(f"there is a pass or a pipeline {one.name!r}", "register_pass", fix))
    _registered[one.name] = one
    return one


def known_passes() -> Mapping[str, Callable[[], PassType]]:
    """The class of every pass by name, behind a function, so that only the passes of a pipeline are imported.

    Such a function raises PluginError for a plug-in that cannot be loaded, or that is no pass of this name. Raises
    PluginError for a plug-in with a name that is taken.
    """
    ours = PASSES | _registered
    known: dict[str, Callable[[], PassType]] = {name: (lambda one=one: one) for name, one in ours.items()}
    for name, plugin in plugins(GROUP, (*ours, *PIPELINES)).items():
        known[name] = lambda plugin=plugin: _loaded(plugin)
    return known


def _loaded(plugin: Plugin) -> PassType:
    one = plugin.load()
    if not isinstance(one, type) or not issubclass(one, ModulePass):
        raise plugin.error("is no pass", "point it at a subclass of ModulePass")
    if getattr(one, "name", None) != plugin.name:
        raise plugin.error(f"is a pass named {getattr(one, 'name', None)!r}", "give class and entry point one name")
    return one


def _is_pass(one: object) -> bool:
    return isinstance(one, type) and issubclass(one, ModulePass) and isinstance(getattr(one, "name", None), str)


def usage(one: PassType) -> str:
    """How a pass is written in a pipeline with all its options at their defaults: `rematerialize{factor=2.0}`.

    The type stands for a default that there is not, or that is None: `tile{size=<int>}`.
    """
    options: list[str] = []
    for name, type_, default in get_pass_option_infos(one):
        text = f"<{type_.translate(_NO_QUOTES)}>" if default in (None, "none") else default
        options.append(f"{name.replace('_', '-')}={text}")
    return f"{one.name}{{{' '.join(options)}}}" if options else one.name


def passes_of(pipeline: str | Sequence[object]) -> tuple[ModulePass, ...]:
    """The passes of a pipeline given as text, as `parse_pipeline` takes it, or as they are.

    Raises PipelineError as `parse_pipeline`, and for a member of the sequence that is no pass.
    """
    if isinstance(pipeline, str):
        return parse_pipeline(pipeline)
    passes: list[ModulePass] = []
    for i, one in enumerate(pipeline):
        if not isinstance(one, ModulePass):
            fix = f"write {one.__name__}()" if isinstance(one, type) else "give a string, or objects of ModulePass"
            raise PipelineError(message(f"{one!r} is no pass", f"pipeline[{i}]", fix))
        passes.append(one)
    return tuple(passes)


def passes_of_step(pipeline: str | Sequence[object]) -> tuple[ModulePass, ...]:
    """As `passes_of`, for a compiled step. Raises PipelineError where a pass is missing that makes the step's form."""
    passes = passes_of(pipeline)
    missing = [name for name in NEEDED if not any(one.name == name for one in passes)]
    if missing:
        what = f"the pipeline has no {missing[0]!r}, without which there is no step"
        raise PipelineError(message(what, "pipeline", "put your passes around a named pipeline: my-pass,step"))
    return passes


def parse_pipeline(text: str) -> tuple[ModulePass, ...]:
    """The passes of a pipeline such as `fuse-maps,cse` or `rematerialize{factor=1.0}`.

    A named pipeline, such as `step`, may stand for its passes anywhere. Raises PipelineError for an unknown pass, with
    the nearest names, and for options that a pass does not have.
    """
    _refuse_nesting(text)
    parts = [part.strip() for part in re.split(r",(?![^{]*})", text)]
    if any(part in PIPELINES for part in parts):
        return tuple(p for part in parts for p in PIPELINES.get(part, ()) or parse_pipeline(part))
    known = known_passes()
    try:
        return PassPipeline.parse_spec(dict(known), text).passes
    except ValueError as error:
        names = [part.split("{")[0].strip() for part in text.split(",")]
        unknown = [name for name in names if name and name not in known and "=" not in name and "}" not in name]
        if unknown:
            hint = did_you_mean(unknown[0], [*known, *PIPELINES]) or "see `optcc list passes`"
            raise PipelineError(message(f"unknown pass {unknown[0]!r}", f"pipeline {text!r}", hint)) from None
        raise PipelineError(message(f"malformed pipeline: {error}", f"pipeline {text!r}")) from None
    except (ArgSpecParseError, ParseError, TypeError) as error:
        raise PipelineError(message(f"malformed pipeline: {error}", f"pipeline {text!r}")) from None


def _refuse_nesting(text: str) -> None:
    """Say what to write in place of MLIR's `builtin.module(...)`."""
    inner = text.strip()
    while nested := _NESTED.fullmatch(inner):
        inner = nested[2].strip()
    if inner != text.strip():
        what = "a pipeline is not nested: every pass works on the whole module"
        raise PipelineError(message(what, f"pipeline {text!r}", f"write {inner!r}"))
