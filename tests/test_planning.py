"""A plan: what is measured, how it is counted up, and what is advised."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs import SMALL, Finished

from darts_lite import room
from darts_lite.commands import main
from darts_lite.costs import CostTable, parameters
from darts_lite.data import ImageData
from darts_lite.derivation import WithinBudget
from darts_lite.plan_report import Plan, Stage, advice
from darts_lite.planning import likely
from darts_lite.search import ArchitectureSearch

STAGE = Stage(
    name="search",
    parameters=1000,
    batch_size=64,
    largest_batch=128,
    steps=100,
    epochs=5,
    step=0.2,
    warmup_epochs=1.5,
    warmup_step=0.1,
    validation=2.0,
    last_validation=9.0,
    between=1.0,
    once=30.0,
    times=2,
)
PLAN = Plan("cpu, 2 threads", 8.0, (STAGE,), 10**9, 10**10, "32-true")


def test_seconds_are_counted_up() -> None:
    steps = 150 * 0.1 + 350 * 0.2
    assert STAGE.seconds == pytest.approx(2 * (steps + 4 * 2.0 + 9.0 + 5 * 1.0 + 30.0))
    assert PLAN.seconds == pytest.approx(8.0 + STAGE.seconds)


@pytest.mark.parametrize(
    ("changes", "stage", "said"),
    [
        ({}, {}, "nothing to change"),
        ({"peak": 9 * 10**9}, {}, "halve data.search_batch_size"),
        ({"device": "cuda, H100"}, {}, "bf16-mixed"),
        ({"device": "cuda", "precision": "bf16-mixed"}, {"largest_batch": 4096}, "2048 would fit"),
        ({}, {"epochs": 1000}, "partial_channels"),
        ({}, {"epochs": 1000, "name": "retraining"}, "fewer retraining.max_epochs"),
    ],
)
def test_advice(changes: dict[str, object], stage: dict[str, object], said: str) -> None:
    stages = (replace(STAGE, **stage),)  # type: ignore[arg-type]
    assert said in advice(replace(PLAN, stages=stages, **changes))  # type: ignore[arg-type]


def test_a_plan_of_a_search_and_its_retraining(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [f"--run.folder={tmp_path / 'logs'}", "--model.warmup_epochs=0.5"]
    main(["plan", "--config", str(finished.config), *finished.data, *changes])
    table, last = capsys.readouterr().out.rsplit("\n", 2)[:2]
    plan = json.loads(last)
    search, retraining = plan["stages"]
    assert search["epochs"] == 2 and search["warmup_epochs"] == 0.5
    assert search["parameters"] >= finished.summary["supernet_params"]
    assert retraining["epochs"] == finished.summary["retrain_epochs"]
    for stage in (search, retraining):
        assert stage["step"] > 0 and stage["largest_batch"] >= stage["batch_size"]
        assert f"{stage['parameters']:,}" in table
    assert search["steps"] == 18  # of 1,800 images, 100 at once
    assert plan["seconds"] > search["seconds"] > 0 and plan["available"] > plan["peak"] > 10**8
    assert "Advice: " in table
    assert not (tmp_path / "logs").exists() or not list((tmp_path / "logs").rglob("*.ckpt"))


def test_a_plan_of_a_retraining_alone(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--model.architecture", str(finished.directory / "architecture.json")]
    main(["plan", "--config", "retrain", *settings, *finished.data, "--trainer.max_epochs=7"])
    plan = json.loads(capsys.readouterr().out.splitlines()[-1])
    (stage,) = plan["stages"]
    assert stage["name"] == "retraining" and stage["epochs"] == 7


def test_what_stands_for_the_found_net_is_within_the_budget(digits: ImageData) -> None:
    rule = WithinBudget(parameters=3000)
    search = ArchitectureSearch(SMALL, derivation=rule)
    table = CostTable.measure(SMALL, parameters, 1, 10, 28)
    assert table.of(likely(search, digits)) <= 3000


def test_exploration_is_refused(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = ["--config", "algorithms/random_search"]
    with pytest.raises(SystemExit):
        main(["plan", "--config", str(finished.config), *overlay, *finished.data])
    assert "set run.max_minutes" in capsys.readouterr().err


def test_the_largest_batch_follows_from_what_images_take() -> None:
    def attempt(size: int) -> None:
        torch.ones(size, 2**18)  # a mebibyte each

    device = torch.device("cpu")
    room_for = room.available(device) / 2**20
    found = room.largest_batch(attempt, 16, 10**9, device)
    assert 0.5 * room_for < found <= room_for
    assert room.largest_batch(attempt, 16, 40, device) == 40


def test_too_little_memory_is_seen() -> None:
    def attempt(size: int) -> None:
        if size > 100:
            raise MemoryError

    assert room.largest_batch(attempt, 16, 10**6, torch.device("cpu")) == 64
