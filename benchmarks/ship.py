"""Puts trained weights into the package: half precision, with model card and OpenModelDB entry;
again after peers.py has scored them.

    python benchmarks/ship.py RUN/last.safetensors imdn-x4 [--earlier OTHER/last.safetensors ...]
    python benchmarks/peers.py imdn-x4 --real PAIRS --photographs FOLDER -o
    benchmarks/results/peers-NAME.json python benchmarks/ship.py --cards
    benchmarks/results/peers-NAME.json
    python benchmarks/ship.py --models

`--mean NAME=SHARE`: that share of the weights is those of NAME, in the order given: each is mixed
into what the ones before it left.
`--earlier`: runs that the training started from, newest first; what they say of themselves goes
into the file. `--models`: NAME.onnx for each of the weights, 60 kB, which reads its numbers from
NAME.safetensors, and its certificate; the same for the page of `ibsd export --format web`.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

from ibsd.export.certificate import (
    ParityCheck,
    check_parity,
    package_versions,
    parity_sizes,
    parity_verdict,
)
from ibsd.export.graph import exported_descriptor, inference_graph
from ibsd.export.model_card import model_card, openmodeldb_entry, training_metadata
from ibsd.export.onnx import write_onnx
from ibsd.export.web import shipped_web_model
from ibsd.export.weights import save_student
from ibsd.inference.exported import certificate_path, exported_name, metadata_block, sha256_of
from ibsd.inference.onnx_backend import open_onnx
from ibsd.students import load_student
from ibsd.students.ema import mixed
from ibsd.system import write_whole
from ibsd.weights import FOLDER, SHIPPED, weights_file

onnx: Any = importlib.import_module("onnx")

PHOTOGRAPHS = """\
294 photographs, 512 to 1440 pixels wide, and no real pair: 209 of CID22 (CC BY-SA 4.0), 41 of \
CLIC 2025 (Unsplash licence), and 44 wallpapers of
free desktops (Unsplash, CC BY, CC BY-SA, CC0, one Pexels). None of them is in the package. HR \
is the photograph, blurred a little (up to 0.8
pixels, `data.softness`); LR is made of it anew for every patch by the presets `camera`, \
`clean`, `web` and `old-photo` (`ibsd.data.presets`). The
ranges of `camera` were set after transfer functions and shifts of the 64 train pairs of RealSR: \
the weights have never seen a real pair, the
preset's author has seen their statistics. Commits below are those of the working branch, which \
was rebased before it was merged."""

LIMITS = """\
- The degradations were tuned with an eye on real crops (docs/weights.md), the 100 of RealSR at \
x4, though no network was trained on them.
- Trained for photographs: line art and text are no more than carried along.
- Contrast-aware attention pools over what it is given, so tiles differ a little from the whole \
picture and go over into each other
  (docs/performance.md): no line passes half a level of 255, but tone or texture can drift over \
a band of 36 pixels of the photograph.
"""
PAIRS = """\
The photographs of `imdn-x4`, degraded by nine presets (configs/photographs-safe-imdn-x4.toml), \
and real pairs: 32 scenes of City100 (Chen et al., CVPR 2019, arXiv:1904.03378; MIT licence, \
copyright 2019 Chang Chen), each through a Nikon D5500 and an iPhone X. Its LR is at x2; for x3 \
and x4 it was shrunk by Pillow's bicubic. RealSR and DRealSR were measured on and not trained on; \
the 16 validation pairs of RealSR were seen in choosing. The scores below are of the 100 pairs of \
RealSR, at x4, and of nine photographs."""
FAITHFUL_LIMITS = """\
- Trained for about an hour on one core of a CPU, batches of 8 patches: a GPU goes much further \
(benchmarks/GPU.md has the command).
- Heavy noise and heavy JPEG come back softer, not repaired. It invents no texture."""
SHARP_LIMITS = """\
- Trained for an hour and a half on one core of a CPU, after the hour of `imdn-x4`, batches of 8 \
patches: a GPU goes much further
  (benchmarks/GPU.md has the command). The weights of its terms were chosen by the photographs \
of the score above.
- Heavy noise and heavy JPEG come back softer, not repaired. Texture is guessed, and may be \
wrong: for what was there, `imdn-x4` is nearer, by 0.3
  to 0.4 dB on photographs and 0.6 on real crops, where this has no more PSNR-Y than bicubic.
- Four times enlarged, dense texture (fur, palms) shows a fine weave. Flat areas show no grid."""

