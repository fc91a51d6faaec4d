"""A user's mistake is one line."""

import subprocess
import sys

import pytest
from lightning.pytorch import Trainer
from run_helpers import Finished

from darts_lite.cli.front.errors import LONGEST, guard, is_mistake, stop
from darts_lite.cli.main import main


def test_a_message_becomes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    nested = """Does not validate against any of the Union subtypes
      Subtypes: [<class 'A'>, <class 'NoneType'>]
      Errors:
        - unknown dataset 'X'; choose from ['MNIST']
        - Expected a <class 'NoneType'>
      Given value type: <class 'Namespace'>
      Given value: Namespace(dataset='X')"""
    with pytest.raises(SystemExit) as stopped:
        stop(nested)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: unknown dataset 'X'; choose from ['MNIST']\n"


def test_types_are_told_in_words_with_what_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    asked = {
        "--budget.parameters=5k": "5k",
        "--budget.multiply_adds=1e400": "1e400",
        "--run.seeds=two": "two",
        "--data.batch_size=4.5": "4.5",
    }
    for word, given in asked.items():
        with pytest.raises(SystemExit):
            main(["fit", "--config", "mnist", word])
        said = capsys.readouterr().err
        assert said.startswith('error: Parser key "')
        assert said.endswith(f"a whole number is needed, got {given}\n"), said


@pytest.mark.parametrize("name", ["run.control", "retraining.class_weights"])
def test_words_to_choose_from_are_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", "mnist", f"--{name}=foo"])
    said = capsys.readouterr().err
    assert "one of '" in said and "' is needed, got foo\n" in said, said


@pytest.mark.parametrize("word", ["--budget=5000", "--run=null", "--trainer=gpu"])
def test_a_group_is_no_value(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    group, value = word.removeprefix("--").split("=")
    with pytest.raises(SystemExit):
        main(["fit", "--config", "mnist", word])
    wanted = f"--{group} is a group of settings, got {value}; set one, see fit --help {group}"
    assert capsys.readouterr().err == f"error: {wanted}\n"


@pytest.mark.parametrize("name", ["model", "retraining", "data", "data.augmentation"])
def test_a_value_is_no_class(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--config", "mnist", f"--{name}=foo"])
    key = name.rpartition(".")[2]
    wanted = "a class is needed, as darts_lite.Name or module.Name, got foo"
    assert capsys.readouterr().err == f'error: Parser key "{key}": {wanted}\n'


def test_a_long_message_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        stop("x" * 10_000)
    assert len(capsys.readouterr().err) < LONGEST + 20


def test_lightning_tells_mistakes_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        guard(lambda: Trainer(overfit_batches=-1.0))
    assert stopped.value.code == 2
    assert "overfit_batches" in capsys.readouterr().err
    assert not is_mistake(RuntimeError("a fault of the program"))


@pytest.mark.slow
def test_a_reader_may_go_before_the_end(finished: Finished) -> None:
    command = f"{sys.executable} -m darts_lite predict --ckpt_path {finished.directory}/net.ckpt"
    done = subprocess.run(
        f"{command} | head -n 1", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stdout == "image,class,probability\n"
    assert "Traceback" not in done.stderr
