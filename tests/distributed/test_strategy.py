"""Runs of two processes, on real digits: they end as one process with the joint batch does."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import forked
import pytest
import torch
import yaml
from run_helpers import QUICK, quiet_trainer
from torch import nn

from darts_lite.cli.lightning_cli import main
from darts_lite.distributed.batch_norm import JointBatchNorm2d
from darts_lite.distributed.strategy import JointBatch, check_strategy, join_norms, separate_norms

KEEPER = '''
"""Leaves what each process holds when a training ends."""

import shutil
import signal
from pathlib import Path

import torch
from lightning.pytorch.callbacks import Callback


class Keeper(Callback):
    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def on_train_end(self, trainer, pl_module) -> None:
        name = f"{type(pl_module).__name__}-{trainer.global_rank}-of-{trainer.world_size}.pt"
        torch.save(pl_module.state_dict(), self.folder / name)


class Signal(Callback):
    """Sends a signal to one of two processes after so many steps, once."""

    def __init__(self, folder: str, name: str, rank: int, step: int) -> None:
        self.signal, self.place = getattr(signal, name), (rank, step)
        self.sent = Path(folder) / f"sent-{step}"

    def on_train_batch_start(self, trainer, *_) -> None:
        here = trainer.global_rank, trainer.global_step
        if here == self.place and not self.sent.exists():
            self.sent.touch()
            signal.raise_signal(self.signal)
'''
CANDIDATES = (
    *("none", "skip_connect", "max_pool_3x3", "avg_pool_3x3"),
    *("sep_conv_3x3", "dil_conv_3x3", "conv_1x1", "conv_3x3"),
)
AUGMENTATION = {
    "class_path": "darts_lite.Augmentation",
    "init_args": {"shift": 1, "rotation": 5.0, "flip": True, "erase": 4},
}
BATCH = 16
LOCAL = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": socket.if_nameindex()[0][1]}
"""A thread per process, and the loopback device, whatever the machine's name stands for."""


def configuration(folder: Path, **model: Any) -> dict[str, Any]:
    """A search of 20 steps and a retraining of 22, in float64, without drawings."""
    init_args = QUICK["model"]["init_args"]
    space = init_args["space"]["init_args"] | {"candidates": list(CANDIDATES)}
    searched = {"space": {"class_path": "darts_lite.SearchSpace", "init_args": space}}
    kept = {"class_path": "keeper.Keeper", "init_args": {"folder": str(folder)}}
    return QUICK | {
        "run": {"name": "joint", "imports": ["keeper"], "folder": str(folder / "logs")},
        "trainer": QUICK["trainer"]
        | {"max_epochs": 1, "precision": "64-true", "callbacks": [kept], "logger": False},
        "model": QUICK["model"] | {"init_args": init_args | searched | model},
        "retraining": QUICK["retraining"]
        | {"max_epochs": 1, "mixup": 0.3, "smallest_side": 0.8, "test_shifts": 1},
        "data": {
            "train_images": 800,
            "search_batches_per_epoch": 20,
            "search_augmentation": AUGMENTATION,
            "augmentation": AUGMENTATION,
        },
    }


def watched(folder: Path) -> dict[str, Any]:
    """The same in TensorBoard."""
    config = configuration(folder)
    del config["trainer"]["logger"]
    return config


