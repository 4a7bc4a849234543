"""PyTorch's optimizers, in a process and an environment of their own: commands on standard input as JSON lines.

{"setup": {"chain": "adamw", "sizes": [[3, 4], ...], "device": "cpu", "form": "fused"}} makes parameters and gradients
on a device, for PyTorch's `fused` or `foreach` optimizers; {"step": 3} answers with the seconds of three steps.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

try:
    import torch  # type: ignore[import-not-found]
except ImportError:  # where optcc is; this runs where PyTorch is
    torch: Any = None

CHAINS: dict[str, Any] = {
    "sgd": lambda p, form: torch.optim.SGD(p, 1e-3, **form),
    "momentum": lambda p, form: torch.optim.SGD(p, 1e-3, momentum=0.9, **form),
    "adam": lambda p, form: torch.optim.Adam(p, 1e-3, **form),
    "adamw": lambda p, form: torch.optim.AdamW(p, 3e-4, weight_decay=1e-4, **form),
    "clip_adamw": lambda p, form: torch.optim.AdamW(p, 3e-4, weight_decay=1e-4, **form),
}


class Steps:
    """Parameters with gradients, and the optimizer that steps them."""

    def __init__(self, chain: str, sizes: list[list[int]], device: str, form: str) -> None:
        self.params = [torch.nn.Parameter(0.1 * torch.randn(size, device=device)) for size in sizes]
        for p in self.params:
            p.grad = torch.randn_like(p) * 0.1
        self.optimizer = CHAINS[chain](self.params, {form: True})
        self.clips = chain == "clip_adamw"
        self.device = device

    def seconds(self, count: int) -> float:
        """How long some steps take, until the device has done them."""
        self._wait()
        start = time.perf_counter()
        for _ in range(count):
            if self.clips:
                torch.nn.utils.clip_grad_norm_(self.params, 1.0)
            self.optimizer.step()
        self._wait()
        return time.perf_counter() - start

    def _wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()


def main() -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    steps: Steps | None = None
    for line in sys.stdin:
        command = json.loads(line)
        if "setup" in command:
            steps = None  # the memory is needed
            steps = Steps(**command["setup"])
            print(json.dumps({"torch": torch.__version__}), flush=True)
        elif steps is not None:
            print(json.dumps({"seconds": steps.seconds(command["step"])}), flush=True)


if __name__ == "__main__":
    main()
