"""A student as an ONNX model, through torch.export."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ibsd.export.graph import InferenceGraph, dynamic_sizes, example_input, quiet_converters
from ibsd.inference.exported import METADATA_KEY
from ibsd.inference.network import NetworkDescriptor

OPSET = 18


def write_onnx(
    graph: InferenceGraph, descriptor: NetworkDescriptor, metadata: str, path: Path
) -> None:
    """One file, float32 "data" [1, 3, height, width] -> "output", height and width free."""
    converter: Any = torch.onnx
    with quiet_converters():
        program = converter.export(
            graph,
            (example_input(descriptor),),
            dynamo=True,
            input_names=["data"],
            output_names=["output"],
            dynamic_shapes={"data": dynamic_sizes(descriptor)},
            opset_version=OPSET,
            verbose=False,
        )
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key = METADATA_KEY
    entry.value = metadata
    model.producer_name = "ibsd"
    model.doc_string = f"{descriptor.name} x{descriptor.scale}, super-resolution of RGB in [0, 1]"
    path.write_bytes(model.SerializeToString())
