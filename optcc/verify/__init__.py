"""Checking a compiled optimizer on the device at hand: every backend and layout beside the reference interpreter."""

from optcc.verify.compare import Difference as Difference
from optcc.verify.compare import difference as difference
from optcc.verify.result import Check as Check
from optcc.verify.result import Verification as Verification
from optcc.verify.run import verify as verify
