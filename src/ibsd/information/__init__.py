"""All that is about mutual information. Read `club.py` (the maths), then `estimator.py` (one link),
then `chain.py` (all links); `kernels/` is how the bound is computed fast."""

from ibsd.information.chain import MarkovChain
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.information.estimator import LaplaceEstimator
from ibsd.information.kernels.form import bound_form

__all__ = ["LaplaceEstimator", "MarkovChain", "bound_form", "club_upper_bound", "laplace_nll"]
