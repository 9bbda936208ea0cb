"""Laws of exports: they compute what torch computes at any size, say what they are, and do not
appear when they differ."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tiny
from export.conftest import exported
from ibsd.export import ParityError, certificate, export_student, save_student
from ibsd.export.graph import exported_descriptor, inference_graph
from ibsd.images.rgb import write_rgb
from ibsd.inference.exported import certificate_path, certified_precisions, sha256_of
from ibsd.inference.network import NetworkDescriptor
from ibsd.inference.open import open_network
from ibsd.inference.torch_backend import certificate_picture, psnr_db
from ibsd.students import Student, create_student, load_student
from ibsd.types import InputError
from ibsd.weights import weights_file

SIZES = [(1, 1), (3, 50), (37, 23)]  # none of them in the certificate


def reference(lr: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return tiny.student(scale=3)(torch.from_numpy(lr)).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_an_export_gives_what_torch_gives_at_any_size(folder: Path, format: str) -> None:
    path = exported(folder, format)
    network = open_network(path, precision="fp32")
    assert (network.backend, network.scale) == (format, 3)
    assert network.descriptor.pools_globally
    assert network.descriptor.receptive_field_px == tiny.student(scale=3).spec.receptive_field_px
    for size in SIZES:
        lr = certificate_picture(*size)
        kept = lr.copy()
        first = network(lr)
        assert np.abs(first - reference(lr)).max() < 1e-5
        second = first.copy()
        network(1 - lr)
        assert np.array_equal(first, second), (
            "a result must not change when the next one is computed"
        )
        assert np.array_equal(lr, kept)


@pytest.mark.slow
def test_ncnn_gives_what_torch_gives_under_the_usual_blob_names(folder: Path) -> None:
    path = exported(folder, "ncnn")
    from ibsd.export.ncnn import open_ncnn

    run = open_ncnn(path, NetworkDescriptor.of(tiny.student(scale=3))).run
    for size in SIZES:
        lr = certificate_picture(*size)
        assert np.abs(run(lr) - reference(lr)).max() < 1e-5
    lines = path.read_text().splitlines()
    assert lines[0] == "7767517"
    assert lines[2].split() == ["Input", "data", "0", "1", "data"]
    assert sum(line.split()[-1] == "output" or " output " in line for line in lines) == 1
    assert sorted(file.name for file in folder.glob("*ncnn*")) == [
        "tiny-ncnn.bin",
        "tiny-ncnn.param",
        "tiny-ncnn.param.certificate.json",
    ]


def test_weights_alone_load_elsewhere(folder: Path) -> None:
    path = exported(folder, "safetensors")
    again = load_student(path)
    assert again.spec == tiny.student(scale=3).spec
    for key, value in tiny.student(scale=3).state_dict().items():
        assert torch.equal(again.state_dict()[key], value)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino", "ncnn", "safetensors"])
def test_the_certificate_says_what_was_run(folder: Path, format: str) -> None:
    path = exported(folder, format)
    found = json.loads(certificate_path(path).read_text())
    assert found["weights_sha256"] == sha256_of(folder / "tiny.safetensors")
    assert found["files"][path.name] == sha256_of(path)
    assert found["network"]["name"] == "imdn" and found["network"]["scale"] == 3
    assert (
        found["versions"]["torch"] == torch.__version__.split("+")[0]
        or found["versions"]["torch"] == torch.__version__
    )
    assert found["precisions"]["fp32"]["passed"]
    sizes = found["precisions"]["fp32"]["sizes"]
    assert len(sizes) >= 5 and any(each["lr"][0] % 2 and each["lr"][1] % 2 for each in sizes)
    assert all(each["psnr_db"] is None or each["psnr_db"] > 90 for each in sizes)
    assert "fp32" in certified_precisions(path)


@pytest.mark.slow
def test_shipped_weights_are_certified_in_bf16_where_the_cpu_has_it(tmp_path: Path) -> None:
    """At every size, a single pixel too."""
    pytest.importorskip("openvino")
    pytest.importorskip("onnxscript")
    from ibsd.inference.openvino_backend import has_bf16

    path, _ = export_student(weights_file("imdn-small-x4"), "openvino", tmp_path / "small.xml")
    assert certified_precisions(path) == ({"fp32", "bf16"} if has_bf16() else {"fp32"})


@pytest.mark.slow
def test_auto_takes_the_sibling_of_these_weights_and_no_other(folder: Path, tmp_path: Path) -> None:
    model = exported(folder, "onnx")
    for file in (model, certificate_path(model)):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "tiny.safetensors"
    weights.write_bytes((folder / "tiny.safetensors").read_bytes())
    assert open_network(weights).backend == "onnx"
    assert open_network(weights, backend="torch").backend == "torch"
    with pytest.raises(InputError, match="runs on the CPU here|has no model"):
        open_network(weights, backend="onnx", device="cuda")
    with pytest.raises(InputError, match="--format openvino"):
        open_network(weights, backend="openvino")
    with pytest.raises(InputError, match="--int8"):
        open_network(weights, precision="int8")
    with pytest.raises(InputError, match="is a model for onnx, not for torch"):
        open_network(tmp_path / "tiny.onnx", backend="torch")
    with pytest.raises(InputError, match="exported in fp32"):
        open_network(tmp_path / "tiny.onnx", precision="int8")
    save_student(tiny.student(seed=1, scale=3), weights)
    assert open_network(weights).backend == "torch", "a model of other weights must not be taken"


def test_a_model_that_differs_is_not_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "a.safetensors"
    weights.write_bytes((folder / "tiny.safetensors").read_bytes())

    def other(student: Student, path: Path, metadata: dict[str, str]) -> Path:
        return save_student(tiny.student(seed=1, scale=3), path, metadata)

    monkeypatch.setattr("ibsd.export.export.save_student", other)
    with pytest.raises(ParityError, match="differs from torch"):
        export_student(weights, "safetensors")
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_result_of_another_shape_or_no_number_fails() -> None:
    student = tiny.student()
    descriptor = exported_descriptor(student)
    for wrong in (
        lambda lr: lr,
        lambda lr: np.full((1, 3, 2 * lr.shape[2], 2 * lr.shape[3]), np.nan, np.float32),
    ):
        checks = certificate.check_parity(student, wrong, descriptor)
        assert not certificate.parity_verdict(checks, "fp32")["passed"]


@pytest.mark.parametrize("plain_contrast", [False, True])
def test_a_graph_made_for_runtimes_is_the_same(plain_contrast: bool) -> None:
    """Convolutions apart where the student splits, and attention without a variance."""
    student = tiny.student(width=16)
    for lr in (
        certificate_picture(20, 13),
        np.zeros((1, 3, 4, 4), np.float32),
        certificate_picture(1, 1),
    ):
        with torch.inference_mode():
            sr, expected = (
                run(torch.from_numpy(lr)).numpy()
                for run in (inference_graph(student, plain_contrast), student)
            )
        assert psnr_db(sr, expected) > 120


def test_a_sum_that_is_rounded_and_read_is_taken_twice() -> None:
    """With the same result; a bias stays with its convolution."""
    openvino = pytest.importorskip("openvino")
    from openvino import opset14 as ops

    from ibsd.export.openvino import round_where_added

    def model() -> Any:
        data = ops.parameter([1, 3, 4, 5], np.float32)
        limits = [ops.constant(np.float32(value)) for value in (0, 1, 0, 1)]
        for_rounding, biased = (
            ops.add(ops.relu(data), ops.sqrt(data)),
            ops.add(data, ops.constant(np.float32(0.25))),
        )
        rounded = [ops.fake_quantize(each, *limits, 256) for each in (for_rounding, biased)]
        return openvino.Model([*rounded, ops.negative(for_rounding), ops.negative(biased)], [data])

    lr = certificate_picture(4, 5)
    plain, changed = model(), model()
    for node in changed.get_ordered_ops():
        round_where_added(node)
    additions = [
        sum(node.get_type_name() == "Add" for node in each.get_ordered_ops())
        for each in (plain, changed)
    ]
    assert additions == [2, 3]
    first, second = (openvino.Core().compile_model(each, "CPU")(lr) for each in (plain, changed))
    assert all(np.array_equal(first[index], second[index]) for index in range(4))


@pytest.mark.parametrize("name", ["cdc", "omnisr", "shufflemixer"])
def test_an_export_is_given_what_the_network_makes_of_odd_sizes_itself(name: str) -> None:
    student = create_student(name, 2).eval()
    descriptor = exported_descriptor(student)
    lr = certificate_picture(33, 26)
    with torch.inference_mode():
        sr, expected = (
            student(torch.from_numpy(picture)).numpy() for picture in (descriptor.pad(lr), lr)
        )
    assert np.abs(sr[..., :66, :52] - expected).max() < 1e-5


def test_mistakes_are_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = folder / "tiny.safetensors"
    for words, arguments in [
        ("format is 'tflite'", {"format": "tflite"}),
        ("not exported in int8", {"format": "ncnn", "int8": True}),
        ("does not end as onnx", {"format": "onnx", "output": tmp_path / "a.xml"}),
        ("is the weight file itself", {"format": "safetensors", "output": weights, "force": True}),
    ]:
        with pytest.raises(InputError, match=words):
            export_student(weights, **arguments)
    (tmp_path / "a.safetensors").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_student(weights, "safetensors", tmp_path / "a.safetensors")
    assert (tmp_path / "a.safetensors").read_text() == "mine"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = r"onnx needs onnx, onnxscript, onnxruntime: .* pip install 'ibsd\[export\]'"
    with pytest.raises(InputError, match=missing):
        export_student(weights, "onnx", tmp_path / "b.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.safetensors"]


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


WITHOUT_TORCH = """
import sys
from importlib.abc import MetaPathFinder
class NoTorch(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, NoTorch())
from ibsd.cli.main import main
code = main(["upscale", sys.argv[1], "-o", sys.argv[2], "--weights", sys.argv[3]])
assert code == 0
assert not [name for name in sys.modules if name.split(".")[0] == "torch"]
"""


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_upscaling_with_an_export_needs_no_torch(folder: Path, tmp_path: Path, format: str) -> None:
    model = exported(folder, format)
    rgb = (certificate_picture(12, 17)[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    write_rgb(tmp_path / "a.png", rgb)
    environment = {"PYTHONPATH": ":".join(sys.path), "PATH": "", "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-c",
        WITHOUT_TORCH,
        str(tmp_path / "a.png"),
        str(tmp_path / "b.png"),
        str(model),
    ]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    from ibsd.images.rgb import read_rgb

    expected = (
        reference(rgb.transpose(2, 0, 1)[None] / np.float32(255))[0].transpose(1, 2, 0).clip(0, 1)
        * 255
    )
    assert np.abs(read_rgb(tmp_path / "b.png") - expected).max() < 2.5  # bf16 where the CPU has it


@pytest.mark.slow
def test_eight_bits_stay_within_their_limit_and_are_never_taken_unasked(folder: Path) -> None:
    pytest.importorskip("nncf", reason="int8 needs nncf: pip install 'ibsd[int8]'")
    exported(folder, "openvino")
    path, compared = export_student(folder / "tiny.safetensors", "openvino", int8=True)
    assert path.name == "tiny-int8.xml"
    kinds = Path(path).read_text(encoding="utf-8")
    assert 'element_type="i8"' in kinds, "weights in eight bits"
    assert min(each.psnr_db for each in compared["int8"]) > certificate.LIMITS_DB["int8"]
    assert open_network(folder / "tiny.safetensors").precision != "int8"
    assert open_network(folder / "tiny.safetensors", precision="int8").precision == "int8"
    with pytest.raises(InputError, match="exported in int8"):
        open_network(path, precision="fp32")
