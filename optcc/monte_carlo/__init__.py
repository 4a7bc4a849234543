"""Monte Carlo estimates of the gradient of an expectation, and control variates that lower their variance."""

from optcc.monte_carlo.control_variate_jacobians import control_variates_jacobians as control_variates_jacobians
from optcc.monte_carlo.control_variates import control_delta_method as control_delta_method
from optcc.monte_carlo.control_variates import moving_avg_baseline as moving_avg_baseline
from optcc.monte_carlo.estimators import pathwise_jacobians as pathwise_jacobians
from optcc.monte_carlo.estimators import score_function_jacobians as score_function_jacobians
from optcc.monte_carlo.measure_valued import measure_valued_jacobians as measure_valued_jacobians
