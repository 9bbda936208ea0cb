"""What all tests share: one thread, a seed, and hypothesis that repeats itself."""

from __future__ import annotations

import gc
import os
from functools import cache

import pytest

import processes

os.environ["IBSD_MODELS"] = "never"  # tests keep nothing in the user's cache


@cache
def prepare() -> None:
    import hypothesis
    import torch

    torch.set_num_threads(1)
    hypothesis.settings.register_profile(
        "ibsd", deadline=None, derandomize=True, database=None, max_examples=40
    )
    hypothesis.settings.load_profile("ibsd")
    if not torch.cuda.is_available():
        os.environ.setdefault(
            "TRITON_INTERPRET", "1"
        )  # before anything imports triton: its own library is defined by it too


def pytest_collectstart() -> None:
    prepare()  # not at import: the process that only hands out tests needs no torch


def pytest_collection_finish() -> None:
    gc.freeze()  # what stays until the end need not be looked through again and again
    gc.set_threshold(20_000, 20, 20)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    import torch

    torch.manual_seed(0)  # a test's numbers depend on no test before it


def pytest_sessionfinish() -> None:
    gc.unfreeze()
    processes.stop_server()
