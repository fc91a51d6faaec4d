"""Histories are read, and changed ones refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from run_helpers import one_line

from darts_lite.plots.run_history import StageHistory, read_history
from darts_lite.space.cells.search_space import SearchSpace


def test_no_history_is_no_mistake_and_a_changed_one_is(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    assert read_history(path) == StageHistory()
    changes: list[Any] = [{"moments": [{"step": 1}]}, {"moments": 3}, [], {"moments": [[]]}]
    for changed in changes:
        path.write_text(json.dumps(changed))
        with pytest.raises(ValueError) as caught:
            read_history(path)
        one_line(caught, "search.json", "history")


GROUP = {"title": "cell", "rows": ["a", "b"], "options": ["x", "y"], "sets": [2]}
MOMENT = {"step": 1, "metrics": {"loss": 0.5}, "shares": {"cell": [[0.5, 0.5], [0.5, 0.5]]}}


@pytest.mark.parametrize(
    ("part", "changed"),
    [
        ("step", 10**400),
        ("step", float("inf")),
        ("step", -1),
        ("step", [1]),
        ("metrics", {"loss": 10**400}),
        ("metrics", {"loss": [1]}),
        ("metrics", 5),
        ("shares", {"cell": [[0.5], [0.5, 0.5]]}),
        ("shares", {"cell": [[10**400, 0.5], [0.5, 0.5]]}),
        ("shares", {"other": [[0.5, 0.5], [0.5, 0.5]]}),
        ("options", ["x", 3]),
        ("options", ["x"]),
        ("rows", ["a", None]),
        ("sets", [1]),
        ("sets", ["2"]),
        ("sets", 2),
    ],
)
def test_a_value_that_no_run_writes_is_told(part: str, changed: Any, tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    path.write_text(json.dumps({"groups": {"cell": GROUP}, "moments": [MOMENT]}))
    assert read_history(path).groups["cell"].rows == ("a", "b")
    group, moment = GROUP | {part: changed}, MOMENT | {part: changed}
    path.write_text(json.dumps({"groups": {"cell": group}, "moments": [moment]}))
    with pytest.raises(ValueError) as caught:
        read_history(path)
    one_line(caught, "search.json is not the history of a run")


def test_a_history_of_an_earlier_version_has_the_groups_of_cells(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    shares = {kind: [[0.5, 0.5]] * 5 for kind in ("normal", "reduce")}
    moments = [{"step": 0, "metrics": {}, "shares": shares}]
    path.write_text(
        json.dumps({"candidates": ["none", "conv_3x3"], "inputs": 2, "moments": moments})
    )
    groups = read_history(path).groups
    path.write_text(json.dumps({"candidates": ["conv_3x3"], "moments": moments}))
    with pytest.raises(ValueError, match="do not fit its groups"):
        read_history(path)
    space = SearchSpace(("none", "conv_3x3"), nodes=2, kept_edges=None, cells=3)
    assert groups == space.groups
