"""The verb `plan`: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest
from run_helpers import Finished

from darts_lite.cli.main import main
from darts_lite.networks.folded.executor import Folded
from darts_lite.search.playoff.play_off import PlayOff
from darts_lite.space.layers.layer_space import LayerSpace


@pytest.mark.slow
def test_a_plan_of_a_search_and_its_retraining(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [f"--run.folder={tmp_path / 'logs'}", "--model.warmup_epochs=0.5"]
    changes += [
        "--trainer.precision=64-true",
        "--retraining.inherit=true",
        "--trainer.check_val_every_n_epoch=2",
    ]
    changes += ["--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={tmp_path / 'csv'}"]
    changes += ["--data.train_images=1000"]
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
    assert search["steps"] == 4  # of 450 images, 100 at once
    assert search["validations"] == 0.5
    assert plan["seconds"] > search["seconds"] > 0 and plan["available"] > plan["peak"] > 10**8
    assert "Advice: " in table
    assert plan["executors"]["taken"] == "folded" and "Executor: folded" in table
    assert set(plan["executors"]["seconds"]) == {"folded", "literal"}
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_a_plan_of_a_play_off_counts_the_nets_of_all_heats(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ["--data.train_images=500", "--data.search_batch_size=16", "--data.batch_size=32"]
    short += ["--data.search_batches_per_epoch=180", f"--run.folder={tmp_path / 'logs'}"]
    few = ["--model.by_hand=7", "--model.at_random=1", "--model.children=2"]
    main(["plan", "--config", "mnist", *finished.data, *short, *few, "--run.control=best_of"])
    told = capsys.readouterr().out
    assert "as jobs they take less time" in told
    search, retraining = json.loads(told.splitlines()[-1])["stages"]
    once = retraining["seconds"] / retraining["times"]
    assert retraining["times"] == 2 + round(search["seconds"] / once)
    assert (search["steps"], search["epochs"], search["largest_batch"] > 0) == (180, 1, True)
    assert search["step"] > 0 and search["warmup_epochs"] == 0 < retraining["step"]
    assert not [*tmp_path.iterdir()]
    short += ["--data.search_batches_per_epoch=36", "--retraining=null"]
    main(["plan", "--config", "mnist", *finished.data, *short])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["stages"][0]["steps"] == 36
    model = PlayOff(LayerSpace(), by_hand=7, at_random=1, children=2)
    model.whole = lambda: 180  # heats of 5, 5, 10, 5, 5, 10, 20, 40 and 80 steps
    assert model.count_nets(0, 20) == (5 * 8 + 5 * 4 + 10 * 2) / 20
    assert model.count_nets(100, 180) == 2
    assert model.count_nets(0, 180) == pytest.approx((80 + 25 + 20 * 8 + 40 * 4 + 80 * 2) / 180)


class Own(Folded):
    """An executor of a user."""


@pytest.mark.slow
def test_a_plan_with_an_executor_of_ones_own(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ["--model.executor", f"{__name__}.Own", "--retraining", "null"]
    own += ["--data.search_batch_size", "1000"]
    main(["plan", "--config", str(finished.config), *finished.data, *own])
    out = capsys.readouterr().out
    assert "Executor: Own, which was asked for" in out
    assert "Warning: a batch of the search is to have 1,000 images, and there are only 900" in out
    assert json.loads(out.splitlines()[-1])["executors"]["taken"] == "Own"


@pytest.mark.slow
def test_a_plan_of_a_retraining_alone(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--model.architecture", str(finished.directory / "architecture.json")]
    limits = ["--trainer.max_epochs=9", "--trainer.max_time=00:00:00:01"]
    limits += ["--trainer.limit_train_batches=2", "--trainer.max_steps=13"]
    main(["plan", "--config", "retrain", *settings, *finished.data, *limits])
    plan = json.loads(capsys.readouterr().out.splitlines()[-1])
    (stage,) = plan["stages"]
    assert stage["name"] == "retraining" and stage["epochs"] == 7
    assert plan["executors"] is None
    assert stage["most"] == 1.0 and stage["seconds"] == min(stage["seconds"], 1.0) > 0


@pytest.mark.slow
def test_a_plan_keeps_to_the_limits_of_the_run(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ["--trainer.limit_train_batches=3", "--trainer.limit_val_batches=1"]
    limits += ["--trainer.limit_test_batches=0", "--trainer.max_steps=4", "--run.max_minutes=0.001"]
    main(["plan", "--config", str(finished.config), *finished.data, *limits])
    search, retraining = json.loads(capsys.readouterr().out.splitlines()[-1])["stages"]
    assert (search["steps"], search["epochs"], search["seconds"]) == (3, 2, 0.1)
    assert retraining["steps"] == 3 and retraining["most"] is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trainer.devices=2", "--trainer.strategy=ddp"], "plan measures one process"),
        (["--trainer.fast_dev_run=1"], "leave fast_dev_run out"),
        (["--run.control=random", "--retraining=null"], "run.control compares"),
    ],
)
def test_what_cannot_be_planned_is_refused_at_once(
    words: list[str], told: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "--config", str(finished.config), *words, *finished.data])
    assert told in capsys.readouterr().err


def test_exploration_is_refused(finished: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = ["--config", "algorithms/random_search"]
    with pytest.raises(SystemExit):
        main(["plan", "--config", str(finished.config), *overlay, *finished.data])
    assert "set run.max_minutes" in capsys.readouterr().err
