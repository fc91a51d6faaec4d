"""Every preset is a complete, valid configuration."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from PIL import Image
from signal_helpers import write_signals

from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.retraining.retraining import Retraining
from darts_lite.search.base import Search
from darts_lite.space.cells.search_space import darts_space, mnist_space

PRESETS = sorted((Path(__file__).parents[1] / "configs").glob("*.yaml"))


@pytest.fixture(scope="module", autouse=True)
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Whoever runs the presets does so beside the photographs, sounds and rows they are for."""
    beside = tmp_path_factory.mktemp("beside")
    for number in range(24):
        folder = beside / "photos" / ("dark" if number % 2 else "light")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 70), (200 - 99 * (number % 2), 90, number)).save(
            folder / f"{number}.jpg"
        )
        spoken = beside / "recordings" / ("low" if number % 2 else "high")
        spoken.mkdir(parents=True, exist_ok=True)
        soundfile.write(spoken / f"{number}.wav", [0.1] * 4000, 8000)
    write_signals(beside / "signals.npz")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(beside)
        yield


class WithoutRunning(DartsCLI):
    """Parses and builds everything, then stops."""

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def built(preset: Path) -> WithoutRunning:
    own = ["--model.space", "own_networks.MyNet"] if preset.stem.startswith("own_") else []
    return WithoutRunning(["fit", "--config", str(preset), "--trainer.accelerator=cpu", *own])


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_builds_model_data_and_trainer(preset: Path) -> None:
    cli = built(preset)
    assert isinstance(cli.model, Search | Retraining)
    assert cli.model.hparams["num_classes"] == cli.datamodule.num_classes
    assert cli.model.hparams["in_channels"] == cli.datamodule.in_channels
    assert cli.trainer.max_epochs
    assert cli.config["fit"]["run"]["name"] == preset.stem


def test_the_presets_are_there() -> None:
    expected = {"mnist", "mnist_small", "mnist_best", "retrain", "fashion_mnist", "cifar10_darts"}
    devices = {"device_4kb", "device_8kb", "device_32kb"}
    assert expected | devices | {"photos", "sounds", "signals", "fashion_mnist_best"} <= {
        p.stem for p in PRESETS
    }


def test_photographs_are_in_colour_of_64_pixels_and_their_classes_weighted(configs: Path) -> None:
    cli = built(configs / "photos.yaml")
    data = cli.datamodule
    assert (data.in_channels, data.image_size, data.num_classes) == (3, 64, 2)
    assert data.augmentation.describe() == data.search_augmentation.describe()
    assert data.augmentation.flip and data.augmentation.saturation
    retraining = cli.config_init["fit"]["retraining"](cli.model.space.first_architecture(), 3, 2)
    assert cli.model.loss.weights is not None and retraining.loss.weights is not None


def test_the_presets_spell_out_the_built_in_space(configs: Path) -> None:
    assert built(configs / "mnist_cells.yaml").model.space == mnist_space()


def test_single_values_can_be_overridden(configs: Path) -> None:
    path = str(configs / "mnist_cells.yaml")
    changes = ["--model.space.channels=8", "--model.space.reductions=[0]", "--data.batch_size=32"]
    cli = WithoutRunning(["fit", "--config", path, *changes, "--retraining.max_epochs=3"])
    assert (cli.model.space.channels, cli.model.space.reductions) == (8, (0,))
    assert cli.model.space.candidates == mnist_space().candidates
    assert cli.datamodule.hparams["batch_size"] == 32
    assert cli.config["fit"]["retraining"]["init_args"]["max_epochs"] == 3
    assert cli.config["fit"]["retraining"]["init_args"]["schedule"] == "one_cycle"


def test_the_published_protocol(configs: Path) -> None:
    cli = built(configs / "cifar10_darts.yaml")
    assert cli.model.space == darts_space()
    assert cli.trainer.max_epochs == 50
    assert cli.datamodule.hparams["search_batch_size"] == 64
    make_retraining = cli.config_init["fit"]["retraining"]
    retraining = make_retraining("DARTS_V1", 3, 10)
    skeleton = retraining.architecture.skeleton
    assert (skeleton.channels, skeleton.cells, retraining.max_epochs) == (36, 20, 600)
    assert (retraining.recipe.auxiliary_weight, retraining.recipe.drop_path) == (0.4, 0.2)
    assert cli.datamodule.augmentation.describe()["init_args"]["erase"] == 16
    assert sum(p.numel() for p in cli.model.supernet.weights()) == 1_930_618
