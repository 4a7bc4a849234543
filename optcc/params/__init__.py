"""Where the shapes of parameters come from: what `--params` takes.

In this order, a text is

1. JSON, if it starts with `{` or `[`: a nested list or dict of leaves. A list of nothing but non-negative integers is
   a leaf of that shape and of dtype float32 (`[]` is a scalar); a dict with the key `shape` and no other key than
   `dtype` is a leaf, too; every other list or dict is a container.
2. a `.safetensors` or `.npz` file, by its suffix; only headers are read;
3. `module:attribute`, if it has that form: a pytree of arrays or shapes, or a function without arguments that returns
   one. The module is imported, also from the current directory;
4. the name of a preset.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from optcc.errors import ParamsError, did_you_mean, message
from optcc.params.leaf import exists

_ATTRIBUTE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)")


def load_params(text: str) -> Any:
    """The pytree of `jax.ShapeDtypeStruct` that a text describes. Raises ParamsError."""
    text = text.strip()
    if text.startswith(("{", "[")):
        from optcc.params.inline import parse_json

        return parse_json(text)
    suffix = Path(text).suffix
    if suffix in (".safetensors", ".npz"):
        from optcc.params.files import read_npz, read_safetensors

        return read_npz(text) if suffix == ".npz" else read_safetensors(text)
    if named := _ATTRIBUTE.fullmatch(text):
        from optcc.params.attribute import load_attribute

        return load_attribute(named[1], named[2])
    return _preset(text)


def _preset(text: str) -> Any:
    from optcc.params.presets import PRESETS

    if text in PRESETS:
        return PRESETS[text].build()
    formats = "give a .safetensors or .npz file"
    if exists(text):
        raise ParamsError(message("not a parameter file", text, formats))
    if "/" in text:
        raise ParamsError(message("no such file", text, formats))
    hint = did_you_mean(text, PRESETS) or f"one of {', '.join(PRESETS)}; or {formats}, module:attribute, or JSON"
    raise ParamsError(message(f"unknown preset {text!r}", "--params", hint))
