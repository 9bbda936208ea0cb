"""A student as an ONNX model, through torch.export."""

from __future__ import annotations

from pathlib import Path

import torch

from ibsd.export.graph import Picture, example, free_sizes, quietly
from ibsd.inference.exported import METADATA_KEY, NetworkFacts

OPSET = 18


def write_onnx(picture: Picture, facts: NetworkFacts, metadata: str, path: Path) -> None:
    """One file, float32 "data" [1, 3, height, width] -> "output", height and width free."""
    with quietly():
        program = torch.onnx.export(
            picture,
            (example(facts),),
            dynamo=True,
            input_names=["data"],
            output_names=["output"],
            dynamic_shapes={"data": free_sizes(facts)},
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, metadata
    model.producer_name, model.doc_string = (
        "ibsd",
        f"{facts.name} x{facts.scale}, super-resolution of RGB in [0, 1]",
    )
    path.write_bytes(model.SerializeToString())
