"""Ways of training a student. `objective.py` says what one is; `ibsd.py` is the method, `plain.py`
what it is compared with."""

from ibsd.distillation.ibsd import IBSD
from ibsd.distillation.loop import Loop
from ibsd.distillation.objective import Objective
from ibsd.distillation.plain import Plain
from ibsd.distillation.soft_target import SoftTarget
from ibsd.distillation.wavelet import wavelet_loss

__all__ = ["IBSD", "Loop", "Objective", "Plain", "SoftTarget", "wavelet_loss"]