SAFE_LIMITS = """\
- Trained for 7,000 steps of 30 small patches, 13 minutes of an H200. At x4 the second 3,500 \
gained 0.10 dB on 16 validation pairs of RealSR: more training will gain more.
- Strong noise and blocks come back smoother, and fine texture goes with them. At JPEG quality \
30 and below the gain at x4 is under 0.4 dB.
- It can still be below bicubic on real pictures (docs/weights.md has the share). It invents no \
texture."""
CRISP_DATA = """ Its own runs saw photographs alone, under the presets shown below; the pairs \
come with `imdn-safe-x4`."""
CRISP_LIMITS = """\
- Texture is guessed, and may be wrong: for what was there, `imdn-safe-x4` is nearer \
(docs/weights.md has both).
- Fur, rock and coins can show a weave of squares, in 7 of 49 parts seen without names.
- JPEG's blocks are sharpened: at quality 40 and below it is up to 0.3 dB behind bicubic."""

REPAIRED = """\
The photographs of `imdn-x4`, and no real pair. HR is the photograph, blurred a little (up to 0.4 \
pixels); LR has its size and is made of it anew for every patch by the nine presets of \
configs/photographs-repair-imdn-x1.toml. The scores below are of nine photographs."""
REPAIR_LIMITS = """\
- Trained for 7,000 steps of 12 small patches, ten minutes of an H200: more training will gain \
more.
- A photograph without faults comes back changed by less than a level of 255 on average, but not \
bit for bit.
- Strong noise and blocks come back weaker, not gone. It invents no texture."""

