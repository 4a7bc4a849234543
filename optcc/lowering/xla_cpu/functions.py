"""StableHLO in the forms that suit XLA's CPU backend."""

from __future__ import annotations

from optcc.lowering.stablehlo.functions import StableHLO
from optcc.lowering.xla_cpu.bodies import LoopsBody


class XlaCpu(StableHLO):
    """Emits functions for XLA:CPU: as the portable form, but the bodies of maps are loops without temporaries."""

    body_class = LoopsBody
    folds_together = True
