"""Model cards say what the weight file says of itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import tiny
from ibsd.export import save_student
from ibsd.export.model_card import model_card, openmodeldb_entry, training_metadata
from ibsd.types import InputError
from ibsd.weights import SHIPPED, weights_file


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_entry_is_made_again(name: str) -> None:
    entry = json.loads(weights_file(name).with_suffix(".json").read_text())
    assert openmodeldb_entry(weights_file(name), entry["description"], entry["date"]) == entry


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_card_is_made_again(name: str) -> None:
    """All but the scores, which no file of the package holds."""
    shipped = weights_file(name).with_suffix(".md").read_text()
    card = model_card(weights_file(name), {}, "Story.", "Photographs.", "Limits.")
    training = shipped[shipped.index("The run that made the file") : shipped.index("## Scores")]
    assert training in card
    assert card.splitlines()[:6] == shipped.splitlines()[:6]


def test_scores_stand_beside_their_difference_to_bicubic() -> None:
    own = {"psnr_y": 30.127, "ssim_y": 0.81234, "lpips": 0.3}
    bicubic = {"psnr_y": 29.0, "ssim_y": 0.8, "lpips": 0.4}
    scores = {
        "web": {"imdn-x2": own, "bicubic": bicubic},
        "unknown": {"imdn-x2": own, "bicubic": bicubic},
        "clean": {"imdn-x4": own, "bicubic": bicubic},
    }
    card = model_card(weights_file("imdn-x2"), scores, "", "", "")
    table = card[card.index("|---") : card.index("## Limits")].splitlines()
    assert table[1] == "| `web` | 30.13 (+1.13) | 0.8123 (+0.0123) | 0.3000 (-0.1000) |"
    assert table[2:] == [""], "other models and other test sets are left out"


def test_weights_without_a_run_have_no_card(tmp_path: Path) -> None:
    path = save_student(tiny.student(), tmp_path / "a.safetensors")
    with pytest.raises(InputError, match="does not say how it was trained"):
        training_metadata(path)


def test_the_entry_is_of_this_very_file() -> None:
    path = weights_file("imdn-small-x4")
    [resource] = openmodeldb_entry(path, "", "2026-01-01")["resources"]
    assert resource["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
