"""The account of an optimizer's memory traffic: from the IR what must be moved, from XLA what was made of it."""

from optcc.report.cost import Cost as Cost
from optcc.report.cost import SweepCost as SweepCost
from optcc.report.cost import cost_of as cost_of
from optcc.report.making import make_report as make_report
from optcc.report.making import why_not as why_not
from optcc.report.report import Measured as Measured
from optcc.report.report import Report as Report
