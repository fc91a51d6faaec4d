"""The list of verbs, and the modules that do them."""

import argparse
from importlib import import_module

import pytest

from darts_lite.cli.front.arguments import OWN, PASSED_ON, RUN_ELSEWHERE
from darts_lite.cli.main import main


@pytest.mark.parametrize("verb", OWN)
def test_a_verb_has_a_module_that_runs_it(verb: str) -> None:
    about, add_arguments = OWN[verb]
    parser = argparse.ArgumentParser(description=about)
    add_arguments(parser)
    assert all(action.help or action.choices for action in parser._actions)
    if PASSED_ON.get(verb) == verb:
        assert callable(import_module(f"darts_lite.cli.{verb}").main)
        return
    held = import_module(f"darts_lite.cli.{RUN_ELSEWHERE.get(verb, f'verbs.{verb}')}")
    assert callable(held.run)


@pytest.mark.parametrize("module", PASSED_ON.values())
def test_a_module_that_reads_its_own_arguments(module: str) -> None:
    assert callable(import_module(f"darts_lite.cli.{module}").main)


@pytest.mark.parametrize("text", ["abc", "1.5", "0", "-3"])
def test_a_number_that_is_none_is_told(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", "net.ckpt", f"--images={text}"])
    assert f"must be a whole number of at least 1, got '{text}'" in capsys.readouterr().err
