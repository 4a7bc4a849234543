"""Wrappers that change what the chain inside gets: masks, one vector, real numbers, another copy, another scale."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.table.row import ADAFACTOR, GLOBAL_NORM, JOINED, MECHANIC, VECTOR, Row, decay, halving, inner, not_scalars
from tests.table.structured import adafactor
from tests.trees import WITH_EMPTY, matrices_only


def mechanic(lib: Any, inner: Any) -> Any:
    return lib.contrib.mechanize(inner, 0.1, 1e-3, 0.01, 4)


_Flat = partial(Row, memory=JOINED, placeholders=False)
_Complex = partial(Row, inputs="complex", leaves=(WITH_EMPTY,))
_Pairs = partial(Row, inputs="pairs", leaves=(WITH_EMPTY,))
_Mechanic = partial(Row, sweeps=3, why=MECHANIC, reduces=True, drifts=True, leaves=(WITH_EMPTY,), mixed=False)

ROWS = [
    Row(
        "masked",
        lambda lib: lib.masked(lib.scale_by_adam(0.8, 0.95, 1e-4, 1e-5), matrices_only),
        sweeps=1,
        bytes=27.98,
    ),
    Row(
        "masked_nested",
        lambda lib: lib.masked(lib.chain(lib.trace(0.7), lib.masked(lib.ema(0.5), matrices_only)), not_scalars),
        sweeps=1,
        bytes=27.99,
    ),
    Row(
        "masked_norm",
        lambda lib: lib.masked(lib.clip_by_global_norm(0.5), matrices_only),
        sweeps=2,
        bytes=16.00,
        why=GLOBAL_NORM,
        reduces=True,
    ),
    _Flat(
        "flatten",
        lambda lib: lib.flatten(lib.adam(0.1, 0.8, 0.95, 1e-4, 1e-5)),
        sweeps=2,
        bytes=36,
        why=VECTOR,
        listed="flatten(adamw(1e-3))",
        fresh=True,
    ),
    _Flat(
        "flatten_norm",
        lambda lib: lib.flatten(lib.chain(lib.scale_by_trust_ratio(0.1, 0.7, 1e-3), lib.trace(0.7))),
        sweeps=3,
        bytes=32,
        why=f"the norms are those of a vector of all leaves; {VECTOR}",
        reduces=True,
    ),
    _Complex(
        "split",
        lambda lib: lib.contrib.split_real_and_imaginary(inner(lib)),
        sweeps=1,
        bytes=28,
        listed="contrib.split_real_and_imaginary(adamw(1e-3))",
    ),
    _Complex(
        "split_norm",
        lambda lib: lib.contrib.split_real_and_imaginary(lib.chain(lib.clip_by_global_norm(0.7), lib.adam(0.1))),
        sweeps=2,
        bytes=32,
        why=GLOBAL_NORM,
        reduces=True,
    ),
    _Pairs(
        "lookahead",
        lambda lib: lib.lookahead(inner(lib), 3, 0.4),
        sweeps=1,
        bytes=36,
        listed="lookahead(adam(1e-3), 5, 0.5)",
    ),
    _Pairs(
        "lookahead_reset",
        lambda lib: lib.lookahead(inner(lib), 3, 0.4, reset_state=True),
        sweeps=1,
        bytes=36,
    ),
    _Pairs(
        "lookahead_every_step",
        lambda lib: lib.lookahead(lib.sgd(halving(lib), 0.7), 1, 0.25),
        sweeps=1,
        bytes=28,
    ),
    _Pairs(
        "lookahead_adafactor",
        lambda lib: lib.lookahead(adafactor(lib), 2, 0.4, True),
        sweeps=3,
        bytes=36.04,
        why=ADAFACTOR,
        reduces=True,
    ),
    _Mechanic(
        "mechanize",
        lambda lib: mechanic(lib, inner(lib)),
        bytes=56,
        listed="contrib.mechanize(adamw(1e-3))",
    ),
    _Mechanic("mechanize_sgd", lambda lib: mechanic(lib, lib.sgd(decay(lib), 0.7)), bytes=48),
]
