"""OpenVINO files that `ibsd export` did not make."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from ibsd.inference.open import open_network
from ibsd.types import InputError

openvino = pytest.importorskip("openvino")


def test_a_model_of_someone_else_is_refused(tmp_path: Path) -> None:
    from openvino import opset14 as ops

    data = ops.parameter([1, 3, 4, 5], np.float32)
    openvino.save_model(openvino.Model([ops.relu(data)], [data]), tmp_path / "a.xml")
    with pytest.raises(InputError, match="does not say what network it holds"):
        open_network(tmp_path / "a.xml")
    (tmp_path / "b.xml").write_bytes(b"no model")
    with pytest.raises(InputError, match=r"b\.xml cannot be read as an OpenVINO model"):
        open_network(tmp_path / "b.xml")


@pytest.mark.slow
@pytest.mark.parametrize(("certified_db", "precision"), [(0.0, "bf16"), (np.nan, "fp32")])
def test_bf16_of_an_onnx_file_is_tried_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, certified_db: float, precision: str
) -> None:
    monkeypatch.setattr("ibsd.inference.openvino_backend.has_bf16", lambda: True)
    monkeypatch.setattr("ibsd.inference.openvino_backend.CERTIFIED_DB", certified_db)
    assert open_network("imdn-small-x4", backend="openvino").precision == precision


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_thread_is_bound_to_a_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ibsd.inference.openvino_backend.thread_limit", lambda: 1)
    network = open_network("imdn-small-x4", backend="openvino")
    picture = np.zeros((1, 3, 96, 96), np.float32)
    seen = threading.Event()

    def compute() -> None:
        while not seen.is_set():
            network(picture)

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        looks = {frozenset(os.sched_getaffinity(thread.native_id or 0)) for _ in range(20000)}
    finally:
        seen.set()
        thread.join()
    assert looks == {frozenset(os.sched_getaffinity(0))}
