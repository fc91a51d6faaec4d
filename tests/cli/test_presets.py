"""Presets by name."""

import os
from pathlib import Path

import pytest
from run_helpers import one_line

from darts_lite.cli.presets import expand_presets, folder, names


def test_every_preset_has_a_name(configs: Path) -> None:
    assert folder() == configs
    assert {"mnist", "mnist_small", "retrain", "algorithms/gdas"} <= set(names())
    assert len(names()) == len(list(configs.rglob("*.yaml")))


def test_a_name_stands_for_a_path(configs: Path) -> None:
    mnist, gdas = str(configs / "mnist.yaml"), str(configs / "algorithms" / "gdas.yaml")
    assert expand_presets(["fit", "--config", "mnist"]) == ["fit", "--config", mnist]
    given = ["fit", "--config=mnist", "-c", "algorithms/gdas", "--run.name", "mnist"]
    assert expand_presets(given) == ["fit", f"--config={mnist}", "-c", gdas, "--run.name", "mnist"]


def test_an_overlay_has_a_short_name_but_not_the_first_place(configs: Path, tmp_path: Path) -> None:
    gdas = str(configs / "algorithms" / "gdas.yaml")
    assert expand_presets(["fit", "--config", "mnist", "--config", "gdas"])[4] == gdas
    assert expand_presets(["fit", "--model=mine.Search", "--config=gdas"])[2] == f"--config={gdas}"
    own = tmp_path / "own.yaml"
    own.write_text("model: {init_args: {warmup_epochs: 1}}")
    for first in ("gdas", "algorithms/spos", gdas, str(own)):
        for others in ([], ["--config", "mnist"]):
            with pytest.raises(ValueError) as caught:
                expand_presets(["fit", "--config", first, *others])
            one_line(caught, Path(first).stem, "is an overlay", "give that first, as in --config")
    own.write_text("run: {name: mine}")
    assert expand_presets(["fit", "--config", str(own), "--config", "mnist"])
    assert expand_presets(["test", "--ckpt_path", "net.ckpt", "--config", gdas])


def test_files_and_settings_stay_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mnist").write_text("run: {name: mine}")
    text = f"run: {{name: {'m' * 300}}}"  # too long for the name of a file
    for config in ("mnist", "absent.yaml", f"some{os.sep}absent.yaml", "run: {name: mine}", text):
        assert expand_presets(["fit", "--config", config]) == ["fit", "--config", config]


def test_a_folder_of_the_same_name_does_not_hide_a_preset(
    configs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    assert expand_presets(["fit", "--config", "mnist"])[2] == str(configs / "mnist.yaml")


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError) as caught:
        expand_presets(["fit", "--config", "minst"])
    one_line(caught, "'minst' is neither a file nor a preset", "mnist_small", "algorithms/gdas")


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
        expand_presets(["fit", "--config", "mnist", "--config", str(path)])
    one_line(caught, "wrong.yaml")
