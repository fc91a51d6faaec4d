"""Writes the help of the verbs that take a configuration, on one screen."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise

from darts_lite.cli.front.arguments import OWN, PASSED_ON, TRAINING
from darts_lite.cli.front.common_settings import SECTIONS
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


def write_screen(verb: str) -> str:
    """Returns the help of a verb in `SECTIONS`: some 40 lines of at most 100 characters."""
    return "\n".join(_write_lines(verb))


def _write_lines(verb: str) -> Iterator[str]:
    about = TRAINING[verb] if verb in TRAINING else OWN[verb][0]
    of_checkpoint = verb not in ("fit", "plan")
    yield f"usage: darts-lite {verb} {USAGE[verb]}"
    yield ""
    yield f"{about[0].upper()}{about[1:]}."
    values = "" if of_checkpoint else ", with the values of --config mnist"
    yield f"The settings that are changed most{values}:"
    yield ""
    sections = SECTIONS[verb]
    width = max(len(f"{s.name} {s.default}") for section in sections for s in section.settings)
    for section in sections:
        yield section.title
        for setting in section.settings:
            yield f"  {f'{setting.name} {setting.default}':{width}}  {setting.about}"
    yield ""
    if not of_checkpoint:
        presets, overlays = list_names()
        yield from _fill("presets: ", presets)
        yield from _fill("overlays of mnist_cells: ", overlays)
    yield f"example: darts-lite {verb} {EXAMPLES[verb]}"
    yield f"more: --help {{{','.join(GROUPS)}}} lists a group, --help-all everything"


def _fill(title: str, names: Sequence[str]) -> list[str]:
    text = title + ", ".join(names)
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
