"""Jobs on a Ray cluster of two nodes on this machine."""

import io
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import ray
from ray.cluster_utils import Cluster

from darts_lite.launchers import ray_cluster
from darts_lite.launchers.jobs import Job, JobsFailed, run_jobs
from darts_lite.launchers.ray_cluster import RayCluster, Runner, pack, unpack
from darts_lite.storage.run_folder import LOG

VERSION = ("-m", "darts_lite", "--version")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    made.add_node(num_cpus=1)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_jobs_run_on_all_nodes(cluster: Any, tmp_path: Path) -> None:
    launcher, told = RayCluster(cluster.address), list[str]()
    assert launcher.count_slots(1) == 2
    with pytest.warns(UserWarning, match="no node of the Ray cluster has room for a job of 5"):
        assert launcher.count_slots(5) == 1
    (tmp_path / "waits").mkdir()
    waits = launcher.start(Job("waits", tmp_path / "waits", VERSION, tmp_path, 5))
    begun = time.monotonic()
    assert waits.poll() is None and not waits.has_begun()
    waits.stop()  # it has nothing to save
    assert waits.poll() is not None and time.monotonic() - begun < 20
    names = ("a", "b", "c")
    made = [Job(name, tmp_path / name, VERSION, tmp_path, 1) for name in names]
    run_jobs(launcher, made, tell=told.append)
    assert told[-1].startswith("3 of 3 jobs done")
    for name in names:
        assert (tmp_path / name / LOG).read_text().startswith("darts_lite ")
        assert [path.name for path in (tmp_path / name).iterdir()] == [LOG]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_job_that_brings_back_what_it_must_not_fails_alone(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Apart(Runner):
        """A job on a node without the folder's disk."""

        def start(self, job: Job, sign: str, *rest: Any) -> None:
            super().start(job, "no such file", *rest)

    monkeypatch.setattr(ray_cluster, "Runner", Apart)
    link = ("-c", "import os, sys; os.symlink('/etc/passwd', sys.argv[1] + '/b/link')")
    root = tmp_path / "run"
    made = [
        Job("a", root / "a", VERSION, root, 1),
        Job("b", root / "b", [*link, str(root)], root, 1),
        Job("c", root / "c", VERSION, root, 1),
    ]
    with pytest.raises(JobsFailed, match=r"1 of 3 .*: b \(a job's folder may hold files and fold"):
        run_jobs(RayCluster(cluster.address), made)
    assert not (root / "b" / "link").exists()
    assert all((root / name / LOG).read_text().startswith("darts_lite ") for name in "ac")
    saves = "import sys, time; open(sys.argv[1] + '/d/saved', 'w').close(); time.sleep(600)"
    late = Job("d", root / "d", ["-c", saves, str(root)], root, 1)
    with pytest.raises(JobsFailed, match=r"d \(it still ran after 0\.1 minutes"):
        run_jobs(RayCluster(cluster.address), [late], retries=0, minutes=0.1)
    assert (root / "d" / "saved").exists()  # so the next try would go on from there
    (root / "e").mkdir()
    lost = RayCluster(cluster.address).start(Job("e", root / "e", VERSION, Path("/elsewhere"), 1))
    while (status := lost.poll()) is None:
        time.sleep(0.05)
    assert status == 1 and "elsewhere" in (root / "e" / LOG).read_text()


def test_without_a_shared_disk_the_folder_comes_back(tmp_path: Path) -> None:
    job = Job("a", tmp_path / "run" / "a", VERSION, tmp_path / "run", 1)
    job.folder.mkdir(parents=True)
    (job.folder / "given").write_text("1")
    (job.folder / "second").hardlink_to(job.folder / "given")  # as a checkpoint may have two names
    runner = Runner()  # the actor itself, on a machine that does not see the sign
    runner.start(job, "no such file", pack(job.folder), {}, "/nowhere")
    while runner.poll() is None:
        time.sleep(0.05)
    content = runner.collect()
    assert content is not None and not (job.folder / LOG).exists()
    unpack(content, job.folder)
    assert (job.folder / LOG).read_text().startswith("darts_lite ")
    assert (job.folder / "given").read_text() == (job.folder / "second").read_text() == "1"


def test_what_comes_back_is_checked(tmp_path: Path) -> None:
    def archive(member: tarfile.TarInfo) -> bytes:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w") as made:
            made.addfile(member)
        return file.getvalue()

    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(ValueError, match="files and folders only, not 'link'"):
        unpack(archive(link), tmp_path)
    with pytest.raises(ValueError, match="may not write to '../out', outside of it"):
        unpack(archive(tarfile.TarInfo("../out")), tmp_path)
    assert not (tmp_path.parent / "out").exists()


def test_a_cluster_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match=r"no cluster at '127\.0\.0\.1:1' .*; start it, or leave"):
        RayCluster("127.0.0.1:1")
