"""What the help says of the settings that are changed most is true."""

from typing import Any

import pytest
import yaml

from darts_lite.cli.front.common_settings import EVALUATING, FIT, OF_THE_NET, SECTIONS, Section
from darts_lite.cli.front.short_help import GROUPS
from darts_lite.cli.front.stacking import expand_presets
from darts_lite.cli.lightning_cli import DartsCLI
from darts_lite.runs.presets import names


class ParseOnly(DartsCLI):
    """Parses, then stops before anything is built."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass

    def find(self, name: str) -> Any:
        """The value of a setting, as the parser has it; raises KeyError if there is none."""
        first, _, rest = name.removeprefix("--").partition(".")
        config = self.config[self.subcommand].as_dict()
        group = config[first]
        if not rest:
            return group
        value = (group["init_args"] if "class_path" in group else group)[rest]
        return list(value) if isinstance(value, tuple) else value  # as files have it


@pytest.mark.parametrize("section", FIT, ids=lambda section: section.title)
def test_settings_of_fit_are_there_with_these_values(section: Section) -> None:
    assert section.preset in names()
    parsed = ParseOnly(expand_presets(["fit", "--config", section.preset]))
    for setting in section.settings:
        value = yaml.safe_load(setting.default)
        found = parsed.find(setting.name)
        assert (found, type(found)) == (value, type(value)), setting


@pytest.mark.parametrize("verb", ["test", "validate"])
def test_settings_of_an_evaluation_are_there_with_these_values(verb: str) -> None:
    parsed = ParseOnly([verb, "--model", "darts_lite.Retraining", "--model.architecture=DARTS_V1"])
    for section in EVALUATING:
        for setting in section.settings:
            found = parsed.find(setting.name)
            assert setting.default == OF_THE_NET or found == yaml.safe_load(setting.default)


def test_an_unknown_setting_would_be_found_out() -> None:
    parsed = ParseOnly(expand_presets(["fit", "--config", "mnist"]))
    for name in ("--model.hand_made", "--modle.by_hand", "--run.names"):
        with pytest.raises(KeyError):
            parsed.find(name)


def test_each_group_is_shown_and_each_setting_once() -> None:
    assert {section.title.partition(":")[0] for section in FIT} == {*GROUPS}
    for sections in SECTIONS.values():
        shown = [setting.name for section in sections for setting in section.settings]
        assert len(shown) == len({*shown})
