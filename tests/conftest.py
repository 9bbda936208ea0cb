"""What all tests share: one thread, hypothesis that repeats itself, the markers."""

from __future__ import annotations

import os

import hypothesis
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile(
    "ibsd", deadline=None, derandomize=True, database=None, max_examples=40
)
hypothesis.settings.load_profile("ibsd")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than about three seconds")


if not torch.cuda.is_available():
    os.environ.setdefault(
        "TRITON_INTERPRET", "1"
    )  # before anything imports triton: its own library is defined by it too
