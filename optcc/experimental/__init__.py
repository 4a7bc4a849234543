"""Gradients of single examples made into one update, and the names that Optax had under `experimental`."""

from typing import TYPE_CHECKING

from optcc.base import SplitRealAndImaginaryArrays as SplitRealAndImaginaryArrays
from optcc.experimental import aggregating as aggregating
from optcc.missing_names import missing_name
from optcc.transforms.flattening import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from optcc.transforms.flattening import split_real_and_imaginary as split_real_and_imaginary

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
