"""A fixed run of the fuzzer, of seconds, and the faults that longer ones found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest
from xdsl.utils.exceptions import PassFailedException

import optcc
from optcc.dialect import context
from optcc.errors import ParamsError
from optcc.passes import PASSES, run_passes
from optcc.passes.analysis.functions import functions, return_of
from optcc.passes.analysis.verify import OpError, verify_order
from optcc.program.module_text import Chunk, SourceError
from tests.cli.calls import error
from tests.fuzz.checks import failure_of_text
from tests.fuzz.files import HEADERS, damaged_file, damaged_params, failure_of_file, failure_of_params, npz
from tests.fuzz.modules import module_text
from tests.fuzz.shrink import shrink, shrink_text
from tests.fuzz.texts import damaged_text, tokens_of

LEAVES = 'optim.leaves @all = ["w" : [3], "b" : [4]]\noptim.leaves @a = ["w" : [3]]\noptim.leaves @b = ["b" : [4]]\n'
ALL, A, B = (f"!optim.tree<f32, @{name}>" for name in ("all", "a", "b"))
SWEEP = f"""
  %x, %y = optim.split %g : {ALL} -> {A}, {B}
  %new = optim.sweep ins() outs(%o = %x : {A}) -> ({A}) {{
    %n = optim.map over @a (%v = %o : {A}) -> ({A}) {{ optim.yield %v : f32 }}
    optim.yield %n : {A}
  }}
  %u = optim.join %new, %y : {A}, {B} -> {ALL}
  %z = optim.map over @all (%v = %u : {ALL}) -> ({ALL}) {{ optim.yield %v : f32 }}
