"""Exported models as files: the facts written into them, their names, and the certificate beside
them. Imports no runtime."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ibsd.inference.network import TILE_PX
from ibsd.types import InputError, Scale
from ibsd.weights import no_such_file

BACKEND_OF_SUFFIX = {".xml": "openvino", ".onnx": "onnx"}
SUFFIX_OF_BACKEND = {backend: suffix for suffix, backend in BACKEND_OF_SUFFIX.items()}
METADATA_KEY = "ibsd"
"""Under which a model file holds its metadata block, a line of JSON."""


@dataclass(frozen=True)
class NetworkFacts:
    """What there is to know of a network without its weights."""

    name: str
    scale: Scale
    receptive_field_px: int
    """How many LR pixels away a pixel can influence the result through convolutions alone."""
    pools_globally: bool
    """Whether statistics of the whole input enter, so that tiles never equal the whole exactly."""
    minimum_size_px: int
    """Smallest LR side that it takes as it is."""
    multiple_px: int = 1
    """Both sides must be multiples of this."""
    tile_px: int = TILE_PX
    """Side of the tiles that it runs on best."""
    pads_zeros: bool = True
    """Whether sizes between the multiples are continued by zeros, as the network itself does, or by
    replication."""

    def padded(self, lr: np.ndarray) -> np.ndarray:
        """[1, 3, h, w] continued at the bottom right to a size that the network takes: first to the
        multiple, then replicated to the minimum."""
        multiples = [-(-length // self.multiple_px) * self.multiple_px for length in lr.shape[-2:]]
        smallest = [max(length, self.minimum_size_px) for length in multiples]
        for wanted, mode in (
            (multiples, "constant" if self.pads_zeros else "edge"),
            (smallest, "edge"),
        ):
            height, width = lr.shape[-2:]
            if wanted != [height, width]:
                lr = np.pad(
                    lr, ((0, 0), (0, 0), (0, wanted[0] - height), (0, wanted[1] - width)), mode=mode
                )  # pyright: ignore
        return lr


def metadata_block(facts: NetworkFacts, weights_sha256: str, precision: str) -> dict[str, Any]:
    """What is written into an exported file, and into its certificate."""
    return {"network": asdict(facts), "weights_sha256": weights_sha256, "precision": precision}


def facts_from(text: str | None, path: Path) -> tuple[NetworkFacts, str]:
    """Facts and precision in a file's metadata. InputError if it has none: not made by `ibsd
    export`."""
    try:
        block = json.loads(text or "")
        return NetworkFacts(**block["network"]), str(block["precision"])
    except (ValueError, TypeError, KeyError):
        raise InputError(
            f"{path} does not say what network it holds: name a model that ibsd export has made, or a weight file"
        ) from None


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes. InputError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise no_such_file(path) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def certificate_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.certificate.json")


def read_certificate(path: Path) -> dict[str, Any] | None:
    """The certificate beside an exported file, if there is one and it is of this very file."""
    try:
        certificate = json.loads(certificate_path(path).read_text(encoding="utf-8"))
        return certificate if certificate["files"][path.name] == sha256_of(path) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def certified_precisions(path: Path) -> set[str]:
    """Precisions in which the exported file came out as torch does; empty without a certificate of
    its own."""
    certificate = read_certificate(path) or {}
    return {
        name for name, result in certificate.get("precisions", {}).items() if result.get("passed")
    }


def exported_name(weights: Path, format: str, int8: bool = False) -> Path:
    """Where `ibsd export` writes by default: NAME.onnx, NAME.xml, NAME-ncnn.param,
    NAME-plain.safetensors; NAME-int8.xml with int8."""
    ending = {
        "onnx": ".onnx",
        "openvino": ".xml",
        "ncnn": "-ncnn.param",
        "safetensors": "-plain.safetensors",
    }[format]
    return weights.with_name(weights.stem + ("-int8" if int8 else "") + ending)


def sibling(weights: Path, backend: str, precision: str) -> Path | None:
    """The model exported from just these weights and certified, beside them; the int8 one only if
    asked for."""
    path = exported_name(weights, backend, int8=precision == "int8")
    if not path.is_file() or not weights.is_file():
        return None
    certificate = read_certificate(path)
    same = certificate is not None and certificate.get("weights_sha256") == sha256_of(weights)
    return path if same and certified_precisions(path) else None
