"""The table in docs/importing.md: `python -m tests.importers.table` writes it anew."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

import optcc
from optcc.report import cost_of
from tests.importers.chains import by_rank, opaque_parts
from tests.trees import matrices_only

FILE = Path(__file__).parents[2] / "docs" / "importing.md"
BEGIN, END = "<!-- table -->\n", "<!-- end -->\n"

SHAPES = {
    "embedding": (256, 64),
    "layer0": {"attention": (64, 192), "bias": (192,), "mlp": (64, 256), "scale": (64,)},
    "layer1": {"attention": (64, 192), "bias": (192,), "mlp": (64, 256), "scale": (64,)},
    "head": (64, 256),
}

RATE = 1e-3
PLAIN = [
    "adabelief",
    "adadelta",
    "adafactor",
    "adagrad",
    "adam",
    "adamax",
    "adamaxw",
    "adamw",
    "adan",
    "amsgrad",
    "fromage",
    "lamb",
    "lars",
    "lion",
    "nadam",
    "nadamw",
    "novograd",
    "optimistic_adam_v2",
    "optimistic_gradient_descent",
    "radam",
    "rmsprop",
    "rprop",
    "sgd",
    "sign_sgd",
    "sm3",
    "yogi",
]
CONTRIB = [
    "acprop",
    "ademamix",
    "adopt",
    "dog",
    "dowg",
    "madgrad",
    "momo",
    "momo_adam",
    "muon",
    "simplified_ademamix",
    "sophia",
]
TRANSFORMATIONS = [
    "centralize",
    "identity",
    "keep_params_nonnegative",
    "normalize_by_update_norm",
    "scale_by_param_block_norm",
    "scale_by_param_block_rms",
    "scale_by_sign",
    "scale_by_trust_ratio",
    "set_to_zero",
    "zero_nans",
]

Make = Callable[[Any, Any], Any]
"""Makes a pair with a library and its `contrib`."""


def rows() -> dict[str, Make]:
    """What is imported, by the expression that the table has for it."""
    found: dict[str, Make] = {f"{name}(1e-3)": lambda o, _, name=name: getattr(o, name)(RATE) for name in PLAIN}
    found |= {f"contrib.{name}(1e-3)": lambda _, c, name=name: getattr(c, name)(RATE) for name in CONTRIB}
    found |= {f"{name}()": lambda o, _, name=name: getattr(o, name)() for name in TRANSFORMATIONS}
    cosine = optax.warmup_cosine_decay_schedule(0.0, RATE, 10, 100)
    return found | {
        "contrib.cocob()": lambda o, c: c.cocob(),
        "contrib.dadapt_adamw()": lambda o, c: c.dadapt_adamw(),
        "contrib.galore(1e-3, 8)": lambda o, c: c.galore(RATE, 8),
        "contrib.mechanize(adamw(1e-3))": lambda o, c: c.mechanize(o.adamw(RATE)),
        "contrib.normalize()": lambda o, c: c.normalize(),
        "contrib.prodigy()": lambda o, c: c.prodigy(),
        "contrib.reduce_on_plateau()": lambda o, c: c.reduce_on_plateau(),
        "contrib.sam(sgd(1e-3), sgd(0.1))": lambda o, c: c.sam(o.sgd(RATE), o.sgd(0.1)),
        "contrib.schedule_free(adam(1e-3), 1e-3)": lambda o, c: c.schedule_free(o.adam(RATE), RATE),
        "contrib.schedule_free_adamw(1e-3)": lambda o, c: c.schedule_free_adamw(RATE),
        "contrib.schedule_free_sgd(1e-3)": lambda o, c: c.schedule_free_sgd(RATE),
        "contrib.split_real_and_imaginary(adam(1e-3))": lambda o, c: c.split_real_and_imaginary(o.adam(RATE)),
        "lbfgs(1e-3)": lambda o, c: o.lbfgs(RATE),
        "noisy_sgd(1e-3, key=0)": lambda o, c: o.noisy_sgd(RATE, key=0),
        "polyak_sgd()": lambda o, c: o.polyak_sgd(),
        "sgd(1e-3, 0.9, nesterov=True)": lambda o, c: o.sgd(RATE, 0.9, nesterov=True),
        "adamw(warmup_cosine_decay_schedule(...))": lambda o, c: o.adamw(cosine),
        "adamw(1e-3, mask=...)": lambda o, c: o.adamw(RATE, mask=matrices_only),
        "adamw(1e-3, mu_dtype=bfloat16)": lambda o, c: o.adamw(RATE, mu_dtype=jnp.bfloat16),
        "adaptive_grad_clip(0.1)": lambda o, c: o.adaptive_grad_clip(0.1),
        "add_noise(0.1, 0.5, key=0)": lambda o, c: o.add_noise(0.1, 0.5, key=0),
        "apply_every(3)": lambda o, c: o.apply_every(3),
        "apply_if_finite(adamw(1e-3), 3)": lambda o, c: o.apply_if_finite(o.adamw(RATE), 3),
        "chain(clip_by_global_norm(1), adamw(1e-3))": lambda o, c: o.chain(o.clip_by_global_norm(1.0), o.adamw(RATE)),
        "clip(1)": lambda o, c: o.clip(1.0),
        "clip_by_block_rms(1)": lambda o, c: o.clip_by_block_rms(1.0),
        "conditionally_transform(adam(1e-3), ...)": lambda o, c: o.conditionally_transform(
            o.adam(RATE), lambda s: s > 3
        ),
        "ema(0.9)": lambda o, c: o.ema(0.9),
        "flatten(adam(1e-3))": lambda o, c: o.flatten(o.adam(RATE)),
        "inject_hyperparams(adamw)(1e-3)": lambda o, c: o.inject_hyperparams(o.adamw)(RATE),
        "masked(adam(1e-3), ...)": lambda o, c: o.masked(o.adam(RATE), matrices_only),
        "MultiSteps(adamw(1e-3), 4)": lambda o, c: o.MultiSteps(o.adamw(RATE), 4).gradient_transformation(),
        "partition({...}, ...)": lambda o, c: o.partition({"matrix": o.adamw(RATE), "other": o.sgd(0.1, 0.9)}, by_rank),
        "trace(0.9)": lambda o, c: o.trace(0.9),
    }


NEEDS = {
    "lbfgs(1e-3)": "its line search calls the loss: only `update` of the pair has it",
    "contrib.sophia(1e-3)": "its estimator calls the loss: only `update` of the pair has it",
    "noisy_sgd(1e-3, key=0)": "refused: a typed key of random numbers in the state of another library",
    "add_noise(0.1, 0.5, key=0)": "refused: a typed key of random numbers in the state of another library",
}
"""What cannot be compiled, and why."""


def short(reason: str) -> str:
    """A reason without shapes and places."""
    return re.sub(r"\([^()]*\)( at \S+?:\d+)?|, \w+\[[\d, ]*\]$", "", reason)


def _compiled(name: str, tx: Any) -> optcc.CompiledOptimizer:
    shapes = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s, jnp.float32), SHAPES, is_leaf=lambda x: isinstance(x, tuple)
    )
    extra = {"value": jax.ShapeDtypeStruct((), jnp.float32)}
    takes_value = "value" in name or any(part in name for part in ("momo", "polyak", "plateau"))
    return optcc.compile(tx, shapes, extra_args=extra if takes_value else None)


def _cells(compiled: optcc.CompiledOptimizer) -> str:
    """Sweeps and bytes for each parameter, which are not known beside calls."""
    cost = cost_of(compiled.staged.program.step.op)
    moved = "" if cost.barriers else f"{cost.per_parameter(cost.bytes):.1f}"
    return f"{len(cost.sweeps)} | {moved}"


def line(name: str, make: Make) -> str:
    """One line of the table."""
    if name in NEEDS:
        return f"| `{name}` | | | | | {NEEDS[name]} |"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = _compiled(name, make(optax, contrib))
        ours = _cells(_compiled(name, make(optcc, optcc.contrib)))
        theirs = _cells(compiled)
    why = {short(one) for reason in opaque_parts(compiled).values() for one in reason.split("; ")}
    return f"| `{name}` | {theirs} | {ours} | {'; '.join(sorted(why))} |"


def table() -> str:
    """The whole table."""
    made = rows()
    lines = [line(name, made[name]) for name in sorted(made, key=str.lower)]
    whole = sum(text.endswith("|  |") for text in lines)
    cells = [[cell.strip() for cell in text.split("|")[2:6]] for text in lines]
    same = sum(bool(moved) and (sweeps, moved) == (own, own_moved) for sweeps, moved, own, own_moved in cells)
    head = (
        f"{whole} of {len(lines)} are imported whole, {same} have the sweeps and bytes of optcc's own definition\n"
        '(the columns "own"); what is called has no bytes.\n\n'
    )
    columns = "| expression | sweeps | bytes/parameter | own sweeps | own bytes | not imported because |\n"
    columns += "| --- | --- | --- | --- | --- | --- |\n"
    return head + columns + "\n".join(lines) + "\n"


def in_docs() -> str:
    """The table that the docs have."""
    return FILE.read_text().partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = FILE.read_text().partition(BEGIN)
    FILE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
