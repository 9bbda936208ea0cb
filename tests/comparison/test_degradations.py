"""The degradation matrix of `ibsd compare`: trained on photographs under some families, scored on
others under some more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from comparison.two_cameras import TOML, probe_briefly, run_compare
from ibsd.commands.plan import Comparison
from ibsd.comparison.store import Store
from ibsd.config.comparison import load_compare_config
from ibsd.data.samples import SPLITS, sample
from ibsd.images.rgb import write_rgb
from ibsd.types import InputError

PHOTOGRAPHS = """
[compare]
folder = "results"
work = "work"
seeds = [0]
[compare.examine]
watch = ["watch"]
photographs = "others"
classes = ["blur disc", "jpeg 50"]
patch_px = 8
patches = 8
fit_steps = 8
crop_px = 32
rounds = 1
[base.student]
scale = 2
options = { width = 8, num_blocks = 3 }
[base.data]
photographs = "photographs"
degradations = { "blur gaussian" = 1, "jpeg 90" = 1 }
batch_size = 2
patch_px = 8
[base.training]
num_steps = 4
log_every = 2
checkpoint_every = 2
[settings.one.tests.unseen]
photographs = "others"
families = ["blur disc", "jpeg 50"]
crop_px = 64
[arms.plain]
objective.name = "plain"
[arms.watch]
objective.name = "ibsd"
[arms.watch.objective.options]
warm_up = 0
ramp = 0
period = 2
soft_target = "snapshot"
lambda_mi = 0.0
lambda_hf = 0.0
[arms.ibsd]
objective.name = "ibsd"
objective.options = { warm_up = 0, ramp = 0, period = 2, soft_target = "snapshot" }
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the comparison's config and crops of the package's photographs."""
    names = [name for split in ("train", "test", "val") for name in SPLITS[split]]
    for folder, some in (("photographs", names[:4]), ("others", names[4:9])):
        (tmp_path / folder).mkdir()
        for name in some:
            write_rgb(tmp_path / folder / f"{name}.png", sample(name)[40:136, 40:136].copy())
    (tmp_path / "compare.toml").write_text(PHOTOGRAPHS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_row_for_each_family_and_their_mean_per_photograph(place: Path) -> None:
    results = run_compare("compare.toml", only=["*/plain/0", "*/ibsd/0"])
    records = Store(place / "results").records
    tests = next(record.tests for record in records if record.identity.arm == "ibsd")
    assert list(tests) == ["unseen/blur disc", "unseen/jpeg 50", "unseen"]
    assert len(tests["unseen"].images) == 5
    primary = "basicsr-y.psnr_y"
    parts = [tests[f"unseen/{family}"] for family in ("blur disc", "jpeg 50")]
    assert all(
        part.bicubic.keys() == part.scores["ema"].keys() == {primary} for part in parts
    )  # all that is shown of a row
    rows = [part.scores["ema"][primary] for part in parts]
    assert np.allclose(np.mean(rows, axis=0), tests["unseen"].scores["ema"][primary], atol=1e-6)
    assert len(tests["unseen"].scores["raw"]) > 3
    assert not np.allclose(rows[0], rows[1])
    primary = [each.test for each in results.differences if each.primary]
    assert primary == ["unseen"]  # a claim is made of the mean alone
    page = (place / "results/results.md").read_text()
    assert "Each degradation of `unseen` by itself" in page
    assert page.count("| blur disc |") == 1
    assert page.count("(results-matrix-") == 2  # against bicubic, and against plain
    drawn = (place / "results/results-matrix-2.svg").read_text()
    assert "less plain" in drawn and ">jpeg 50<" in drawn
    assert "base.data.photographs=FOLDER" in page
    run_compare("compare.toml", table_only=True)
    assert (place / "results/results.md").read_text() == page


@pytest.mark.slow
def test_what_degrades_is_part_of_the_run_and_of_no_other(place: Path) -> None:
    comparison = Comparison(load_compare_config("compare.toml"))
    identity = comparison.request(comparison.names[0]).identity
    assert identity.config["training"]["data.degradations"] == [
        ["blur gaussian", 1],
        ["jpeg 90", 1],
    ]
    other = (
        Comparison(load_compare_config("compare.toml", ["settings.one.tests.unseen.crop_px=96"]))
        .request(comparison.names[0])
        .identity
    )
    assert other.training_key == identity.training_key and other.key != identity.key
    (place / "pairs.toml").write_text(TOML)
    pairs = Comparison(load_compare_config("pairs.toml"))
    options = pairs.request(pairs.names[0], with_data=False).identity.config["training"]
    assert "data.degradations" not in options


@pytest.mark.slow
def test_a_photograph_that_was_trained_on_is_not_scored_on(place: Path) -> None:
    trained_on = next((place / "photographs").iterdir())
    (place / "others" / "renamed.png").write_bytes(trained_on.read_bytes())
    with pytest.raises(InputError, match=r"renamed\.png \(test\) is the same picture as"):
        run_compare("compare.toml", only=["*/plain/0"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            'settings.one.tests.unseen.families=["blur of mind"]',
            "unknown degradation 'blur of mind'",
        ),
        ("settings.one.tests.unseen.families=[]", "together with families"),
        ('compare.examine.classes=["halo", "hallo"]', "unknown degradation 'hallo'"),
        ('arms.ibsd.objective.options.soft_target="bank"', "set it to 'snapshot'"),
        ("base.data.degradations={hallo=1}", "unknown degradation 'hallo'"),
    ],
)
def test_bad_families_are_named(place: Path, override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run_compare("compare.toml", [override], only=["*/ibsd/0"])


@pytest.mark.slow
def test_the_probe_sees_the_same_photographs_under_every_family(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe_briefly(monkeypatch)
    run_compare("compare.toml")
    results = run_compare("compare.toml", examine=True)
    assert {line.arm for line in results.probes} == {
        "plain",
        "watch",
        "ibsd",
        "random weights",
        "LR pixels",
    }
    assert {line.chance for line in results.probes} == {0.5}
    assert "ibsd" in [line.arm for line in results.decompositions]
