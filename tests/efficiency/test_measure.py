"""Time and memory: measured in this process and in one of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch

import tiny
from ibsd.efficiency.measure import measured, median_seconds, peak_memory_bytes
from ibsd.export import save_student
from ibsd.students import create_student
from ibsd.types import InputError


def test_measured_time_and_memory_are_positive() -> None:
    student = create_student("span", 2, width=8).eval()
    assert median_seconds(student, torch.rand(1, 3, 16, 16), 3) > 0
    assert peak_memory_bytes(student, torch.rand(1, 3, 16, 16)) >= 0
    with pytest.raises(InputError, match="--repeats"):
        median_seconds(student, torch.rand(1, 3, 8, 8), 0)


@pytest.mark.slow
def test_a_model_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = save_student(tiny.student(scale=3), tmp_path / "a.safetensors")
    measurement = measured(path, 17, 12, runs=1, backend="torch", precision="fp32")
    assert (measurement.network, measurement.scale, measurement.lr) == ("imdn", 3, (17, 12))
    assert (measurement.backend, measurement.precision) == ("torch", "fp32")
    assert measurement.latency_ms > 0 and measurement.memory_bytes > 0
    assert measurement.file_bytes == path.stat().st_size


def test_the_users_mistake_is_a_sentence_and_a_defect_a_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "the trace")

    monkeypatch.setattr("subprocess.run", fail)
    with pytest.raises(InputError, match="no such weight file"):
        measured(tmp_path / "none.safetensors")
    with pytest.raises(RuntimeError, match="the trace"):
        measured(save_student(tiny.student(), tmp_path / "a.safetensors"))
