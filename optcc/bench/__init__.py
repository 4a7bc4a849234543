"""Timing a compiled optimizer beside others, in turns, in one run."""

from optcc.bench.contenders import BenchError as BenchError
from optcc.bench.measure import measure as measure
from optcc.bench.result import Result as Result
from optcc.bench.result import Row as Row
from optcc.bench.run import Settings as Settings
from optcc.bench.run import bench as bench
