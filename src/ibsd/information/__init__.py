"""All that is about mutual information. Read `club.py` (the maths), then `estimator.py` (one link), then `chain.py` (all links)."""

from ibsd.information.chain import MarkovChain
from ibsd.information.club import club_upper_bound, laplace_nll
from ibsd.information.estimator import LaplaceEstimator

__all__ = ["LaplaceEstimator", "MarkovChain", "club_upper_bound", "laplace_nll"]
