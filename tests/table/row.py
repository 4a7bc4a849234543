"""A row of the table of chains: what is built, what it costs, and all in which it differs from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import pytest

from optcc.base import LookaheadParams
from optcc.expressions.functions import callables, signature_of
from tests.trees import RAGGED, Leaves, matrices_only

Make = Callable[[Any], Any]


def no_extra_arguments(step: int) -> dict[str, Any]:
    del step
    return {}


@dataclass(frozen=True, repr=False)
class Row:
    """One chain: `make(lib)` builds it from `optcc` or from `optax`, with every hyperparameter off its default.

    All tests that run over many chains read these fields, none the name; so one row is all that a new optimizer takes.
    """

    name: str
    make: Make

    # What a step costs on GPT-2's leaves, in float32.
    sweeps: int
    bytes: float
    """Moved for each parameter: exactly, or with a fraction, rounded to hundredths."""
    why: str = ""
    """Why so many bytes, if every array of the step touched once would be fewer."""
    listed: str = ""
    """The expression that docs/sweeps.md has for it: an optimizer with its defaults. `why` holds for that, too."""
    fresh: bool = False
    """A sweep writes an array of its own, which is neither state nor parameter."""
    opaque: bool = False
    """Something inside is opaque to the IR, which calls it: a pair of another library, or a function of the user's."""
    memory: str = ""
    """Why its temporaries are not small beside the parameters: docs/native.md has the same."""
    xla_arrays: int = 0
    """How many arrays of the size of the parameters XLA:CPU keeps without our kernels."""

    # How near it is to Optax.
    reduces: bool = False
    """It takes a norm or the like, so it agrees to 1e-6 and not to a few ulps."""
    discrete: bool = False
    """It takes a sign, where one ulp before is a full step after."""
    wraps: bool = False
    """It chooses between states: in Optax in a branch, where XLA contracts other products, so that only whole
    trajectories are compared. Such rows count as reducing, but for those whose operations are all the same."""
    drifts: bool = False
    """It sums up differences that bfloat16 does not hold: there it is compared one step at a time."""

    # What it takes.
    leaves: tuple[Leaves, ...] = (RAGGED,)
    least_rank: int = 0
    """The least rank of a leaf."""
    examples: int = 0
    """Gradients have an axis of that size in front: one for each example."""
    inputs: Literal["arrays", "pairs", "complex"] = "arrays"
    """What the leaves are: arrays, fast and slow ones, or complex ones among real ones."""
    extra: Callable[[int], dict[str, Any]] = no_extra_arguments
    """The extra arguments of its update at a step."""
    mixed: bool = True
    """Optax takes leaves of two dtypes, and keeps the dtypes of the state."""
    placeholders: bool = True
    """Optax can make its state from placeholders."""
    not_finite: bool = False
    """It is also tried with gradients that are not finite."""
    static: tuple[str, ...] = ()
    """Arguments of the optimizer that `inject_hyperparams` has to leave as they are."""
    brief: bool = False
    """The checks that look at the same formula once more run with `-m exhaustive` only."""
    drawn: Make | None = None
    """What random chains draw in its place; there states are random as well."""

    def __repr__(self) -> str:
        """Short: hypothesis prints the arguments of its strategies, all rows among them."""
        return f"Row({self.name!r})"

    def like(self, params: Any) -> Any:
        """Parameters, as this chain takes them: for `pairs`, fast ones and equal slow ones."""
        return LookaheadParams.init_synced(params) if self.inputs == "pairs" else params

    @property
    def exact(self) -> bool:
        """Whether it is elementwise and continuous: equal to a few ulps, on any leaf."""
        return not self.reduces and not self.discrete

    @property
    def function(self) -> str:
        """The function of the expression listed, without `contrib.`."""
        return self.listed.partition("(")[0].removeprefix("contrib.")

    @property
    def is_optimizer(self) -> bool:
        """Whether the expression listed is an optimizer: its function takes a learning rate first."""
        return bool(self.listed) and signature_of(callables()[self.function]).startswith("(learning_rate")


