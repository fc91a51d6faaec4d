"""What architectures are worth; with shared weights and from scratch: see the explorations."""

from pathlib import Path

import pytest
import torch
from nasbench201 import cell_of

from darts_lite.search.exploration.evaluators import FromScratch, SharedWeights, TableLookup
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cells.nasbench201 import COLUMNS
from darts_lite.space.cells.search_space import nasbench201_space


def table(folder: Path) -> Path:
    """Two architectures' results."""
    rows = [
        f"{i},{cell_of(point)},{i}.5,1,2,90,70,40" for i, point in enumerate([(3,) * 6, (0,) * 6])
    ]
    path = folder / "table.csv"
    path.write_text("\n".join([",".join(("index", *COLUMNS)), *rows]))
    return path


def test_a_table_is_asked_for_the_search_signal(tmp_path: Path) -> None:
    lookup = TableLookup(table(tmp_path))
    search = Exploration(nasbench201_space(4, 3), evaluator=lookup)
    assert lookup(search, Architecture.of(cell_of((0,) * 6))) == 1.5
    with pytest.raises(ValueError, match="the table has no architecture"):
        lookup(search, Architecture.of(cell_of((1,) * 6)))
    with pytest.raises(ValueError, match="unknown data set 'mnist'"):
        TableLookup(table(tmp_path), "mnist")


def test_values_out_of_range_are_refused() -> None:
    for make in (
        lambda: SharedWeights(weights_epochs=0),
        lambda: SharedWeights(batches=0),
        lambda: FromScratch(steps=0),
        lambda: FromScratch(learning_rate=0.0),
    ):
        with pytest.raises(ValueError, match="must be above 0, got 0"):
            make()


def test_the_generator_of_chance_is_left_alone_by_looking_up(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    TableLookup(table(tmp_path))
    assert torch.equal(torch.random.get_rng_state(), state)
