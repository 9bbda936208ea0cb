"""Published trees, made up small: recognised, named, matched; and what is wrong with one is
said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ibsd.cli.main import main
from ibsd.data.integrity import check_pairs, fingerprint
from ibsd.data.layouts import CITY100_TEST, PUBLISHED, find_data
from ibsd.data.pairs import find_layout, load_pair
from ibsd.data.scaled_pairs import write_scaled_pairs
from ibsd.export.weights import save_student
from ibsd.images.rgb import read_rgb, write_rgb
from ibsd.students import create_student
from ibsd.types import InputError

LR_PX = 12


def picture(seed: int, size_px: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size_px, size_px + 2, 3), np.uint8)


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rgb(path, pixels)


def realsr(root: Path, same_size: bool = False, scales: tuple[int, ...] = (2, 4)) -> Path:
    for scale in scales:
        for seed, (camera, split, number) in enumerate(
            [
                ("Canon", "Train", 1),
                ("Canon", "Train", 2),
                ("Nikon", "Train", 1),
                ("Canon", "Test", 1),
                ("Nikon", "Test", 2),
            ]
        ):
            hr = picture(10 * seed + scale, LR_PX * scale)
            hr = hr[:, : LR_PX * scale]
            stem = root / camera / split / str(scale) / f"{camera}_{number:03d}"
            write(stem.with_name(f"{stem.name}_HR.png"), hr)
            write(
                stem.with_name(f"{stem.name}_LR{scale}.png"),
                hr if same_size else hr[::scale, ::scale],
            )
    return root


def drealsr(root: Path, nested: bool = False) -> Path:
    for scale in (2, 3, 4):
        for seed, (split, name) in enumerate(
            [("Train", "panasonic_1{}_3"), ("Train", "sony_2{}"), ("Test", "DSC_1412{}")]
        ):
            folder = (root / f"x{scale}" if nested else root) / f"{split}_x{scale}"
            hr = picture(seed, LR_PX * scale)[:, : LR_PX * scale]
            write(folder / f"{split.lower()}_HR" / f"{name.format('_x1')}.png", hr)
            write(
                folder / f"{split.lower()}_LR" / f"{name.format(f'_x{scale}')}.png",
                hr[::scale, ::scale],
            )
    return root


def city100(root: Path) -> Path:
    for camera in ("NikonD5500", "iPhoneX"):
        for number in (1, 2, 16, 99):
            hr = picture(number, 25)
            write(root / f"City100_{camera}" / f"{number:03d}H.PNG", hr)
            write(root / f"City100_{camera}" / f"{number:03d}L.PNG", hr // 2)
    return root


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("place", [".", "RealSR(V3)"])
def test_realsr_v3(place: str, scale: int, tmp_path: Path) -> None:
    layout = find_data(realsr(tmp_path / place) and tmp_path, scale)
    assert layout.sentence() == f"RealSR V3 (Canon and Nikon) x{scale}: train 3, test 2 pairs"
    assert [pair.name for pair in layout.sets.train] == ["Canon_001", "Canon_002", "Nikon_001"]
    assert [pair.name for pair in layout.sets.test] == ["Canon_001", "Nikon_002"]
    assert [pair.name for pair in layout.sets.select("Nikon*").all()] == ["Nikon_001", "Nikon_002"]
    check_pairs(layout.sets.all(), scale)
    for pair in layout.sets.all():
        lr, hr = load_pair(pair)
        assert np.array_equal(lr, hr[::scale, ::scale])


def test_one_camera_of_realsr(tmp_path: Path) -> None:
    layout = find_data(realsr(tmp_path) / "Nikon", 2)
    assert (layout.name, len(layout.sets.train), len(layout.sets.test)) == (
        "RealSR V3 (Nikon) x2",
        1,
        1,
    )


def test_the_working_folder_has_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(realsr(tmp_path) / "Nikon")
    assert find_data(".", 2).name == "RealSR V3 (Nikon) x2"
    monkeypatch.chdir(city100(tmp_path / "City100") / "City100_iPhoneX")
    with pytest.raises(InputError, match=r"\. is City100 \(iPhoneX\)"):
        find_data(".", 2)


def test_realsr_of_another_version_or_scale_or_in_part(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="RealSR at scale 2 and 4, not 3"):
        find_data(realsr(tmp_path / "v3"), 3)
    with pytest.raises(InputError, match="RealSR V1 or V2 .*HR's size.*write_scaled_pairs"):
        find_data(realsr(tmp_path / "v2", same_size=True), 2)
    (tmp_path / "v3/Canon/Train/2/Canon_002_LR2.png").unlink()
    with pytest.raises(InputError, match="1 image without a partner.*Canon_002_HR.png"):
        find_data(tmp_path / "v3", 2)
    assert len(find_data(tmp_path / "v3", 4).sets.train) == 3


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_drealsr(nested: bool, scale: int, tmp_path: Path) -> None:
    layout = find_data(drealsr(tmp_path, nested), scale)
    assert layout.sentence() == f"DRealSR x{scale}: train 2, test 1 pairs"
    assert [pair.name for pair in layout.sets.all()] == ["panasonic_1_3", "sony_2", "DSC_1412"]
    check_pairs(layout.sets.all(), scale)
    assert find_data(tmp_path / f"x{scale}" if nested else tmp_path, scale) == layout


def test_drealsr_without_the_scale(tmp_path: Path) -> None:
    root = drealsr(tmp_path, nested=True)
    with pytest.raises(InputError, match="DRealSR at scale 4, not 2"):
        find_data(root / "x4", 2)


def test_city100_is_named_and_brought_to_scale(tmp_path: Path) -> None:
    root = city100(tmp_path / "City100")
    with pytest.raises(InputError, match=r"City100 \(NikonD5500 and iPhoneX\).*write_scaled_pairs"):
        find_data(root, 2)
    with pytest.raises(InputError, match="scale 2 and 3, not 4"):
        find_data(root, 4)
    sets = write_scaled_pairs(tmp_path, tmp_path / "pairs", 2)  # from the folder above it
    assert [pair.name for pair in sets.train] == [
        "NikonD5500_002",
        "NikonD5500_099",
        "iPhoneX_002",
        "iPhoneX_099",
    ]
    assert {pair.name[-3:] for pair in sets.test} == {"001", "016"} <= set(CITY100_TEST)
    check_pairs(sets.all(), 2)
    assert find_data(tmp_path / "pairs", 2).name == PUBLISHED
    hr = read_rgb(root / "City100_iPhoneX/002H.PNG")
    lr, written = load_pair(sets.train[2])
    assert np.array_equal(written, hr[:24, :26])
    assert lr.shape == (12, 13, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["City100", "pairs"]
    with pytest.raises(InputError, match="there already"):
        write_scaled_pairs(root, tmp_path / "pairs", 2)
    assert (
        find_data(
            write_scaled_pairs(root / "City100_iPhoneX", tmp_path / "phone", 3)
            and tmp_path / "phone",
            3,
        ).sets.val
        == ()
    )


def test_shrinking_keeps_the_picture_in_place(tmp_path: Path) -> None:
    """A linear ramp stays the same ramp at the pixel centres of the coarser grid, away from the
    borders."""
    for scale in (2, 3):
        ramp = np.repeat((5 * np.arange(48, dtype=np.uint8))[None, :, None], 48, 0).repeat(3, 2)
        write(tmp_path / f"in{scale}/City100_iPhoneX/002L.PNG", ramp)
        write(tmp_path / f"in{scale}/City100_iPhoneX/002H.PNG", ramp)
        lr, _ = load_pair(
            write_scaled_pairs(tmp_path / f"in{scale}", tmp_path / f"out{scale}", scale).train[0]
        )
        centres = 5 * (scale * (np.arange(48 // scale) + 0.5) - 0.5)
        assert np.abs(lr[8, 3:-3, 0] - centres[3:-3]).max() <= 0.5


def test_realsr_v2_is_brought_to_its_scale(tmp_path: Path) -> None:
    sets = write_scaled_pairs(realsr(tmp_path / "v2", same_size=True), tmp_path / "pairs", 4)
    check_pairs(sets.all(), 4)
    assert [len(pairs) for pairs in sets.by_split().values()] == [3, 0, 2]
    with pytest.raises(InputError, match="small already"):
        write_scaled_pairs(tmp_path / "pairs", tmp_path / "again", 4)


def test_published_pairs_are_found_and_fingerprinted_as_before(tmp_path: Path) -> None:
    for split in ("train", "val"):
        hr = picture(len(split), 4 * LR_PX)[:, : 4 * LR_PX]
        write(tmp_path / "pairs" / f"{split}_HR" / "a.png", hr)
        write(tmp_path / "pairs" / f"{split}_LR" / "a.png", hr[::4, ::4])
    layout = find_data(tmp_path / "pairs", 4)
    assert (layout.name, layout.sets) == (PUBLISHED, find_layout(tmp_path / "pairs"))
    for side in ("LR", "HR"):
        (tmp_path / "own" / side).parent.mkdir(exist_ok=True)
        (tmp_path / "own" / side).symlink_to(tmp_path / "pairs" / f"train_{side}")
    own = find_data(tmp_path / "own", 2)
    assert own.name == "two folders" and len(own.sets.train) == len(layout.sets.train)
    assert [len(pairs) for pairs in layout.sets.by_split().values()] == [1, 1, 0]
    # Finished runs are kept under fingerprints: this one must never change.
    assert fingerprint(layout.sets.val).startswith("f8c0a238b407df27")


@pytest.mark.parametrize(
    "make",
    [
        lambda root: root.mkdir(),
        lambda root: None,
        lambda root: write(root / "a.png", picture(0, 9)),
    ],
)
def test_a_folder_of_no_layout_is_refused_as_before(
    make: Callable[[Path], object], tmp_path: Path
) -> None:
    make(tmp_path / "x")
    with pytest.raises(InputError) as expected:
        find_layout(tmp_path / "x")
    with pytest.raises(InputError) as found:
        find_data(tmp_path / "x", 4)
    assert str(found.value) == str(expected.value)


@pytest.mark.slow
def test_commands_take_a_layout_and_name_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    realsr(tmp_path / "RealSR(V3)")
    weights = save_student(
        create_student("imdn", 2, width=8, num_blocks=3), tmp_path / "net.safetensors"
    )
    assert main(["evaluate", str(weights), str(tmp_path), "--no-lpips", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["images"] == 2
    assert "RealSR V3 (Canon and Nikon) x2" in " ".join(said.err.split())
    (tmp_path / "run.toml").write_text(
        "student = { scale = 2, options = { width = 8, num_blocks = 3 } }\n"
        'objective = { name = "plain" }\n'
        'data = { pairs = ".", batch_size = 2, patch_px = 8, select = "Canon*" }\n'
        "training = { num_steps = 1 }\n"
    )
    assert main(["train", "run.toml"]) == 0
    assert "RealSR V3 (Canon and Nikon) x2: train 3, test 2 pairs" in " ".join(
        capsys.readouterr().err.split()
    )
