"""What installed distributions add to optcc: entry points of a group, each loaded when it is first named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata

from optcc.errors import PluginError, message


@dataclass(frozen=True)
class Plugin:
    """One entry point: its name, and what it points at."""

    entry: metadata.EntryPoint

    @property
    def name(self) -> str:
        """What it is called in pipelines or expressions."""
        return self.entry.name

    @property
    def distribution(self) -> str:
        """The name of the distribution that has it."""
        return self.entry.dist.name if self.entry.dist is not None else "unknown"

    def load(self) -> object:
        """What it points at. Raises PluginError, which names the distribution, for anything its import raises."""
        try:
            return self.entry.load()
        except (Exception, SystemExit) as error:
            raise self.error(f"cannot be loaded: {type(error).__name__}: {error}") from error

    def error(self, what: str, fix: str = "") -> PluginError:
        """An error of this plug-in."""
        where = f"entry point {self.entry.name} = {self.entry.value} of {self.entry.group}"
        return PluginError(
            message(f"the plug-in {self.name!r} of the distribution {self.distribution!r} {what}", where, fix)
        )


def plugins(group: str, own: Collection[str]) -> Mapping[str, Plugin]:
    """The plug-ins of a group by name; nothing of them is imported yet.

    Raises PluginError if one has a name of `own`, which are optcc's, or if two have the same name.
    """
    found: dict[str, Plugin] = {}
    for plugin in _installed(group):
        fix = f"rename it, or uninstall {plugin.distribution}"
        if plugin.name in own:
            raise plugin.error("has a name that optcc has", fix)
        if plugin.name in found:
            raise plugin.error(f"has a name that {found[plugin.name].distribution!r} has, too", fix)
        found[plugin.name] = plugin
    return found


@cache
def _installed(group: str) -> tuple[Plugin, ...]:
    """Every entry point of a group. Kept, because looking through the environment takes milliseconds."""
    return tuple(Plugin(entry) for entry in metadata.entry_points(group=group))
