"""Random modules of what chains seldom make: axis extents, reshapes, packing, random numbers, complex elements."""

from __future__ import annotations

import math
import random
import re

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
