"""A whole training step of GPT-2 small, compiled for a card that need not be there: kernels, bytes, temporaries.

    pip install 'optcc[tpu]'   # or 'optcc[cuda]'
    JAX_PLATFORMS=cpu python benchmarks/step_on_a_card.py tpu:v5e [--optimizers adam,lamb] [--output FILE]

Ours with everything tiled and as trees, beside Optax, everything donated. 8 x 256 tokens, products of matrices in
bfloat16. Nothing is run. Bytes are XLA's count, which takes the memory on a TPU's chip for memory; for a GPU it has
none.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import optax

import optcc
from optcc.report.hlo import kernels
from optcc.targets import target_of

WIDTH, HEADS, LAYERS, LENGTH, BATCH, TOKENS = 768, 12, 12, 256, 8, 50257
OPTIMIZERS = ("adam", "lamb")


def parameters() -> dict[str, Any]:
    """Shapes and dtypes."""

    def array(*shape: int) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(shape, jnp.float32)

    def affine(rows: int, columns: int) -> dict[str, jax.ShapeDtypeStruct]:
        return {"weight": array(rows, columns), "bias": array(columns)}

    def norm() -> dict[str, jax.ShapeDtypeStruct]:
        return {"scale": array(WIDTH), "bias": array(WIDTH)}

    def block() -> dict[str, Any]:
        attention = {"norm": norm(), "in": affine(WIDTH, 3 * WIDTH), "out": affine(WIDTH, WIDTH)}
        return {
            "attention": attention,
            "mlp": {"norm": norm(), "up": affine(WIDTH, 4 * WIDTH), "down": affine(4 * WIDTH, WIDTH)},
        }

    blocks = [block() for _ in range(LAYERS)]
    return {"tokens": array(TOKENS, WIDTH), "places": array(LENGTH, WIDTH), "blocks": blocks, "norm": norm()}


def half(x: jax.Array) -> jax.Array:
    return x.astype(jnp.bfloat16)


def times(x: jax.Array, layer: dict[str, jax.Array]) -> jax.Array:
    return x @ half(layer["weight"]) + half(layer["bias"])


def normalized(x: jax.Array, layer: dict[str, jax.Array]) -> jax.Array:
    x = x.astype(jnp.float32)
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    deviation = jax.lax.rsqrt(jnp.mean(centred * centred, axis=-1, keepdims=True) + 1e-5)
    return half(centred * deviation * layer["scale"] + layer["bias"])


def attention(x: jax.Array, layer: dict[str, Any]) -> jax.Array:
    heads = times(x, layer["in"]).reshape(*x.shape[:2], 3, HEADS, -1)
    q, k, v = (heads[:, :, i] for i in range(3))
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k).astype(jnp.float32) / (WIDTH // HEADS) ** 0.5
    past = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
    weights = half(jax.nn.softmax(jnp.where(past, scores, -1e9)))
    return times(jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(x.shape), layer["out"])


def loss(params: dict[str, Any], tokens: jax.Array) -> jax.Array:
    """The cross entropy of the next token."""
    x = half(params["tokens"][tokens] + params["places"])
    for block in params["blocks"]:
        x = x + attention(normalized(x, block["attention"]["norm"]), block["attention"])
        mlp = block["mlp"]
        x = x + times(jax.nn.gelu(times(normalized(x, mlp["norm"]), mlp["up"])), mlp["down"])
    logits = (normalized(x, params["norm"]) @ half(params["tokens"]).T).astype(jnp.float32)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits[:, :-1]), tokens[:, 1:, None], -1)
    return -jnp.mean(chosen)


def ours(name: str, layout: str) -> tuple[Any, tuple[Any, Any]]:
    """A training step, and the shapes of its parameters and state."""
    params = parameters()
    opt = optcc.compile(getattr(optcc, name)(1e-3), params, layout=layout)
    state = jax.eval_shape(opt.init, params)
    packed = layout == "tiled"

    def step(params: Any, state: Any, tokens: Any) -> Any:
        value, grads = jax.value_and_grad(lambda p: loss(opt.unpack(p) if packed else p, tokens))(params)
        params, state = opt.step(grads, state, params)
        return params, state, value

    return step, (jax.eval_shape(opt.pack, params) if packed else params, state)


def theirs(name: str) -> tuple[Any, tuple[Any, Any]]:
    """The same under Optax."""
    tx, params = getattr(optax, name)(1e-3), parameters()

    def step(params: Any, state: Any, tokens: Any) -> Any:
        value, grads = jax.value_and_grad(loss)(params, tokens)
        updates, state = tx.update(grads, state, params)
        return optax.apply_updates(params, updates), state, value

    return step, (params, jax.eval_shape(tx.init, params))


def measured(step: Any, arguments: tuple[Any, Any], card: str) -> dict[str, float | None]:
    """What XLA makes of a step for a card."""
    target = target_of(card)
    tokens = jax.ShapeDtypeStruct((BATCH, LENGTH), jnp.int32)
    placed = jax.tree.map(target.placed, (*arguments, tokens))
    start = time.perf_counter()
    options: Any = dict(target.compiler_options)
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(*placed).compile(options)
    seconds = time.perf_counter() - start
    counts, stats = kernels(compiled.as_text() or ""), compiled.memory_analysis()
    accessed = (compiled.cost_analysis() or {}).get("bytes accessed")
    return {
        "kernels": counts.total(),
        "copies": counts["copy"],
        "temporaries MB": stats.temp_size_in_bytes / 1e6 if stats else None,
        "accessed GB": accessed and accessed / 1e9,
        "compile s": seconds,
    }


def main() -> None:
    """Print a row for each optimizer and contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", help="a name that optcc.compile(target=) takes")
    parser.add_argument("--optimizers", default=",".join(OPTIMIZERS))
    parser.add_argument("--output", help="a JSON file to write")
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    for name in args.optimizers.split(","):
        made = {"optcc tiled": ours(name, "tiled"), "optcc tree": ours(name, "tree"), "optax": theirs(name)}
        for contender, (step, arguments) in made.items():
            rows[f"{name}, {contender}"] = row = measured(step, arguments, args.card)
            figures = ", ".join(f"{k} {v:,.2f}" for k, v in row.items() if v is not None)
            print(f"{args.card} {name:6} {contender:12} {figures}", flush=True)
    if args.output:
        with open(args.output, "w") as file:
            json.dump({"card": args.card, "jax": jax.__version__, "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
