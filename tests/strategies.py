"""Random chains and trees for hypothesis, and random modules."""

from __future__ import annotations

import math
import random
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from hypothesis import strategies as st

import optcc

numbers = st.floats(0.05, 0.95).map(lambda x: round(x, 3))
small = st.sampled_from([1e-4, 1e-3, 0.1])
dtypes = st.sampled_from([None, jnp.float32, jnp.bfloat16])
flags = st.booleans()

schedules = st.one_of(
    st.builds(optcc.linear_schedule, numbers, numbers, st.integers(1, 5)),
    st.builds(optcc.cosine_decay_schedule, numbers, st.integers(1, 5), small),
    st.builds(optcc.exponential_decay, numbers, st.integers(1, 4), numbers),
    st.builds(optcc.constant_schedule, numbers),
)


def _every_other(tree: Any) -> Any:
    leaves, structure = jax.tree.flatten(tree)
    return jax.tree.unflatten(structure, [i % 2 == 0 for i in range(len(leaves))])


def _matrices(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.ndim > 1, tree)


masks = st.sampled_from([_every_other, _matrices])

elementary = st.one_of(
    st.builds(optcc.identity),
    st.builds(optcc.scale, numbers),
    st.builds(optcc.scale_by_schedule, schedules),
    st.builds(optcc.scale_by_learning_rate, st.one_of(numbers, schedules)),
    st.builds(optcc.clip, numbers),
    st.builds(optcc.clip_by_global_norm, numbers),
    st.builds(optcc.trace, numbers, flags, dtypes),
    st.builds(optcc.ema, numbers, flags, dtypes),
    st.builds(optcc.scale_by_adam, numbers, numbers, small, small, dtypes, nesterov=flags),
    st.builds(optcc.scale_by_rms, numbers, small, numbers, flags, flags),
    st.builds(optcc.scale_by_lion, numbers, numbers, dtypes, mode=st.just("refined")),
    st.builds(optcc.scale_by_trust_ratio, small, numbers, small),
    st.builds(optcc.add_decayed_weights, st.one_of(numbers, schedules), st.one_of(st.none(), masks)),
    st.builds(optcc.scale_by_rss, numbers, small),
    st.builds(optcc.scale_by_belief, numbers, numbers, small, small, nesterov=flags),
    st.builds(optcc.scale_by_yogi, numbers, numbers, small, small, numbers),
    st.builds(optcc.scale_by_amsgrad, numbers, numbers, small, small, dtypes, flags, flags),
    st.builds(optcc.scale_by_radam, numbers, numbers, small, small, nesterov=flags),
    st.builds(optcc.scale_by_stddev, numbers, st.just(100.0)),  # random moments may have a negative variance
    st.builds(optcc.scale_by_adamax, numbers, numbers, small),
    st.builds(optcc.scale_by_novograd, numbers, numbers, small, small, numbers, dtypes),
    st.builds(optcc.scale_by_optimistic_gradient, numbers, numbers),
    st.builds(optcc.scale_by_param_block_norm, numbers),
    st.builds(optcc.scale_by_param_block_rms, numbers),
    st.builds(optcc.clip_by_block_rms, numbers),
    st.builds(optcc.keep_params_nonnegative),
    st.builds(optcc.zero_nans),
    st.builds(optcc.set_to_zero),
    st.builds(optax.scale_by_rss, numbers),  # foreign: an opaque call
)
"""Lion only without its sign: one ulp before a sign is a full step after it."""

transformations = st.recursive(
    elementary,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda txs: optcc.chain(*txs)),
        st.builds(optcc.masked, inner, masks),
    ),
    max_leaves=4,
)

shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@st.composite
def trees(draw: st.DrawFn) -> Any:
    """A list or dict of one to five arrays of random shape, some in bfloat16."""
    leaves = draw(
        st.lists(st.tuples(shapes, st.sampled_from([jnp.float32, jnp.float32, jnp.bfloat16])), min_size=1, max_size=5)
    )
    made = [jax.ShapeDtypeStruct(shape, dtype) for shape, dtype in leaves]
    return made if draw(flags) else {f"leaf{i}": x for i, x in enumerate(made)}


