"""A weight file of a narrow student."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from ibsd.export import save_student


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_student(tiny.student(), tmp_path_factory.mktemp("weights") / "tiny.safetensors")
