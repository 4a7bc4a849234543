"""How large parameters may be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from optcc.errors import ParamsError, message

MOST_ELEMENTS = 2**56
"""Of all leaves together: states and temporaries of 16 bytes an element then stay far below 2**63 bytes, where XLA
aborts the process."""


def check_sizes(leaves: Iterable[tuple[str, Sequence[int]]]) -> None:
    """Raise ParamsError where leaves, given by their place and shape, have too many elements, one or all together.

    An axis of no elements counts as one, since XLA multiplies the others all the same.
    """
    total = 0
    for where, shape in leaves:
        size = math.prod(max(n, 1) for n in shape)
        total += size
        if size > MOST_ELEMENTS:
            raise ParamsError(
                message(f"the shape {list(shape)} is too large", where, "a leaf has at most 2**56 elements")
            )
        if total > MOST_ELEMENTS:
            what = "the leaves have too many elements, up to and with this one"
            raise ParamsError(message(what, where, "all leaves together have at most 2**56 elements"))
