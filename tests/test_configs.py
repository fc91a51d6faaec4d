"""Every preset is a complete, valid configuration."""

from pathlib import Path

import pytest

from darts_lite.cli import DartsCLI
from darts_lite.retraining import Retraining
from darts_lite.search import ArchitectureSearch

PRESETS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


class WithoutRunning(DartsCLI):
    """Parses and builds everything, then stops."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def built(preset: Path) -> WithoutRunning:
    return WithoutRunning(["fit", "--config", str(preset), "--trainer.accelerator=cpu"])


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_builds_model_data_and_trainer(preset: Path) -> None:
    cli = built(preset)
    assert isinstance(cli.model, ArchitectureSearch | Retraining)
    assert cli.model.hparams["num_classes"] == cli.datamodule.num_classes
    assert cli.model.hparams["in_channels"] == cli.datamodule.in_channels
    assert cli.trainer.max_epochs
    assert cli.config["fit"]["run"]["name"] == preset.stem


def test_the_presets_are_there() -> None:
    assert {"mnist", "retrain", "fashion_mnist", "cifar10_darts"} <= {p.stem for p in PRESETS}


def test_the_published_protocol(configs: Path) -> None:
    cli = built(configs / "cifar10_darts.yaml")
    space = cli.model.space
    assert (space.name, space.channels, space.cells, space.nodes) == ("darts", 16, 8, 4)
    assert cli.trainer.max_epochs == 50
    assert cli.datamodule.hparams["search_batch_size"] == 64
    make_retraining = cli.config_init["fit"]["retraining"]
    retraining = make_retraining("DARTS_V1", 3, 10)
    skeleton = retraining.architecture.skeleton
    assert (skeleton.channels, skeleton.cells, retraining.max_epochs) == (36, 20, 600)
    assert (retraining.auxiliary_weight, retraining.drop_path) == (0.4, 0.2)
    assert cli.datamodule.augmentation.describe()["init_args"]["erase"] == 16
    assert sum(p.numel() for p in cli.model.supernet.weights()) == 1_930_618
