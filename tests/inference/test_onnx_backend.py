"""ONNX files that `ibsd export` did not make, and files whose graphs are not what they say."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ibsd.inference.exported import METADATA_KEY, metadata_block
from ibsd.inference.network import NetworkDescriptor
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


def lying_model(path: Path, kind: str) -> Path:
    """A model that says it upscales by two, and whose graph has the fault `kind`."""
    onnx: Any = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper = onnx.helper
    picture = helper.make_tensor_value_info("a", 1, [1, 3, "h", "w"])
    numbers = {"s": np.array([1, 1, 2, 2], np.float32)}
    to = 1
    nodes = [helper.make_node("Resize", ["a", "", "s"], ["f"], mode="nearest")]
    if kind == "text":
        to = 8
    elif kind == "channels":
        numbers["w"] = np.zeros((3, 5, 1, 1), np.float32)
        nodes = [helper.make_node("Conv", ["a", "w"], ["f"])]
    elif kind == "shape":
        numbers["s"] = np.array([1, 3, 5, -1], np.int64)
        nodes = [helper.make_node("Reshape", ["a", "s"], ["f"])]
    elif kind == "halves":
        to = 10
    nodes.append(helper.make_node("Cast", ["f"], ["b"], to=to))
    inputs = [] if kind == "no input" else [picture]
    if kind == "no input":
        numbers["a"] = np.zeros((1, 3, 6, 5), np.float32)
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info("b", to, [1, 3, "H", "W"])],
        [onnx.numpy_helper.from_array(value, name) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    double = NetworkDescriptor("double", 2, 0, pools_globally=False, minimum_size_px=1)
    model.metadata_props.add(
        key=METADATA_KEY, value=json.dumps(metadata_block(double, "0", "fp32"))
    )
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
@pytest.mark.parametrize("kind", ["text", "channels", "shape", "no input", "halves"])
def test_a_graph_that_is_not_what_its_metadata_say(tmp_path: Path, kind: str, backend: str) -> None:
    opened = importlib.import_module(f"ibsd.inference.{backend}_backend")
    path = lying_model(tmp_path / "a.onnx", kind)
    lr = np.full((1, 3, 6, 5), 0.5, np.float32)

    def run() -> np.ndarray:
        return getattr(opened, f"open_{backend}")(path)(lr)

    if kind == "halves" or (kind, backend) == ("text", "onnx"):  # numbers all the same
        sr = run()
        assert (sr.dtype, sr.shape) == (np.dtype(np.float32), (1, 3, 12, 10))
    else:
        with pytest.raises(InputError, match="export (it|the model) again"):
            run()


def test_metadata_that_are_not_utf8(tmp_path: Path) -> None:
    path = lying_model(tmp_path / "a.onnx", "halves")
    path.write_bytes(path.read_bytes().replace(b"double", b"\xff\xfeuble"))
    with pytest.raises(InputError, match="does not say what network it holds"):
        open_network(path, backend="onnx")
