"""Parameter shapes from presets, JSON and modules, and the text of every error about them."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from optcc.params import load_params
from optcc.params.presets import PRESETS
from tests.cli.shapes import refusal, shape

# Presets


@pytest.mark.parametrize(
    ("name", "leaves", "count"),
    [
        ("mlp", 6, 269_322),
        ("resnet50", 161, 25_557_032),
        ("gpt2", 148, 124_439_808),
        ("gpt2-medium", 292, 354_823_168),
        ("gpt2-large", 436, 774_030_080),
        ("gpt2-xl", 580, 1_557_611_200),
        ("llama3-8b", 291, 8_030_261_248),
    ],
)
def test_preset_has_the_published_number_of_parameters(name: str, leaves: int, count: int) -> None:
    found = jax.tree.leaves(load_params(name))
    assert (len(found), sum(math.prod(leaf.shape) for leaf in found)) == (leaves, count)
    assert {str(leaf.dtype) for leaf in found} == {"bfloat16" if name == "llama3-8b" else "float32"}


def test_presets_are_all_tested() -> None:
    assert set(PRESETS) == {"mlp", "resnet50", "gpt2", "gpt2-medium", "gpt2-large", "gpt2-xl", "llama3-8b"}


@pytest.mark.parametrize(
    ("preset", "path", "expected"),
    [
        ("gpt2", "wte.weight", (50257, 768)),
        ("gpt2", "h.11.attn.c_attn.weight", (768, 2304)),
        ("gpt2", "h.0.mlp.c_proj.weight", (3072, 768)),
        ("resnet50", "layer1.0.downsample.0.weight", (256, 64, 1, 1)),
        ("resnet50", "layer4.2.conv2.weight", (512, 512, 3, 3)),
        ("resnet50", "layer2.0.downsample.1.bias", (512,)),
        ("llama3-8b", "model.layers.31.self_attn.k_proj.weight", (1024, 4096)),
        ("llama3-8b", "lm_head.weight", (128256, 4096)),
    ],
)
def test_preset_names_its_leaves_as_published(preset: str, path: str, expected: tuple[int, ...]) -> None:
    leaves = {
        jax.tree_util.keystr(key, simple=True, separator="."): leaf
        for key, leaf in jax.tree_util.tree_leaves_with_path(load_params(preset))
    }
    assert leaves[path].shape == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gtp2", "unknown preset 'gtp2'\n  where: --params\n  fix:   did you mean 'gpt2'?"),
        (
            "bert",
            "unknown preset 'bert'\n  where: --params\n  fix:   one of mlp, resnet50, gpt2, gpt2-medium, gpt2-large, "
            "gpt2-xl, llama3-8b; or give a .safetensors or .npz file, module:attribute, or JSON",
        ),
        ("models/x.pt", "no such file\n  where: models/x.pt\n  fix:   give a .safetensors or .npz file"),
    ],
)
def test_unknown_preset(text: str, expected: str) -> None:
    assert refusal(text) == expected


# JSON


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[3, 4]", shape(3, 4)),
        ("[]", shape()),
        ("[[], [0]]", [shape(), shape(0)]),
        (
            '{"w": [3, 4], "b": {"shape": [4], "dtype": "bfloat16"}}',
            {"w": shape(3, 4), "b": shape(4, dtype="bfloat16")},
        ),
        ('{"layers": [[2], {"w": [3]}]}', {"layers": [shape(2), {"w": shape(3)}]}),
        ('{"shape": [2], "scale": [3]}', {"shape": shape(2), "scale": shape(3)}),
        ('{"shape": [2]}', shape(2)),
        ('{"dtype": [2]}', {"dtype": shape(2)}),
        ('{"a": {}}', {"a": {}}),
        ('{"x": {"shape": [], "dtype": "float64"}}', {"x": shape(dtype="float64")}),
    ],
)
def test_json(text: str, expected: Any) -> None:
    assert load_params(text) == expected


_FIX = '\n  fix:   write a leaf as its shape, [3, 4], or as {"shape": [3, 4], "dtype": "bfloat16"}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '{"w": [3, 4}',
            """malformed JSON: Expecting ',' delimiter
  where: line 1, column 12
         {"w": [3, 4}
                    ^""",
        ),
        ('{"w": [3, 4]', "malformed JSON: Expecting ',' delimiter\n  where: line 1, column 13"),
        ('{"w": 3}', "3 is neither a shape nor a container\n  where: --params, leaf 'w'" + _FIX),
        ('{"w": [[2], "x"]}', "\"x\" is neither a shape nor a container\n  where: --params, leaf 'w.1'" + _FIX),
        (
            '{"w": [3, -4]}',
            "[3, -4] is no shape: a shape is a list of non-negative integers\n  where: --params, leaf 'w'" + _FIX,
        ),
        ('{"w": [3.0]}', "[3.0] is no shape: a shape is a list of non-negative integers\n  where: --params, leaf 'w'"),
        ('{"w": [true]}', "true is neither a shape nor a container\n  where: --params, leaf 'w.0'" + _FIX),
        ('{"shape": {"w": [3]}}', '{"w": [3]} is no shape: a shape is a list of non-negative integers'),
        (
            '{"w": {"shape": [3], "dtype": "bfloat61"}}',
            "a parameter cannot be of dtype 'bfloat61'\n  where: --params, leaf 'w'\n  fix:   did you mean 'bfloat16'",
        ),
        (
            '{"w": {"shape": [3], "dtype": "int8"}}',
            "a parameter cannot be of dtype 'int8'\n  where: --params, leaf 'w'\n"
            "  fix:   one of float32, bfloat16, float16, float64",
        ),
        ('{"w": [3], "w": [4]}', "the key 'w' is there twice\n  where: --params\n  fix:   give every leaf a name"),
        ("[4611686018427387904]", "the shape [4611686018427387904] is too large\n  where: --params"),
        ("[" * 100_000, "the JSON is nested too deeply\n  where: --params"),
        ("[" + "9" * 5_000 + "]", "malformed JSON: Exceeds the limit (4300 digits)"),
    ],
    ids=lambda text: text[:30],
)
def test_json_errors(text: str, expected: str) -> None:
    assert refusal(text).startswith(expected)


# module:attribute

MODULE = """
import jax, jax.numpy as jnp, numpy as np

print("loading")
class Config:
    shapes = {"w": jax.ShapeDtypeStruct((5,), jnp.bfloat16)}
arrays = {"w": np.zeros((3, 4), np.float32), "b": jnp.zeros(4)}
def make():
    shape = jax.ShapeDtypeStruct((2,), jnp.float16)
    return {"w": jnp.zeros((1 << 20, 1 << 20)), "s": shape, "n": np.zeros(2, np.float32)}
def concrete():
    w = jnp.ones(3)
    return {"w": w} if float(w.sum()) == 3 else {}
def takes(x):
    return x
def broken():
    raise RuntimeError("no data")
text = "hello"
partly = {"w": jnp.zeros(2), "name": "x"}
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "my_params.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_params", raising=False)
    return "my_params"


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("arrays", {"w": shape(3, 4), "b": shape(4)}),
        ("Config.shapes", {"w": shape(5, dtype="bfloat16")}),
        ("make", {"w": shape(1 << 20, 1 << 20), "s": shape(2, dtype="float16"), "n": shape(2)}),
        ("concrete", {"w": shape(3)}),
    ],
)
def test_module_attribute(module: str, attribute: str, expected: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = list(sys.path)
    assert load_params(f"{module}:{attribute}") == expected
    assert sys.path == path
    assert capsys.readouterr() == ("", "loading\n")


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("array", "there is no attribute 'array'\n  where: my_params:array\n  fix:   did you mean 'arrays'?"),
        ("text", "str is no array\n  where: my_params:text\n  fix:   give arrays, or jax.ShapeDtypeStruct"),
        ("partly", "str is no array\n  where: my_params:partly['name']\n  fix:   give arrays, or jax.ShapeDtypeStruct"),
        ("takes", "calling my_params:takes() raised TypeError: "),
        ("broken", "calling my_params:broken() raised RuntimeError: no data\n  where: {file}:17"),
    ],
)
def test_module_attribute_errors(module: str, attribute: str, expected: str, tmp_path: Path) -> None:
    assert refusal(f"{module}:{attribute}").startswith(expected.format(file=tmp_path / "my_params.py"))


def test_module_that_cannot_be_imported(module: str, tmp_path: Path) -> None:
    assert refusal("no_such_module:x") == (
        "there is no module 'no_such_module'\n  where: --params no_such_module:...\n"
        "  fix:   it is looked for in the current directory and in the environment"
    )
    (tmp_path / "bad_params.py").write_text("x = 1\nimport no_such_dependency\n")
    assert refusal("bad_params:x") == (
        "importing bad_params raised ModuleNotFoundError: No module named 'no_such_dependency'\n"
        f"  where: {tmp_path / 'bad_params.py'}:2"
    )
    (tmp_path / "exit_params.py").write_text("raise SystemExit(3)\n")
    assert refusal("exit_params:x").startswith("importing exit_params raised SystemExit: 3\n")
