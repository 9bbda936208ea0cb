"""WebGPU on the page of `ibsd export --format web`, by Chromium's adapter in software: no real one
is here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from browser.test_serve_page import choose
from browser.test_web_page import OpenTab, as_png, downloaded, serving
from ibsd.data.samples import sample
from ibsd.export.web import write_site
from ibsd.inference.parity import psnr_db

pytestmark = pytest.mark.slow

NETWORK = {
    "scale": 2,
    "receptive_field_px": 2,
    "pools_globally": False,
    "minimum_size_px": 1,
    "multiple_px": 1,
    "tile_px": 256,
    "pads_zeros": True,
}
PAGE = {"name": "tiny", "network": NETWORK, "facts": [], "limits": []}
DECIDED = "() => document.querySelector('#state').textContent.includes('graphics card')"
ABLE = "async () => 'Suspending' in WebAssembly && !!(await navigator.gpu?.requestAdapter())"
LOST = """
let zzDevice;
const zzRequest = GPUAdapter.prototype.requestDevice;
GPUAdapter.prototype.requestDevice = async function (...options) {
  return (zzDevice = await zzRequest.apply(this, options));
};
addEventListener("message", ({ data }) => data.file?.name === "lost.png" && zzDevice.destroy());
"""
"""In the worker: a photograph of this name takes the device away."""


def tiny_model() -> bytes:
    """Two convolutions and a pixel shuffle: SwiftShader computes as slowly as a GPU is quick."""
    onnx = pytest.importorskip("onnx")
    make, random = onnx.helper, np.random.default_rng(0)
    first = random.normal(0.1, 0.1, (4, 3, 3, 3)).astype(np.float32)
    second = random.normal(0.1, 0.1, (12, 4, 3, 3)).astype(np.float32) / 4
    graph = make.make_graph(
        [
            make.make_node("Conv", ["data", "first"], ["a"], pads=[1, 1, 1, 1]),
            make.make_node("LeakyRelu", ["a"], ["b"], alpha=0.05),
            make.make_node("Conv", ["b", "second"], ["c"], pads=[1, 1, 1, 1]),
            make.make_node("DepthToSpace", ["c"], ["output"], blocksize=2, mode="CRD"),
        ],
        "tiny",
        [make.make_tensor_value_info("data", 1, [1, 3, "height", "width"])],
        [make.make_tensor_value_info("output", 1, [1, 3, "up", "across"])],
        [
            onnx.numpy_helper.from_array(first, "first"),
            onnx.numpy_helper.from_array(second, "second"),
        ],
    )
    opset = [make.make_opsetid("", 18)]
    return make.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()


def test_webgpu_gives_the_same_picture_and_is_left_when_it_is_lost(
    tmp_path: Path, open_tab: OpenTab
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = tiny_model()
    write_site({"model.bin": model}, PAGE, {}, tmp_path)
    (worker,) = tmp_path.glob("worker-*.js")
    worker.write_text(LOST + worker.read_text(encoding="utf-8"), encoding="utf-8")
    pixels = np.ascontiguousarray(sample("chelsea")[60:72, 100:116])
    lr = pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255
    sr = runtime.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, {"data": lr})
    expected = sr[0][0].transpose(1, 2, 0).clip(0, 1)
    assert expected.std() > 0.05
    with serving(tmp_path) as (address, _):
        watched = open_tab(f"{address}?engine=webgpu")
        tab = watched.tab
        tab.wait_for_function("() => crossOriginIsolated")  # the page loads itself twice
        if not tab.evaluate(ABLE):
            pytest.skip("this Chromium has no JSPI or no WebGPU")
        tab.wait_for_function(DECIDED)
        assert "on the graphics card" in tab.text_content("#state")
        choose(watched, ("gpu.png", as_png(pixels)))
        tab.wait_for_selector(".job.done")
        assert "on the graphics card" in tab.text_content("#state")
        choose(watched, ("lost.png", as_png(pixels)))
        tab.wait_for_selector(".job.done .name:text('lost.png')")
        assert "The graphics card is not used: " in tab.text_content("#state")
        for name in ("gpu.png", "lost.png"):
            assert psnr_db(downloaded(tab, name, "tiny"), expected) > 50
