"""A student as an OpenVINO model, by way of ONNX."""

from __future__ import annotations

from pathlib import Path

import openvino

from ibsd.upscaling.exported import METADATA_KEY, NetworkFacts


def write_openvino(onnx_model: Path, metadata: str, facts: NetworkFacts, path: Path, int8: bool = False) -> None:
    """NAME.xml and NAME.bin, weights in fp32 or quantised, input and output as in the ONNX model."""
    model = openvino.convert_model(onnx_model)
    if int8:
        from ibsd.export.quantisation import quantised

        model = quantised(model, facts)
    model.set_rt_info(metadata, METADATA_KEY)
    openvino.save_model(model, path, compress_to_fp16=False)
