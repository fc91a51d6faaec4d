"""Histories are read, and changed ones refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from run_helpers import one_line

from darts_lite.storage.run_history import StageHistory, read_history


def test_no_history_is_no_mistake_and_a_changed_one_is(tmp_path: Path) -> None:
    path = tmp_path / "search.json"
    assert read_history(path) == StageHistory()
    changes: list[Any] = [{"moments": [{"step": 1}]}, {"moments": 3}, [], {"moments": [[]]}]
    for changed in changes:
        path.write_text(json.dumps(changed))
        with pytest.raises(ValueError) as caught:
            read_history(path)
        one_line(caught, "search.json", "history")
