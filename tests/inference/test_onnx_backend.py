"""ONNX files that `ibsd export` did not make."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.inference.open import open_network
from ibsd.types import InputError


def test_a_model_of_someone_else_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    value = onnx.helper.make_tensor_value_info
    same = onnx.helper.make_node("Identity", ["a"], ["b"])
    graph = onnx.helper.make_graph([same], "g", [value("a", 1, [1])], [value("b", 1, [1])])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9
    )
    onnx.save(model, str(tmp_path / "a.onnx"))
    with pytest.raises(InputError, match="does not say what network it holds"):
        open_network(tmp_path / "a.onnx")
    (tmp_path / "b.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match=r"b\.onnx cannot be read as an ONNX model"):
        open_network(tmp_path / "b.onnx")
