"""OpenCV, which finds and matches the features of two photographs: an extra."""

from __future__ import annotations

from importlib.util import find_spec

from ibsd.types import InputError


def require_opencv() -> None:
    """InputError with the line that installs it, where OpenCV is missing."""
    if find_spec("cv2") is None:
        raise InputError("registering photographs needs OpenCV: pip install 'ibsd[register]'")
