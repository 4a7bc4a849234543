"""The versions of what a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def versions() -> dict[str, str]:
    """The version of optcc, of Python, and of the packages that make code of its IR, by name."""
    from llvmlite.binding import llvm_version_info

    import optcc

    found = {"optcc": optcc.__version__, "python": platform.python_version()}
    for name in ("jax", "jaxlib", "xdsl", "llvmlite"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found | {"llvm": ".".join(map(str, llvm_version_info))}
