"""Euclidean projections: the closest point of a set, for pytrees taken as one vector."""

from typing import TYPE_CHECKING

from optcc.missing_names import missing_name
from optcc.projections.boxes import projection_box as projection_box
from optcc.projections.boxes import projection_hypercube as projection_hypercube
from optcc.projections.boxes import projection_linf_ball as projection_linf_ball
from optcc.projections.boxes import projection_non_negative as projection_non_negative
from optcc.projections.euclidean import projection_halfspace as projection_halfspace
from optcc.projections.euclidean import projection_hyperplane as projection_hyperplane
from optcc.projections.euclidean import projection_l2_ball as projection_l2_ball
from optcc.projections.euclidean import projection_l2_sphere as projection_l2_sphere
from optcc.projections.euclidean import projection_vector as projection_vector
from optcc.projections.simplex import projection_l1_ball as projection_l1_ball
from optcc.projections.simplex import projection_l1_sphere as projection_l1_sphere
from optcc.projections.simplex import projection_simplex as projection_simplex

if not TYPE_CHECKING:  # checkers should still know which names there are
    __getattr__ = missing_name(__name__)
