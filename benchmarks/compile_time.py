"""Seconds from a chain to an executable, phase by phase: optcc beside Optax, for trees of many leaves.

Run on a quiet machine:  python benchmarks/compile_time.py [--leaves 100,1000,4000] [--chain adamw] [--repeats 3]
                         [--contenders tree,state,all,stablehlo,optax,returning] [--output FILE]

Every leaf has 100 float32 values. The phases: `build` makes the IR from the chain (for Optax: nothing), `passes` runs
the pipeline, `lower` is JAX tracing the step and making StableHLO of it, `xla` compiles that, LLVM kernels of optcc
included. Each measurement takes a fresh process, so that nothing is cached; medians are printed, and with --output
written as JSON. `tree`, `state` and `all` are optcc's native kernels, with nothing, the state, or parameters and
gradients packed, too. `returning` is a jitted call that has the arrays of adamw and returns them as they are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

PHASES = ("build", "passes", "lower", "xla")
CONTENDERS = ("tree", "state", "all", "stablehlo", "optax", "returning")


class Clock:
    """The seconds of each phase."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PHASES, 0.0)

    def run(self, phase: str, function: Callable[[], Any]) -> Any:
        """Call a function, and count its time to a phase."""
        start = time.perf_counter()
        result = function()
        self.seconds[phase] += time.perf_counter() - start
        return result


def compile_jitted(clock: Clock, jitted: Any, arguments: Any) -> None:
    """The phases that JAX and XLA do."""
    lowered = clock.run("lower", lambda: jitted.lower(*arguments))
    clock.run("xla", lowered.compile)


def measure_optcc(clock: Clock, chain: str, shapes: Any, contender: str) -> None:
    """optcc's step, as `CompiledOptimizer` makes it."""
    from contenders import CHAINS

    import optcc

    backend = "stablehlo" if contender == "stablehlo" else "native"
    layout = "packed" if contender in ("state", "all") else "tree"
    compiled = clock.run("build", lambda: optcc.compile(CHAINS[chain](optcc), shapes, backend=backend, layout=layout))
    clock.run("build", lambda: compiled.program)
    clock.run("passes", lambda: compiled.staged)
    if contender != "all":
        lowered = clock.run("lower", lambda: compiled.lowered)
        clock.run("xla", lowered.compile)
        return

    def step(params: Any, state: Any, grads: Any) -> Any:
        return compiled.step(grads, state, params)

    packed, state = jax.eval_shape(compiled.pack, shapes), jax.eval_shape(compiled.init, shapes)
    compile_jitted(clock, jax.jit(step, donate_argnums=(0, 1)), (packed, state, packed))


def measure_optax(clock: Clock, chain: str, shapes: Any) -> None:
    """Update and apply, jitted and donated."""
    import optax
    from contenders import CHAINS

    tx = clock.run("build", lambda: CHAINS[chain](optax))

    def step(params: Any, state: Any, grads: Any) -> Any:
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    state = jax.eval_shape(tx.init, shapes)
    compile_jitted(clock, jax.jit(step, donate_argnums=(0, 1)), (shapes, state, shapes))


def measure_returning(clock: Clock, shapes: Any) -> None:
    """As many arrays as adamw has, and nothing to do with them."""
    step = jax.jit(lambda params, state, grads: (params, state), donate_argnums=(0, 1), keep_unused=True)
    compile_jitted(clock, step, (shapes, [shapes, shapes], shapes))


def measure(chain: str, leaves: int, contender: str) -> dict[str, float]:
    """The seconds of each phase, in this process."""
    shapes = {f"layer{i}": jax.ShapeDtypeStruct((100,), jnp.float32) for i in range(leaves)}
    # What JAX and XLA do for the first program of a process is not counted.
    jax.jit(lambda x: x + 1).lower(jnp.ones(3)).compile()
    clock = Clock()
    if contender == "optax":
        measure_optax(clock, chain, shapes)
    elif contender == "returning":
        measure_returning(clock, shapes)
    else:
        measure_optcc(clock, chain, {"warm": jax.ShapeDtypeStruct((3,), jnp.float32)}, contender)
        clock = Clock()
        measure_optcc(clock, chain, shapes, contender)
    return clock.seconds


def in_fresh_process(chain: str, leaves: int, contender: str) -> dict[str, float]:
    """`measure`, in a process of its own."""
    command = [sys.executable, __file__, "--one", contender, "--leaves", str(leaves), "--chain", chain]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", default="100,1000,4000")
    parser.add_argument("--chain", default="adamw")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", help="a JSON file for the rows")
    parser.add_argument("--one", choices=CONTENDERS, help="measure one contender in this process; prints JSON")
    args = parser.parse_args()

    if args.one:
        print(json.dumps(measure(args.chain, int(args.leaves), args.one)))
        return
    print(f"jax {jax.__version__}, {jax.default_backend()}, {args.chain}")
    print(f"{'leaves':>7} {'contender':10}" + "".join(f"{phase:>9}" for phase in (*PHASES, "all")))
    rows: list[dict[str, Any]] = []
    for leaves in map(int, args.leaves.split(",")):
        for contender in args.contenders.split(","):
            runs = [in_fresh_process(args.chain, leaves, contender) for _ in range(args.repeats)]
            seconds = {phase: statistics.median(run[phase] for run in runs) for phase in PHASES}
            seconds["all"] = statistics.median(sum(run.values()) for run in runs)
            rows.append({"leaves": leaves, "contender": contender, "seconds": seconds})
            print(f"{leaves:>7} {contender:10}" + "".join(f"{s:9.2f}" for s in seconds.values()), flush=True)
            if args.output:
                with open(args.output, "w") as file:
                    json.dump({"jax": jax.__version__, "chain": args.chain, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
