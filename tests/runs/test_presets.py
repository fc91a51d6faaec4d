"""Presets by name."""

from pathlib import Path

import pytest
from run_helpers import one_line

from darts_lite.runs.presets import find_config, folder, list_names, names


def test_every_preset_has_a_name(configs: Path) -> None:
    assert folder() == configs
    assert {"mnist", "mnist_small", "retrain", "algorithms/gdas"} <= set(names())
    assert len(names()) == len(list(configs.rglob("*.yaml")))


def test_overlays_have_short_names() -> None:
    presets, overlays = list_names()
    assert {"mnist", "retrain"} <= set(presets) and {"gdas", "spos"} <= set(overlays)
    assert len(presets) + len(overlays) == len(names())


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError) as caught:
        find_config("minst")
    one_line(
        caught,
        "'minst' is neither a file nor a preset",
        "mnist_small",
        "which go behind one: beta_decay",
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("run:\n\tname: mine\n", "is not YAML: found character .* in line 2; correct it"),
        ("run: {name: mine\n", "is not YAML: .* in line 2; correct it"),
        ("hello\n", "holds no settings; a configuration has lines such as 'run:'"),
        ("", "holds no settings"),
        ("- 1\n- 2\n", "holds no settings"),
        (b"\xff\xfe\x00run", "is not a configuration .*; a configuration has lines"),
        ("run: \x00", "is not a configuration .*; a configuration has lines"),
    ],
)
def test_a_file_without_settings_is_named(content: str | bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ValueError, match=told) as caught:
        find_config(str(path))
    one_line(caught, "wrong.yaml")
