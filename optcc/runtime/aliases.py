"""Which donated argument of a jitted function gives its buffer to which result.

JAX pairs them by shape, in order. In `jit(lambda grads, state, params: opt.step(grads, state, params))` a first moment
then gives its buffer to new parameters, which are in use while it is still read: XLA copies most of both. Here they are
paired anew by their paths, which JAX leaves in the module. Any pairing is right: a wrong one costs copies.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from jaxlib.mlir import ir

from optcc.logs import log

_ALIAS = "tf.aliasing_output"
_NAME = re.compile(r'^loc\("(\w*)(.*)"')


def pair_by_path(module: ir.Module) -> None:
    """Let donated arguments of the function that is being lowered give their buffers to the results of their paths."""
    main = next((op for op in module.body.operations if _is_main(op)), None)
    if main is None or "arg_attrs" not in main.attributes or "res_attrs" not in main.attributes:
        return
    arguments = [dict(_entries(a)) for a in ir.ArrayAttr(main.attributes["arg_attrs"])]
    returned = ir.ArrayAttr(main.attributes["res_attrs"])
    results = [_path(str(dict(_entries(r)).get("jax.result_info", ""))) for r in returned]
    values = list(main.regions[0].blocks[0].arguments)
    names = [found[2] if (found := _NAME.match(str(v.location))) else "" for v in values]
    alike: defaultdict[Any, list[int]] = defaultdict(list)
    for i, given in enumerate(arguments):
        if _ALIAS in given:
            alike[str(values[i].type), *sorted(f"{k} {v}" for k, v in given.items() if k != _ALIAS)].append(i)
    moved = 0
    for members in alike.values():
        targets = [ir.IntegerAttr(arguments[i][_ALIAS]).value for i in members]
        new = _paired([names[i] for i in members], {t: results[t] for t in targets})
        for i, old, target in zip(members, targets, new, strict=True):
            moved += old != target
            arguments[i][_ALIAS] = ir.IntegerAttr.get(ir.IntegerType.get_signless(32), target)
    if moved:
        main.attributes["arg_attrs"] = ir.ArrayAttr.get([ir.DictAttr.get(given) for given in arguments])
        log("donation", f"{moved} donated arguments of another order than the results were paired by their paths")


def _paired(names: Sequence[str], results: Mapping[int, str]) -> list[int]:
    """For each name the result whose path ends with it; the longest names choose first, and the rest is in order."""
    free = dict(results)
    found: dict[int, int] = {}
    for i in sorted(range(len(names)), key=lambda i: -len(names[i])):
        fitting = [target for target, path in free.items() if names[i] and path.endswith(names[i])]
        if fitting:
            found[i] = min(fitting, key=lambda target: len(free[target]))
            del free[found[i]]
    rest = iter(sorted(free))
    return [found[i] if i in found else next(rest) for i in range(len(names))]


def _is_main(op: Any) -> bool:
    return "sym_name" in op.attributes and ir.StringAttr(op.attributes["sym_name"]).value == "main"


def _entries(attributes: Any) -> list[tuple[str, ir.Attribute]]:
    return [(named.name, named.attr) for named in ir.DictAttr(attributes)]


def _path(text: str) -> str:
    return text.strip('"').removeprefix("result")
