"""The plan of a play-off."""

import pytest

from darts_lite.search.playoff.heats import Heat, plan_heats


def test_cohorts_are_halved_and_then_the_best_of_all() -> None:
    heats = plan_heats(103, opening=12, cohorts=1, children=6, finalists=4)
    assert heats == [
        Heat("new", 0, 5, 12),
        Heat("on", 5, 5, 6),
        Heat("on", 10, 10, 3),
        Heat("new", 20, 5, 6),
        Heat("on", 25, 5, 3),
        Heat("on", 30, 10, 1),
        Heat("final", 40, 20, 4),
        Heat("final", 60, 43, 2),  # with what is left of the steps
    ]


@pytest.mark.parametrize("finalists", [1, 2, 3, 5, 8])
def test_every_step_belongs_to_one_heat(finalists: int) -> None:
    heats = plan_heats(1234, opening=9, cohorts=3, children=5, finalists=finalists)
    assert [heat.begins for heat in heats] == [0, *(heat.ends for heat in heats[:-1])]
    assert heats[-1].ends == 1234
    assert [heat.size for heat in heats if heat.kind == "final"][0] == finalists


def test_too_few_steps_are_named() -> None:
    assert plan_heats(20, opening=12, cohorts=1, children=6, finalists=4)[0].steps == 1
    with pytest.raises(ValueError, match="has 19 steps, but .* takes at least 20; raise trainer"):
        plan_heats(19, opening=12, cohorts=1, children=6, finalists=4)