"""
SWEPT = f"{LEAVES}func.func @f(%g: {ALL}) -> {ALL} {{{SWEEP}  func.return %z : {ALL}\n}}"
"""A sweep of which a result is joined."""
AGAIN = f"\n  %z2 = optim.map over @all (%v = %z : {ALL}) -> ({ALL}) {{ optim.yield %v : f32 }}\n"
NO_RESULTS = f"""{LEAVES}
func.func @f(%g: {A}) {{
  optim.sweep ins(%x = %g : {A}) outs() -> () {{ optim.yield }}
  func.return
}}"""


def integers(params: str) -> str:
    one, two = "!optim.tree<i32, @a>", f"!optim.tree<{params}, @a>"
    slots = ("{optim.slot = #optim.slot<updates>}", "{optim.slot = #optim.slot<params>}")
    arguments = f"%u: {one} {slots[0]}, %p: {two} {slots[1]}"
    return f"{LEAVES}func.func @f({arguments}) -> ({one} {slots[0]}) {{ func.return %u : {one} }}"


@pytest.mark.parametrize("number", range(0, 150, 10))
def test_texts_that_no_one_meant(number: int) -> None:
    for each in range(number, number + 10):
        assert failure_of_text(damaged_text(each)) is None, f"text {each}"


@pytest.mark.parametrize("number", range(3))
def test_every_pass_alone_on_a_module(number: int) -> None:
    assert failure_of_text(module_text(number)) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ufeffbuiltin.module {}", "unexpected character '\\ufeff'\n  where: fuzz:1:1\n"),
        ("\0", "unexpected character '\\x00'\n  where: fuzz:1:1\n"),
        ("\U0001f600", "unexpected character '\\U0001f600'\n  where: fuzz:1:1\n"),
        (
            "func.func @f(%a: f32) -> f32 {\n  %b = arith.addf %c, %a : f32\n  %c = arith.addf %a, %a : f32\n"
            "  func.return %b : f32\n}",
            "'arith.addf' uses a result of 'arith.addf' before it is defined, or out of its scope\n  where: fuzz:2:3\n",
        ),
        (
            "func.func @f(%a: f32) -> f32 {\n  func.return %a : f32\n}\n"
            '"func.func"() <{sym_name = "g", function_type = (f32) -> f32}> ({\n^bb0(%b: f32):\n'
            '  "func.return"(%a) : (f32) -> ()\n}) : () -> ()',
            "values used but not defined: [%a]",
        ),
        (
            '"builtin.module"() ({\n  %x = arith.constant 1.0 : f32\n  func.func @f() -> f32 {\n'
            "    func.return %x : f32\n  }\n}) : () -> ()",
            "'func.func': Operation using value defined out of its IsolatedFromAbove parent",
        ),
        ("func.func @f(%a: f80) -> f80 {\n  func.return %a : f80\n}", "'func.func' has a value of type f80; "),
        ("func.func @f(%a: complex<f80>) {\n  func.return\n}", "'func.func' has a value of type complex<f80>; "),
        (
            "func.func @f() {\n  %a = arith.constant 1.0 : f128\n  func.return\n}",
            "'arith.constant' has a value of type f128; ",
        ),
    ],
)  # fmt: skip
def test_text_is_refused_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(SourceError) as caught:
        Chunk("fuzz", text).parse()
    assert str(caught.value).startswith(expected)
    assert "where: fuzz" in str(caught.value)


def test_arguments_of_other_blocks_are_out_of_scope() -> None:
    f, g = (f"func.func @{name}(%a: f32) -> f32 {{ func.return %a : f32 }}" for name in "fg")
    module = Chunk("fuzz", f"{f}\n{g}").parse()
    first, second = functions(module)
    return_of(second).operands = [first.args[0]]
    with pytest.raises(OpError, match=r"uses an argument of the block of 'func.func' out of its scope"):
        verify_order(module)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (SWEPT, "split-leaves", "@f has sweeps: run split-leaves before form-sweeps"),
        (
            SWEPT.replace("return %z", "return %z2").replace("}\n  func.return", f"}}{AGAIN}  func.return"),
            "fuse-maps",
            "@f has sweeps: run fuse-maps before form-sweeps",
        ),
        (integers("i32"), "apply-updates", "@f has updates or parameters of type !optim.tree<i32, @a>, "),
        (integers("f32"), "apply-updates", "@f has updates or parameters of type !optim.tree<i32, @a>, "),
    ],
)
def test_a_pass_refuses(text: str, name: str, expected: str) -> None:
    with pytest.raises(PassFailedException) as caught:
        run_passes(Chunk("fuzz", text).parse(), [PASSES[name]()], context())
    assert str(caught.value).startswith(expected)


@pytest.mark.parametrize(
    "text",
    [
        'optim.leaves @a = ["é\\n" : [4], "é" : [], "\\22\\\\é" : [1] split [0 by "\\22é" = 1]]',
        'func.func @f(%x: f32 {optim.slot = #optim.slot<state ["é\\n", "é"]>}) -> f32 { func.return %x : f32 }',
        NO_RESULTS,
        SWEPT,
        integers("i32"),
        integers("f32"),
    ],
)
def test_text_is_a_module_with_every_pass(text: str) -> None:
    Chunk("fuzz", text).parse()
    assert failure_of_text(text) is None


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_headers_of_arrays(header: bytes, tmp_path: Path) -> None:
    assert failure_of_file(npz(header), ".npz", tmp_path) is None


def test_damaged_files(tmp_path: Path) -> None:
    for number in range(400):
        suffix, data = damaged_file(number)
        assert failure_of_file(data, suffix, tmp_path) is None, f"file {number}"
        assert failure_of_params(damaged_params(number)) is None, f"text {number}"


def test_shrink() -> None:
    assert shrink(range(100), lambda part: {13, 77} <= set(part)) == [13, 77]
    text = "a\nb\nc %x d\ne\n"
    assert shrink_text(text, lambda part: "found" if "%x" in part else None, tokens_of) == "%x"


@pytest.mark.parametrize("sizes", [(2**55, 2**55, 1), (2**60,) * 3, (2**62,)])
def test_sizes(sizes: tuple[int, ...]) -> None:
    """Leaves whose bytes or sums pass 2**63, in Python and on the command line: one error."""
    shapes = [jax.ShapeDtypeStruct((n,), jnp.float32) for n in sizes]
    with pytest.raises(ParamsError, match=r"at most 2\*\*56 elements"):
        optcc.compile(optcc.adam(1e-3), shapes)
    text = error("report", "adam(1e-3)", "--params", str([[n] for n in sizes]))
    assert "at most 2**56 elements" in text


def test_an_interrupt_during_imports() -> None:
    code = (
        "import sys\nclass Finder:\n  def find_spec(self, name, *_):\n    if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\nfrom optcc.cli import main\nmain()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "interrupted\n")
