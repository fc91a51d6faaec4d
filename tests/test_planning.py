"""A plan: what is measured by running a little of it."""

import json
from pathlib import Path

import pytest
from runs import SMALL, Finished

from darts_lite.commands import main
from darts_lite.costs import CostTable, parameters
from darts_lite.data import ImageData
from darts_lite.derivation import WithinBudget
from darts_lite.planning import likely
from darts_lite.search import ArchitectureSearch


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


def test_a_plan_keeps_to_the_limits_of_the_run(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1"]
    limits += ["--trainer.limit_test_batches=0", "--trainer.max_steps=4", "--run.max_minutes=0.001"]
    main(["plan", "--config", str(finished.config), *finished.data, *limits])
    search, retraining = json.loads(capsys.readouterr().out.splitlines()[-1])["stages"]
    assert (search["steps"], search["epochs"], search["seconds"]) == (3, 2, 0.1)
    assert retraining["steps"] == 3 and retraining["most"] is None
    again = ["--config", "retrain", "--model.architecture", "DARTS_V2", "--model.channels=4"]
    times = ["--model.cells=2", "--trainer.max_time=00:00:00:01", "--trainer.limit_train_batches=9"]
    main(["plan", *again, *times, *finished.data])
    (alone,) = json.loads(capsys.readouterr().out.splitlines()[-1])["stages"]
    assert alone["most"] == 1.0 and alone["seconds"] <= 1.0 and alone["epochs"] == 10


def test_several_processes_are_refused(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ["--trainer.devices=2", "--trainer.strategy=ddp", "--trainer.accelerator=cpu"]
    with pytest.raises(SystemExit):
        main(["plan", "--config", str(finished.config), *several, *finished.data])
    assert "plan measures one process" in capsys.readouterr().err


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
