"""The help on one screen."""

import pytest

from darts_lite.cli.front.common_settings import SECTIONS
from darts_lite.cli.front.short_help import (
    ALL,
    EXAMPLES,
    GROUPS,
    SCREEN,
    USAGE,
    VERBS,
    find_question,
    write_screen,
)
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.runs.presets import list_names

MOST_LINES, WIDEST = 45, 100


@pytest.mark.parametrize("verb", SECTIONS)
def test_it_fits_on_a_screen_and_has_all_settings(verb: str) -> None:
    lines = write_screen(verb).splitlines()
    assert len(lines) <= MOST_LINES and max(map(len, lines)) <= WIDEST
    for section in SECTIONS[verb]:
        for setting in section.settings:
            told = next(line for line in lines if line.startswith(f"  {setting.name} "))
            assert setting.default in told and told.endswith(setting.about)


def test_it_names_all_presets_and_an_example_that_is_right() -> None:
    said = write_screen("fit").replace(",", " ").split()
    assert {*sum(list_names(), [])} <= {*said}
    assert set(SECTIONS) == set(USAGE) == set(EXAMPLES) == set(VERBS) - {"predict"}
    for verb in ("fit", "plan"):
        assert expand_presets([verb, *EXAMPLES[verb].split()])


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", None),
        ("--config mnist --model.help darts_lite.PlayOff", None),
        ("--help", SCREEN),
        ("-h --config mnist", SCREEN),
        ("--config mnist --help", SCREEN),
        ("--help-all", ALL),
        *((f"--config mnist --help {group}", group) for group in GROUPS),
        ("--help=data", "data"),
    ],
)
def test_what_is_asked_for(words: str, asked: str | None) -> None:
    assert find_question(words.split()) == asked


@pytest.mark.parametrize("words", ["--help modle", "-h=run.name"])
def test_what_is_no_group_is_told(words: str) -> None:
    with pytest.raises(ValueError, match="is no group; give one of model, retraining, data"):
        find_question(words.split())


def test_it_tells_of_sweeps_where_there_are_some() -> None:
    assert "--sweep gdas,drnas runs" in write_screen("fit")
    assert "--sweep" not in write_screen("plan")


def test_what_a_command_does_not_have_is_left_out() -> None:
    said = write_screen("fit", {"--model.relaxation": "GumbelMax", "--run.name": "mine"})
    shown = [line.split() for line in said.splitlines() if line.startswith("  --")]
    assert [words[:2] for words in shown] == [
        ["--model.relaxation", "GumbelMax"],
        ["--run.name", "mine"],
    ]
    assert "with the values of this command" in said and "\nbudget: " not in said
