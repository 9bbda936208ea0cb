"""A student as an ncnn model, through pnnx, with the blob names that Upscayl and similar programs
expect."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ibsd.export.graph import InferenceGraph, example_input, quiet_converters
from ibsd.inference.device import thread_limit
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.types import InputError

BLOBS = {"in0": "data", "out0": "output"}
"""pnnx's names of input and output, and ours."""


def write_ncnn(graph: InferenceGraph, descriptor: NetworkDescriptor, path: Path) -> None:
    """NAME.param and NAME.bin with weights in fp32, [3, height, width] "data" -> "output". `graph`
    needs `plain_contrast`.

    Errors: InputError if pnnx cannot convert the network.
    """
    pnnx: Any = importlib.import_module("pnnx")
    # pnnx takes its own names from this file's, and breaks on some.
    traced = path.with_name("traced.pt")
    first = example_input(descriptor)
    second = example_input(descriptor, 6, 4)
    with quiet_converters(), torch.inference_mode():
        jit: Any = torch.jit
        jit.trace(graph, first, check_trace=False).save(str(traced))
    sizes = [
        f"{name}={str(list(lr.shape)).replace(' ', '')}"
        for name, lr in (("inputshape", first), ("inputshape2", second))
    ]
    converted = subprocess.run(
        [pnnx.EXEC_PATH, traced.name, *sizes, "fp16=0"],
        cwd=path.parent,
        capture_output=True,
        text=True,
    )
    param = path.with_name("traced.ncnn.param")
    if converted.returncode or not param.is_file():
        raise InputError(f"pnnx cannot convert {descriptor.name}: export another format")
    lines = [
        " ".join(BLOBS.get(word, word) for word in line.split())
        for line in param.read_text(encoding="utf-8").splitlines()
    ]
    # pnnx keeps an operation that ncnn does not have under its torch name, such as aten.foo.
    unknown = sorted({kind for kind in (line.split()[0] for line in lines[2:]) if "." in kind})
    if unknown:
        layers = ", ".join(unknown)
        raise InputError(
            f"ncnn has no layer {layers}, which {descriptor.name} needs: export another format"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.with_name("traced.ncnn.bin").replace(path.with_suffix(".bin"))


def open_ncnn(path: Path, descriptor: NetworkDescriptor) -> Network:
    """A .param file with its .bin on ncnn's CPU kernels in fp32. Errors: InputError if ncnn cannot
    read them."""
    ncnn: Any = importlib.import_module("ncnn")
    net = ncnn.Net()
    net.opt.num_threads = thread_limit() or ncnn.get_big_cpu_count()
    net.opt.use_vulkan_compute = False
    for option in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
        setattr(net.opt, f"use_{option}", False)
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix(".bin"))):
        raise InputError(f"{path} cannot be read as an ncnn model: export it again")

    def run(lr: np.ndarray) -> np.ndarray:
        # ncnn's matrix borrows this array's memory, so the array must have a name to outlive it.
        planes = np.ascontiguousarray(lr[0])
        with net.create_extractor() as extractor:
            extractor.input("data", ncnn.Mat(planes))
            failed, sr = extractor.extract("output")
            assert not failed
            return np.array(sr)[None]

    return Network(descriptor, run, "ncnn", "fp32")
