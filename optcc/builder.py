"""What the author of a transformation writes with; docs/extending.md starts from an empty folder.

A transformation is a formula over whole trees. It is a function that returns `stateless(name, update, **hypers)`, or
`transformation(name, init, update, **hypers)` if it keeps a state::

    from typing import NamedTuple

    from optcc.builder import Builder, GradientTransformation, Scalar, Tree, Updates, transformation

    class MomentumState(NamedTuple):
        moment: Updates

    def momentum(decay: float) -> GradientTransformation:
        def init(b: Builder, params: Tree) -> MomentumState:
            return MomentumState(b.zeros_like(params))

        def update(b: Builder, g: Tree, state: MomentumState, params: Tree | None, *, decay: Scalar):
            moment = decay * state.moment + g
            return moment, MomentumState(moment)

        return transformation("momentum", init, update, decay=decay)

`init` returns the state, `update` the new updates and the new state; that of `stateless` takes no state and returns the
updates alone. A state is a pytree of trees, scalars and keys, mostly a named tuple, and has one structure for ever.
`hypers` are the numbers that a user may change at run time: numbers or 0-d arrays, which `update` gets as scalars, by
keyword. The rest (flags, dtypes, functions) are closed over. Everything else follows from the formula: the init/update
pair, the compiled step, the native kernels, the report.

**Values.** A `Tree` has one value for every element of every leaf, or for every leaf (`b.PER_LEAF`), or what some axes
leave (`b.axes`). A `Scalar` is one number of the whole step, a `Key` one of random numbers. Trees, scalars and Python's
numbers go together with ``+ - * / **``, ``< <= > >=``, ``& |`` and ``.equals``; smaller values are broadcast. They have
no truth value: branches are `b.where` for values and `b.select` for states. Dtypes promote as in JAX. Leaves below
float32 are widened when they are read, and rounded once, when they are stored.

**The builder**, the first argument:

====================  ==================================================================================================
what for              methods
====================  ==================================================================================================
constants             `zeros_like(tree, dtype)`, `full_like(tree, value)`, `integer(0)` for a count, `number(x, dtype)`
arithmetic            `sqrt`, `rsqrt`, `square`, `power`, `abs`, `sign`, `tanh`, `maximum`, `minimum`, `unary(kind, x)`,
                      `binary(kind, x, y)`, `compare(kind, x, y)`, `logical(kind, x, y)`, `is_finite`, `remainder`
complex leaves        `abs_sq` for ``|x|**2`` (`square` is ``x * x``), `inner(x, y)`, `real(moment)` of one of sizes
choice                `where(condition, x, y)`, `select(condition, state, state)`
counts                `increment(count)`, which stays at the largest integer; `schedule(function, count)`
dtypes                `cast(tree, dtype)`, `cast_like(tree, like)`, `cast_scalar(scalar, dtype)`
folds                 `tree.sum()`, `tree.sum_per_leaf()`, `global_norm`, `norm_per_leaf`, `mean(tree, extent)`,
                      `reduce_tree(tree, b.MAX)`, `reduce_leaves(tree, b.MAX, extent)`, `count(tree, extent)`
some axes             `axes(name, leaf_set, kept)`, the extent that keeps the axes `kept(shape)` of each leaf
some leaves           `split(tree, selected)` and `join(on, off, whole)`
random numbers        `key(make)` in `init`; `split_key(key, part, total)`, `random_normal(key, like)`
the parameters        `require_params(params)`, an error where `update` was called without them
what has no formula   `call(name, function, operands, results)`, an opaque call, which is never fused
children              `initialize(index, definition, params)`, `apply(index, definition, updates, state, params)`
errors                `where_in_chain`, for the line "where" of `message(what, where, fix)`
====================  ==================================================================================================

**Combinators** apply other transformations: they list `definition_of(tx)` of each as `children` of a `Definition`, emit
them with `initialize` and `apply`, and return `as_pair(definition)`, as `optcc.chain` does.
"""

from optcc.base import EmptyState as EmptyState
from optcc.base import GradientTransformation as GradientTransformation
from optcc.base import GradientTransformationExtraArgs as GradientTransformationExtraArgs
from optcc.base import Params as Params
from optcc.base import ScalarOrSchedule as ScalarOrSchedule
from optcc.base import Schedule as Schedule
from optcc.base import Updates as Updates
from optcc.errors import message as message
from optcc.formula.builder import Builder as Builder
from optcc.formula.definition import Definition as Definition
from optcc.formula.definition import as_pair as as_pair
from optcc.formula.definition import definition_of as definition_of
from optcc.formula.definition import stateless as stateless
from optcc.formula.definition import transformation as transformation
from optcc.formula.values import GroupedLeaves as GroupedLeaves
from optcc.formula.values import Key as Key
from optcc.formula.values import Scalar as Scalar
from optcc.formula.values import Tree as Tree

__all__ = [
    "Builder",
    "Definition",
    "EmptyState",
    "GradientTransformation",
    "GradientTransformationExtraArgs",
    "GroupedLeaves",
    "Key",
    "Params",
    "Scalar",
    "ScalarOrSchedule",
    "Schedule",
    "Tree",
    "Updates",
    "as_pair",
    "definition_of",
    "message",
    "stateless",
    "transformation",
]
