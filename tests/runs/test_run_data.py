"""The data of a run: its jobs refuse other ones, and it goes on with its own."""

import shutil
from argparse import Namespace
from pathlib import Path

import pytest
from PIL import Image
from run_helpers import Finished, OwnImages, all_digits

from darts_lite.cli.lightning_cli import main, run
from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.networks.kinds import read_architecture
from darts_lite.runs.controls import Rival
from darts_lite.runs.parts import Part
from darts_lite.runs.run_data import RunData, Seen, check_data
from darts_lite.storage.run_folder import RunFolder
from darts_lite.storage.run_record import read_summary


def test_what_is_written_is_read(tmp_path: Path) -> None:
    seen = Seen(ImagePreparation(1, 28, mean=(0.1,), std=(0.3,)), ["a", "b"])
    for known in (RunData(7, "a folder", None), RunData(8, "another", seen)):
        known.write(RunFolder(tmp_path))
        assert RunData.read(RunFolder(tmp_path)) == known


@pytest.mark.parametrize("content", ["", "[]", '{"checksum": 1}', '{"seen": {"held_out": 1}}'])
def test_a_changed_file_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(ValueError, match=r"data\.json is damaged"):
        RunData.read(RunFolder(tmp_path))


def test_other_data_are_refused(digits: ImageData) -> None:
    digits.setup("fit")
    check_data({}, digits)
    RunData.of(digits, None).check(digits)
    with pytest.raises(ValueError, match="other data .download; now: "):
        check_data({"data_checksum": 8, "data_source": "download"}, digits)


@pytest.mark.parametrize("group", ["seeds", "controls"])
def test_a_job_refuses_other_data_than_those_of_its_run(
    group: str, finished: Finished, tmp_path: Path
) -> None:
    part = Part(RunFolder(tmp_path / "quick" / "version_0"), group, "1")
    architecture = read_architecture(RunFolder(finished.directory).architecture)
    Rival(1, "Random net 1", architecture).write(part.folder)
    shutil.copy(finished.directory / "config.yaml", part.folder.path)
    RunData(1, "data of elsewhere", None).write(part.folder)
    with pytest.raises(ValueError, match="other data .data of elsewhere; now: "):
        run(Namespace(folder=part.run.path, group=group, name="1"))
    assert not read_summary(part.folder)


def test_a_run_that_began_with_a_checkpoint_goes_on_with_its_test_images(
    own_images: OwnImages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else other tests would look for these images where they lie and change here.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    photos = tmp_path / "photos"
    shutil.copytree(own_images.images, photos)
    words = ["fit", "--config", str(own_images.directory / "config.yaml")]
    words += [f"--data.dataset={photos}", f"--run.folder={tmp_path}", "--run.save_every_steps=2"]
    words += ["--trainer.callbacks+=training_helpers.StopsOnce", "--run.resume=auto"]
    words += ["--trainer.callbacks.stage=Retraining", "--trainer.limit_train_batches=6"]

    def go(name: str, *more: str) -> None:
        main(
            [
                *words,
                f"--trainer.callbacks.marker={tmp_path}/{name} stopped",
                *more,
                f"--run.name={name}",
            ]
        )

    def stop(name: str, *more: str) -> None:
        with pytest.raises(SystemExit) as stopped:
            go(name, *more)
        assert stopped.value.code == 128 + 15

    stop("first", "--trainer.callbacks.step=2")
    for number, image in enumerate(all_digits()[0][1000:1060]):
        Image.fromarray(image.numpy()).save(photos / f"class {number % 3}" / f"new{number}.png")
    first, second = (tmp_path / name / "version_0" for name in ("first", "second"))
    start = f"--ckpt_path={first}/checkpoints/retraining-last.ckpt", "--trainer.callbacks.step=3"
    stop("second", *start)
    (tmp_path / "first").rename(tmp_path / "gone")
    go("second", *start)
    assert read_summary(RunFolder(second))["finished"]
    names = [(folder / "held_out.txt").read_text() for folder in (own_images.directory, second)]
    assert names[0] == names[1] and not second.with_name("version_1").exists()
