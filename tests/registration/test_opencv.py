"""OpenCV is an extra: without it a sentence says what installs it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import pytest

from ibsd.registration.opencv import require_opencv
from ibsd.types import InputError


def test_missing_and_there(monkeypatch: pytest.MonkeyPatch) -> None:
    require_opencv()
    find: Callable[[str], object] = importlib.util.find_spec
    monkeypatch.setattr(
        "ibsd.registration.opencv.find_spec", lambda name: None if name == "cv2" else find(name)
    )
    with pytest.raises(InputError, match=r"pip install 'ibsd\[register\]'"):
        require_opencv()
