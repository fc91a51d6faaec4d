"""Which executor computes the cells."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_helpers import SMALL, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.networks.cells.mixed import MixedCell, MixedCells
from darts_lite.networks.folded.executor import Folded
from darts_lite.networks.supernet import Supernet
from darts_lite.search import executors
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.executors import (
    EXECUTORS,
    WIDE,
    WIDE_MIXED,
    Execution,
    choose_faster,
    estimate_literal_bytes,
    find_name,
)
from darts_lite.search.relaxations import GumbelMax
from darts_lite.space.cells.search_space import SearchSpace

NARROW = SearchSpace(("skip_connect", "conv_1x1"), nodes=1, channels=4, cells=1, reductions=())
BROAD = replace(NARROW, channels=WIDE)


def supernet_of(space: SearchSpace, partial_channels: int = 1) -> Supernet:
    return Supernet(space, 1, 10, partial_channels=partial_channels)


def test_the_rule_depends_on_device_width_and_precision_alone() -> None:
    for mixed, wide in ((False, WIDE), (True, WIDE_MIXED)):
        taken = [choose_faster("cpu", channels, mixed) for channels in (4, wide - 1, wide)]
        assert taken == ["folded", "folded", "literal"]
        assert choose_faster("cuda", wide, mixed) == "folded"


def test_each_name_makes_its_executor() -> None:
    assert {name: find_name(make()) for name, make in EXECUTORS.items()} == {
        n: n for n in EXECUTORS
    }

    class Own(Folded):
        """An executor of a user."""

    assert find_name(Own()) == "Own"


@pytest.mark.parametrize(
    ("space", "partial", "expected"),
    [(NARROW, 1, "folded"), (BROAD, 1, "literal"), (BROAD, 4, "folded")],
)
def test_what_is_left_to_the_rule_is_chosen_once(
    space: SearchSpace, partial: int, expected: str, digits: ImageData
) -> None:
    supernet = supernet_of(space, partial)
    execution = Execution(supernet)
    assert execution.name == "folded"
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    execution.choose(quiet_trainer(), digits)
    assert execution.name == expected
    after = supernet.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert isinstance(supernet.mixed, MixedCells)
    runners = supernet.mixed._runners.values()
    assert all(isinstance(run, MixedCell) == (expected == "literal") for run in runners)


def test_folded_where_the_memory_of_literal_is_not_there(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.zeros(2, 1, 28, 28)
    needed = 32 * estimate_literal_bytes(supernet_of(BROAD), images) / 2  # digits come 32 at once
    for free, expected in ((2 * needed, "literal"), (needed, "folded")):
        monkeypatch.setattr(executors, "read_free_bytes", lambda device, free=free: int(free))
        execution = Execution(supernet_of(BROAD))
        execution.choose(quiet_trainer(), digits)
        assert execution.name == expected


def test_bytes_grow_with_the_images() -> None:
    supernet = supernet_of(NARROW)
    few, many = (estimate_literal_bytes(supernet, torch.zeros(n, 1, 28, 28)) for n in (2, 20))
    maps = 20 * 28 * 28 * 4  # bytes of one channel
    assert 8 * few < many < 10.5 * few and many > 10 * maps


@pytest.mark.parametrize("given", ["folded", "literal", "sampled", Folded(compiled=True)])
def test_what_was_given_stays(given: str | Folded, digits: ImageData) -> None:
    execution = Execution(supernet_of(BROAD), given)
    execution.choose(quiet_trainer(), digits)
    execution.resume_with("literal")
    assert execution.name == (given if isinstance(given, str) else "folded")


def test_a_relaxation_that_samples_has_one_executor(digits: ImageData) -> None:
    search = ArchitectureSearch(BROAD, relaxation=GumbelMax())
    search.execution.choose(quiet_trainer(), digits)
    assert search.execution.name == "sampled"


def test_a_search_goes_on_with_what_it_began_with(
    digits: ImageData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1}
    search, run = ArchitectureSearch(SMALL), quiet_trainer(**short)
    run.fit(search, datamodule=digits)
    run.save_checkpoint(tmp_path / "x.ckpt")
    assert search.execution.name == "folded"
    monkeypatch.setattr(executors, "WIDE", 1)  # as another version might have it
    again, anew = ArchitectureSearch(SMALL), ArchitectureSearch(SMALL)
    more = short | {"max_epochs": 2}
    path = tmp_path / "x.ckpt"
    quiet_trainer(**more).fit(again, datamodule=digits, ckpt_path=path, weights_only=True)
    quiet_trainer(**short).fit(anew, datamodule=digits)
    assert (again.execution.name, anew.execution.name) == ("folded", "literal")


def test_a_checkpoint_cannot_name_anything_else() -> None:
    execution = Execution(supernet_of(NARROW))
    for name in ("os.system", "", "[]"):
        execution.resume_with(name)
        assert execution.name == "folded"
