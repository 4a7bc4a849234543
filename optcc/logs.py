"""What optcc says on standard error when something is compiled, or runs otherwise than one would wish.

`OPTCC_LOGS` is a list of topics, such as `OPTCC_LOGS=opaque,backend`:

- `opaque`: a function that is no part of the IR, and why it was not imported;
- `backend`: sweeps of a function that do not run as native kernels, and why;
- `recompile`: a function that is lowered for another compilation, with the arrays that it takes. A second line for one
  function is a second compilation: for other shapes, or in another jit.
"""

from __future__ import annotations

import os
import sys
from functools import cache

from optcc.errors import did_you_mean, message

TOPICS = ("opaque", "backend", "recompile")
VARIABLE = "OPTCC_LOGS"


def log(topic: str, text: str) -> None:
    """Print a line if the topic is asked for. Raises ValueError for an unknown topic in the variable."""
    if (asked := os.environ.get(VARIABLE)) and topic in _topics(asked):
        print(f"optcc {topic}: {text}", file=sys.stderr)


@cache
def _topics(asked: str) -> frozenset[str]:
    topics = [part.strip() for part in asked.split(",") if part.strip()]
    for topic in topics:
        if topic not in TOPICS:
            fix = did_you_mean(topic, TOPICS) or f"some of {', '.join(TOPICS)}"
            raise ValueError(message(f"unknown topic {topic!r}", VARIABLE, fix))
    return frozenset(topics)
