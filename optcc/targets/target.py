"""A device to compile for that need not be there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import jax
from jax.experimental import topologies
from jax.sharding import SingleDeviceSharding

from optcc.errors import TargetError, did_you_mean, message
from optcc.targets.cards import Card, cards

_PLUGINS = {"tpu": ("libtpu",), "cuda": ("jax_cuda12_plugin", "jax_cuda13_plugin")}
"""The packages that hold the compiler for a platform, one of which is needed."""


@dataclass(frozen=True)
class Target:
    """A device to compile for; `card` is None for the CPU of this machine."""

    name: str
    card: Card | None = None

    @property
    def platform(self) -> str:
        """The platform: ``"cpu"``, ``"cuda"`` or ``"tpu"``."""
        return self.name.partition(":")[0]

    @property
    def sharding(self) -> SingleDeviceSharding:
        """Everything on one device of the target: this machine's, if JAX runs on one, else one that is only described.

        Raises TargetError where its compiler is not installed, or does not start.
        """
        return SingleDeviceSharding(self.own_device) if self.own_device else _on_one_device(self)

    @property
    def own_device(self) -> Any:
        """A device of this machine that is the target's card, if JAX runs on it; else None."""
        if self.card is None or jax.default_backend() != {"cuda": "gpu"}.get(self.platform, self.platform):
            return None
        return next((d for d in jax.local_devices() if d.device_kind == self.card.kind), None)

    @property
    def compiler_options(self) -> Mapping[str, int]:
        """Options of XLA: without the card no kernel can be tuned by running it."""
        return {"xla_gpu_autotune_level": 0} if self.platform == "cuda" and not self.own_device else {}

    def placed(self, shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        """A shape and dtype on the target."""
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=self.sharding)


def platform_of(target: Target | None) -> str:
    """The platform of a target; that of the device that JAX runs on where there is none."""
    return target.platform if target else jax.default_backend()


def target_of(name: str) -> Target:
    """The target of a name: ``"cpu"``, or a platform and a card such as ``"cuda:h100"``. Raises TargetError."""
    if name == "cpu":
        return Target(name)
    if name not in cards():
        known = ["cpu", *cards()]
        fix = did_you_mean(name, known) or f"one of {', '.join(known)}"
        raise TargetError(message(f"unknown target {name!r}", "target", fix))
    return Target(name, cards()[name])


@cache
def _on_one_device(target: Target) -> SingleDeviceSharding:
    """A device of the target, as JAX's ahead-of-time compilation takes it; it runs nothing."""
    card, platform = target.card, target.platform
    if card is None:
        return SingleDeviceSharding(jax.devices("cpu")[0])
    if not any(find_spec(name) for name in _PLUGINS[platform]):
        what = f"the compiler for {target.name} is not installed"
        raise TargetError(message(what, f"target {target.name!r}", f"pip install 'optcc[{platform}]'"))
    try:
        return SingleDeviceSharding(_described(platform, card))
    except (RuntimeError, ValueError, NotImplementedError) as error:
        what = f"the compiler for {target.name} does not start: {str(error).partition(chr(10))[0]}"
        fix = f"pip install 'optcc[{platform}]', whose packages fit one version of jax"
        raise TargetError(message(what, f"target {target.name!r}", fix)) from error


def _described(platform: str, card: Card) -> Any:
    """The first device of a topology that need not be there."""
    if platform == "tpu":
        # Without it libtpu asks a server of Google's cloud for the machine's neighbours.
        os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
        os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
        # A lock file keeps libtpu to one process, for the sake of a device that nobody uses here.
        os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
        described = topologies.get_topology_desc(platform="tpu", topology_name=card.topology)
    else:
        described = topologies.get_topology_desc(platform="cuda", target_config=card.config, topology=card.topology)
    return described.devices[0]
