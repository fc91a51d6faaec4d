"""The settings of a group."""

import inspect
from pathlib import Path

import pytest

from darts_lite.cli.front.short_help import GROUPS
from darts_lite.cli.group_help import CLASSES
from darts_lite.cli.main import main


def ask(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints, in one line."""
    main(words)
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_is_told(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = ask("fit", "--help", group, capsys=capsys)
    from_elsewhere = {"in_channels", "num_classes"}
    from_elsewhere |= {"image_size"} if group == "model" else set()
    from_elsewhere |= {"architecture"} if group == "retraining" else set()
    names = set(inspect.signature(CLASSES[group]).parameters) - from_elsewhere
    assert all(f"--{group}.{name} " in said for name in names)
    assert not any(f"--{group}.{name} " in said for name in from_elsewhere)
    others = set(GROUPS) - {group}
    assert not any(f"--{other}." in said for other in others)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("plan --help budget", "Largest number of parameters. (type: int | null, default: null)"),
        ("fit --help run", "auto"),
        ("test --help trainer", "devices"),
        ("predict --help data", "--data.root ROOT folder of the files"),
        ("fit --help=model", "--model.by_hand BY_HAND Number of nets made by hand"),
        ("fit --help model --config mnist_cells", "--model.warmup_epochs WARMUP_EPOCHS"),
        ("fit --config mnist_cells -c spos --help model", "--model.evaluations EVALUATIONS"),
        ("fit --model Exploration --help model", "--model.evaluations EVALUATIONS"),
        ("fit --config retrain --help model", "--model.architecture ARCHITECTURE"),
    ],
)
def test_the_class_is_the_one_that_is_asked_for(
    words: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told in ask(*words.split(), capsys=capsys)


def test_the_trainers_defaults_are_those_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    said = ask("fit", "--help", "trainer", capsys=capsys)
    assert (
        "default: 1)" in said.partition("--trainer.devices+ DEVICES")[2].partition("--trainer")[0]
    )


def test_a_class_of_your_own_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_bars.py").write_text(
        "from darts_lite import ImageData\n\n\nclass Bars(ImageData):\n"
        "    def __init__(self, height: int = 7) -> None:\n        super().__init__()\n"
    )
    (tmp_path / "own.yaml").write_text("data: {class_path: own_bars.Bars}\n")
    said = ask("fit", "--config", str(tmp_path / "own.yaml"), "--help", "data", capsys=capsys)
    assert "own_bars.Bars." in said and "--data.height HEIGHT (type: int, default: 7)" in said


@pytest.mark.parametrize("path", ["nowhere.Search", "darts_lite.Serach", "darts_lite.OPERATIONS"])
def test_what_is_no_class_is_told(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--model", path, "--help", "model"])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and path in said and said.count("\n") == 1


def test_all_of_it_is_the_parsers_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("plan", "predict"):
        with pytest.raises(SystemExit) as stopped:
            main([verb, "--help-all"])
        said = capsys.readouterr().out
        assert not stopped.value.code and "--trainer.max_steps" in said and "--model.help" in said


def test_one_screen_has_the_values_of_its_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = ask("fit", "--config", "photos", "--help", "--run.name=mine", capsys=capsys)
    for told in ("--data.dataset photos/ ", "--budget.memory 48kB ", "--run.name mine "):
        assert told in said
    assert "--model.relaxation" not in said  # of another search
    said = ask("fit", "-h", "--config=mnist_cells", "--config=gdas", capsys=capsys)
    assert "--model.relaxation GumbelMax " in said and "--model.by_hand" not in said
    with pytest.raises(SystemExit):
        main(["fit", "--config", "nope", "--help"])
    assert "'nope' is neither a file nor a preset" in capsys.readouterr().err


def test_sweeps_are_told_of_in_every_help_of_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--sweep gdas,drnas runs each overlay" in ask("fit", "--help", "run", capsys=capsys)
    with pytest.raises(SystemExit):
        main(["fit", "--help-all"])
    assert "--sweep gdas,drnas runs each overlay" in capsys.readouterr().out


def test_presets_are_proposed_where_the_model_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["fit"])
    said = capsys.readouterr().err
    assert "--config FILE or one of cifar10, cifar10_darts, " in said and "algorithms" not in said
