"""The figures of accelerators, from `cards.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypedDict


@dataclass(frozen=True)
class Card:
    """One chip: its name, the bandwidth of its memory in bytes a second, and the memory's size in bytes.

    `kind` is what JAX calls a device of it.
    `topology` and `config` are what XLA's compiler is asked for it with: the name of a topology, and for a GPU the
    description of the device in XLA's text format.
    """

    name: str
    kind: str
    bandwidth: float
    memory: int
    topology: str
    config: str = ""


class _Gpu(TypedDict):
    name: str
    bandwidth: float
    memory: int
    compute_capability: list[int]
    cores: int
    fpus_per_core: int
    clock: float
    l2: int
    shared_memory_per_core: int
    shared_memory_per_block: int
    threads_per_core: int


class _Tpu(TypedDict):
    name: str
    kind: str
    bandwidth: float
    memory: int
    topology: str


class _Table(TypedDict):
    cuda: dict[str, _Gpu]
    tpu: dict[str, _Tpu]


@cache
def cards() -> dict[str, Card]:
    """Every card of the table by the name of its target, such as ``"cuda:h100"``."""
    table: _Table = tomllib.loads(files("optcc.targets").joinpath("cards.toml").read_text())  # type: ignore[assignment]
    found = {f"cuda:{key}": _gpu(x) for key, x in table["cuda"].items()}
    for key, x in table["tpu"].items():
        found[f"tpu:{key}"] = Card(x["name"], x["kind"], x["bandwidth"], x["memory"], x["topology"])
    return found


def _gpu(x: _Gpu) -> Card:
    major, minor = x["compute_capability"]
    config = f"""gpu_device_info {{
  threads_per_block_limit: 1024
  threads_per_warp: 32
  shared_memory_per_block: 49152
  shared_memory_per_core: {x["shared_memory_per_core"]}
  threads_per_core_limit: {x["threads_per_core"]}
  core_count: {x["cores"]}
  fpus_per_core: {x["fpus_per_core"]}
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  memory_bandwidth: {x["bandwidth"]:.0f}
  l2_cache_size: {x["l2"]}
  clock_rate_ghz: {x["clock"]}
  device_memory_size: {x["memory"]}
  shared_memory_per_block_optin: {x["shared_memory_per_block"]}
  cuda_compute_capability {{ major: {major} minor: {minor} }}
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  runtime_version: "12.8.0"
  driver_version: "12.8.0"
  dnn_version: "9.10.0"
}}
platform_name: "CUDA"
dnn_version_info {{ major: 9 minor: 10 patch: 0 }}
device_description_str: "{x["name"]}"
"""
    return Card(x["name"], x["name"], x["bandwidth"], x["memory"], "1x1x1", config)