WIDER = (
    ", under the wider presets, one patch in five from a real pair "
    "(configs/photographs-safe-imdn-x4.toml)."
)
STORIES = {
    "imdn-x1": "Plain L1. All but the last layer started from `imdn-small-x4`.",
    "imdn-crisp-x4": "L1, LPIPS, a term against the upscaler's own grid and a patch discriminator "
    "(`ibsd.distillation.perceptual`), from an earlier `imdn-safe-x4`. The file is "
    "a mean (configs/photographs-imdn-crisp-x4.toml): four tenths each of the run of 7,000 steps "
    "below and of one of 3,800 steps with `lambda_adversarial` 0.04, two tenths "
    "`imdn-safe-x4` of 29 November. "
    "Trained on LPIPS, so LPIPS is no independent judge of it.",
    "imdn-safe-x4": f"Plain L1 from `imdn-x4`{WIDER} Then 1,200 steps by `ibsd specialise` on the "
    "same pairs alone. The file is a mean: four fifths before them, one fifth after. That share "
    "lies between the best of those tried on the 16 validation pairs of RealSR and 16 of City100, "
    "and on nine of the photographs with noise and JPEG (docs/weights.md).",
    "imdn-safe-x3": f"Plain L1 from the body of `imdn-x4`{WIDER}",
    "imdn-safe-x2": f"Plain L1 from `imdn-x2`{WIDER}",
    "imdn-safe-small-x4": f"Plain L1 from `imdn-small-x4`{WIDER} Then 1,200 steps by "
    "`ibsd specialise` on the same pairs alone. The file is a mean: 0.65 before them, 0.35 after. "
    "Five shares were tried on the 16 validation pairs of RealSR and 16 of City100, and on nine of "
    "the photographs with noise and JPEG; half gains 0.02 dB more on the pairs and loses 0.2 on "
    "noise.",
    "imdn-x4": "Plain L1. The self-distillation of this package (`ibsd`) has shown no gain on "
    "an unseen camera in our comparisons (docs/results.md), "
    "so it is left out here. The camera preset was corrected halfway, at step 7,499, after it "
    "was found to sharpen less than cameras do; the "
    "run went on from there.",
    "imdn-sharp-x4": "L1, LPIPS and a term against the upscaler's own grid "
    "(`ibsd.distillation.perceptual`), from `imdn-x4`, in two runs: "
    "configs/photographs-imdn-sharp-x4.toml has both commands; the objective is that of commit "
    "`eaf563e`. Trained on LPIPS, so LPIPS is no "
    "independent judge of it: docs/weights.md has two that are.",
    "imdn-x2": "Plain L1. All but the upsampler started from `imdn-x4`.",
    "imdn-small-x4": "Plain L1. Half the channels of `imdn-x4`, from scratch: "
    "configs/photographs-imdn-x4.toml with width 32, 4,800 steps and a "
    "learning rate of 3e-3.",
}
DATES = dict.fromkeys(SHIPPED, "2026-11-25") | {
    "imdn-sharp-x4": "2026-11-27",
    "imdn-safe-x4": "2026-11-30",
    "imdn-safe-x3": "2026-11-29",
    "imdn-safe-x2": "2026-11-29",
    "imdn-safe-small-x4": "2026-11-30",
    "imdn-crisp-x4": "2026-11-29",
    "imdn-x1": "2026-11-29",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", type=Path)
    parser.add_argument("name", nargs="?")
    parser.add_argument("--earlier", nargs="*", type=Path, default=[])
    parser.add_argument("--mean", nargs="*", default=[], metavar="NAME=SHARE")
    parser.add_argument("--cards", type=Path, nargs="+")
    parser.add_argument("--models", action="store_true")
    parser.add_argument(
        "--only", nargs="+", default=list(SHIPPED), help="names for --cards, --models"
    )
    arguments = parser.parse_args()
    if arguments.weights:
        trained = training_metadata(arguments.weights)
        data = trained["run"]["config"]["data"]
        data |= {key: Path(data[key]).name for key in ("photographs", "pairs") if data[key]}
        metadata = {
            "run": json.dumps(trained["run"]),
            "step": trained["step"],
            "weights": trained["weights"],
        }
        if arguments.earlier:
            metadata["earlier"] = json.dumps(
                [
                    {key: run[key] for key in ("run", "step")}
                    for run in map(training_metadata, arguments.earlier)
                ]
            )
        student = load_student(arguments.weights)
        for name, share in (given.split("=") for given in arguments.mean):
            student = mixed(load_student(name), student, float(share))
        if arguments.mean:
            metadata["mean"] = " ".join(arguments.mean)
        print(save_student(student, weights_file(arguments.name), metadata, half=True))
    if arguments.cards:
        for name in arguments.only:
            path = weights_file(name)
            scores = next(
                found
                for file in arguments.cards
                if name in (found := json.loads(file.read_text()))["camera"]
            )
            safe = "-safe-" in name
            own = {
                "imdn-crisp-x4": CRISP_LIMITS,
                "imdn-sharp-x4": SHARP_LIMITS,
                "imdn-x1": REPAIR_LIMITS,
            }
            limits = LIMITS + (SAFE_LIMITS if safe else own.get(name, FAITHFUL_LIMITS))
            others = {"imdn-x1": REPAIRED, "imdn-crisp-x4": f"{PAIRS}{CRISP_DATA}"}
            data = PAIRS if safe else others.get(name, PHOTOGRAPHS)
            write_whole(
                path.with_suffix(".md"),
                model_card(path, scores, STORIES[name], data, limits),
            )
            entry = openmodeldb_entry(
                path,
                f"Photographs from cameras and the web. {STORIES[name].split('. ')[0]}.",
                DATES[name],
            )
            write_whole(FOLDER / f"{name}.json", json.dumps(entry, indent=2) + "\n")
            print(path.with_suffix(".md"))
    if arguments.models:
        for name in arguments.only:
            for web in (False, True):
                print(*map(str, write_model(weights_file(name), web)))


def write_model(weights: Path, web: bool) -> tuple[Path, list[ParityCheck]]:
    """NAME.onnx beside NAME.safetensors, or NAME-web.onnx for the page, certified with ONNX
    Runtime, and the checks."""
    student = load_student(weights)
    descriptor = exported_descriptor(student)
    block = metadata_block(descriptor, sha256_of(weights), "fp32")
    path = shipped_web_model(weights) if web else exported_name(weights, "onnx")
    write_onnx(inference_graph(student, separate=not web), descriptor, json.dumps(block), path)
    model = onnx.load(path)
    read_numbers_from(weights, model)
    write_whole(path, model.SerializeToString())
    checks = check_parity(student, open_onnx(path), parity_sizes(descriptor))
    verdict = parity_verdict(checks, "fp32")
    assert verdict["passed"], verdict
    certificate = block | {
        "format": "web" if web else "onnx",
        "files": {path.name: sha256_of(path)},
        "precisions": {"fp32": verdict},
        "versions": package_versions(),
    }
    write_whole(certificate_path(path), json.dumps(certificate, indent=1) + "\n")
    return path, checks


def read_numbers_from(weights: Path, model: Any) -> None:
    """Replaces the model's weights by places in the weight file, in half precision as they are
    stored there. A part of a convolution is a part of its bytes."""
    content = weights.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    graph = model.graph
    widened: list[Any] = []
    for stored in list(graph.initializer):
        values = onnx.numpy_helper.to_array(stored)
        half = values.astype("<f2")
        if values.dtype != "float32" or values.size < 64 or (half != values).any():
            continue
        offset = content.find(half.tobytes(), start)
        assert offset >= 0, stored.name
        outside = onnx.TensorProto(name=f"{stored.name}.half", data_type=onnx.TensorProto.FLOAT16)
        outside.dims.extend(values.shape)
        outside.data_location = onnx.TensorProto.EXTERNAL
        place = {"location": weights.name, "offset": offset, "length": half.nbytes}
        for key, value in place.items():
            outside.external_data.add(key=key, value=str(value))
        widened.append(
            onnx.helper.make_node("Cast", [outside.name], [stored.name], to=onnx.TensorProto.FLOAT)
        )
        graph.initializer.remove(stored)
        graph.initializer.append(outside)
    nodes = [*widened, *graph.node]
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    for node in graph.node:  # where torch's exporter found it, 80 kB
        node.doc_string = ""
        del node.metadata_props[:]


if __name__ == "__main__":
    main()
