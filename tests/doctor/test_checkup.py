"""What is planted in a folder of pairs is found, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.data import samples
from ibsd.data.layouts import find_data
from ibsd.data.samples import write_sample_pairs
from ibsd.doctor.alignment import Misalignment, displaced
from ibsd.doctor.checkup import Checkup, check_folder
from ibsd.doctor.drop_list import drop_list, read_drop_list
from ibsd.images.rgb import read_rgb, to_tensor, write_rgb
from ibsd.metrics import score
from ibsd.reporting.doctor import doctor_page

SHIFT = Misalignment(0.9, -0.6, 0.0)
HR_PX = 270


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirteen pairs at x3 with nothing wrong. Not to be changed."""
    whole = samples.sample

    def middle(name: str) -> np.ndarray:
        image = whole(name)
        top, left = ((side - HR_PX) // 2 for side in image.shape[:2])
        return image[top : top + HR_PX, left : left + HR_PX]

    folder = tmp_path_factory.mktemp("sound") / "pairs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "sample", middle)
        write_sample_pairs(folder, 3)
    return folder


@pytest.fixture(scope="module")
def ill(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with a mistake of every kind."""
    folder = tmp_path_factory.mktemp("ill") / "pairs"
    shutil.copytree(sound, folder)
    lr, hr = folder / "train_LR", folder / "train_HR"

    def add(name: str, lr_image: np.ndarray, hr_image: np.ndarray) -> None:
        write_rgb(lr / f"{name}.png", lr_image)
        write_rgb(hr / f"{name}.png", hr_image)

    original = read_rgb(hr / "table.png")
    write_rgb(
        hr / "table.png", displaced(original, Misalignment(-SHIFT.down_px, -SHIFT.right_px, 0.0), 3)
    )  # so that LR lies at +SHIFT
    Image.open(folder / "test_HR" / "dogs.png").save(hr / "leaked.jpg", quality=80)
    Image.open(folder / "test_LR" / "dogs.png").save(lr / "leaked.png")
    add(
        "again",
        np.ascontiguousarray(read_rgb(lr / "stream.png")[:, ::-1]),
        np.ascontiguousarray(read_rgb(hr / "stream.png")[:, ::-1]),
    )
    add("flat", np.full((40, 40, 3), 90, np.uint8), np.full((120, 120, 3), 90, np.uint8))
    rings, waves = (
        (128 + 127 * np.sin(np.hypot(*np.mgrid[:120, :120]) / px))
        .astype(np.uint8)[..., None]
        .repeat(3, 2)
        for px in (4, 9)
    )
    add("other", read_rgb(lr / "coffee.png")[:40, :40], rings)
    add(
        "burnt",
        np.where(waves[1::3, 1::3] > 100, 255, 0).astype(np.uint8),
        np.where(waves > 100, 255, 0).astype(np.uint8),
    )
    add("sizes", np.zeros((40, 40, 3), np.uint8), np.zeros((123, 120, 3), np.uint8))
    add("cut", read_rgb(lr / "fig.png"), read_rgb(hr / "fig.png"))
    (hr / "cut.png").write_bytes((hr / "cut.png").read_bytes()[:5000])
    write_rgb(lr / "alone.png", read_rgb(lr / "fig.png"))
    return folder


@pytest.fixture(scope="module")
def checkup(ill: Path) -> Checkup:
    return check_folder(ill)


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_wrong(sound: Path):
    found = check_folder(sound)
    assert (found.scale, found.scales, found.layout) == (3, (3,), "published layout")
    assert found.counts() == {}
    assert found.drop == {}
    assert [health.split for health in found.pairs].count("train") == 8
    assert all(
        health.misalignment is not None and health.misalignment.shift_px < 0.05
        for health in found.pairs
    )


@pytest.mark.slow
def test_every_planted_mistake_is_found_and_nothing_else(checkup: Checkup):
    found = {
        health.pair.name: [finding.kind for finding in health.findings]
        for health in checkup.pairs
        if health.findings
    }
    assert found == {
        "table": ["shift"],
        "leaked": ["leak"],
        "stream": ["copy"],
        "flat": ["flat"],
        "other": ["other scene"],
        "burnt": ["saturated"],
        "sizes": ["unusable"],
        "cut": ["unusable"],
    }
    assert [path.name for path in checkup.alone] == ["alone.png"]
    assert checkup.counts()["no partner"] == 1


@pytest.mark.slow
def test_the_planted_shift_is_measured_and_its_ceiling_is_what_it_costs(
    checkup: Checkup, sound: Path
):
    health = next(health for health in checkup.pairs if health.pair.name == "table")
    assert health.misalignment is not None
    assert health.misalignment.down_px == pytest.approx(SHIFT.down_px, abs=0.05)
    assert health.misalignment.right_px == pytest.approx(SHIFT.right_px, abs=0.05)
    truth, shifted = (
        to_tensor(read_rgb(sound / "train_HR" / "table.png")),
        to_tensor(read_rgb(health.pair.hr)),
    )
    assert health.ceiling == pytest.approx(
        score(truth, shifted, 3, lpips=False)["basicsr-y"]["psnr_y"], abs=0.7
    )


@pytest.mark.slow
def test_a_shift_that_all_share_costs_nothing(sound: Path, tmp_path: Path):
    shutil.copytree(sound, tmp_path / "pairs")
    for side in ("LR", "HR"):
        shutil.rmtree(tmp_path / "pairs" / f"train_{side}")
    for path in (tmp_path / "pairs").glob("*_HR/*.png"):
        image = displaced(read_rgb(path), Misalignment(1.0, 1.0, 0.0), 3)
        path.unlink()
        write_rgb(path, image)
    found = check_folder(tmp_path / "pairs")
    assert (found.common.down_px, found.common.right_px) == pytest.approx((-1.0, -1.0), abs=0.03)
    assert found.drop == {}
    assert all(health.ceiling is not None and health.ceiling > 35 for health in found.pairs)


@pytest.mark.slow
def test_what_is_left_without_the_dropped_files_is_sound(
    checkup: Checkup, ill: Path, tmp_path: Path
):
    (tmp_path / "drop.txt").write_text(drop_list(checkup.drop, ill))
    dropped = read_drop_list(tmp_path / "drop.txt", ill)
    assert {path.resolve() for path in dropped} == {path.resolve() for path in checkup.drop}
    sets = find_data(ill, 3, dropped).sets
    assert {pair.name for pair in sets.train} == {
        "brushes",
        "coffee",
        "dahlia",
        "fig",
        "mountains",
        "rocket",
        "again",
    }
    assert len(sets.test) == 3


@pytest.mark.slow
def test_two_folders(sound: Path):
    found = check_folder(lr=sound / "val_LR", hr=sound / "val_HR")
    assert (found.scale, len(found.pairs), found.counts()) == (3, 2, {})


@pytest.mark.slow
@pytest.mark.parametrize("scale", [2, 4])
def test_a_scale_that_the_pictures_do_not_have_is_said_of_each(sound: Path, scale: int):
    found = check_folder(sound, scale=scale)
    assert found.counts() == {"unusable": 13}


@pytest.mark.slow
def test_the_page_names_what_was_found(checkup: Checkup):
    page = doctor_page("<mine>", checkup, "1")
    assert "&lt;mine&gt;" in page
    for word in (
        "leaked",
        "the same picture as dogs in test",
        "flat: 1 pair",
        "no partner: 1 file",
        "train 15, val 2, test 3",
    ):
        assert word in page
