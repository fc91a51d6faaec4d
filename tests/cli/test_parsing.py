"""One-line errors, and the settings that a checkpoint brings."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from darts_lite.cli.lightning_cli import main
from darts_lite.cli.parsing import add_checkpoint_settings, suggest_option


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        (
            "Option 'batch_siz' is not accepted",
            "; did you mean batch_size? --print_config=comments",
        ),
        ("Subcommand 'fit' does not accept option 'run.nmae'", "; did you mean name? --print"),
        ("Option 'nope' is not accepted", "; --print_config=comments"),
        ("unrecognized arguments: --trainer.max_epoch 3", "; did you mean max_epochs? --print"),
        ("unrecognized arguments: --zzz", "; --print_config=comments lists all settings"),
        ("Expected a <class 'int'>", ""),
    ],
)
def test_the_nearest_option_is_told(message: str, advice: str) -> None:
    suggested = suggest_option(message)
    assert suggested.startswith(advice) and bool(suggested) == bool(advice)


def test_a_checkpoints_settings_come_first(tmp_path: Path) -> None:
    groups: dict[str, Any] = {
        "model": {
            "class_path": "darts_lite.Retraining",
            "init_args": {"architecture": "DARTS_V2", "max_epochs": 2},
        },
        "data": {"class_path": "darts_lite.ImageData", "init_args": {"dataset": "MNIST"}},
    }
    linked = {"in_channels": 1, "num_classes": 10}
    settings = groups["model"]["init_args"]
    stored = {
        **groups,
        "state_dict": {},
        "model": {**groups["model"], "init_args": {**settings, **linked}},
    }
    path = str(tmp_path / "net.ckpt")
    torch.save(stored, path)
    given = ["test", "--ckpt_path", path, "--data.seed=4"]
    (verb, inserted, *rest), checkpoint = add_checkpoint_settings(given)
    assert checkpoint is not None and str(checkpoint.path) == path
    assert verb == "test"
    assert yaml.safe_load(inserted.removeprefix("--config=")) == groups
    assert rest == ["--ckpt_path", path, "--data.seed=4"]


def test_other_commands_are_left_alone() -> None:
    for arguments in ([], ["fit", "--ckpt_path", "x.ckpt"], ["test", "--help"], ["--help"]):
        assert add_checkpoint_settings(arguments) == (arguments, None)


@pytest.mark.parametrize("verb", ["test", "validate", "predict"])
def test_a_missing_or_broken_checkpoint(
    verb: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.ckpt").write_bytes(b"not a checkpoint")
    for name, message in (("absent.ckpt", "no checkpoint at"), ("broken.ckpt", "not a readable")):
        with pytest.raises(SystemExit) as stop:
            main([verb, "--ckpt_path", str(tmp_path / name)])
        assert stop.value.code == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1


def test_evaluation_needs_a_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["test"])
    assert capsys.readouterr().err == (
        "error: test needs --ckpt_path with the path of a run's .ckpt file\n"
    )
