"""Trainers of the stages."""

from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer
from lightning.pytorch.plugins import TorchSyncBatchNorm
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from run_helpers import one_line

from darts_lite.retraining.retraining import Retraining
from darts_lite.runs.callbacks.architecture_board import ArchitectureBoard
from darts_lite.runs.settings import RunSettings
from darts_lite.runs.trainer_factory import TrainerFactory, serves
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.perturbation import Perturbation
from darts_lite.search.exploration.exploration import Exploration
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.training.checkpointing import AtomicCheckpointIO, StageCheckpoint

SPACE = SearchSpace(("skip_connect", "conv_1x1"), nodes=1, channels=4, cells=2, reductions=())
SETTINGS: dict[str, Any] = {
    "accelerator": "cpu",
    "accumulate_grad_batches": 1,
    "callbacks": [EarlyStopping("search/loss"), EarlyStopping("retraining/loss")],
    "enable_checkpointing": None,
    "enable_progress_bar": None,
    "fast_dev_run": False,
    "gradient_clip_val": None,
    "logger": None,
    "max_epochs": 7,
    "max_steps": -1,
    "plugins": None,
    "precision": None,
    "strategy": "auto",
    "sync_batchnorm": False,
}


def made(
    tmp_path: Path, model: Any, name: str | None = None, **changed: Any
) -> tuple[Any, dict[type[Callback], Any]]:
    run = RunSettings(folder=str(tmp_path), max_minutes=2)
    trainers = TrainerFactory(SETTINGS | changed, run, "fit")
    trainer = trainers.make(model, trainers.make_part_logger("parts", name) if name else None)
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
    return trainer, {type(callback): callback for callback in callbacks}


def test_a_search_and_a_retraining_get_what_is_theirs(tmp_path: Path) -> None:
    search = ArchitectureSearch(SPACE)
    trainer, callbacks = made(tmp_path, search)
    assert callbacks[EarlyStopping].monitor == "search/loss"
    assert {ArchitectureBoard, Timer, StageCheckpoint} <= set(callbacks)
    assert trainer.max_epochs == 7
    _, callbacks = made(tmp_path, Retraining(search.derive()))
    assert callbacks[EarlyStopping].monitor == "retraining/loss"
    assert not {ArchitectureBoard, Timer} & set(callbacks)
    assert callbacks[StageCheckpoint].path.name == "retraining-last.ckpt"


def test_a_search_has_one_limit_in_time(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run.max_minutes and trainer.max_time both end"):
        made(tmp_path, ArchitectureSearch(SPACE), max_time={"hours": 1})


def test_a_rollback_needs_checkpoints(tmp_path: Path) -> None:
    run = RunSettings(folder=str(tmp_path), on_nonfinite="rollback")
    trainers = TrainerFactory(SETTINGS | {"enable_checkpointing": False}, run, "fit")
    with pytest.raises(ValueError, match="rollback goes back to checkpoints"):
        trainers.make(ArchitectureSearch(SPACE))


def test_a_part_of_a_run_writes_to_its_own_folder(tmp_path: Path) -> None:
    trainer, callbacks = made(tmp_path, ArchitectureSearch(SPACE), "3")
    part = tmp_path / "search" / "version_0" / "parts" / "3"
    assert Path(trainer.logger.log_dir) == part
    assert callbacks[StageCheckpoint].path == part / "checkpoints" / "last.ckpt"


def test_no_logger_is_none_in_the_parts_too(tmp_path: Path) -> None:
    for part in (None, "3"):
        trainer, _ = made(tmp_path, ArchitectureSearch(SPACE), part, logger=False)
        assert trainer.logger is None


@pytest.mark.parametrize("tasks", ["2", "two"])
def test_what_a_cluster_has_set_is_named(
    tasks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_NTASKS", tasks)
    with pytest.raises(ValueError) as error:
        made(tmp_path, ArchitectureSearch(SPACE))
    one_line(error, "trainer: ", tasks, "SLURM_NTASKS is set in the environment")


def test_one_process_is_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)  # as Lightning reads LOCAL_RANK
    with pytest.raises(ValueError) as error:
        made(tmp_path, ArchitectureSearch(SPACE))
    one_line(error, "number 1 of several (RANK, LOCAL_RANK or SLURM_PROCID)", "unset")


def test_trainers_share_no_callbacks(tmp_path: Path) -> None:
    trainers = TrainerFactory(SETTINGS, RunSettings(folder=str(tmp_path)), "fit")
    made: list[Any] = [trainers.make(ArchitectureSearch(SPACE)) for _ in range(2)]
    first, second = ({id(callback) for callback in trainer.callbacks} for trainer in made)
    assert not first & second


def test_a_callback_serves_the_stage_it_monitors() -> None:
    search = ArchitectureSearch(SPACE)
    net = Retraining(search.derive())
    for monitor, stages in (
        ("search/loss", [search]),
        ("alphas/drift", [search]),
        ("derived/validation_accuracy", [search]),
        ("retraining/loss", [net]),
        ("of_my_own", [search, net]),
    ):
        callback = EarlyStopping(monitor)
        assert [model for model in (search, net) if serves(callback, model)] == stages


def test_what_needs_alphas_is_refused_where_there_are_none(tmp_path: Path) -> None:
    for search in (Exploration(SPACE), PlayOff(SPACE)):
        said = f"Perturbation needs a search with alphas, and {type(search).__name__} has none"
        with pytest.raises(ValueError, match=said):
            made(tmp_path, search, callbacks=[Perturbation()])


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_plugins_of_ones_own_are_used_in_every_precision(precision: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"precision": precision, "plugins": TorchSyncBatchNorm()}
    trainer, _ = made(tmp_path, ArchitectureSearch(SPACE), **settings)
    assert trainer.precision == precision
    assert isinstance(trainer._accelerator_connector._layer_sync, TorchSyncBatchNorm)
    assert isinstance(trainer.strategy.checkpoint_io, AtomicCheckpointIO)
