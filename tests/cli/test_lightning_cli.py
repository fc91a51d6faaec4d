"""The command line from end to end, on real digits."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
import yaml
from pictures import write_pictures
from run_helpers import FEW_NETS, QUICK, Finished, files, some_slow
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from darts_lite.cli.lightning_cli import main
from darts_lite.cli.main import main as run_verb
from darts_lite.data.images.datasets import EmbeddedDataWarning
from darts_lite.data.images.image_data import ImageData
from darts_lite.networks.kinds import read_architecture
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.cells.architecture import Architecture
from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain import Chain
from darts_lite.storage.versions import describe_versions


def test_a_run_leaves_the_promised_files(finished: Finished) -> None:
    present = files(finished.directory)
    expected = {
        "config.yaml",
        "architecture.json",
        "architecture.png",
        "net.ckpt",
        "net.safetensors",
        "summary.json",
        "checkpoints/last.ckpt",
        "checkpoints/retraining-last.ckpt",
    }
    assert expected <= present
    assert any(name.startswith("events.out.tfevents") for name in present)


def test_the_summary_has_the_promised_keys(finished: Finished) -> None:
    summary = finished.summary
    promised = {
        "dataset": "MNIST",
        "data_source": "local files",
        "train_images": 1800,
        "validation_images": 200,
        "test_images": 1000,
        "seed": 3,
        "precision": "32-true",
        "architecture_steps": 18,
        "alphas": 2 * 5 * 4,
    }
    assert {key: summary[key] for key in promised} == promised
    assert "DARTS, Softmax, FirstOrder" in summary["algorithm"]
    assert "BetaDecay" in summary["algorithm"]
    assert 0 < summary["test_accuracy"] <= 1
    assert summary["test_loss"] > 0
    assert summary["search_seconds"] > 0
    assert summary["retrain_seconds"] > 0
    assert summary["params"] > 0
    assert summary["macs"] > 10_000
    assert torch.__version__.startswith(summary["versions"]["torch"])
    for key in ("median_top2_margin", "drift", "entropy", "skip_share", "device"):
        assert key in summary
    (session,) = summary["sessions"]
    assert session["versions"] == summary["versions"] == describe_versions()
    for name in ("net.ckpt", "checkpoints/last.ckpt"):
        content = torch.load(finished.directory / name, weights_only=True)
        assert content["versions"] == describe_versions()


def test_tensorboard_keeps_the_stages_apart(finished: Finished) -> None:
    events = EventAccumulator(str(finished.directory), size_guidance={"tensors": 0}).Reload()
    scalars = set(events.Tags()["scalars"])
    assert {
        "search/weights_loss",
        "search/alphas_loss",
        "search/validation_accuracy",
        "retraining/train_loss",
        "retraining/validation_accuracy",
        "test/accuracy",
        "final/test_accuracy",
    } <= scalars
    hparams = events.summary_metadata["_hparams_/session_start_info"]
    assert b"retraining" in hparams.plugin_data.content


def test_the_architecture_file_is_the_nets(finished: Finished) -> None:
    architecture = Architecture.load(finished.directory / "architecture.json")
    net = Retraining.load_from_checkpoint(finished.directory / "net.ckpt")
    assert net.architecture == architecture
    assert architecture.genotype() == finished.summary["architecture"]


def test_the_net_is_tested_alone_moved_and_without_its_run(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copy(finished.directory / "net.ckpt", tmp_path / "elsewhere.ckpt")
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    main(["test", "--ckpt_path", "elsewhere.ckpt"])
    accuracy = finished.summary["test_accuracy"]
    out = capsys.readouterr().out
    assert "test/accuracy" in out
    assert json.loads(out.splitlines()[-1])["test/accuracy"] == accuracy
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("verb", "part", "told"),
    [
        ("test", "test", r"5 of 1,000 test images, none of them of 5, 6, 7, 8, 9\n"),
        ("validate", "val", r"5 of \d+ validation images\n"),
    ],
)
def test_a_part_of_the_images_is_told(
    verb: str, part: str, told: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--ckpt_path={finished.directory / 'net.ckpt'}", "--data.evaluation_batch_size=5"]
    main([verb, *words, f"--trainer.limit_{part}_batches=1"])
    assert re.search(f"Figures are of {told}", capsys.readouterr().out)


@pytest.mark.parametrize(("verb", "part"), [("test", "test"), ("validate", "val")])
def test_no_image_at_all_is_refused(
    verb: str, part: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(
            [
                verb,
                f"--ckpt_path={finished.directory}/net.ckpt",
                f"--trainer.limit_{part}_batches=0",
            ]
        )
    assert (
        f"error: trainer.limit_{part}_batches is 0, so there is nothing" in capsys.readouterr().err
    )


def test_a_pipe_is_no_architecture_to_retrain(
    finished: Finished, configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    for pipe in ([str(tmp_path / "pipe")], ["/dev/zero"]):
        with pytest.raises(SystemExit):
            main(["fit", "--config", str(configs / "retrain.yaml"), "--model.architecture", *pipe])
        assert f"--model.architecture: {pipe[0]} is a pipe or a device" in capsys.readouterr().err


def test_images_of_another_data_set_are_told(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copied = shutil.copytree(Path(finished.data[1]) / "MNIST", tmp_path / "KMNIST")
    assert copied.is_dir()
    words = [f"--ckpt_path={finished.directory / 'net.ckpt'}", f"--data.root={tmp_path}"]
    with pytest.warns(UserWarning, match="trained on MNIST, and these are images of KMNIST"):
        main(["test", *words, "--data.dataset=KMNIST"])
    assert "Data: KMNIST" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["test", "validate", "predict"])
def test_digits_that_a_net_has_learnt_tell_nothing_of_it(
    verb: str,
    finished: Finished,
    tmp_path: Path,
    offline: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit), pytest.warns(EmbeddedDataWarning):
        main([verb, "--ckpt_path", str(finished.directory / "net.ckpt"), f"--data.root={tmp_path}"])
    out, error = capsys.readouterr()
    assert out == "" and "are among its training images; set DARTS_LITE_DATA" in error


@pytest.mark.slow
def test_the_saved_configuration_repeats_the_run(finished: Finished) -> None:
    config = finished.directory / "config.yaml"
    content = yaml.safe_load(config.read_text())
    assert content["ckpt_path"] is None
    assert content["trainer"]["precision"] is None
    main(["fit", "--config", str(config)])
    again = finished.folder / "logs" / "quick" / "version_1"
    summary = json.loads((again / "summary.json").read_text())
    for key in ("test_accuracy", "test_loss", "architecture", "drift", "validation_accuracy"):
        assert summary[key] == finished.summary[key], key
    for name in ("architecture.json", "config.yaml"):
        assert (again / name).read_text() == (finished.directory / name).read_text()


def test_an_architecture_file_is_retrained_alone_and_leaves_no_thread(
    finished: Finished, configs: Path, tmp_path: Path
) -> None:
    threads = threading.enumerate()
    main(
        [
            "fit",
            "--config",
            str(configs / "retrain.yaml"),
            "--model.architecture",
            str(finished.directory / "architecture.json"),
            "--trainer.max_epochs=1",
            "--trainer.limit_train_batches=3",
            *finished.data[:2],
            f"--run.folder={tmp_path}",
        ]
    )
    (directory,) = (tmp_path / "retrain").iterdir()
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["search_seconds"] is None
    assert summary["retrain_epochs"] == 1
    assert summary["params"] == finished.summary["params"]
    assert {"net.ckpt", "architecture.json", "config.yaml"} <= files(directory)
    assert set(threading.enumerate()) <= set(threads)


@pytest.mark.slow
def test_a_search_checkpoint_is_retrained_with_its_weights(
    finished: Finished, configs: Path, tmp_path: Path
) -> None:
    main(
        [
            "fit",
            "--config",
            str(configs / "retrain.yaml"),
            "--model.architecture",
            str(finished.directory / "checkpoints" / "last.ckpt"),
            "--model.inherit=true",
            "--model.max_epochs=1",
            *finished.data[:2],
            f"--run.folder={tmp_path}",
        ]
    )
    (directory,) = (tmp_path / "retrain").iterdir()
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["architecture"] == finished.summary["architecture"]


def test_validate_on_a_search_reports_supernet_and_derived_net(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["validate", "--ckpt_path", str(finished.directory / "checkpoints" / "last.ckpt")])
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    supernet = finished.summary["search_validation_accuracy"]
    assert metrics["search/validation_accuracy"] == supernet
    assert 0 <= metrics["derived/validation_accuracy"] <= 1


def test_predict_prints_a_line_per_image(
    finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", f"--ckpt_path={finished.directory / 'net.ckpt'}"])
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("image,class,probability")
    rows = [line.split(",") for line in lines[start + 1 :]]
    assert [int(row[0]) for row in rows] == list(range(1000))
    right = sum(int(row[1]) == index % 10 for index, row in enumerate(rows))
    assert right / 1000 == pytest.approx(finished.summary["test_accuracy"])


@pytest.mark.slow
def test_a_time_limit_still_derives_and_retrains(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = ["--run.max_minutes=0.02", "--trainer.max_epochs=1000", f"--run.folder={tmp_path}"]
    inherit = "--retraining.inherit=true"
    main(["fit", "--config", str(finished.config), *finished.data, *limit, inherit])
    assert "The search was ended after" in capsys.readouterr().out
    summary = json.loads((tmp_path / "quick" / "version_0" / "summary.json").read_text())
    assert summary["search_epochs"] < 1000
    assert summary["test_accuracy"] is not None


def test_a_limit_in_time_that_leaves_no_architecture_step_retrains_nothing(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = ["--run.max_minutes=1e-9", "--model.warmup_epochs=1", f"--run.folder={tmp_path}"]
    newest = tmp_path / "quick" / "version_0" / "checkpoints" / "last.ckpt"
    for resume in ([], ["--run.resume=auto"]):
        with pytest.raises(SystemExit) as stopped:
            main(["fit", "--config", str(finished.config), *finished.data, *limit, *resume])
        assert stopped.value.code == 2
        error = capsys.readouterr().err
        assert "so a random one would be retrained" in error and str(newest) in error
        assert error.count("\n") == 1 and newest.exists()
    assert not (newest.parents[1] / "architecture.json").exists()


def test_an_interrupt_ends_a_test_with_a_line(
    finished: Finished, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def asked(self: Retraining, *batch: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Retraining, "test_step", asked)
    with pytest.raises(SystemExit) as stopped:
        main(["test", "--ckpt_path", str(finished.directory / "net.ckpt")])
    assert stopped.value.code == 130 and "Stopped by SIGINT\n" in capsys.readouterr().out


def test_paths_are_expanded_wherever_they_are_read(
    finished: Finished, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(finished.directory))
    monkeypatch.setenv("DIGITS", finished.data[1])
    main(["test", "--ckpt_path", "~/net.ckpt", "--data.root=$DIGITS"])
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["test/accuracy"] == finished.summary["test_accuracy"]
    run_verb(["derive", "~/checkpoints/last.ckpt"])
    assert finished.summary["architecture"] in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run_verb(["derive", "$NO_SUCH_VARIABLE/last.ckpt"])
    assert "the variable NO_SUCH_VARIABLE" in capsys.readouterr().err


@pytest.mark.slow
def test_loggers_and_callbacks_of_ones_own_in_double_precision(
    finished: Finished, tmp_path: Path
) -> None:
    (tmp_path / "own.yaml").write_text(
        yaml.safe_dump(
            {
                "trainer": {
                    "precision": "64-true",
                    "limit_train_batches": 2,
                    "logger": [
                        {
                            "class_path": "lightning.pytorch.loggers.CSVLogger",
                            "init_args": {"save_dir": str(tmp_path / "csv")},
                        },
                        {
                            "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
                            "init_args": {"save_dir": str(tmp_path / "board")},
                        },
                    ],
                    "callbacks": [
                        {
                            "class_path": f"lightning.pytorch.callbacks.{name}",
                            "init_args": {
                                "monitor": f"{stage}/validation_accuracy",
                                "mode": "max",
                            },
                        }
                        for name in ("EarlyStopping", "ModelCheckpoint")
                        for stage in ("search", "retraining")
                    ],
                }
            }
        )
    )
    own = ["--config", str(tmp_path / "own.yaml"), f"--run.folder={tmp_path}"]
    main(["fit", "--config", str(finished.config), *finished.data, *own])
    summary = json.loads((tmp_path / "quick" / "version_0" / "summary.json").read_text())
    assert summary["precision"] == "64-true"
    assert summary["macs"] > 10_000
    assert list((tmp_path / "csv").rglob("metrics.csv"))
    assert list((tmp_path / "board").rglob("events.out.tfevents.*"))
    assert list((tmp_path / "quick").rglob("events.out.tfevents.*"))


def test_a_folder_that_is_a_file(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(SystemExit):
        main(
            [
                "fit",
                "--config",
                str(finished.config),
                *finished.data,
                f"--run.folder={tmp_path / 'taken'}",
            ]
        )
    assert capsys.readouterr().err.count("\n") == 1


def test_a_checkpoint_of_the_other_stage(
    finished: Finished, configs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net, search = finished.directory / "net.ckpt", finished.directory / "checkpoints/last.ckpt"
    net_alone = [f"--ckpt_path={net}", f"--model.architecture={search}", *finished.data]
    for arguments, message in (
        (["fit", "--config", str(finished.config), f"--ckpt_path={net}"], "a checkpoint of"),
        (
            ["fit", "--config", str(configs / "retrain.yaml"), *net_alone],
            "checkpoints/retraining-last.ckpt",
        ),
        (["test", f"--ckpt_path={search}"], "test takes the run's net.ckpt"),
    ):
        with pytest.raises(SystemExit):
            main(arguments)
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


OWN_PARTS = '''
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor


@dataclass(frozen=True)
class Sharp:
    """Softmax of alphas that count several times."""

    power: float = 2.0
    samples: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True

    def mixing_weights(self, alphas: Tensor, progress: float) -> Tensor:
        return (self.power * alphas).softmax(dim=-1)

    def shares(self, alphas: Tensor) -> Tensor:
        return self.mixing_weights(alphas, 1.0)
'''


def test_a_relaxation_of_ones_own(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "own_parts.py").write_text(OWN_PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    own = ["--model.relaxation=own_parts.Sharp", "--model.relaxation.power=3"]
    short = ["--retraining=null", "--trainer.limit_train_batches=2", f"--run.folder={tmp_path}"]
    main(["fit", "--config", str(finished.config), *finished.data, *own, *short])
    directory = tmp_path / "quick" / "version_0"
    summary = json.loads((directory / "summary.json").read_text())
    assert summary["algorithm"].startswith("DARTS, Sharp")
    path = str(directory / "checkpoints" / "last.ckpt")
    with pytest.raises(SystemExit):
        main(["validate", "--ckpt_path", path])
    assert "add --run.imports='[own_parts]'" in capsys.readouterr().err
    main(["validate", "--ckpt_path", path, "--run.imports=[own_parts]"])
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert metrics["search/validation_accuracy"] == summary["search_validation_accuracy"]
    content = torch.load(path, weights_only=True)
    assert content["model"]["init_args"]["relaxation"]["init_args"] == {"power": 3}


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trainer.gradient_clip_val=1"], "model.gradient_clip"),
        (["--trainer.accumulate_grad_batches=2"], "data.search_batch_size"),
        (["--trainer.devices=2", "--trainer.strategy=ddp_spawn"], "choose ddp"),
        (["--trainer.sync_batchnorm=true"], "share their statistics without it"),
        (["--trainer.devices=2", "--seed_everything=false"], "set seed_everything to a number"),
        (["--data.dataset=MNISTT"], "MNISTT"),
        (["--data.root=/no/such/folder/anywhere", "--data.dataset=FashionMNIST"], "FashionMNIST"),
        (["--run.max_minutes=-1"], "max_minutes"),
        (["--run.seeds=0"], "run.seeds must be at least 1"),
        (["--run.seeds=2", "--run.launcher=cloud"], "choose from here, local, ray, or give"),
        (["--run.seeds=2", "--run.address=here:1"], "run.address is for ray"),
        (["--run.control=random", "--run.launcher=no.such.Thing"], "cannot make 'no.such.Thing'"),
        (["--run.jobs=0"], "run.jobs must be at least 1"),
        (["--run.job_retries=-1"], "run.job_retries must be at least 0"),
        (["--run.job_minutes=0"], "run.job_minutes must be above 0"),
        (["--run.seeds=2", "--retraining.inherit=true"], "retraining.inherit to false"),
        (["--run.seeds=2", "--seed_everything=false"], "seed_everything"),
        (["--run.seeds=2", "--seed_everything=4294967295"], "to at most 4294967294"),
        (["--run.control=random", "--seed_everything=4294967291"], "to at most 4294967290"),
        (["--seed_everything=4294967296"], "4294967296 is not in bounds"),
        (["--run.folder=$NO_SUCH_VARIABLE/logs"], "the variable NO_SUCH_VARIABLE"),
        (["--run.folder=s3://bucket/logs"], "run.folder: 's3://bucket/logs' is an address"),
        (["--run.folder=file:///tmp/logs", "--run.resume=auto"], "is an address"),
        (["--run.folder=~no_such_user/logs"], "no user has the folder"),
        (["--run.name=$HOME"], "the name of a folder in it"),
        (["--data.root=$NO_SUCH_VARIABLE"], "the variable NO_SUCH_VARIABLE"),
        (["--data.dataset=~no_such_user/images"], "no user has the folder"),
        (["--ckpt_path=$NO_SUCH_VARIABLE/a.ckpt"], "the variable NO_SUCH_VARIABLE"),
        (["--run.max_minutes=1", "--trainer.max_time=00:01:00:00"], "leave one out"),
        (["--run.control=best"], "best_of"),
        (["--run.control=uniform"], "has no families made by hand, as darts_lite.LayerSpace has"),
        (["--run.control=random", "--retraining=null"], "retraining must not be null"),
        (["--run.control=random", "--run.control_nets=1000000"], "set it to at most that"),
        (["--run.imports=[no_such_module]"], "cannot import 'no_such_module'"),
        (["--trainer.max_epochs=null"], "trainer.max_epochs"),
        (["--trainer.precision=16-true"], "16-mixed"),
        (["--trainer.precision=transformer-engine"], "choose one of 32-true"),
        (["--trainer.accelerator=tpu"], "trainer.accelerator: tpu is not available"),
        (["--ckpt_path=last"], "no unfinished run in"),
        (["--ckpt_path=none.ckpt"], "no checkpoint at none.ckpt"),
        (["--run.resume=always"], "auto"),
        (["--run.keep_checkpoints=0"], "run.keep_checkpoints must be at least 1"),
        (["--model.space.init_args.candidates=[conv_9x9]"], "conv_9x9"),
        (["--model.warmup_epochs=-1"], "warmup_epochs"),
        (["--retraining.drop_path=1.5"], "drop_path"),
        (["--retraining.schedule=linear"], "one_cycle"),
        (
            ["--model.auxiliary_skip=1e300"],
            "model.init_args.auxiliary_skip must be at most 3.4e+38",
        ),
        (["--model.no_such_setting=1"], "no_such_setting"),
        (["--no_such_group=1"], "no_such_group"),
    ],
)
def test_mistakes_end_with_a_clear_line_and_status_2(
    arguments: list[str],
    message: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ["fit", "--config", str(finished.config), *finished.data, f"--run.folder={tmp_path}"]
    with pytest.raises(SystemExit) as stop:
        main([*common, *arguments])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    lines = error.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert "Namespace(" not in lines[0]
    assert not list(tmp_path.iterdir())


def test_the_module_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "darts_lite", "--help"], capture_output=True, text=True, check=True
    )
    for verb in ("fit", "validate", "test", "predict"):
        assert verb in done.stdout


@pytest.mark.slow
@pytest.mark.usefixtures("offline")
def test_the_main_job_without_a_network_and_without_a_data_folder(
    configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"--data.root={tmp_path / 'empty'}", f"--run.folder={tmp_path}"]
    short = ["--data.search_batches_per_epoch=36", "--retraining.max_epochs=3"]
    with pytest.warns(EmbeddedDataWarning):
        main(["fit", "--config", str(configs / "mnist.yaml"), *words, *short, *FEW_NETS])
    summary = json.loads((tmp_path / "mnist" / "version_0" / "summary.json").read_text())
    assert summary["data_source"] == "embedded 5,000 digits"
    assert (summary["train_images"], summary["test_images"]) == (3880, 1000)
    assert summary["test_accuracy"] >= 0.95
    with pytest.warns(EmbeddedDataWarning):
        labels = write_pictures(ImageData(root=str(tmp_path / "empty")), tmp_path / "digits", 200)
    capsys.readouterr()
    net = tmp_path / "mnist" / "version_0" / "net.ckpt"
    words = ["--json", "--images", str(tmp_path / "digits")]
    run_verb(["predict", f"--ckpt_path={net}", *words])
    answers = json.loads(capsys.readouterr().out)
    right = [answer["class"] == label for answer, label in zip(answers, labels, strict=True)]
    assert sum(right) / len(right) >= 0.95


@pytest.mark.slow
@pytest.mark.usefixtures("found_digits")
def test_a_budget_is_kept_and_gone_on_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chains = {"class_path": "darts_lite.LayerSpace", "init_args": {"placements": ["stem 1"]}}
    drawn = {"class_path": "darts_lite.GumbelMax"}
    settings = {"space": chains, "relaxation": drawn}
    model = {"class_path": "darts_lite.ArchitectureSearch", "init_args": settings}
    config = {**QUICK, "model": model, "run": {"name": "small", "folder": str(tmp_path)}}
    config["trainer"] = {"max_epochs": 1, "limit_train_batches": 2, "limit_val_batches": 1}
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(config))
    budget = ["--budget.parameters=2000", "--budget.memory=3KiB", "--budget.multiply_adds=150000"]
    words = ["fit", "--config", str(tmp_path / "small.yaml"), *budget, "--run.resume=auto"]
    main([*words, "--retraining=null"])
    found = read_architecture(tmp_path / "small" / "version_0" / "architecture.json")
    assert isinstance(found, Chain)
    steps = [*found.steps(Images(1, 10, 28))]
    assert max(step.values for step in steps) <= 3 * 1024
    assert sum(step.parameters for step in steps) <= 2000
    assert sum(step.multiply_adds for step in steps) <= 150_000
    with pytest.raises(SystemExit):
        main([*words, "--budget.memory=8KB"])
    assert "a budget of memory is '8KB'; give bytes, or" in capsys.readouterr().err


EXECUTORS = {
    "auto": "folded",
    "literal": "literal",
    "darts_lite.Literal": "literal",
    "{class_path: darts_lite.Folded, init_args: {compiled: false}}": "folded",
}


def search_with(executor: str, finished: Finished, folder: Path) -> list[str]:
    """Arguments of a search of two steps."""
    data = [*finished.data[:2], "--run.folder", str(folder), "--trainer.max_epochs", "1"]
    short = ["--data.search_batches_per_epoch", "2", "--retraining", "null"]
    graphs = ["--model.cuda_graphs", "true", "--model.executor", executor]
    return ["fit", "--config", str(finished.config), *data, *short, *graphs]


@pytest.mark.parametrize("executor", some_slow([*EXECUTORS][:1], [*EXECUTORS][1:]))
def test_the_executor_is_chosen_by_name(
    executor: str, finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graphs = pytest.warns(UserWarning, match="cuda_graphs needs one GPU")
    with nullcontext() if torch.cuda.is_available() else graphs:
        main(search_with(executor, finished, tmp_path))
    directory = tmp_path / "quick" / "version_0"
    assert json.loads((directory / "summary.json").read_text())["executor"] == EXECUTORS[executor]
    kept = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["executor"]
    assert kept == EXECUTORS[executor] and f"Executor:  {kept}" in capsys.readouterr().out
    config = yaml.safe_load((directory / "config.yaml").read_text())["model"]["init_args"]
    chosen = config["executor"]
    assert EXECUTORS[executor] in str(chosen).lower() and chosen != "auto"


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is nothing to warn of")
def test_a_warning_is_one_line(finished: Finished, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "darts_lite", *search_with("auto", finished, tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert said.startswith("Warning: cuda_graphs needs one GPU") and said.count("\n") == 1
