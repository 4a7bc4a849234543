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

Make = Callable[[], Any]


def rows() -> dict[str, Make]:
    """What is imported, by the expression that the table has for it."""
    found: dict[str, Make] = {f"{name}(1e-3)": lambda name=name: getattr(optax, name)(RATE) for name in PLAIN}
    found |= {f"contrib.{name}(1e-3)": lambda name=name: getattr(contrib, name)(RATE) for name in CONTRIB}
    found |= {f"{name}()": lambda name=name: getattr(optax, name)() for name in TRANSFORMATIONS}
    o: Any = optax
    c: Any = contrib
    cosine = o.warmup_cosine_decay_schedule(0.0, RATE, 10, 100)
    return found | {
        "contrib.cocob()": lambda: c.cocob(),
        "contrib.dadapt_adamw()": lambda: c.dadapt_adamw(),
        "contrib.galore(1e-3, 8)": lambda: c.galore(RATE, 8),
        "contrib.mechanize(adamw(1e-3))": lambda: c.mechanize(o.adamw(RATE)),
        "contrib.normalize()": lambda: c.normalize(),
        "contrib.prodigy()": lambda: c.prodigy(),
        "contrib.reduce_on_plateau()": lambda: c.reduce_on_plateau(),
        "contrib.sam(sgd(1e-3), sgd(0.1))": lambda: c.sam(o.sgd(RATE), o.sgd(0.1)),
        "contrib.schedule_free(adam(1e-3), 1e-3)": lambda: c.schedule_free(o.adam(RATE), RATE),
        "contrib.schedule_free_adamw(1e-3)": lambda: c.schedule_free_adamw(RATE),
        "contrib.schedule_free_sgd(1e-3)": lambda: c.schedule_free_sgd(RATE),
        "contrib.split_real_and_imaginary(adam(1e-3))": lambda: c.split_real_and_imaginary(o.adam(RATE)),
        "lbfgs(1e-3)": lambda: o.lbfgs(RATE),
        "noisy_sgd(1e-3, key=0)": lambda: o.noisy_sgd(RATE, key=0),
        "polyak_sgd()": lambda: o.polyak_sgd(),
        "sgd(1e-3, 0.9, nesterov=True)": lambda: o.sgd(RATE, 0.9, nesterov=True),
        "adamw(warmup_cosine_decay_schedule(...))": lambda: o.adamw(cosine),
        "adamw(1e-3, mask=...)": lambda: o.adamw(RATE, mask=matrices_only),
        "adamw(1e-3, mu_dtype=bfloat16)": lambda: o.adamw(RATE, mu_dtype=jnp.bfloat16),
        "adaptive_grad_clip(0.1)": lambda: o.adaptive_grad_clip(0.1),
        "add_noise(0.1, 0.5, key=0)": lambda: o.add_noise(0.1, 0.5, key=0),
        "apply_every(3)": lambda: o.apply_every(3),
        "apply_if_finite(adamw(1e-3), 3)": lambda: o.apply_if_finite(o.adamw(RATE), 3),
        "chain(clip_by_global_norm(1), adamw(1e-3))": lambda: o.chain(o.clip_by_global_norm(1.0), o.adamw(RATE)),
        "clip(1)": lambda: o.clip(1.0),
        "clip_by_block_rms(1)": lambda: o.clip_by_block_rms(1.0),
        "conditionally_transform(adam(1e-3), ...)": lambda: o.conditionally_transform(o.adam(RATE), lambda s: s > 3),
        "ema(0.9)": lambda: o.ema(0.9),
        "flatten(adam(1e-3))": lambda: o.flatten(o.adam(RATE)),
        "inject_hyperparams(adamw)(1e-3)": lambda: o.inject_hyperparams(o.adamw)(RATE),
        "masked(adam(1e-3), ...)": lambda: o.masked(o.adam(RATE), matrices_only),
        "MultiSteps(adamw(1e-3), 4)": lambda: o.MultiSteps(o.adamw(RATE), 4).gradient_transformation(),
        "partition({...}, ...)": lambda: o.partition({"matrix": o.adamw(RATE), "other": o.sgd(0.1, 0.9)}, by_rank),
        "trace(0.9)": lambda: o.trace(0.9),
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


def line(name: str, make: Make) -> str:
    """One line of the table."""
    if name in NEEDS:
        return f"| `{name}` | | | {NEEDS[name]} |"
    shapes = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s, jnp.float32), SHAPES, is_leaf=lambda x: isinstance(x, tuple)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tx = make()
        extra = {"value": jax.ShapeDtypeStruct((), jnp.float32)}
        takes_value = "value" in name or any(part in name for part in ("momo", "polyak", "plateau"))
        compiled = optcc.compile(tx, shapes, extra_args=extra if takes_value else None)
        cost = cost_of(compiled.staged.program.step.op)
    why = {short(one) for reason in opaque_parts(compiled).values() for one in reason.split("; ")}
    moved = "" if cost.barriers else f"{cost.per_parameter(cost.bytes):.1f}"
    return f"| `{name}` | {len(cost.sweeps)} | {moved} | {'; '.join(sorted(why))} |"


def table() -> str:
    """The whole table."""
    made = rows()
    lines = [line(name, made[name]) for name in sorted(made, key=str.lower)]
    whole = sum(text.endswith("|  |") for text in lines)
    head = f"{whole} of {len(lines)} are imported whole.\n\n"
    columns = "| expression | sweeps | bytes/parameter | not imported because |\n| --- | --- | --- | --- |\n"
    return head + columns + "\n".join(lines) + "\n"


def in_docs() -> str:
    """The table that the docs have."""
    return FILE.read_text().partition(BEGIN)[2].partition(END)[0]


if __name__ == "__main__":
    before, _, rest = FILE.read_text().partition(BEGIN)
    FILE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