def secondary(row: Row, *also: Any, name: str = "", listed: bool = False) -> Any:
    """A case, with its row first, of a check that looks at the same formula once more.

    With `listed` that is so for a row that docs/sweeps.md has not, which is a variant of one that it has.
    """
    left_out = row.brief and not (listed and row.listed)
    return pytest.param(row, *also, id=name or row.name, marks=[pytest.mark.exhaustive] if left_out else [])


def one_in(count: int, cases: Iterable[Any]) -> list[Any]:
    """Cases of a check that takes long: every `count`-th runs each day, the others with `-m exhaustive`.

    Each case is a tuple of its values, or of `pytest.param`.
    """
    found: list[Any] = []
    for i, case in enumerate(cases):
        param = case if hasattr(case, "values") and hasattr(case, "marks") else pytest.param(*case)
        marks = [*param.marks, *([pytest.mark.exhaustive] if i % count else [])]
        found.append(pytest.param(*param.values, id=param.id, marks=marks))
    return found


# Schedules, masks and chains for rows


def decay(lib: Any) -> Any:
    return lib.exponential_decay(0.1, 3, 0.7, transition_begin=1, staircase=True, end_value=0.01)


def warmup(lib: Any) -> Any:
    return lib.warmup_cosine_decay_schedule(0.01, 0.1, 3, 9, 0.02, 1.5)


def joined(lib: Any) -> Any:
    return lib.join_schedules(
        [
            lib.linear_schedule(0.01, 0.1, 3, 1),
            lib.polynomial_schedule(0.1, 0.01, 2.0, 4, 1),
            lib.constant_schedule(0.02),
        ],
        [3, 7],
    )


def halving(lib: Any) -> Any:
    """Its values are exact in bfloat16, as which they are kept beside bfloat16 parameters."""
    return lib.exponential_decay(0.125, 3, 0.5, transition_begin=1, staircase=True)


def inner(lib: Any) -> Any:
    """A chain to be wrapped."""
    return lib.chain(lib.clip(0.9), lib.adamw(0.1, 0.8, 0.95, 1e-4, 1e-5, None, 0.05, matrices_only))


def not_scalars(tree: Any) -> Any:
    """A mask that selects the leaves with at least one dimension."""
    return jax.tree.map(lambda x: x.ndim > 0, tree)


# Reasons that several rows share

GLOBAL_NORM = "the norm is known only after all gradients were read"
LEAF_NORMS = "the norms of a leaf are known only after it was read"
UNIT_NORMS = "the norms of a unit are known only after it was read"
TRUST_RATIO = "the trust ratio is known only after each leaf was read"
TRUST_RATIO_OF_UPDATE = (
    "the trust ratio is known only after each leaf's update was; it is computed again from the moments"
)
SECOND_NORM = "the second moment is a norm of each leaf's gradient"
AXES_MEANS = "row and column means of the squared gradient are known only after it was read"
ADAFACTOR = (
    "row and column means of the squared gradient, then the root mean square of each leaf's update: the gradient is "
    "read three times, the parameters twice, and nothing is stored in between"
)
FINITE = "whether all gradients are finite is known only after all were read"
NOISE = "the random numbers are made in memory, by JAX's generator, and read once"
EXAMPLES = (
    "the norm of an example is known only after all its leaves were read, and the sum over the examples goes through "
    "memory to the noise, which JAX's generator makes there; two of the sweeps are over one number for each leaf and "
    "example"
)
MECHANIC = (
    "norms of gradients and parameters, their product with the way from the first parameters, then the update: three "
    "sweeps, of which each waits for the one before"
)
MATRICES = "products of matrices, one batch for each shape, are XLA's, and wait for the norm of each"
SINGULAR = "singular vectors and products with them are XLA's"
FOREIGN = "an opaque transformation of another library, run by XLA"
DRAWN = "random numbers are XLA's, one array for each leaf"
JOINED = "one vector of all leaves and back: XLA joins and cuts"
VECTOR = (
    "the update is made as one vector and taken apart; the parts are added to the parameters in a sweep of their own"
)
