"""Settings for all tests: CPU, quiet, no state shared between files."""

from __future__ import annotations

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")
