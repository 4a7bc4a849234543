"""The table in docs/sweeps.md: `python -m tests.sweeps_table` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optcc
from optcc.base import LookaheadParams
from optcc.expressions import parse_optimizer
from optcc.params import load_params
from optcc.report import cost_of
from optcc.runtime.optimizer import CompiledOptimizer

FILE = Path(__file__).parents[1] / "docs" / "sweeps.md"

LEAF_NORMS = "the norms of a leaf are known only after it was read"
NOISE = "the random numbers are made in memory, by JAX's generator, and read once"

EXPRESSIONS = {
    "adabelief(1e-3)": "",
    "adafactor(1e-3)": "row and column means of the squared gradient, then the root mean square of each leaf's update: "
    "the gradient is read three times, the parameters twice, and nothing is stored in between",
    "adafactor(1e-3, momentum=0.9, weight_decay_rate=1e-4)": "as above",
    "adagrad(1e-3)": "",
    "adam(1e-3)": "",
    "adamax(1e-3)": "",
    "adamaxw(1e-3)": "",
    "adamw(1e-3)": "",
    "amsgrad(1e-3)": "",
    "contrib.dpsgd(1e-3, 1.0, 1.0, 0)": "the norm of an example is known only after all its leaves were read, and the "
    "sum over the examples goes through memory to the noise, which JAX's generator makes there; two of the sweeps are "
    "over one number for each leaf and example",
    "fromage(1e-3)": LEAF_NORMS,
    "lamb(1e-3)": "the trust ratio is known only after each leaf's update was; it is computed again from the moments",
    "lars(1e-3)": "the trust ratio is known only after each leaf was read",
    "lion(1e-4)": "",
    "noisy_sgd(1e-3)": NOISE,
    "novograd(1e-3)": "the second moment is a norm of each leaf's gradient",
    "optimistic_gradient_descent(1e-3)": "",
    "radam(1e-3)": "",
    "rmsprop(1e-3)": "",
    "rmsprop(1e-3, centered=True, momentum=0.9, nesterov=True)": "",
    "sgd(1e-3)": "",
    "sgd(1e-3, momentum=0.9)": "",
    "sm3(1e-3)": "",
    "yogi(1e-3)": "",
    "adaptive_grad_clip(0.01)": "the norms of a unit are known only after it was read",
    "add_noise(0.01, 0.55, 0)": NOISE,
    "apply_every(4)": "",
    "apply_if_finite(adamw(1e-3), 5)": "whether all gradients are finite is known only after all were read",
    "centralize()": "the mean of a slice is known only after it was read",
    "chain(clip_by_global_norm(1.0), adamw(1e-3))": "the norm is known only after all gradients were read",
    "contrib.mechanize(adamw(1e-3))": "norms of gradients and parameters, their product with the way from the first "
    "parameters, then the update: three sweeps, of which each waits for the one before",
    "contrib.split_real_and_imaginary(adamw(1e-3))": "",
    "flatten(adamw(1e-3))": "the update is made as one vector and taken apart; the parts are added to the parameters "
    "in a sweep of their own",
    "lookahead(adam(1e-3), 5, 0.5)": "",
    "MultiSteps(adamw(1e-3), 4)": "",
}
"""Every optimizer, and transformations and wrappers that are more than a formula for each element. The value is the
reason if its bytes are above the floor."""

HEADER = """\
# Sweeps of every optimizer

Measured on the IR of `step`, for GPT-2's 148 float32 leaves (124,439,808 parameters). A sweep is one pass over memory;
its bytes are the arrays that it reads and writes, once each. The floor is every array of the step touched once. A state
that is small beside the parameters, such as adafactor's, adds less than 0.1. `python -m tests.sweeps_table` writes this
file, and a test compares it. Any row in full: `optcc compile "EXPR" --params gpt2 --emit sweeps`.

| expression | sweeps | bytes/parameter | floor | above the floor because |
| --- | --- | --- | --- | --- |
"""


def compiled(expression: str, params: Any) -> CompiledOptimizer:
    """An expression for these parameters; for lookahead, fast and slow ones."""
    slow = expression.startswith("lookahead")
    return optcc.compile(parse_optimizer(expression), LookaheadParams.init_synced(params) if slow else params)


def row(expression: str, params: Any) -> str:
    """One line of the table."""
    cost = cost_of(compiled(expression, params).staged.program.step.op)
    moved, floor = (f"{cost.per_parameter(n):.1f}" for n in (cost.bytes, cost.floor))
    reason = EXPRESSIONS[expression]
    assert bool(reason) == (float(moved) > float(floor)), f"{expression}: {moved} bytes, floor {floor}"
    return f"| `{expression}` | {len(cost.sweeps)} | {moved} | {floor} | {reason} |"


def table() -> str:
    """The whole file."""
    params = load_params("gpt2")
    return HEADER + "\n".join(row(expression, params) for expression in EXPRESSIONS) + "\n"


if __name__ == "__main__":
    FILE.write_text(table())
