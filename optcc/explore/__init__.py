"""A compiled optimizer from formula to kernel, as data and as one HTML file."""

from optcc.explore.collect import explore as explore
from optcc.explore.data import Exploration as Exploration
from optcc.explore.graph import model_explorer_json as model_explorer_json
from optcc.explore.page import page as page
