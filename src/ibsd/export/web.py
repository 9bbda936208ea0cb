"""A static page that upscales photographs in the visitor's browser, from a certified ONNX model.
Imports no torch.

The page itself is built from web/ (`make web`) and lies in site/, so that no node is needed here
(docs/decisions/0062-a-page-without-a-server.md).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import os
from pathlib import Path
from typing import Any

from ibsd.inference.exported import exported_name, read_certificate
from ibsd.system import json_text, make_folder, require_utf8, write_whole
from ibsd.types import InputError
from ibsd.weights import CRISP, FOLDER, SHIPPED, named_or_file

SITE = Path(__file__).parent / "site"
UNFILLED = 'const VERSION = "none";'
"""The line of sw.js that names the version. Browsers keep a page's files until it changes."""

LIMITS = (
    "The result is a PNG of 8 bits in sRGB, with transparency. Camera data and colour profiles are "
    "not kept.",
    "Your browser decides which files it can read. Few read HEIC or TIFF.",
)
SHIPPED_LIMITS = (
    "It is made for photographs: drawings and text gain little.",
    "Heavy noise and heavy JPEG compression come back softer, not repaired.",
)
INVENTS = "Fine texture is guessed and may be wrong. imdn-safe-x4 is truer to the photograph."


def refuse_site(folder: Path, force: bool) -> None:
    """InputError if the page's folder is a file, or holds something and `force` is not set."""
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise InputError(f"{folder} is a file: choose a folder for the page")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(f"{folder} is not empty: choose another folder, or add --force")


def shipped_site(
    weights: str | Path, output: str | Path | None, force: bool
) -> tuple[Path, dict[str, Any]] | None:
    """The page for shipped weights: their certified model lies in the package, so that neither
    torch nor a converter is needed. None for other weights.

    Args as `export_student`. Returns the folder and the certificate. Errors: InputError.
    """
    file = named_or_file(weights)
    model = shipped_web_model(file)
    certificate = read_certificate(model) if file.parent == FOLDER else None
    if certificate is None:
        return None
    folder = Path(output) if output is not None else exported_name(Path(weights), "web")
    require_utf8(folder)
    refuse_site(folder, force)
    parameters = {"model.bin": model.read_bytes(), "weights.bin": file.read_bytes()}
    page = page_description(file.stem, certificate, _num_parameters(file))
    write_site(parameters, page | {"weights": file.name}, certificate, folder)
    return folder, certificate


def shipped_web_model(weights: Path) -> Path:
    """The model of shipped weights for the page, which reads its numbers from the weights."""
    return weights.with_name(f"{weights.stem}-web.onnx")


def _num_parameters(file: Path) -> int:
    from safetensors import safe_open

    opened: Any = safe_open(file, framework="numpy")
    with opened as tensors:
        names: list[str] = tensors.keys()
        return sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)


def page_description(name: str, certificate: dict[str, Any], num_parameters: int) -> dict[str, Any]:
    """What the page reads as page.json: the network, and what stands under "About this page"."""
    built = json.loads((SITE / "built.json").read_text(encoding="utf-8"))
    network = certificate["network"]
    sizes = certificate["precisions"][certificate["precision"]]["sizes"]
    worst = min(size["psnr_db"] or math.inf for size in sizes)  # null if equal
    shipped = SHIPPED.get(name)
    licence = "not stated: ask whoever made this page" if shipped is None else "MIT"
    guesses = name in (*CRISP.values(), "imdn-sharp-x4")
    own_limits = (*SHIPPED_LIMITS, *((INVENTS,) if guesses else ())) if shipped else ()
    return {
        "name": name,
        "network": network,
        "facts": [
            ["Weights", f"{name}: {shipped}" if shipped else name],
            ["Network", f"{network['name']} x{network['scale']}, {num_parameters:,} parameters"],
            ["Licence of the weights", licence],
            ["Checked", f"{worst:.0f} dB or more to torch, at {len(sizes)} sizes"],
            ["Runtime", f"ONNX Runtime Web {built['onnxruntime-web']} (MIT)"],
            ["SHA-256 of the weights begins with", certificate["weights_sha256"][:16]],
        ],
        "limits": [*own_limits, *LIMITS],
    }


def write_site(
    parameters: dict[str, bytes], page: dict[str, Any], certificate: dict[str, Any], folder: Path
) -> None:
    """Writes the page's files into a folder, index.html last. Files of other names stay.

    `parameters` holds model.bin, an ONNX file, and weights.bin if the model reads its numbers from
    the weight file page["weights"]. They are compressed, because not every host does that.
    """
    make_folder(folder)
    files = {path.name: path.read_bytes() for path in SITE.iterdir() if path.is_file()}
    del files["built.json"]
    files |= {name: gzip.compress(content, 9, mtime=0) for name, content in parameters.items()}
    files["page.json"] = json_text(page).encode()
    files["certificate.json"] = json_text(certificate).encode()
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode() + hashlib.sha256(content).digest())
    worker = files["sw.js"].decode()
    assert UNFILLED in worker
    version = json.dumps(digest.hexdigest()[:16])
    files["sw.js"] = worker.replace(UNFILLED, f"const VERSION = {version};").encode()
    for name in sorted(files, key=lambda name: (name in ("index.html", "sw.js"), name)):
        write_whole(folder / name, files[name])
