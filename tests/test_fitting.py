"""Runs that go on, and runs of several searches, on real digits."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import Finished, files
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.architecture import Architecture
from darts_lite.cli import main
from darts_lite.retraining import Retraining
from darts_lite.search import ArchitectureSearch
from darts_lite.trust import agreement, percentile


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
    assert f"Stopped by {name} outside of a stage" in capsys.readouterr().out
    assert signal.getsignal(getattr(signal, name)) is handler


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
        if count == 30:  # in the second epoch
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
        main([*arguments, "--ckpt_path=last", f"--data.root={tmp_path / 'nowhere'}"])
    assert "data.init_args.root" in capsys.readouterr().err
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


def test_the_end_of_another_search_is_gone_on_from(finished: Finished, tmp_path: Path) -> None:
    other = finished.directory / "checkpoints" / "last.ckpt"
    arguments = ["fit", "--config", str(finished.config), *finished.data[:2]]
    main([*arguments, f"--run.folder={tmp_path}", "--ckpt_path", str(other)])
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


class Trusted:
    """A run of three searches whose consensus is compared with two random nets."""

    def __init__(self, finished: Finished, folder: Path) -> None:
        arguments = ["--run.seeds=3", "--run.control=random", "--run.control_nets=2"]
        short = ["--trainer.limit_train_batches=6", f"--run.folder={folder}"]
        common = ["fit", "--config", str(finished.config), *finished.data, *short]
        main([*common, *arguments])
        main([*common, "--seed_everything=4", "--run.name=alone", "--retraining=null"])
        self.directory, self.alone = folder / "quick" / "version_0", folder / "alone" / "version_0"
        self.summary = json.loads((self.directory / "summary.json").read_text())


@pytest.fixture(scope="module")
def trusted(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Trusted:
    return Trusted(finished, tmp_path_factory.mktemp("trust"))


def test_several_seeds_leave_their_runs_and_a_consensus(trusted: Trusted) -> None:
    present, summary = files(trusted.directory), trusted.summary
    assert summary["seeds"] == [3, 4, 5]
    for seed in (3, 4, 5):
        names = ("architecture.json", "summary.json", "checkpoints/last.ckpt")
        assert {f"seeds/{seed}/{name}" for name in names} <= present
    found = [
        Architecture.load(trusted.directory / f"seeds/{seed}/architecture.json")
        for seed in (3, 4, 5)
    ]
    common = Architecture.load(trusted.directory / "architecture.json")
    assert common.found_by["seeds"] == [3, 4, 5]
    assert summary["architecture"] == common.genotype()
    assert summary["edge_agreement"] == agreement(common, found)
    assert 1 / 3 <= summary["agreement"] <= 1
    assert {"agreement.png", "net.ckpt"} <= present
    net = Retraining.load_from_checkpoint(trusted.directory / "net.ckpt")
    assert net.architecture.cells == common.cells


def test_one_of_several_seeds_is_the_search_of_that_seed_alone(trusted: Trusted) -> None:
    names = ("architecture", "drift", "search_validation_accuracy")
    one, alone = (
        json.loads((path / "summary.json").read_text())
        for path in (trusted.directory / "seeds/4", trusted.alone)
    )
    assert {name: one[name] for name in names} == {name: alone[name] for name in names}


def test_random_nets_are_retrained_alike(trusted: Trusted) -> None:
    summary = trusted.summary
    for number in range(2):
        folder = trusted.directory / "controls" / str(number)
        part = json.loads((folder / "summary.json").read_text())
        assert part["test_accuracy"] == summary["control_test_accuracies"][number]
        assert part["architecture"] == summary["control_architectures"][number]
        assert part["architecture"] != summary["architecture"]
        assert part["retrain_epochs"] == summary["retrain_epochs"]
        assert Retraining.load_from_checkpoint(folder / "net.ckpt").hparams["drop_path"] == 0.1
    assert summary["control_percentile"] == percentile(
        summary["test_accuracy"], summary["control_test_accuracies"]
    )
    assert len(summary["control_interval"]) == 2


def test_tensorboard_shows_whether_to_trust(trusted: Trusted) -> None:
    events = EventAccumulator(str(trusted.directory), size_guidance={"tensors": 0}).Reload()
    scalars = set(events.Tags()["scalars"])
    assert {
        "trust/agreement",
        "trust/agreement_by_chance",
        "trust/control_percentile",
        "trust/control_test_accuracy",
        "final/agreement",
    } <= scalars
    assert "trust/consensus" in events.Tags()["images"]
    seed = EventAccumulator(str(trusted.directory / "seeds" / "3")).Reload()
    assert "search/weights_loss" in seed.Tags()["scalars"]
