"""Writes the help of the verbs that take a configuration, on one screen."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from darts_lite.cli.front.arguments import ABOUT_SWEEP, OWN, PASSED_ON, TRAINING
from darts_lite.cli.front.common_settings import SECTIONS, Section
from darts_lite.runs.presets import list_names

FLAGS, ALL, SCREEN = ("-h", "--help"), "--help-all", ""
VERBS = (*TRAINING, *PASSED_ON)
"""Verbs of which more can be asked than one screen holds."""
GROUPS = ("model", "retraining", "data", "budget", "run", "trainer")
WIDTH = 100

USAGE = {
    "fit": "--config PRESET [--config OVERLAY ...] [--GROUP.SETTING VALUE ...]",
    "plan": "--config PRESET [--config OVERLAY ...] [--GROUP.SETTING VALUE ...]",
    "test": "--ckpt_path RUN/net.ckpt [--GROUP.SETTING VALUE ...]",
    "validate": "--ckpt_path RUN/checkpoints/last.ckpt [--GROUP.SETTING VALUE ...]",
}
EXAMPLES = {
    "fit": "--config mnist_cells --config gdas --data.dataset KMNIST --run.name kana",
    "plan": "--config mnist --data.batch_size 256",
    "test": "--ckpt_path logs/mnist/version_0/net.ckpt",
    "validate": "--ckpt_path logs/mnist/version_0/checkpoints/last.ckpt",
}


def find_question(words: Sequence[str]) -> str | None:
    """Returns what the words behind a verb ask help for; None if they ask for none.

    It is one of `GROUPS`, `ALL`, or `SCREEN`.

    Raises:
        ValueError: if help is asked for what is no group.
    """
    for word, following in pairwise([*words, "-"]):
        flag, equals, value = word.partition("=")
        if word == ALL:
            return ALL
        if flag in FLAGS:
            asked = value if equals else SCREEN if following.startswith("-") else following
            if asked and asked not in GROUPS:
                raise ValueError(f"--help: {asked!r} is no group; give one of {', '.join(GROUPS)}")
            return asked
    return None


def write_screen(verb: str, values: Mapping[str, str] | None = None) -> str:
    """Returns the help of a verb in `SECTIONS`: some 40 lines of at most 100 characters.

    Args:
        values: Those of the command, by the names of its settings; what it does not have is left
            out. None takes the usual ones.
    """
    return "\n".join(_write_lines(verb, values))


def _write_lines(verb: str, given: Mapping[str, str] | None) -> Iterator[str]:
    about = TRAINING[verb] if verb in TRAINING else OWN[verb][0]
    of_checkpoint = verb not in ("fit", "plan")
    yield f"usage: darts-lite {verb} {USAGE[verb]}"
    yield ""
    yield f"{about[0].upper()}{about[1:]}."
    whose = "--config mnist" if given is None else "this command"
    values = "" if of_checkpoint else f", with the values of {whose}"
    yield f"The settings that are changed most{values}:"
    sections = {section.title: _list_shown(section, given) for section in SECTIONS[verb]}
    width = max(len(named) for shown in sections.values() for named, _ in shown)
    for title, shown in sections.items():
        if shown:
            yield title
        yield from (f"  {named:{width}}  {about}" for named, about in shown)
    yield ""
    if not of_checkpoint:
        presets, overlays = list_names()
        yield from _fill("presets: ", presets)
        yield from _fill("overlays of mnist_cells: ", overlays)
    if verb == "fit":
        yield ABOUT_SWEEP
    yield f"example: darts-lite {verb} {EXAMPLES[verb]}"
    yield f"more: --help {{{','.join(GROUPS)}}} lists a group, --help-all everything"


def _list_shown(section: Section, given: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """Returns settings with their values, and what they are."""
    if given is None:
        return [(f"{one.name} {one.default}", one.about) for one in section.settings]
    return [
        (f"{one.name} {given[one.name]}", one.about)
        for one in section.settings
        if one.name in given
    ]


def _fill(title: str, names: Sequence[str]) -> list[str]:
    text = title + ", ".join(names)
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
