"""`fit --sweep`: several overlays with several seeds."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from launchers import read_states
from run_helpers import Finished, write_digits

from darts_lite.cli.main import main
from darts_lite.cli.sweep import add_overlay, take_overlays
from darts_lite.runs.parts import limit_threads

SHORT = (
    *("--trainer.limit_train_batches=4", "--trainer.max_epochs=1", "--data.train_images=500"),
    *("--data.evaluation_batch_size=500", "--retraining.max_epochs=1", "--trainer.logger=false"),
)
CELLS = ("--config", "mnist_cells", "--sweep", "gdas")
FIGURES = ("algorithm", "architecture", "test_accuracy", "test_loss", "validation_accuracy")


def words(finished: Finished, folder: Path) -> list[str]:
    return ["--config", str(finished.config), *finished.data, *SHORT, f"--run.folder={folder}"]


def test_overlays_stand_behind_the_last_configuration() -> None:
    names, left = take_overlays(
        ["--config", "mnist_cells", "--sweep", "gdas, drnas", "--run.seeds=2"]
    )
    assert names == ["gdas", "drnas"]
    made = add_overlay(left, names[0])
    assert made[2] == "--config" and made[3].endswith("gdas.yaml") and made[4:] == ["--run.seeds=2"]
    assert take_overlays(["--sweep=gdas"]) == (["gdas"], [])
    for wrong in (["--sweep="], ["--sweep", "gdas,gdas"]):
        with pytest.raises(ValueError, match="takes names of overlays with commas"):
            take_overlays(wrong)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--config", "mnist_cells", "--sweep", "nothing"], "'nothing' is neither a file nor"),
        (["--sweep", "gdas"], "gdas is an overlay, which changes a whole configuration"),
        (["--config", "mnist", "--sweep", "gdas"], "gdas is for a search by gradients"),
        ([*CELLS, "--seed_everything=4294967295", "--run.seeds=2"], "at most 4294967294"),
        ([*CELLS, "--run.control=random", "--retraining=null"], "retraining must not be null"),
    ],
)
def test_mistakes_are_one_line(
    given: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["fit", *given])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert told in err and err.count("\n") == 1


def test_what_is_of_the_whole_sweep_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.yaml").write_text(f"run: {{jobs: {number}}}")
    both = f"{tmp_path}/1.yaml,{tmp_path}/2.yaml"
    with pytest.raises(SystemExit):
        main(["fit", "--config", "mnist_cells", "--sweep", both])
    assert "one run.jobs for all, and overlays set it to 1 and 2" in capsys.readouterr().err


def assert_same(first: Path, second: Path) -> None:
    told = [json.loads((each / "version_0/summary.json").read_text()) for each in (first, second)]
    assert [told[0][name] for name in FIGURES] == [told[1][name] for name in FIGURES]
    states = read_states(first), read_states(second)
    assert len(states[0]) == 2 and states[0].keys() == states[1].keys()
    for name, state in states[0].items():
        assert all(value.equal(states[1][name][key]) for key, value in state.items()), name


@pytest.mark.slow
def test_a_sweep_is_a_shell_loop_and_goes_on(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common, root = words(finished, tmp_path), tmp_path / "quick" / "sweep"
    asked = ["fit", *common, "--sweep=gdas,drnas", "--run.seeds=2", "--run.launcher=local"]
    process = subprocess.Popen(
        [sys.executable, "-m", "darts_lite", *asked], stdout=subprocess.PIPE, text=True
    )
    while not [*root.glob("*/*/version_0/config.yaml")]:  # until a job has begun its run
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=120)[0]
    assert process.returncode == 130 and "4 runs, 4 of them to be made" in told
    main(asked)
    told = capsys.readouterr().out
    assert "gdas     2" in told and "drnas    2" in told
    logged = {path.parent.name.partition("_")[2] for path in (root / "compared").rglob("events*")}
    assert logged == {"gdas", "drnas"}
    loop = ["--config", "drnas", "--seed_everything=4", "--run.name=loop/drnas/4"]
    with limit_threads(1):
        main(["fit", *common, *loop])
    assert_same(root / "drnas/4", tmp_path / "loop/drnas/4")
    shutil.copytree(root / "gdas/3/version_0", root / "gdas/3/kept")  # another name is no version
    plain = tmp_path / "quick" / "version_0"  # an unfinished run of the sweep's name
    plain.mkdir()
    shutil.copy(finished.directory / "config.yaml", plain)
    main([*asked, "--run.resume=auto"])
    assert "4 runs, 0 of them to be made" in capsys.readouterr().out
    write_digits(tmp_path, torch.arange(0, 5000, 2), torch.arange(1, 5000, 2))
    with pytest.raises(SystemExit):
        main([*asked, f"--data.root={tmp_path}"])
    told = capsys.readouterr().err
    assert "began with other data" in told and "in a sweep another run.name" in told
    with pytest.raises(SystemExit):
        main([*asked, "--data.batch_size=32"])
    told = capsys.readouterr().err
    assert "cannot go on with other settings (data" in told and "another run.name for" in told


@pytest.mark.slow
def test_a_failed_sweep_takes_mended_settings(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["fit", *words(finished, tmp_path), "--sweep=gdas", "--run.launcher=here"]
    left = tmp_path / "quick" / "sweep" / "gdas" / "3" / "version_0"  # of a job that was refused
    left.mkdir(parents=True)
    shutil.copy(finished.directory / "config.yaml", left)
    with pytest.raises(SystemExit):
        main([*asked, "--budget.parameters=10"])
    told = capsys.readouterr().err
    assert "at most 10 parameters" in told and "once mended, the same command" in told
