"""The names that Optax has under `contrib`."""

from optcc.base import SplitRealAndImaginaryArrays as SplitRealAndImaginaryArrays
from optcc.transforms.flattening import SplitRealAndImaginaryState as SplitRealAndImaginaryState
from optcc.transforms.flattening import split_real_and_imaginary as split_real_and_imaginary
from optcc.transforms.mechanic import MechanicState as MechanicState
from optcc.transforms.mechanic import mechanize as mechanize
from optcc.transforms.noise import DifferentiallyPrivateAggregateState as DifferentiallyPrivateAggregateState
from optcc.transforms.noise import differentially_private_aggregate as differentially_private_aggregate
from optcc.transforms.noise import dpsgd as dpsgd
