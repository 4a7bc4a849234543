"""Shapes written as JSON; the rule is in `optcc.params`."""

from __future__ import annotations

import json
from typing import Any

from optcc.errors import ParamsError, message
from optcc.excerpt import excerpt
from optcc.params.leaf import leaf

_FIX = 'write a leaf as its shape, [3, 4], or as {"shape": [3, 4], "dtype": "bfloat16"}'


def parse_json(text: str) -> Any:
    """The pytree of shapes that a JSON text describes. Raises ParamsError."""
    try:
        return _tree(json.loads(text, object_pairs_hook=_unique), "")
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}\n{excerpt(text, error.pos)}"
        raise ParamsError(message(f"malformed JSON: {error.msg}", where)) from None
    except RecursionError:
        raise ParamsError(message("the JSON is nested too deeply", "--params")) from None
    except ValueError as error:
        if isinstance(error, ParamsError):
            raise
        raise ParamsError(message(f"malformed JSON: {error}", "--params")) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A dict; a key that is there twice would silently drop a leaf."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
        raise ParamsError(message(f"the key {twice!r} is there twice", "--params", "give every leaf a name of its own"))
    return found


def _tree(value: object, path: str) -> Any:
    if isinstance(value, list):
        if all(_is_number(item) for item in value):
            return leaf(_shape(value, path), "float32", _where(path))
        return [_tree(item, f"{path}.{i}".lstrip(".")) for i, item in enumerate(value)]
    if isinstance(value, dict):
        if "shape" in value and value.keys() <= {"shape", "dtype"}:
            dtype = value.get("dtype", "float32")
            return leaf(_shape(value["shape"], path), str(dtype), _where(path))
        return {key: _tree(item, f"{path}.{key}".lstrip(".")) for key, item in value.items()}
    raise ParamsError(message(f"{json.dumps(value)} is neither a shape nor a container", _where(path), _FIX))


def _shape(value: object, path: str) -> list[int]:
    if isinstance(value, list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in value):
        return value
    what = f"{json.dumps(value)} is no shape: a shape is a list of non-negative integers"
    raise ParamsError(message(what, _where(path), _FIX))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _where(path: str) -> str:
    return f"--params, leaf '{path}'" if path else "--params"
