"""The names that Optax had under `experimental`."""

from optcc.base import SplitRealAndImaginaryArrays as SplitRealAndImaginaryArrays
from optcc.transforms.flattening import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from optcc.transforms.flattening import split_real_and_imaginary as split_real_and_imaginary
