"""`Report`: what a compiled step costs, as data. Its text is in `text.py`, its HTML in `html.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Sweep:
    """One pass over memory: bytes, what it waits for, the arrays it makes anew, and what it runs on.

    `backend` is ``"native"`` or ``"stablehlo"``; `why` says why it is not native, "" if it is.
    """

    read: int
    written: int
    waits_for: tuple[str, ...]
    fresh: tuple[str, ...]
    backend: str
    why: str

    @property
    def bytes(self) -> int:
        """Bytes moved."""
        return self.read + self.written


@dataclass(frozen=True)
class Product:
    """An op on batches of matrices: the bytes it reads and writes, and its operations, 0 for a copy."""

    name: str
    read: int
    written: int
    flops: int


@dataclass(frozen=True)
class Array:
    """A slot of the step: which pytree it belongs to, its path there, its dtype, and what it holds.

    Leaves that are treated differently, or have other dtypes, are in slots of their own; `group` is their leaf set.
    """

    role: str
    name: str
    group: str
    dtype: str
    leaves: int
    elements: int
    bytes: int


@dataclass(frozen=True)
class OpaqueCall:
    """A function that no sweep spans and whose traffic is not counted; `why` it was not imported, "" if not known."""

    name: str
    why: str


@dataclass(frozen=True)
class Layout:
    """How the state is kept: ``"tree"``, ``"packed"`` or ``"tiled"``, the arrays in it, and the buffers for them."""

    name: str
    arrays: int
    buffers: int


@dataclass(frozen=True)
class Mesh:
    """The devices that the parameters are on: the size of each axis.

    `why_whole` says why XLA partitions the step, "" where each device runs it on its parts of the arrays: then sweeps,
    arrays and bytes are those of one device. `gathers` says that parameters are gathered after the step.
    """

    axes: Mapping[str, int]
    why_whole: str
    gathers: bool


@dataclass(frozen=True)
class Executable:
    """What XLA made of the step: instructions that run, those that are fusions, collectives, and bytes.

    `donated` are the bytes of state and parameters, `aliased` those of them that are overwritten in place.
    """

    kernels: int
    fusions: int
    collectives: Mapping[str, int]
    donated: int
    aliased: int
    temporaries: int


@dataclass(frozen=True)
class Roofline:
    """The least time of a step on a card: bytes accessed over the maker's bandwidth, and the memory that is needed.

    `source` says what the bytes were counted in: ``"HLO"``, the optimized module, or ``"sweeps"``, the IR, for a GPU.
    `counted_by_xla` is XLA's own count, which on a TPU takes memory on the chip for memory; None where it has none.
    Bandwidth is in bytes a second.
    """

    card: str
    bandwidth: float
    card_memory: int
    accessed: int
    source: str
    counted_by_xla: int | None
    seconds: float
    memory: int


@dataclass(frozen=True)
class Group:
    """A leaf set of the sweeps: how many leaves are treated alike, and the values of the hyperparameters they meet."""

    name: str
    leaves: int
    hyperparameters: Mapping[str, float]


@dataclass(frozen=True)
class Phase:
    """A phase of compilation and its seconds: a pass, or what JAX and XLA do."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Measured:
    """The time of a step on this machine, the median and quartiles of some rounds.

    `bytes_per_second` is that of the sweeps' bytes. `limit_seconds` is a C loop over the same streams with the same
    threads, in turns with the step, and `of_limit` the median of its time over the step's; both are None where there is
    no such loop, and `why_no_limit` says why.
    """

    seconds: float
    low: float
    high: float
    rounds: int
    bytes_per_second: float
    limit_seconds: float | None
    of_limit: float | None
    why_no_limit: str
    device: str
    cores: int


@dataclass(frozen=True)
class Report:
    """What a compiled step costs. Bytes are those of one step.

    `moved` are the bytes of all sweeps, `floor` those of touching each array once; both leave out what `opaque` calls
    and `products` move. `device` is the platform; `for_target` says that it need not be there. `mesh` is None where the
    parameters compiled for are on one device, or do not say where they are. `executable` is None in a report that was
    made without XLA, and `measured` where no steps were taken. `cache_key` is equal for equal modules after all passes.
    """

    parameters: int
    moved: int
    floor: int
    sweeps: tuple[Sweep, ...]
    products: tuple[Product, ...]
    arrays: tuple[Array, ...]
    opaque: tuple[OpaqueCall, ...]
    device: str
    for_target: bool
    layout: Layout
    mesh: Mesh | None
    executable: Executable | None
    roofline: Roofline | None
    versions: Mapping[str, str]
    groups: tuple[Group, ...]
    phases: tuple[Phase, ...]
    cache_key: str
    measured: Measured | None = None

    @property
    def bytes_per_parameter(self) -> float | None:
        """Bytes of all sweeps for each parameter; None where opaque calls move bytes that are not counted."""
        return None if self.opaque else self.per_parameter(self.moved)

    @property
    def floor_per_parameter(self) -> float | None:
        """Bytes for each parameter when every array is touched once; None where there are opaque calls."""
        return None if self.opaque else self.per_parameter(self.floor)

    def per_parameter(self, count: int) -> float:
        """A number of bytes divided by the number of parameters."""
        return count / max(1, self.parameters)

    def as_dict(self) -> dict[str, Any]:
        """All fields, also of what is inside, and the bytes per parameter; nothing but what JSON has."""
        own = {"bytes_per_parameter": self.bytes_per_parameter, "floor_per_parameter": self.floor_per_parameter}
        return _plain(own | asdict(self))

    def to_json(self, *, indent: int | None = 1) -> str:
        """`as_dict` as JSON."""
        return json.dumps(self.as_dict(), indent=indent)

    def __str__(self) -> str:
        from optcc.report.text import report_text

        return report_text(self)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from optcc.report.html import report_html

        return report_html(self)


def _plain(value: object) -> Any:
    """Tuples as lists, as JSON would read them back."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
