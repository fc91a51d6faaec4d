"""Runs that go on, and runs of several searches, on real digits."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from run_helpers import Finished, files
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.cli.lightning_cli import main
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.architecture_search import ArchitectureSearch


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_before_the_first_step_stops_as_one_behind_it(
    name: str,
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def asked(self: ArchitectureSearch) -> None:
        signal.raise_signal(getattr(signal, name))

    handler = signal.getsignal(getattr(signal, name))
    monkeypatch.setattr(ArchitectureSearch, "on_fit_start", asked)
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "fit",
                "--config",
                str(finished.config),
                *finished.data[:2],
                f"--run.folder={tmp_path}",
            ]
        )
    assert stopped.value.code == 128 + getattr(signal, name)
    assert f"Stopped by {name}; what has been trained is kept" in capsys.readouterr().out
    assert signal.getsignal(getattr(signal, name)) is handler


@pytest.mark.slow
def test_an_interrupted_run_goes_on_in_its_folder(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["fit", "--config", str(finished.config), *finished.data[:2]]
    arguments += [f"--run.folder={tmp_path}"]
    step, count = Retraining.training_step, 0

    def interrupted(self: Retraining, *batch: Any) -> torch.Tensor:
        nonlocal count
        count += 1
        if count == 20:  # in the second epoch
            signal.raise_signal(signal.SIGTERM)
        return step(self, *batch)

    monkeypatch.setattr(Retraining, "training_step", interrupted)
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 128 + signal.SIGTERM
    with pytest.raises(SystemExit):
        main([*arguments, "--run.resume=auto", "--data.batch_size=64"])
    assert "data.init_args.batch_size: 128 then, 64 now" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*arguments, "--ckpt_path=last", "--data.seed=1"])
    assert "data.init_args.seed: 0 then, 1 now" in capsys.readouterr().err
    main([*arguments, "--ckpt_path=last"])
    (directory,) = (tmp_path / "quick").iterdir()
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["finished"]
    for key in ("test_accuracy", "test_loss", "architecture", "drift", "validation_accuracy"):
        assert summary[key] == finished.summary[key], key
    for tag in ("search/weights_loss", "retraining/train_loss", "retraining/validation_accuracy"):
        whole, resumed = (
            [(e.step, e.value) for e in EventAccumulator(str(path)).Reload().Scalars(tag)]
            for path in (finished.directory, directory)
        )
        assert resumed == whole, tag
    with pytest.raises(SystemExit):
        main([*arguments, "--ckpt_path=last"])
    assert "no unfinished run" in capsys.readouterr().err


def test_the_end_of_another_search_is_gone_on_from(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = finished.directory / "checkpoints" / "last.ckpt"
    arguments = ["fit", "--config", str(finished.config), *finished.data[:2]]
    main([*arguments, f"--run.folder={tmp_path}", "--ckpt_path", str(other)])
    assert f"Warning: the search of {other} has ended; what it found" in capsys.readouterr().out
    directory = tmp_path / "quick" / "version_0"
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["finished"] and summary["test_accuracy"] == finished.summary["test_accuracy"]
    assert (directory / "checkpoints" / "last.ckpt").read_bytes() == other.read_bytes()
    architecture = (finished.directory / "architecture.json").read_text()
    assert (directory / "architecture.json").read_text() == architecture


def test_null_retraining_stops_after_deriving(finished: Finished, tmp_path: Path) -> None:
    stop = ["--retraining=null", "--trainer.max_epochs=1", "--trainer.limit_train_batches=1"]
    main(
        ["fit", "--config", str(finished.config), *finished.data, *stop, f"--run.folder={tmp_path}"]
    )
    directory = tmp_path / "quick" / "version_0"
    assert {"architecture.json", "summary.json", "checkpoints/last.ckpt"} <= files(directory)
    assert not (directory / "net.ckpt").exists()
    assert json.loads((directory / "summary.json").read_text())["test_accuracy"] is None


def test_nothing_is_inherited_from_a_play_off(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = yaml.safe_load(finished.config.read_text())
    space = config["model"]["init_args"]["space"]
    config["model"] = {"class_path": "darts_lite.PlayOff", "init_args": {"space": space}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    words = ["--config", str(tmp_path / "config.yaml"), *finished.data[:2]]
    with pytest.raises(SystemExit):
        main(["fit", *words, f"--run.folder={tmp_path}", "--retraining.inherit=true"])
    assert "a PlayOff trains no supernet" in capsys.readouterr().err
    assert not (tmp_path / "quick" / "version_0" / "summary.json").exists()


def test_a_refused_run_leaves_no_folder(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--config", str(finished.config), *finished.data[:2], f"--run.folder={tmp_path}"]
    with pytest.raises(SystemExit):
        main(["fit", *settings, "--budget.parameters=10"])
    assert "has at most 10 parameters" in capsys.readouterr().err
    assert not files(tmp_path)


def test_a_run_that_has_trained_nothing_is_left_for_other_settings(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def asked(self: ArchitectureSearch) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(ArchitectureSearch, "on_fit_start", asked)
    settings = ["--config", str(finished.config), *finished.data[:2], f"--run.folder={tmp_path}"]
    for changed in ([], ["--data.batch_size=64"]):
        with pytest.raises(SystemExit):
            main(["fit", *settings, "--run.resume=auto", *changed])
    assert "version_0 has other settings, and has trained nothing" in capsys.readouterr().out
    place = tmp_path / "quick"
    assert {path.name for path in place.iterdir()} == {"version_0", "version_1"}
    assert "batch_size: 64" in (place / "version_1" / "config.yaml").read_text()
    with pytest.raises(SystemExit):
        main(["fit", *settings, "--ckpt_path=last", "--data.batch_size=32"])
    assert "batch_size: 64 then, 32 now" in capsys.readouterr().err
