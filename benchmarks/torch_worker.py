"""PyTorch's fused optimizers, in a process and an environment of their own: commands on standard input as JSON lines.

{"setup": {"chain": "adamw", "sizes": [[3, 4], ...]}} makes parameters and gradients; {"step": 1} answers with the
seconds of one step.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import torch

torch.set_num_threads(os.cpu_count() or 1)

CHAINS: dict[str, Any] = {
    "sgd": lambda p: torch.optim.SGD(p, 1e-3, fused=True),
    "momentum": lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9, fused=True),
    "adam": lambda p: torch.optim.Adam(p, 1e-3, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, 3e-4, weight_decay=1e-4, fused=True),
    "clip_adamw": lambda p: torch.optim.AdamW(p, 3e-4, weight_decay=1e-4, fused=True),
}


def main() -> None:
    step: Any = None
    for line in sys.stdin:
        command = json.loads(line)
        if "setup" in command:
            chain = command["setup"]["chain"]
            params = [torch.nn.Parameter(torch.randn(s) * 0.1) for s in command["setup"]["sizes"]]
            for p in params:
                p.grad = torch.randn_like(p) * 0.1
            optimizer = CHAINS[chain](params)

            def step(optimizer: Any = optimizer, params: Any = params, clip: bool = chain == "clip_adamw") -> None:
                if clip:
                    torch.nn.utils.clip_grad_norm_(params, 1.0)
                optimizer.step()

            print(json.dumps({"torch": torch.__version__}), flush=True)
        else:
            start = time.perf_counter()
            step()
            print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