def fill(shapes_tree: Any, seed: int) -> Any:
    """Random arrays of given shapes and dtypes; integers become small counts, bools random."""
    rng = np.random.default_rng(seed)

    def leaf(x: Any) -> Any:
        if jnp.issubdtype(x.dtype, jnp.integer):
            return jnp.asarray(rng.integers(0, 5, x.shape), x.dtype)
        if jnp.issubdtype(x.dtype, jnp.complexfloating):
            return jnp.asarray(rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape), x.dtype)
        return jnp.asarray(rng.normal(size=x.shape), x.dtype)

    return jax.tree.map(leaf, shapes_tree)


def fill_state(shapes_tree: Any, seed: int) -> Any:
    """As `fill`, but not negative: second moments are under a root."""
    return jax.tree.map(lambda x: abs(x), fill(shapes_tree, seed))


# Modules of what chains seldom make: axis extents, reshapes, packing, random numbers, complex elements.

EXTENTS = {
    "elements": ("elements", "rows", "columns", "rows.heads", "per_leaf"),
    "rows": ("rows", "rows.heads", "per_leaf"),
    "columns": ("columns", "per_leaf"),
    "per_leaf": ("per_leaf",),
}
"""The extents of a map, and of what it can read."""

KEY = '!optim.key<"threefry2x32">'

_LEAVES = (
    "[2, 3] {rows = [0], columns = [1], rows.heads = []}",
    "[3, 2] {rows = [0], columns = [], rows.heads = [0]}",
    "[2, 3, 2] {rows = [0, 1], columns = [0, 2], rows.heads = [1]}",
    "[0, 3] {rows = [1], columns = [0], rows.heads = []}",
    "[] {rows = [], columns = [], rows.heads = []}",
)


