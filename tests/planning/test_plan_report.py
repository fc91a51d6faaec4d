"""How a plan is counted up, and what is advised."""

from dataclasses import replace

import pytest

from darts_lite.planning.plan_report import Executors, Plan, Stage, advise

STAGE = Stage(
    name="search",
    parameters=1000,
    batch_size=64,
    images=60_000,
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


def test_a_limit_of_time_ends_each_of_several_searches() -> None:
    assert replace(STAGE, most=60.0).seconds == 120.0
    assert replace(STAGE, most=1e6).seconds == STAGE.seconds


@pytest.mark.parametrize(
    ("changes", "stage", "said"),
    [
        ({}, {}, "nothing to change"),
        ({"peak": 9 * 10**9}, {}, "halve data.search_batch_size"),
        ({"device": "cuda, NVIDIA H100"}, {}, "bf16-mixed"),
        (
            {"device": "cuda, NVIDIA H100", "precision": "bf16-mixed"},
            {"largest_batch": 4096},
            "2048 would fit",
        ),
        ({}, {"epochs": 1000}, "partial_channels"),
        ({}, {"epochs": 1000, "name": "retraining"}, "fewer retraining.max_epochs"),
    ],
)
def test_advice(changes: dict[str, object], stage: dict[str, object], said: str) -> None:
    stages = (replace(STAGE, **stage),)  # type: ignore[arg-type]
    assert said in advise(replace(PLAN, stages=stages, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("taken", "literal", "said"),
    [
        ("folded", 3.0, "folded; the other one takes 1.50 times as long here"),
        ("folded", 1.96, "folded; the other one is as fast here"),
        ("folded", 1.0, "folded, but literal is 2.00 times as fast here: --model.executor literal"),
        ("Own", 3.0, "Own, which was asked for; the fastest built-in one here is folded"),
    ],
)
def test_a_plan_says_where_the_rule_is_wrong(taken: str, literal: float, said: str) -> None:
    assert Executors(taken, {"folded": 2.0, "literal": literal}).describe() == said