class Pair:
    """One configuration run by one process, and by two with half of each batch."""

    def __init__(self, folder: Path, digits_root: str, config: dict[str, Any]) -> None:
        self.folder = folder
        (folder / "keeper.py").write_text(KEEPER)
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        self.common = ["fit", "--config", str(path), "--data.root", digits_root]

    def alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(self.folder))
        main([*self.common, *self.sizes(BATCH)])

    @property
    def shared(self) -> list[str]:
        """The words of each of two processes."""
        ranks = ["--trainer.strategy=ddp", "--trainer.devices=2"]
        return [*self.common, *self.sizes(BATCH // 2), *ranks]

    def as_ranks(self) -> None:
        """Runs two processes that begin where this one is, as those of a cluster are begun."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        common, log = LOCAL | place | {"NODE_RANK": "0", "WORLD_SIZE": "2"}, self.folder / "log"
        processes = [
            forked.start(main, self.shared, log, common | {"LOCAL_RANK": str(rank)})
            for rank in range(2)
        ]
        for process in processes:
            process.join(900)  # of a busy machine
            assert process.exitcode == 0, log.read_text()

    def together(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "darts_lite", *self.shared],
            capture_output=True,
            text=True,
            env=os.environ | LOCAL | {"PYTHONPATH": path_with(self.folder)},
            timeout=900,  # of a busy machine
        )

    @staticmethod
    def sizes(batch: int) -> list[str]:
        return [f"--data.search_batch_size={batch}", f"--data.batch_size={2 * batch}"]

    def state(self, stage: str, rank: int, ranks: int) -> dict[str, Any]:
        path = self.folder / f"{stage}-{rank}-of-{ranks}.pt"
        return torch.load(path, weights_only=True)

    def assert_alike(self, stage: str, single: "Pair | None" = None) -> None:
        """Both ranks bit for bit, and nearly what the single process has, here or elsewhere."""
        alone = (single or self).state(stage, 0, 1)
        first, second = self.state(stage, 0, 2), self.state(stage, 1, 2)
        assert alone.keys() == first.keys() == second.keys()
        for name, value in alone.items():
            if stage == "Exploration" and ("running_" in name or "num_batches" in name):
                continue  # statistics of validation images, which nobody reads
            assert torch.equal(first[name], second[name]), name
            torch.testing.assert_close(first[name], value, rtol=0, atol=1e-6, msg=name)


def path_with(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(scope="module")
def single(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """What one process makes of a search and a retraining."""
    folder = tmp_path_factory.mktemp("single")
    pair = Pair(folder, digits_root, watched(folder))
    with pytest.MonkeyPatch.context() as monkeypatch:
        pair.alone(monkeypatch)
    return pair


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_the_joint_batch(
    single: Pair, digits_root: str, tmp_path: Path
) -> None:
    pair = Pair(tmp_path, digits_root, watched(tmp_path))
    done = pair.together()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Data:") == 1 and not done.stderr
    pair.assert_alike("ArchitectureSearch", single)
    pair.assert_alike("Retraining", single)
    assert not (tmp_path / "logs" / "joint" / "version_1").exists()
    runs = [each.folder / "logs" / "joint" / "version_0" for each in (single, pair)]
    found = [(path / "architecture.json").read_text() for path in runs]
    assert found[0] == found[1]
    summaries = [json.loads((path / "summary.json").read_text()) for path in runs]
    for name in ("test_accuracy", "validation_accuracy", "search_validation_accuracy", "drift"):
        assert summaries[0][name] == pytest.approx(summaries[1][name], abs=1e-6), name
    assert summaries[0]["test_loss"] == pytest.approx(summaries[1]["test_loss"], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    [
        {
            "executor": {"class_path": "darts_lite.Literal"},
            "gradient": {"class_path": "darts_lite.SecondOrder"},
        },
        {
            "relaxation": {"class_path": "darts_lite.GumbelMax"},
            "partial_channels": 2,
            "edge_weights": True,
        },
    ],
    ids=lambda model: "-".join(model),
)
def test_other_searches_of_two_processes(
    model: dict[str, Any], digits_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path, **model) | {"retraining": None}
    if "gradient" in model:
        config["data"]["search_batches_per_epoch"] = 8
    pair = Pair(tmp_path, digits_root, config)
    pair.alone(monkeypatch)
    pair.as_ranks()
    pair.assert_alike("ArchitectureSearch")


@pytest.mark.slow
def test_an_exploration_of_two_processes(
    digits_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path) | {"retraining": None}
    init_args = {"space": config["model"]["init_args"]["space"], "evaluations": 5}
    evaluator = {"class_path": "darts_lite.SharedWeights", "init_args": {"weights_epochs": 0.5}}
    config["model"] = {
        "class_path": "darts_lite.Exploration",
        "init_args": init_args | {"evaluator": evaluator},
    }
    pair = Pair(tmp_path, digits_root, config)
    pair.alone(monkeypatch)
    pair.as_ranks()
    pair.assert_alike("Exploration")
    found = [
        (tmp_path / "logs" / "joint" / f"version_{n}" / "architecture.json").read_text()
        for n in range(2)
    ]
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_play_off_of_two_processes(
    digits_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path) | {"retraining": None}
    sizes = {"by_hand": 3, "at_random": 1, "children": 2, "finalists": 2}
    chains = {"stages": [2, 1], "widths": [4, 8], "placements": ["stem 1", "stem 2"]}
    config["model"] = {
        "class_path": "darts_lite.PlayOff",
        "init_args": sizes
        | {"space": {"class_path": "darts_lite.LayerSpace", "init_args": chains}},
    }
    config["budget"] = {"parameters": 800, "memory": "4kB"}
    pair = Pair(tmp_path, digits_root, config)
    pair.alone(monkeypatch)
    pair.as_ranks()
    pair.assert_alike("PlayOff")


@pytest.mark.slow
def test_a_network_of_your_own_on_two_processes(
    digits_root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configuration(tmp_path)
    config["model"]["init_args"] = {"space": "own_networks.MyNet"}
    config["data"] |= {"train_images": 400, "search_batches_per_epoch": 8}
    config["budget"] = {"parameters": 600}
    config["retraining"] |= {"drop_path": 0.0}
    shutil.copy(Path(__file__).parents[1] / "own_networks.py", tmp_path)
    pair = Pair(tmp_path, digits_root, config)
    pair.alone(monkeypatch)
    pair.as_ranks()
    pair.assert_alike("ArchitectureSearch")
    pair.assert_alike("Retraining")


@pytest.mark.slow
def test_what_ends_one_of_two_processes_ends_both_and_the_run_goes_on(
    single: Pair, digits_root: str, tmp_path: Path
) -> None:
    config = configuration(tmp_path) | {"retraining": None}
    config["trainer"]["callbacks"] += [
        {
            "class_path": "keeper.Signal",
            "init_args": {"folder": str(tmp_path), "name": name, "rank": rank, "step": step},
        }
        for name, rank, step in (("SIGTERM", 0, 4), ("SIGTERM", 1, 9), ("SIGKILL", 1, 16))
    ]
    config["run"] |= {"resume": "auto", "save_every_steps": 5}
    pair = Pair(tmp_path, digits_root, config)
    last = tmp_path / "logs" / "joint" / "version_0" / "checkpoints" / "last.ckpt"
    for step in (5, 10):
        stopped = pair.together()
        assert stopped.returncode == 128 + signal.SIGTERM
        assert stopped.stdout.splitlines()[-1] == f"Stopped by SIGTERM after step {step}: {last}"
        assert not stopped.stderr
    died = pair.together()
    assert died.returncode == 2
    (line,) = died.stderr.splitlines()
    assert line.startswith("error: another process of this run has ended")
    done = pair.together()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Going on with {last.parents[1]}")
    pair.assert_alike("ArchitectureSearch", single)


@pytest.mark.slow
def test_what_ends_both_processes_is_said_once(digits_root: str, tmp_path: Path) -> None:
    config = configuration(tmp_path) | {"retraining": None}
    rate = {"class_path": "torch.optim.SGD", "init_args": {"lr": 1e30}}
    config["model"]["init_args"]["weights_optimizer"] = rate
    config["trainer"]["precision"] = "32-true"
    stopped = Pair(tmp_path, digits_root, config).together()
    assert stopped.returncode == 2
    (line,) = stopped.stderr.splitlines()
    assert line.startswith("error: search/") and "the last good checkpoint" in line


def test_norms_are_joined_in_place_and_parted_again() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    norm = net[1]
    join_norms(net)
    assert net[1] is norm and type(norm) is JointBatchNorm2d
    separate_norms(net)
    assert type(norm) is nn.BatchNorm2d


def test_a_norm_that_cannot_be_joined_is_named() -> None:
    with pytest.raises(ValueError, match="0 is a BatchNorm1d, .* use nn.BatchNorm2d"):
        join_norms(nn.Sequential(nn.BatchNorm1d(3)))


def test_strategies_that_cannot_be_followed_are_refused() -> None:
    check_strategy(quiet_trainer(), "auto")
    check_strategy(quiet_trainer(strategy=JointBatch(), devices=2), "ddp")
    for strategy in ("ddp", "ddp_spawn"):
        with pytest.raises(ValueError, match=f"{strategy} is not supported.* choose ddp"):
            check_strategy(quiet_trainer(strategy=strategy, devices=2), strategy)


def test_torchrun_and_the_trainer_must_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(ValueError, match="torchrun has started 2 .* is 1; make both the same"):
        check_strategy(quiet_trainer(), "auto")
