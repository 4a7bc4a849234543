"""The report of a compiled optimizer: from its IR, and if wanted from XLA's executable."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import jax

from optcc.dialect import Role, sweeps_of
from optcc.lowering.native.calls import why_not_native
from optcc.report.cost import Cost, cost_of
from optcc.report.groups import groups_of
from optcc.report.hlo import collectives, kernel_count, kernels, memory_bytes
from optcc.report.report import Array, Executable, Layout, Mesh, OpaqueCall, Phase, Product, Report, Roofline, Sweep
from optcc.runtime.backends import why_no_native_calls
from optcc.targets import platform_of
from optcc.versions import versions

if TYPE_CHECKING:
    from optcc.program.program import Function
    from optcc.program.signature import Binding
    from optcc.runtime.optimizer import CompiledOptimizer

_ROLES = (Role.UPDATES, Role.PARAMS, Role.STATE, Role.EXTRA)


def make_report(compiled: CompiledOptimizer, *, xla: bool = True) -> Report:
    """Sweeps, bytes and arrays from the IR; with `xla`, kernels, aliasing and temporaries from the executable."""
    step = step_of(compiled)
    cost = cost_of(step.op)
    pairs = zip(cost.sweeps, why_not(compiled), strict=True)
    bindings = [b for role in _ROLES for b in step.signature.of_role(role)]
    return Report(
        parameters=cost.parameters,
        moved=cost.bytes,
        floor=cost.floor,
        sweeps=tuple(
            Sweep(s.read, s.written, s.waits_for, s.fresh, "stablehlo" if why else "native", why) for s, why in pairs
        ),
        products=tuple(Product(p.name, p.read, p.written, p.flops) for p in cost.products),
        arrays=tuple(map(_array, bindings)),
        opaque=tuple(OpaqueCall(name, _why_opaque(compiled, name)) for name in cost.barriers),
        device=platform_of(compiled.target),
        for_target=compiled.target is not None,
        layout=_layout(compiled),
        mesh=_mesh(compiled),
        executable=_executable(compiled) if xla else None,
        roofline=_roofline(compiled, cost) if xla else None,
        versions=versions(),
        groups=groups_of(step, compiled.hyperparams),
        phases=tuple(Phase(name, seconds) for name, seconds in compiled.staged.seconds),
        cache_key=hashlib.sha256(compiled.ir("sweeps").encode()).hexdigest()[:16],
    )


def why_not(compiled: CompiledOptimizer) -> list[str]:
    """For each sweep of `step` why it does not run as a native kernel, "" if it does."""
    sweeps = sweeps_of(step_of(compiled).op)
    everywhere = why_no_native_calls(compiled.backend, platform_of(compiled.target))
    if isinstance(compiled.per_device, str) and not everywhere:
        everywhere = "XLA partitions it"
    return [everywhere or why_not_native(op) for op in sweeps]


def step_of(compiled: CompiledOptimizer) -> Function:
    """The step that runs: on a mesh that of one device, where it is run device by device."""
    local = compiled.per_device
    return compiled.staged.program.step if local is None or isinstance(local, str) else local


def _mesh(compiled: CompiledOptimizer) -> Mesh | None:
    placement, local = compiled.placement, compiled.per_device
    if placement is None or local is None:
        return None
    return Mesh(placement.sizes, local if isinstance(local, str) else "", gathers=bool(placement.held))


def _array(binding: Binding) -> Array:
    elements = sum(map(math.prod, binding.shapes))
    return Array(
        role=binding.slot.role.value,
        name=str(binding.slot.name),
        group=binding.group,
        dtype=f"key<{binding.key}>" if binding.key else str(binding.dtype),
        leaves=len(binding.shapes),
        elements=elements,
        bytes=elements * binding.dtype.itemsize,
    )


def _why_opaque(compiled: CompiledOptimizer, name: str) -> str:
    return getattr(compiled.program.callables.get(name), "why", "")


def _layout(compiled: CompiledOptimizer) -> Layout:
    if compiled.layout == "tree":
        arrays = len(jax.tree.leaves(compiled.staged.program.step.shapes(Role.STATE)))
        return Layout("tree", arrays, arrays)
    slots = compiled.state_layout.slots
    return Layout(compiled.layout, sum(len(slot.positions) for slot in slots), len(slots))


def _executable(compiled: CompiledOptimizer) -> Executable:
    text, stats = compiled.hlo(), compiled.executable.memory_analysis()
    return Executable(
        kernels=kernel_count(text),
        fusions=kernels(text)["fusion"],
        collectives=dict(sorted(collectives(text).items())),
        donated=compiled.donated_bytes,
        aliased=stats.alias_size_in_bytes,
        temporaries=stats.temp_size_in_bytes,
    )


def _roofline(compiled: CompiledOptimizer, cost: Cost) -> Roofline | None:
    """The least time that a step takes on the target's card, and the memory that it needs there; None on a CPU."""
    card = compiled.target.card if compiled.target else None
    if card is None:
        return None
    stats = compiled.executable.memory_analysis()
    counted = (compiled.executable.cost_analysis() or {}).get("bytes accessed")  # none for a GPU
    on_tpu = compiled.target is not None and compiled.target.platform == "tpu"
    moved, source = (memory_bytes(compiled.hlo()), "HLO") if on_tpu else (cost.bytes, "sweeps")
    held = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    return Roofline(
        card=card.name,
        bandwidth=card.bandwidth,
        card_memory=card.memory,
        accessed=moved,
        source=source,
        counted_by_xla=None if counted is None else int(counted),
        seconds=moved / card.bandwidth,
        memory=held + stats.temp_size_in_bytes,
    )
