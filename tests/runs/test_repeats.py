"""Several searches and random nets beside the found one."""

import json
from pathlib import Path
from typing import Any

import pytest
from run_helpers import Finished, files
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.cli.lightning_cli import main
from darts_lite.derivation.consensus import compare_rows, percentile
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.cells.architecture import Architecture

pytestmark = pytest.mark.slow


class Trusted:
    """A run of three searches whose consensus is compared with two random nets."""

    def __init__(self, finished: Finished, folder: Path) -> None:
        arguments = ["--run.seeds=3", "--run.control=random", "--run.control_nets=2"]
        short = [
            "--trainer.limit_train_batches=4",
            "--trainer.max_epochs=1",
            f"--run.folder={folder}",
        ]
        short += [
            "--data.train_images=500",
            "--data.evaluation_batch_size=500",
            "--retraining.max_epochs=1",
        ]
        common = ["fit", "--config", str(finished.config), *finished.data, *short]
        main([*common, *arguments])
        self.alone = [*common, "--seed_everything=4", "--run.name=alone", "--retraining=null"]
        self.folder, self.directory = folder, folder / "quick" / "version_0"
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
    assert summary["edge_agreement"] == compare_rows(
        common.choices, [each.choices for each in found]
    )
    assert 1 / 3 <= summary["agreement"] <= 1
    assert {"agreement.png", "net.ckpt"} <= present
    net = Retraining.load_from_checkpoint(trusted.directory / "net.ckpt")
    assert net.architecture.choices == common.choices


def test_one_of_several_seeds_is_the_search_of_that_seed_alone(trusted: Trusted) -> None:
    main(trusted.alone)
    names = ("architecture", "drift", "search_validation_accuracy")
    one, alone = (
        json.loads((path / "summary.json").read_text())
        for path in (trusted.directory / "seeds/4", trusted.folder / "alone/version_0")
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
        assert part["dataset"] == summary["dataset"]  # so that one picture shows both
        assert Retraining.load_from_checkpoint(folder / "net.ckpt").hparams["drop_path"] == 0.1
    assert summary["control_percentile"] == percentile(
        summary["test_accuracy"], summary["control_test_accuracies"]
    )
    assert len(summary["control_interval"]) == 2
    assert summary["control"] == "random" and len(summary["control_names"]) == 2
    parts = (trusted.directory / "controls" / str(number) / "summary.json" for number in range(2))
    best = max((json.loads(part.read_text()) for part in parts), key=_validated)
    assert summary["control_best_test_accuracy"] == best["test_accuracy"]


def test_tensorboard_shows_whether_to_trust(trusted: Trusted) -> None:
    events = EventAccumulator(str(trusted.directory), size_guidance={"tensors": 0}).Reload()
    scalars = set(events.Tags()["scalars"])
    assert {
        "trust/agreement",
        "trust/agreement_by_chance",
        "trust/control_percentile",
        "trust/control_percentile_low",
        "trust/control_test_accuracy",
        "final/agreement",
    } <= scalars
    assert "trust/consensus" in events.Tags()["images"]
    seed = EventAccumulator(str(trusted.directory / "seeds" / "3")).Reload()
    assert "search/weights_loss" in seed.Tags()["scalars"]


def _validated(part: dict[str, Any]) -> float:
    return float(part["validation_accuracy"])


def test_where_nothing_was_validated_no_rival_is_the_best_by_validation(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--trainer.limit_train_batches=2", "--trainer.limit_val_batches=0"]
    words += ["--run.control=random", "--run.control_nets=2", "--run.launcher=here"]
    words += [f"--run.folder={tmp_path}", "--trainer.max_epochs=1", "--retraining.max_epochs=1"]
    words += ["--data.train_images=500", "--data.evaluation_batch_size=500"]
    main(["fit", "--config", str(finished.config), *finished.data, *words])
    summary = json.loads((tmp_path / "quick/version_0/summary.json").read_text())
    assert summary["control_best_test_accuracy"] is None
    said = capsys.readouterr().out
    assert "beats, of 2 nets, random" in said and "best of these" not in said
