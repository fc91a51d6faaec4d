"""One-line errors, and the settings that a checkpoint brings."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from darts_lite.cli.front.stacking import expand_presets
from darts_lite.cli.lightning_cli import main
from darts_lite.cli.parsing import (
    add_checkpoint_settings,
    keep_texts,
    list_kept,
    load_yaml,
    spell_out,
    suggest_option,
)
from darts_lite.cli.sweep import Parsed
from darts_lite.runs.presets import folder


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        (
            "Option 'batch_siz' is not accepted",
            "; did you mean batch_size? --print_config=comments",
        ),
        ("Subcommand 'fit' does not accept option 'run.nmae'", "; did you mean name? --print"),
        ("Option 'nope' is not accepted", "; --print_config=comments"),
        ("Option 'rate' is not accepted", "; it is a setting of SoundData; --print_config"),
        (
            "Option 'relaxation.init_args.end' is not accepted",
            "; relaxation belongs to darts_lite.",
        ),
        (
            "unrecognized arguments: --run.seeds 3",
            "; it is a setting of RunSettings; --print_config",
        ),
        ("unrecognized arguments: --seeds 3", "; did you mean --run.seeds? --print_config"),
        (
            "unrecognized arguments: --budget.least_parameters 9",
            "; it is a setting of WithinBudget; --print_config",
        ),
        ("unrecognized arguments: --trainer.max_epoch 3", "; did you mean max_epochs? --print"),
        (
            "unrecognized arguments: --model.relaxation x",
            "; relaxation belongs to darts_lite.ArchitectureSearch",
        ),
        ("unrecognized arguments: --zzz", "; --print_config=comments lists all settings"),
        ("Expected a <class 'int'>", ""),
    ],
)
def test_the_nearest_option_is_told(message: str, advice: str) -> None:
    suggested = suggest_option(message)
    assert suggested.startswith(advice) and bool(suggested) == bool(advice)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--model.derivation", "Strongest"], ["--model.derivation", "darts_lite.Strongest"]),
        (["--model.relaxation=Concrete"], ["--model.relaxation=darts_lite.Concrete"]),
        (["--model.regularizers+=[ZeroOne]"], ["--model.regularizers+=[darts_lite.ZeroOne]"]),
        (
            ["--model.derivation={class_path: SkipLimit, init_args: {limit: 1}}"],
            ["--model.derivation={class_path: darts_lite.SkipLimit, init_args: {limit: 1}}"],
        ),
        (["--model.executor", "sampled"], ["--model.executor", "sampled"]),
        (["--model.relaxation", "mine.Softmax"], ["--model.relaxation", "mine.Softmax"]),
        (["--run.name", "Softmax"], ["--run.name", "Softmax"]),
    ],
)
def test_names_of_classes_may_be_short(words: list[str], expected: list[str]) -> None:
    assert spell_out(words) == expected


def test_names_in_a_file_may_be_short() -> None:
    text = """
    run: {name: Softmax}
    model:
      class_path: ArchitectureSearch
      init_args: {relaxation: Softmax, regularizers: [BetaDecay, {class_path: ZeroOne}]}
    """
    content = load_yaml(text)
    assert content["run"]["name"] == "Softmax"
    assert content["model"]["class_path"] == "darts_lite.ArchitectureSearch"
    parts = content["model"]["init_args"]
    assert parts["relaxation"] == "darts_lite.Softmax"
    assert parts["regularizers"] == ["darts_lite.BetaDecay", {"class_path": "darts_lite.ZeroOne"}]


def test_cells_as_python_prints_them_stay_text() -> None:
    text = "{'normal': [('sep_conv_3x3', 0), ('skip_connect', 1)]}"
    assert load_yaml(text) == text


def test_null_reaches_a_class_within_a_class() -> None:
    words = ["fit", "--config=mnist_cells", "--model.derivation.least_parameters=null"]
    config = Parsed(expand_presets(words), None).config["fit"]
    rule = config.model.init_args.derivation.init_args
    assert rule.least_parameters is None and rule.parameters == 30_000


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Strongst", "did you mean darts_lite.Strongest? a class of your own"),
        ("Mine", "named with its module, as my_parts.Mine"),
    ],
)
def test_a_class_that_is_not_found(
    name: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(folder() / "mnist_cells.yaml"), "--model.derivation", name])
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


SGD = "model.weights_optimizer is AdamW now, and keeps of SGD: "


@pytest.mark.parametrize(
    ("words", "final", "told"),
    [
        (["torch.optim.AdamW"], {"lr": 0.2, "weight_decay": 3e-4}, "lr 0.2, weight_decay 0.0003"),
        (["AdamW", "--model.weights_optimizer.lr=1"], {"lr": 1, "weight_decay": 3e-4}, "weight_d"),
        (["AdamW", "--model.init_args.weights_optimizer.lr", "1"], {"lr": 1}, None),
        (["SGD"], {"lr": 0.2, "weight_decay": 3e-4, "momentum": 0.9}, None),
    ],
)
def test_what_a_class_keeps_of_another_is_told(
    words: list[str], final: dict[str, float], told: str | None
) -> None:
    args = [
        "fit",
        "--config",
        str(folder() / "mnist_cells.yaml"),
        "--model.weights_optimizer",
        *words,
    ]
    optimizer = {"class_path": words[0], "init_args": final}
    config = {"model": {"init_args": {"weights_optimizer": optimizer}}}
    lines = list(list_kept(args, config))
    assert len(lines) == (told is not None)
    assert told is None or lines[0].startswith(SGD + told)


def test_a_class_of_an_overlay_that_sets_its_own_values_keeps_none() -> None:
    sgd = {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "weight_decay": 0}}
    overlay = {"retraining": {"init_args": {"optimizer": sgd}}}
    args = ["fit", "-c", str(folder() / "mnist_cells.yaml"), f"--config={yaml.safe_dump(overlay)}"]
    assert not list(list_kept(args, overlay))
    assert not list(list_kept([*args, "--model=darts_lite.Exploration"], overlay))


def test_a_checkpoints_settings_come_first(tmp_path: Path) -> None:
    groups: dict[str, Any] = {
        "model": {
            "class_path": "darts_lite.Retraining",
            "init_args": {"architecture": {"cells": {}}, "max_epochs": 2},
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


def test_a_path_that_reads_as_yaml_stays_a_path() -> None:
    odd = "/tmp/my: 'quoted' #1"
    quoted = '--config={"data": {"init_args": {"dataset": "/tmp/my: \'quoted\' #1"}}}'
    for given in (["--data.dataset", odd], [f"--data.init_args.dataset={odd}"]):
        assert keep_texts(["fit", *given, "--run.name", "a: b"]) == [
            *("fit", quoted, "--run.name", "a: b")
        ]
    assert keep_texts(["--data.root=[a]"]) == ['--config={"data": {"init_args": {"root": "[a]"}}}']
    plain = ["--data.dataset=MNIST", "--data.root=null", "--data.dataset=my #1", "--data.root"]
    assert keep_texts(plain) == plain
