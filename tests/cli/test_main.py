"""The front door."""

import gc
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from darts_lite.cli import front
from darts_lite.cli.front.arguments import OWN, TRAINING
from darts_lite.cli.main import _load, main, parser

LIGHT = """
import sys
from darts_lite.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
heavy = {"torch", "lightning", "matplotlib"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([name, "--help"] for name in (*TRAINING, *OWN))]
)
def test_help_and_version_need_no_torch(words: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (version("darts_lite") if words == ["--version"] else "usage: darts-lite") in done.stdout


def test_a_plan_of_a_sweep_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["plan", "--config", "mnist_cells", "--sweep", "gdas"])
    assert "plan tells the time of one run; leave out --sweep" in capsys.readouterr().err


def test_the_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"\n    {verb}" in said for verb in (*TRAINING, *OWN))


@pytest.mark.parametrize("words", [[], ["search"], ["derive", "--rull", "x"], ["compare"]])
def test_mistakes_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "--help" in said


@pytest.mark.slow
def test_an_environment_that_a_library_cannot_read_is_told() -> None:
    words = [sys.executable, "-m", "darts_lite", "export", "net.ckpt"]
    environment = os.environ | {"LOCAL_RANK": "first"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and done.stdout == ""
    assert "'first'" in done.stderr and "LOCAL_RANK" in done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_a_preset_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", "minst"])
    assert "mnist_small" in capsys.readouterr().err


def test_the_verbs_of_training_read_their_own_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--config", "mnist", "--print_config"])
    assert not stopped.value.code
    assert "name: mnist" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fit"], "give a configuration, --config FILE or one of"),
        (["fit", "--config", "mnist", "--trainer.max_epoch=1"], "--trainer.max_epoch"),
        (["fit", "--config", "mnist", "--trainer.max_epochs=0"], "trains nothing"),
        (["plot", "logs", "--out", "x"], "--out"),
    ],
)
def test_what_is_left_out_or_cut_short_is_told(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


INTERRUPTED = """
import os, signal, sys, threading
from darts_lite.cli.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(1, os.kill, (os.getpid(), signal.SIGINT)).start()
main(["plan", "--config", "mnist"])
"""


@pytest.mark.slow
def test_ctrl_c_is_one_line_while_modules_are_imported(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "Stopped by Ctrl-C.\n")


def test_a_reader_of_the_help_may_go_before_the_end() -> None:
    command = f"{sys.executable} -m darts_lite fit --help | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: darts-lite fit") and done.stderr == ""


FRONT = "import sys, {modules}; print({{'torch', 'lightning'}} & set(sys.modules))"


def test_the_front_needs_no_torch() -> None:
    folder = Path(front.__file__).parent
    modules = ", ".join(f"darts_lite.cli.front.{path.stem}" for path in folder.glob("[a-z]*.py"))
    command = [sys.executable, "-c", FRONT.format(modules=modules)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_garbage_is_collected_once_a_verb_is_loaded() -> None:
    gc.disable()  # as `run_program` does
    try:
        _load("parsing", parser())
        assert gc.isenabled()
    finally:
        gc.enable()


def test_settings_with_comments_can_be_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "settings.yaml"
    printed = []
    for words in (["mnist", "--print_config=comments"], [str(path), "--print_config"]):
        with pytest.raises(SystemExit):
            main(["fit", "--config", *words])
        printed.append(capsys.readouterr().out)
        path.write_text(printed[0])
    assert "- 'off'" in printed[0] and "- 'off'" in printed[1]
    with pytest.raises(SystemExit):
        main(["fit", "--config", "own_network", "--print_config"])
    assert "space: null" in capsys.readouterr().out
