"""Parameters of known models, with their published shapes and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax

from optcc.params.leaf import leaf

Tree = dict[str, Any]


@dataclass(frozen=True)
class Preset:
    """A model: a function that makes the pytree of shapes, and where the shapes were published."""

    build: Callable[[], Tree]
    source: str


def _affine(shape: tuple[int, ...], units: int, dtype: str = "float32") -> Tree:
    return {"weight": leaf(shape, dtype, ""), "bias": leaf((units,), dtype, "")}


def _weight(*shape: int, dtype: str = "float32") -> dict[str, jax.ShapeDtypeStruct]:
    return {"weight": leaf(shape, dtype, "")}


def gpt2(layers: int = 12, width: int = 768) -> Tree:
    """GPT-2 with its tied embedding; weights of linear layers are (in, out), as published."""
    block = {
        "ln_1": _affine((width,), width),
        "attn": {
            "c_attn": _affine((width, 3 * width), 3 * width),
            "c_proj": _affine((width, width), width),
        },
        "ln_2": _affine((width,), width),
        "mlp": {
            "c_fc": _affine((width, 4 * width), 4 * width),
            "c_proj": _affine((4 * width, width), width),
        },
    }
    return {
        "wte": _weight(50257, width),
        "wpe": _weight(1024, width),
        "h": [block for _ in range(layers)],
        "ln_f": _affine((width,), width),
    }


def resnet50() -> Tree:
    """ResNet-50 with 1,000 classes; kernels are (out, in, height, width); no running statistics."""

    def bottleneck(inputs: int, width: int, downsample: bool) -> Tree:
        block = {
            "conv1": _weight(width, inputs, 1, 1),
            "bn1": _affine((width,), width),
            "conv2": _weight(width, width, 3, 3),
            "bn2": _affine((width,), width),
            "conv3": _weight(4 * width, width, 1, 1),
            "bn3": _affine((4 * width,), 4 * width),
        }
        if downsample:
            block["downsample"] = [_weight(4 * width, inputs, 1, 1), _affine((4 * width,), 4 * width)]
        return block

    tree: Tree = {"conv1": _weight(64, 3, 7, 7), "bn1": _affine((64,), 64), "fc": _affine((1000, 2048), 1000)}
    inputs = 64
    for i, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        tree[f"layer{i}"] = [bottleneck(inputs if j == 0 else 4 * width, width, j == 0) for j in range(blocks)]
        inputs = 4 * width
    return tree


def llama3_8b() -> Tree:
    """Llama 3 8B: bfloat16, grouped queries with 8 key and value heads of 128; weights are (out, in)."""
    weight = partial(_weight, dtype="bfloat16")
    layer = {
        "self_attn": {
            "q_proj": weight(4096, 4096),
            "k_proj": weight(1024, 4096),
            "v_proj": weight(1024, 4096),
            "o_proj": weight(4096, 4096),
        },
        "mlp": {
            "gate_proj": weight(14336, 4096),
            "up_proj": weight(14336, 4096),
            "down_proj": weight(4096, 14336),
        },
        "input_layernorm": weight(4096),
        "post_attention_layernorm": weight(4096),
    }
    model = {"embed_tokens": weight(128256, 4096), "layers": [layer for _ in range(32)], "norm": weight(4096)}
    return {"model": model, "lm_head": weight(128256, 4096)}


def mlp() -> Tree:
    """A multilayer perceptron for 28 x 28 images and 10 classes, two hidden layers of 256 units."""
    sizes = (784, 256, 256, 10)
    return {"layers": [_affine((a, b), b) for a, b in pairwise(sizes)]}


PRESETS: dict[str, Preset] = {
    "mlp": Preset(mlp, "small example"),
    "resnet50": Preset(resnet50, "He et al. 2016; torchvision's resnet50"),
    "gpt2": Preset(gpt2, "Radford et al. 2019"),
    "gpt2-medium": Preset(partial(gpt2, 24, 1024), "Radford et al. 2019"),
    "gpt2-large": Preset(partial(gpt2, 36, 1280), "Radford et al. 2019"),
    "gpt2-xl": Preset(partial(gpt2, 48, 1600), "Radford et al. 2019"),
    "llama3-8b": Preset(llama3_8b, "Llama team 2024"),
}
