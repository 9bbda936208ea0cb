"""A student as an OpenVINO model, converted from ONNX and arranged for speed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ibsd.inference.exported import METADATA_KEY
from ibsd.inference.network import NetworkDescriptor
from ibsd.inference.openvino_graph import arrange
from ibsd.inference.silent import import_silent

openvino: Any = import_silent("openvino")


def write_openvino(
    onnx_model: Path, metadata: str, descriptor: NetworkDescriptor, path: Path, int8: bool = False
) -> None:
    """NAME.xml and NAME.bin, weights in fp32 or quantised, input and output as in the ONNX
    model."""
    model = openvino.convert_model(onnx_model)
    if int8:
        from ibsd.export.quantisation import quantised

        model = quantised(model, descriptor)
    arrange(model)
    model.set_rt_info(metadata, METADATA_KEY)
    openvino.save_model(model, path, compress_to_fp16=False)
