"""What is said of records: paired differences, the noise floor, and refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny
from comparison.made_up import METRIC, by_name, design, record
from ibsd.comparison.pairing import layout_hash, obstacles, weights_hash
from ibsd.comparison.results import Difference, Results
from ibsd.comparison.store import RunRecord
from ibsd.comparison.summary import summarise
from ibsd.reporting.tables import verdict_text

PLAIN = np.linspace(28.0, 33.0, 12)


def runs(arm: str, *offsets: float, batches: str = "order") -> list[RunRecord]:
    """One run a seed, better than plain by the seed's offset, with a little of the image's own."""
    wobble = 0.01 * np.sin(np.arange(12))
    return [
        record(arm, seed, PLAIN + offset + wobble * (arm != "plain"), batches)
        for seed, offset in enumerate(offsets)
    ]


def primary(results: Results, arm: str) -> Difference:
    [found] = [each for each in results.differences if each.primary and each.arm == arm]
    return found


def test_a_steady_gain_is_better_and_stands_beside_its_noise_floor() -> None:
    everything = by_name(
        *runs("plain", 0, 0, 0),
        *runs("good", 0.1, 0.11, 0.12),
        *runs("again", 0.02, -0.02, 0.01, batches="other"),
    )
    results = summarise(design(good="treatment", again="a/a"), everything)
    good = primary(results, "good")
    assert good.verdict == "better"
    assert good.kind == "treatment"
    assert good.mean == pytest.approx(0.11, abs=0.005)
    assert (good.wins, good.losses, good.num_images, good.num_seeds) == (12, 0, 12, 3)
    assert good.noise_floor is not None
    assert 0.0 < good.noise_floor < 0.11
    assert verdict_text(good) == "better"
    assert primary(results, "again").kind == "a/a"
    lpips = next(
        each
        for each in results.differences
        if each.arm == "good" and each.metric == "ibsd-cdc.lpips" and each.weights == "ema"
    )
    assert (lpips.verdict, lpips.wins) == ("worse", 0)  # less is better there
    assert not results.refused
    assert not results.missing


def test_two_seeds_are_no_interval() -> None:
    results = summarise(
        design(good="treatment"), by_name(*runs("plain", 0, 0), *runs("good", 0.1, 0.1))
    )
    assert primary(results, "good").verdict == "no interval"
    assert results.missing == ("north/plain/2", "north/good/2")


def test_another_data_order_is_refused_but_for_the_roles_that_say_so() -> None:
    everything = by_name(
        *runs("plain", 0, 0, 0),
        *runs("other", 1, 1, 1, batches="other"),
        *runs("marked", 1, 1, 1, batches="other"),
    )
    results = summarise(design(other="treatment", marked="unpaired"), everything)
    assert [each.arm for each in results.differences if each.primary] == ["marked"]
    assert primary(results, "marked").kind == "unpaired"
    assert len(results.refused) == 3
    assert (
        results.refused[0]
        == "north/other/0 is not compared with north/plain/0: their batches differ"
    )


def test_an_aa_pair_must_have_another_order() -> None:
    results = summarise(
        design(again="a/a"), by_name(*runs("plain", 0, 0, 0), *runs("again", 0, 0, 0))
    )
    assert not results.differences
    assert "no A/A pair" in results.refused[0]


def test_other_initial_weights_are_refused() -> None:
    plain, good = record("plain"), record("good")
    good = replace(good, pairing={**good.pairing, "initial_weights": "elsewhere"})
    assert obstacles(good, plain) == ["their initial weights differ"]
    results = summarise(design(good="treatment"), by_name(plain, good))
    assert not results.differences
    assert "initial weights" in results.refused[0]


def test_a_longer_schedule_is_compared_on_the_batches_of_the_shorter() -> None:
    plain, longer = record("plain"), record("longer")
    longer = replace(
        longer,
        pairing={
            **longer.pairing,
            "num_steps": 12,
            "batches": "twice",
            "marks": {"6": "order0", "12": "twice"},
        },
    )
    assert obstacles(longer, plain) == []
    assert obstacles(replace(longer, pairing={**longer.pairing, "marks": {}}), plain) == [
        "their batches differ"
    ]


def test_a_run_that_was_given_up_has_no_difference_but_a_cost() -> None:
    failed = replace(record("bad"), outcome="100 steps in a row had to be skipped", tests={})
    results = summarise(design(bad="treatment"), by_name(record("plain"), failed))
    assert not results.differences
    assert "given up" in results.refused[0]
    assert [cost.given_up for cost in results.costs] == [0, 1]


def test_a_different_network_at_inference_is_seen() -> None:
    wide = replace(record("wide"), inference={"parameters": 200, "layout": "other", "weights": "y"})
    results = summarise(design(wide="treatment"), by_name(record("plain"), wide))
    assert [cost.same_inference for cost in results.costs] == [True, False]


def test_patches_weigh_images_under_realsr_testm() -> None:
    def weighted(arm: str, scores: tuple[float, float]) -> RunRecord:
        base = record(arm, scores=scores)
        test = replace(
            base.tests["new"],
            patches=(1, 3),
            scores={"ema": {"realsr-testm.psnr_y": scores, METRIC: scores}},
        )
        return replace(base, tests={"new": test})

    results = summarise(
        design(good="treatment"),
        by_name(weighted("plain", (30.0, 30.0)), weighted("good", (30.0, 31.0))),
    )
    assert {each.metric: each.mean for each in results.differences} == {
        "realsr-testm.psnr_y": 0.75,
        METRIC: 0.5,
    }


def test_hashes_see_values_shapes_and_names() -> None:
    one, other = tiny.student(0).state_dict(), tiny.student(1).state_dict()
    assert weights_hash(one) == weights_hash({name: one[name].clone() for name in reversed(one)})
    assert weights_hash(one) != weights_hash(other)
    assert (
        layout_hash(one)
        == layout_hash(other)
        != layout_hash(tiny.student(0, width=12).state_dict())
    )
    assert weights_hash({"a": torch.zeros(2)}) != weights_hash({"b": torch.zeros(2)})


def test_a_contrast_is_a_paired_difference_of_any_two_arms() -> None:
    """Its mean is the difference of both arms' differences to the baseline; its interval is its
    own."""
    everything = by_name(
        *runs("plain", 0, 0, 0), *runs("one", 0.3, 0.31, 0.32), *runs("two", 0.1, 0.11, 0.12)
    )
    both = design(one="treatment", two="treatment")
    results = summarise(replace(both, contrasts=(("one", "two"),)), everything)
    [contrast] = results.contrasts
    assert (contrast.arm, contrast.against, contrast.num_seeds) == ("one", "two", 3)
    assert (contrast.weights, contrast.metric, contrast.kind) == ("ema", METRIC, "treatment")
    to_baseline = {
        item.arm: item
        for item in results.differences
        if (item.weights, item.metric) == ("ema", METRIC)
    }
    assert contrast.mean == pytest.approx(to_baseline["one"].mean - to_baseline["two"].mean)
    assert contrast.mean == pytest.approx(0.2)
    assert contrast.t_interval == pytest.approx((0.2, 0.2))
    assert {item.against for item in results.differences} == {"plain"}


def test_a_contrast_of_runs_that_are_no_pair_is_refused() -> None:
    everything = by_name(record("plain"), record("one"), record("two", batches="other"))
    both = replace(design(one="treatment", two="treatment"), contrasts=(("one", "two"),))
    results = summarise(both, everything)
    assert results.contrasts == ()
    assert "north/one/0 is not compared with north/two/0: their batches differ" in results.refused
