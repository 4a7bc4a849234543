"""Passes and kernels that are broken on purpose, and whether the random programs notice: python -m tests.fuzz.mutants.

Each mutant is an edit of one source file in a copy of the tree, in which the command with --check must then fail.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
SCALARS, LOOPS = "optcc/lowering/native/llvm/scalar_ops.py", "optcc/lowering/native/llvm/loops.py"
MUTANTS: dict[str, tuple[str, str, str]] = {
    "the update is subtracted": ("passes/apply_updates.py", "total = arith.AddfOp(", "total = arith.SubfOp("),
    "updates are not applied": ("passes/apply_updates.py", "if target is None:", "if True:"),
    "constants are added for multiplied": (
        "passes/canonicalize.py", "arith.MulfOp: operator.mul", "arith.MulfOp: operator.add"),
    "conversions of constants lose the sign": (
        "passes/canonicalize.py", "FloatAttr(constant.value.value.data, type_)",
        "FloatAttr(abs(constant.value.value.data), type_)"),
    "maps of all levels are fused": (
        "passes/fuse_maps.py", "op.leaves, op.domain, level[op]", "op.leaves, op.domain, 0"),
    "folds are lost in fused maps": (
        "passes/fuse_maps.py", "draft.result(local[value], result.type, kind, result.name_hint)",
        "draft.result(local[value], result.type, Combiner.NONE, result.name_hint)"),
    "reductions get the combiner of another": (
        "passes/fuse_reductions.py", "draft.result(yielded[i], op.result.type, op.combiner.data)",
        "draft.result(yielded[i], op.result.type, reductions[0][1].combiner.data.__class__.ADD)"),
    "reductions take the first result": (
        "passes/fuse_reductions.py", "(yielded[i], op.result.type", "(yielded[0], op.result.type"),
    "what is stored is not kept": (
        "passes/fuse_reductions.py", "if any(use.operation not in users for use in r.uses)]", "if False]"),
    "per-leaf values count as step-level ones": (
        "passes/hoist_scalars.py", "(per_leaf and operand.type.is_per_leaf)", "operand.type.is_per_leaf"),
    "values of elements are hoisted": (
        "passes/hoist_scalars.py", "if any(known) and all(", "if any(known) or all("),
    "parts are combined by addition": (
        "passes/split_leaves.py", "Combiner.MAX: arith.MaximumfOp", "Combiner.MAX: arith.AddfOp"),
    "a part is left out of a sum": (
        "passes/split_leaves.py", "for part in parts[1:]:\n            op", "for part in parts[2:]:\n            op"),
    "sweeps overwrite what is read later": (
        "passes/form_sweeps.py", "return order[user] > last or", "return False or"),
    "ops come in another order": (
        "passes/rewrite/schedule.py", "for op in ordered:", "for op in reversed(ordered):"),
    "kernels add for subtract": (SCALARS, 'arith.SubfOp: "fsub"', 'arith.SubfOp: "fadd"'),
    "kernels multiply for divide": (SCALARS, 'arith.DivfOp: "fdiv"', 'arith.DivfOp: "fmul"'),
    "kernels take no root": (SCALARS, 'math.SqrtOp: "sqrt"', 'math.SqrtOp: "fabs"'),
    "kernels take the minimum": (SCALARS, 'arith.MaximumfOp: "maximum"', 'arith.MaximumfOp: "minimum"'),
    "kernels compare the other way": (SCALARS, '4: "<", 5', '4: ">", 5'),
    "kernels select the other value": (SCALARS, "select(*args)", "select(args[0], args[2], args[1])"),
    "kernels stride one too far": (LOOPS, "stride: Value = I64(1)", "stride: Value = I64(2)"),
    "kernels read every row as the first": (
        LOOPS, "index if d == self.rank - 1 else self.builder.mul(index, stride)",
        "index if d == self.rank - 1 else self.builder.mul(I64(0), stride)"),
}  # fmt: skip
"""What is wrong, the file, the text in it and what it becomes."""

CONSTANTS = """
func.func @update() -> (f32, f32) {
  %a = arith.constant -0.3 : f64
  %b = arith.truncf %a : f64 to f32
  %c = arith.constant 3.0 : f32
  %d = arith.mulf %c, %c : f32
  func.return %b, %d : f32, f32
}"""
"""What random modules have none of: arithmetic on constants."""

FOLDS = """
optim.leaves @all = ["w" : [2, 3], "b" : [4]]
func.func @update(%g: !optim.tree<f32, @all>) -> (f32, f32, f32) {
  %u = optim.map over @all (%x = %g : !optim.tree<f32, @all>) -> (!optim.tree<f32, @all>) {
    %n = arith.negf %x : f32
    optim.yield %n : f32
  }
  %0 = optim.reduce <max> %u : !optim.tree<f32, @all> -> f32
  %1 = optim.reduce <add> %u : !optim.tree<f32, @all> -> f32
  %2 = optim.reduce <min> %u : !optim.tree<f32, @all> -> f32
  func.return %0, %1, %2 : f32, f32, f32
}"""
"""Folds of different kinds of what one map makes."""


def check() -> None:
    """Random modules through all passes, and chains natively, beside the interpreter. Raises where anything differs."""
    import jax
    import jax.numpy as jnp
    from xdsl.parser import Parser

    import optcc
    from optcc.dialect import context
    from optcc.passes import PASSES, PIPELINES, run_passes
    from tests.passes.test_passes_preserve import assert_same, check_module, results_of
    from tests.trees import matrices_only, ragged

    module, folded = (Parser(context(), CONSTANTS).parse_module() for _ in range(2))
    run_passes(folded, [PASSES["canonicalize"]()], context())
    assert_same(results_of(folded, []), results_of(module, []), "constants")
    folds, fused = (Parser(context(), FOLDS).parse_module() for _ in range(2))
    run_passes(fused, [PASSES["fuse-reductions"]()], context())
    leaves = [jnp.asarray([[3.0, -1.0, 2.0], [0.5, 7.0, -4.0]]), jnp.asarray([1.0, -9.0, 0.0, 2.0])]
    assert_same(results_of(fused, [leaves]), results_of(folds, [leaves]), "folds")
    for number in range(5):
        check_module(number, PIPELINES["step"])
    params, grads = ragged(0, jnp.float32), ragged(1, jnp.float32)
    for tx in (
        optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(0.1)),
        optcc.adamax(0.1),
        optcc.adafactor(0.1, min_dim_size_to_factor=2),
        optcc.chain(optcc.clip(0.1), optcc.lamb(0.1)),
        optcc.amsgrad(0.1),
        optcc.adabelief(0.1),
        optcc.chain(optcc.adaptive_grad_clip(0.1), optcc.radam(0.1)),
        optcc.chain(optcc.clip_by_global_norm(1.0), optcc.adamw(0.1, weight_decay=0.1, mask=matrices_only)),
        optcc.rprop(0.1),
        optcc.chain(optcc.sgd(3.0), optcc.keep_params_nonnegative()),
    ):
        compiled = optcc.compile(tx, params, backend="native")
        state = compiled.init(params)
        updates, new_state = tx.update(grads, state, params)  # no pass runs for the pair
        expected = new_state, optcc.apply_updates(params, updates)
        new_params, got_state = compiled.step(grads, *jax.tree.map(jnp.copy, (state, params)))
        got = got_state, new_params
        assert_same(jax.tree.leaves(got), jax.tree.leaves(expected), "native", tolerance=1e-4)


def outcome(tree: Path, edit: tuple[str, str, str] | None) -> bool:
    """Whether the check passes in a tree with an edit."""
    text = ""
    if edit is not None:
        file, old, new = edit
        text = (tree / file).read_text()
        assert text.count(old) >= 1, f"{file} has no {old!r}"
        (tree / file).write_text(text.replace(old, new))
    try:
        command = [sys.executable, "-m", "tests.fuzz.mutants", "--check"]
        environment = {**os.environ, "PYTHONPATH": str(tree), "JAX_PLATFORMS": "cpu", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, timeout=300, check=False)
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if edit is not None:
            (tree / edit[0]).write_text(text)


def main() -> int:
    """Print for each mutant whether it is killed; exits with 1 where one survives, or where the sources fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MUTANTS, default=list(MUTANTS))
    parser.add_argument("--check", action="store_true", help="only check this tree")
    args = parser.parse_args()
    if args.check:
        check()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        trees: SimpleQueue[Path] = SimpleQueue()
        for name in ("first", "second"):
            skipped = shutil.ignore_patterns(".git", "__pycache__", "build", "results")
            trees.put(Path(shutil.copytree(ROOT, Path(folder) / name, symlinks=True, ignore=skipped)))

        def passes(edit: tuple[str, str, str] | None) -> bool:
            tree = trees.get()
            try:
                return outcome(tree, edit)
            finally:
                trees.put(tree)

        if not passes(None):
            print("the check fails without a mutant")
            return 1
        survived = []
        with ThreadPoolExecutor(2) as pool:
            edits = [MUTANTS[name] for name in args.only]
            for name, survives in zip(args.only, pool.map(passes, edits), strict=True):
                print(f"{'SURVIVED' if survives else 'killed  '} {name}", flush=True)
                survived += [name] if survives else []
    print(f"{len(args.only)} mutants, {len(args.only) - len(survived)} killed")
    return int(bool(survived))


if __name__ == "__main__":
    sys.exit(main())
