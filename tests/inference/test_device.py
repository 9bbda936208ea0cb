"""The device by its name, and threads by the environment."""

from __future__ import annotations

import pytest
import torch

from ibsd.inference.device import choose_device, small_kernel_threads, thread_limit
from ibsd.types import InputError


@pytest.mark.parametrize("num_devices", [0, 1])
def test_a_device_is_one_that_is_there(monkeypatch: pytest.MonkeyPatch, num_devices: int) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: num_devices > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: num_devices)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if num_devices else "cpu")
    with pytest.raises(InputError, match="--device is 'gpu0'; it must be auto, cpu, cuda"):
        choose_device("gpu0")
    for name in ("mps", "xpu", "meta", "mps:0"):
        with pytest.raises(InputError, match=f"is '{name}'; it must be auto, cpu, cuda"):
            choose_device(name)
    assert choose_device("cpu:1") == torch.device("cpu")
    if num_devices:
        assert choose_device("cuda:0") == torch.device("cuda:0")
        with pytest.raises(InputError, match="is 'cuda:1', and torch finds 1 CUDA devices"):
            choose_device("cuda:1")
    else:
        with pytest.raises(InputError, match="run.device is 'cuda', and torch finds no CUDA"):
            choose_device("cuda", "run.device")


@pytest.mark.parametrize(("text", "limit"), [("3", 3), ("-1", 0), ("many", 0), ("", 0)])
def test_threads_are_what_the_environment_allows(
    monkeypatch: pytest.MonkeyPatch, text: str, limit: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", text)
    assert thread_limit() == limit
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert thread_limit() == 0


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (64, 4)])
def test_training_leaves_half_the_cores_to_others(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(cores)), raising=False)
    assert small_kernel_threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert small_kernel_threads() == 3