class _Writer:
    """Writes a function of random ops; every value is bounded, so that differences stay small."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        leaves = [f'"{i}" : {leaf}' for i, leaf in enumerate(self.random.choices(_LEAVES, k=self.random.randint(2, 4)))]
        cut = self.random.randrange(len(leaves))
        sizes = [(math.prod(shape), math.prod(shape[a] for a in rows)) for shape, rows in map(_parsed, leaves)]
        tables = {
            "all": leaves,
            "on": [leaf for i, leaf in enumerate(leaves) if i != cut],
            "off": [leaves[cut]],
            "v_row": [f'"{i}" : [{rows}]' for i, (_, rows) in enumerate(sizes)],
            "flat": [f'"" : [{sum(n for n, _ in sizes)}]'],
            "scales": ['"0" : [2]', '"1" : []'],
        }
        self.count = len(leaves)
        self.head = [f"optim.leaves @{name} = [{', '.join(table)}]" for name, table in tables.items()]
        self.lines: list[str] = []
        self.values: dict[str, list[str]] = {
            _tree("elements"): ["%g", "%p", "%m"],
            _tree("elements", leaves="v_row"): ["%v"],
            _tree("elements", "complex<f32>"): ["%z"],
            "f32": ["%s"],
            KEY: ["%k"],
        }

    def new(self, type_: str, text: str) -> str:
        """Write an op of one result."""
        name = f"%t{len(self.lines)}"
        self.lines.append(f"{name} = {text}")
        self.values.setdefault(type_, []).append(name)
        return name

    def any(self, type_: str) -> str:
        """One of the values of a type, mostly a late one."""
        known = self.values[type_]
        return known[max(self.random.randrange(len(known)) for _ in range(2))]

    def map(self, leaves: str = "all") -> None:
        """A map over a random extent, with stored and folded results."""
        domain = self.random.choice(list(EXTENTS))
        types = [_tree(e, leaves=leaves) for e in EXTENTS[domain]]
        known = [t for t in [*types, "f32"] if t in self.values]
        inputs = [self.random.choice(known) for _ in range(self.random.randint(1, 3))]
        stored = [_tree(domain, leaves=leaves)]
        # Without an operand of the extent it comes from the stored result.
        fold = self.random.choice([e for e in EXTENTS[domain] if e != domain] or ["scalar"])
        fold = "scalar" if self.random.random() < 0.3 else fold
        kind = self.random.choice(["add", "max"])
        folded = "f32" if fold == "scalar" else _tree(fold, leaves=leaves)
        arguments = ", ".join(f"%x{i} = {self.any(t)} : {t}" for i, t in enumerate(inputs))
        start = len(self.lines)
        results = f"{stored[0]}, {folded} by <{kind}>"
        ops = [self.random.choice(["addf", "mulf", "maximumf", "subf"]) for _ in inputs]
        body = ["%c = arith.constant 0.5 : f32"]
        value = "%c"
        for i, op in enumerate(ops):
            body += [f"%a{i} = math.tanh %x{i} : f32", f"%b{i} = arith.{op} {value}, %a{i} : f32"]
            value = f"%b{i}"
        self.lines.append(
            f"%t{start}, %t{start}f = optim.map over @{leaves} ({arguments}) -> ({results}) {{\n    "
            + "\n    ".join([*body, f"optim.yield {value}, {value} : f32, f32"])
            + "\n  }"
        )
        self.values.setdefault(stored[0], []).append(f"%t{start}")
        self.values.setdefault(folded, []).append(f"%t{start}f")

    def reduce(self) -> None:
        domain = self.random.choice([d for d in EXTENTS if _tree(d) in self.values])
        target = self.random.choice([*EXTENTS[domain][1:], "scalar"])
        type_ = "f32" if target == "scalar" else _tree(target)
        kind = self.random.choice(["add", "max"])
        self.new(type_, f"optim.reduce <{kind}> {self.any(_tree(domain))} : {_tree(domain)} -> {type_}")

    def count_elements(self) -> None:
        extent = self.random.choice(EXTENTS["elements"])
        self.new(_tree("per_leaf"), f"optim.count per {extent} : {_tree('per_leaf')}")

    def reshape(self) -> None:
        """To another leaf set and back."""
        extent, other = self.random.choice([("rows", "v_row"), ("elements", "flat")])
        here, there = _tree(extent), _tree("elements", leaves=other)
        if here in self.values:
            self.new(there, f"optim.reshape {self.any(here)} : {here} -> {there}")
        if there in self.values:
            self.new(here, f"optim.reshape {self.any(there)} : {there} -> {here}")

    def pack(self) -> None:
        type_ = self.random.choice([_tree("elements", leaves="scales"), _tree("per_leaf")])
        size = 3 if "scales" in type_ else self.count
        tree = self.new(
            type_, f"optim.pack {', '.join(self.any('f32') for _ in range(size))} : {_many(size)} -> {type_}"
        )
        start = len(self.lines)
        names = [f"%t{start}u{i}" for i in range(size)]
        self.lines.append(f"{', '.join(names)} = optim.unpack {tree} : {type_} -> {_many(size)}")
        self.values["f32"] += names

    def draw(self) -> None:
        key = self.new(KEY, f"optim.split_key {self.any(KEY)} [{self.random.randrange(3)}] of 3 : {KEY}")
        picks = self.random.sample(range(self.count), self.count)
        self.new(
            _tree("elements"), f"optim.random <normal> {key} {picks} of {self.count} : {KEY} -> {_tree('elements')}"
        )

    def partition(self) -> None:
        """A split, maps over a part, and a join."""
        extent = self.random.choice([e for e in EXTENTS["elements"] if _tree(e) in self.values])
        whole, parts = _tree(extent), [_tree(extent, leaves=name) for name in ("on", "off")]
        start = len(self.lines)
        self.lines.append(f"%t{start}, %t{start}o = optim.split {self.any(whole)} : {whole} -> {', '.join(parts)}")
        self.values.setdefault(parts[0], []).append(f"%t{start}")
        self.values.setdefault(parts[1], []).append(f"%t{start}o")
        self.map("on")
        self.new(whole, f"optim.join {self.any(parts[0])}, {self.any(parts[1])} : {', '.join(parts)} -> {whole}")

    def complex(self) -> None:
        """Complex numbers from real ones, and back."""
        z, x = _tree("elements", "complex<f32>"), _tree("elements")
        made = self.new(
            z,
            f"optim.map over @all (%x = {self.any(x)} : {x}, %w = {self.any(z)} : {z}) -> ({z}) {{\n"
            "    %a = complex.im %w : complex<f32>\n    %b = math.tanh %a : f32\n"
            "    %c = complex.create %b, %x : complex<f32>\n    optim.yield %c : complex<f32>\n  }",
        )
        self.new(
            x,
            f"optim.map over @all (%w = {made} : {z}) -> ({x}) {{\n"
            "    %a = complex.re %w : complex<f32>\n    optim.yield %a : f32\n  }",
        )

    def hyper(self) -> None:
        wide = self.new("f64", f'optim.hyper "{len(self.lines)}.rate" = {self.random.random():.3f} : f64')
        self.new("f32", f"arith.truncf {wide} : f64 to f32")

    def text(self) -> str:
        """The module: every kind of op once at least, in random order."""
        kinds = [self.map, self.reduce, self.count_elements, self.reshape, self.pack, self.draw, self.partition]
        kinds += [self.complex, self.hyper, self.map, self.reduce]
        self.random.shuffle(kinds)
        for write in kinds:
            write()
        x, v, z = _tree("elements"), _tree("elements", leaves="v_row"), _tree("elements", "complex<f32>")
        known = [t for t in self.values if t not in ("f64", "f32") and "@on" not in t and "@off" not in t]
        state = {name: f'state ["0", "{name}"]' for name in ("m", "v", "z", "s", "key")}
        slots = {x: ["updates", state["m"]], v: [state["v"]], z: [state["z"]], "f32": [state["s"]]}
        results = [(t, f" {{optim.slot = #optim.slot<{s}>}}") for t, names in slots.items() for s in names]
        results += [(self.random.choice(known), "") for _ in range(2)]
        names, types = [self.any(t) for t, _ in results], ", ".join(t for t, _ in results)
        arguments = {"g": (x, "updates"), "m": (x, state["m"]), "v": (v, state["v"]), "z": (z, state["z"])}
        arguments |= {"s": ("f32", state["s"]), "k": (KEY, state["key"]), "p": (x, "params")}
        inputs = ", ".join(f"%{a}: {t} {{optim.slot = #optim.slot<{s}>}}" for a, (t, s) in arguments.items())
        outputs = ", ".join(t + slot for t, slot in results)
        body = [*self.lines, f"func.return {', '.join(names)} : {types}"]
        return "\n".join([*self.head, f"func.func @update({inputs}) -> ({outputs}) {{", *(f"  {x}" for x in body), "}"])


def _tree(extent: str, element: str = "f32", leaves: str = "all") -> str:
    return f"!optim.tree<{element}, @{leaves}{'' if extent == 'elements' else f', {extent}'}>"


def _many(count: int) -> str:
    return ", ".join(["f32"] * count)


def _parsed(leaf: str) -> tuple[list[int], list[int]]:
    """The shape of a leaf, and the axes of its rows."""
    lists = re.findall(r"\[([^\]]*)\]", leaf)
    shape, rows = ([int(n) for n in text.split(",") if n.strip()] for text in lists[:2])
    return shape, rows


def module_text(number: int) -> str:
    """A random module with the function `@update`: its arguments and most of its results have slots."""
    return _Writer(number).text()
