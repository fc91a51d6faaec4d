"""Searches and rivals of a run as jobs."""

import json
import shutil
import signal
import time
from pathlib import Path
from threading import Thread
from typing import Any

import forked
import pytest
import torch
from disks import small_disk
from launchers import read_states
from run_helpers import Finished

from darts_lite.cli.lightning_cli import main
from darts_lite.launchers.jobs import Job, JobsFailed
from darts_lite.launchers.local import Local, Process
from darts_lite.runs.parts import Part, choose_launcher, launch_parts, limit_threads, list_gpus
from darts_lite.runs.run_data import RunData
from darts_lite.runs.settings import RunSettings
from darts_lite.storage.run_folder import RunFolder

SHORT = (
    *("--run.seeds=2", "--run.control=random", "--run.control_nets=1", "--run.resume=auto"),
    *("--trainer.limit_train_batches=4", "--trainer.max_epochs=1", "--data.train_images=500"),
    *("--data.evaluation_batch_size=500", "--retraining.max_epochs=1"),
)


def words(finished: Finished, folder: Path, launcher: str) -> list[str]:
    common = ["fit", "--config", str(finished.config), *finished.data, *SHORT]
    return [*common, f"--run.folder={folder}", f"--run.launcher={launcher}"]


@pytest.fixture(scope="module")
def here(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run whose parts are made one after another in this process."""
    folder = tmp_path_factory.mktemp("here")
    main(words(finished, folder, "here"))
    return folder / "quick" / "version_0"


def assert_same(first: Path, second: Path) -> None:
    states = read_states(first), read_states(second)
    assert states[0].keys() == states[1].keys() and len(states[0]) == 4
    for name, state in states[0].items():
        assert all(torch.equal(value, states[1][name][key]) for key, value in state.items()), name
    told = [json.loads((folder / "summary.json").read_text()) for folder in (first, second)]
    for name in ("architecture", "agreement", "test_accuracy", "control_test_accuracies"):
        assert told[0][name] == told[1][name]


def test_a_part_has_its_folder() -> None:
    part = Part(RunFolder(Path("run")), "seeds", "3")
    assert part.folder.path == Path("run/seeds/3") and not part.is_finished


class Forgets(Local):
    """A launcher that runs something else."""

    def start(self, job: Job) -> Process:
        return super().start(job._replace(words=("-c", "")))


def test_a_launcher_that_runs_nothing_is_told(tmp_path: Path) -> None:
    part = Part(RunFolder(tmp_path), "seeds", "3")
    known = RunData(1, "images", None)
    with pytest.raises(JobsFailed, match="jobs 3 are done, and their folders hold no finished run"):
        launch_parts(RunSettings(), [part], lambda: "", known, Forgets())


def test_a_folder_that_jobs_cannot_be_given_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a$b").mkdir()
    monkeypatch.chdir(tmp_path / "a$b")
    assert choose_launcher(RunSettings(launcher="here"), "cpu") is None
    with pytest.raises(
        ValueError, match=r"a\$b/logs/search, as its path has a \$; start the run in"
    ):
        choose_launcher(RunSettings(), "cpu")


def test_threads_are_limited_for_a_while() -> None:
    before = torch.get_num_threads()
    with limit_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_gpus_are_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert list_gpus() == [str(place) for place in range(torch.cuda.device_count())]


@pytest.mark.slow
def test_kills_of_jobs_change_no_bit(here: Path, finished: Finished, tmp_path: Path) -> None:
    run = tmp_path / "killed" / "quick" / "version_0"
    given = words(finished, tmp_path / "killed", "local")
    # The process that launches is killed as soon as each kind of part has begun; jobs end with it.
    for group in ("seeds", "controls"):
        driver = forked.start(main, given, tmp_path / "log")
        while not [*run.glob(f"{group}/*/events*")] and driver.is_alive():
            time.sleep(0.01)
        driver.kill()
        driver.join()
        assert driver.exitcode == -signal.SIGKILL, (tmp_path / "log").read_text()
    main(given)
    assert_same(here, run)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_of_two_nodes_changes_no_bit(
    here: Path, finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    lost = cluster.add_node(num_cpus=1)
    try:
        run = tmp_path / "ray" / "quick" / "version_0"
        given = [*words(finished, tmp_path / "ray", "ray"), f"--run.address={cluster.address}"]
        killer = Thread(target=kill_when, args=(cluster, lost, run / "seeds"))
        killer.start()
        main(given)
        killer.join()
        assert "is tried again: it was killed by signal 9" in capsys.readouterr().out
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert_same(here, run)


def kill_when(cluster: Any, node: Any, group: Path) -> None:
    """Kills a node when both of its first jobs have begun."""
    while len([*group.glob("*/log.txt")]) < 2:
        time.sleep(0.02)
    time.sleep(3)
    cluster.remove_node(node, allow_graceful=False)


SPOILER = """
import os
import torch
from lightning.pytorch.callbacks import Callback

class Spoiler(Callback):
    def on_fit_start(self, trainer, module):
        if torch.initial_seed() == 4 and not os.path.exists("mended"):
            print("the disk is full", flush=True)
            os._exit(7)
"""


@pytest.mark.slow
def test_a_part_that_always_fails_is_named_goes_on_later_and_changes_no_bit(
    here: Path,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "spoiler.py").write_text(SPOILER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    given = [*words(finished, tmp_path / "logs", "local"), "--trainer.callbacks=spoiler.Spoiler"]
    given += ["--run.job_retries=1"]
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    told = capsys.readouterr()
    assert "job seeds/4 is tried again: the disk is full" in told.out
    assert "1 of 2 jobs have failed, the others are done: seeds/4 (the disk is full)" in told.err
    run = tmp_path / "logs" / "quick" / "version_0"
    assert json.loads((run / "seeds" / "3" / "summary.json").read_text())["finished"]
    (tmp_path / "mended").touch()
    part, place = run / "seeds" / "4", tmp_path / "disk"
    shutil.rmtree(part)
    place.mkdir()
    with small_disk(place, "60k") as disk:
        part.symlink_to(disk.path)
        with pytest.raises(SystemExit):
            main([*given, "--run.job_retries=0"])
        assert "1 of 1 jobs have failed: seeds/4 (" in capsys.readouterr().err
        part.unlink()
    main(given)
    assert "Jobs: 1, at most 1 at once" in capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text())["finished"]
    assert_same(here, run)
