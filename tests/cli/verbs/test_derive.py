"""`derive` from real checkpoints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from run_helpers import Finished, one_line

from darts_lite.cli.main import main
from darts_lite.cli.verbs.derive import derive_architecture, name_both, read_rule
from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.rules import Derivation, SkipLimit, Strongest
from darts_lite.space.cells.architecture import Architecture
from darts_lite.storage.checkpoints import Checkpoint
from darts_lite.storage.components import describe_component


def derived(path: Path, rule: Derivation | None = None) -> Architecture:
    found = derive_architecture(Checkpoint.read(path), rule)
    assert isinstance(found, Architecture)
    return found


def size(architecture: Architecture) -> int:
    from darts_lite.networks.net import Net

    with torch.device("meta"):
        return sum(p.numel() for p in Net(architecture, 1, 10).parameters())


def test_without_a_rule_it_is_what_the_search_stands_for(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = finished.directory / "checkpoints" / "last.ckpt"
    found = Architecture.load(finished.directory / "architecture.json")
    main(["derive", str(last), "--output", str(tmp_path / "again.json")])
    assert Architecture.load(tmp_path / "again.json").cells == found.cells
    assert found.genotype() in capsys.readouterr().out
    main(["derive", str(last)])
    assert f"{found}\n{found.genotype()}" in capsys.readouterr().out


def test_another_rule_derives_from_the_same_shares(finished: Finished) -> None:
    last = finished.directory / "checkpoints" / "last.ckpt"
    assert derived(last, Strongest()).cells == derived(last).cells
    limit = size(derived(last)) - 1
    small = derived(last, WithinBudget(parameters=limit))
    assert size(small) <= limit
    assert small.found_by["derivation"]["init_args"]["parameters"] == limit
    macs = derived(last, WithinBudget(multiply_adds=10**9))  # knows the size of the images
    assert macs.cells == derived(last).cells


def test_a_budget_counts_the_net_that_the_search_was_for(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = finished.directory / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    own = WithinBudget(parameters=10**6, channels=8, cells=4, reductions=(1,))
    content["model"]["init_args"]["derivation"] = describe_component(own)
    torch.save(content, tmp_path / "budget.ckpt")
    found = derived(tmp_path / "budget.ckpt", WithinBudget(parameters=5_000))
    assert (found.skeleton.channels, found.skeleton.cells) == (8, 4)
    assert size(found) <= 5_000 < size(derived(last).with_skeleton(**own.skeleton))
    words = ["--parameters", "5000", "--output", str(tmp_path / "small.json")]
    main(["derive", str(tmp_path / "budget.ckpt"), *words])
    said = capsys.readouterr().out
    assert f"{size(found):,} parameters for 1 channel, 10 classes, 4 cells of 8 channels" in said
    assert Architecture.load(tmp_path / "small.json") == found
    for rule in (None, Strongest()):  # the net is the one that the search's own budget is for
        assert derived(tmp_path / "budget.ckpt", rule).skeleton == found.skeleton
    wider = derived(tmp_path / "budget.ckpt", WithinBudget(parameters=5_000, channels=4))
    assert wider.skeleton.channels == 4


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--compare", "DARTS_V1", "DARTS_V2", "--rule", "Strongest"], "takes no rule"),
        (["some.ckpt", "--picture", "both.png"], "--picture draws what --compare"),
        (["--compare", "DARTS_V1", "DARTS_V2", "--picture", "both.gif"], "a .png or .svg file"),
        (
            ["some.ckpt", "--rule", "Strongest", "--parameters", "9"],
            "either --rule or --parameters",
        ),
        (["absent.ckpt"], "there is no absent.ckpt; give the path of a search's .ckpt file"),
        (["--compare", "DARTS_V1", "absent.json"], "there is no absent.json; give"),
        (["--compare", "absent.ckpt", "DARTS_V1"], "there is no absent.ckpt; give"),
        ([], "derive needs the .ckpt file"),
        (["some.ckpt", "--parameters", "0"], "at least 1"),
    ],
)
def test_what_would_be_ignored_is_refused(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["derive", *words])
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and told in said and said.count("\n") == 1


REFUSED = """
import sys
from darts_lite.cli.main import main
try:
    main(["derive", *sys.argv[1:]])
except SystemExit as end:
    assert end.code == 2
    print("torch" in sys.modules)
"""


@pytest.mark.parametrize("words", ["", "absent.ckpt", "--compare DARTS_V1", "--compare A b.ckpt"])
def test_what_is_refused_is_so_before_torch_is_imported(words: str) -> None:
    command = [sys.executable, "-c", REFUSED, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n" and done.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Strongest", Strongest()),
        ("darts_lite.SkipLimit", SkipLimit()),
        ("{class_path: SkipLimit, init_args: {limit: 1}}", SkipLimit(1)),
    ],
)
def test_a_rule_is_named_as_in_a_configuration(text: str, rule: object) -> None:
    assert read_rule(text, None) == rule
    assert read_rule(None, 20_000) == WithinBudget(parameters=20_000)
    assert read_rule(None, None) is None


@pytest.mark.parametrize(
    "text", ["Weakest", "os.system", "{class_path: SkipLimit, x: 1}", "[", "3"]
)
def test_what_is_no_rule_is_refused_in_one_line(
    text: str, finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["derive", str(finished.directory / "checkpoints/last.ckpt"), "--rule", text])
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert "--rule" in said and "Strongest" in said and said.count("\n") == 1


def test_a_nets_checkpoint_has_an_architecture_but_no_shares(finished: Finished) -> None:
    net = finished.directory / "net.ckpt"
    assert derived(net) == Architecture.load(net.parent / "architecture.json")
    with pytest.raises(ValueError) as caught:
        derived(net, Strongest())
    one_line(caught, "net.ckpt holds no shares")


def test_a_checkpoint_is_compared_as_it_is_derived(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last, budget = finished.directory / "checkpoints" / "last.ckpt", tmp_path / "budget.ckpt"
    content = torch.load(last, weights_only=True)
    own = WithinBudget(parameters=10**6, channels=8, cells=4, reductions=(1,))
    content["model"]["init_args"]["derivation"] = describe_component(own)
    torch.save(content, budget)
    content["model"]["init_args"]["num_classes"] = 3
    for name in ("weight", "bias"):
        weights = content["state_dict"][f"supernet.skeleton.classifier.{name}"]
        content["state_dict"][f"supernet.skeleton.classifier.{name}"] = weights[:3].clone()
    torch.save(content, three := tmp_path / "three.ckpt")
    derived(budget).save(tmp_path / "derived.json")
    for checkpoint, classes in ((budget, 10), (three, 3)):
        main(["derive", "--compare", str(tmp_path / "derived.json"), str(checkpoint)])
        first, second, same = capsys.readouterr().out.splitlines()
        assert same == "They are the same."
        assert first.rpartition(": ")[2] == second.rpartition(": ")[2]  # counted alike
        assert first.endswith(f"{classes} classes")


def test_a_pipe_is_no_architecture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    for path in (str(tmp_path / "pipe.json"), "/dev/zero"):
        with pytest.raises(SystemExit):
            main(["derive", "--compare", "DARTS_V1", path])
        said = capsys.readouterr().err
        assert f"cannot read architecture {path!r} (is a pipe or a device" in said


def test_only_an_architecture_is_written_over(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.md").write_text("mine")
    words = ["derive", str(finished.directory / "checkpoints" / "last.ckpt"), "--output"]
    with pytest.raises(SystemExit):
        main([*words, str(tmp_path / "notes.md")])
    assert "notes.md exists and is not an architecture" in capsys.readouterr().err
    assert (tmp_path / "notes.md").read_text() == "mine"
    for _ in range(2):
        main([*words, str(tmp_path / "found.json")])
    assert Architecture.load(tmp_path / "found.json")


def test_two_are_compared_in_words_and_drawn(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = str(finished.directory / "architecture.json")
    main(["derive", "--compare", found, found])
    assert "They are the same." in capsys.readouterr().out
    for ending in (".png", ".svg"):
        picture = tmp_path / f"both{ending}"
        main(["derive", "--compare", "DARTS_V1", "DARTS_V2", "--picture", str(picture)])
        said = capsys.readouterr().out
        assert "A: DARTS_V1" in said and "node 3 reads" in said
        assert picture.stat().st_size > 10_000


def test_pictures_have_names_that_tell_files_apart(tmp_path: Path) -> None:
    files = [tmp_path / name / "architecture.json" for name in ("one", "two")]
    for file in files:
        file.parent.mkdir()
        file.write_text("{}")
    assert name_both(*map(str, files)) == ("one/architecture.json", "two/architecture.json")
    assert name_both("DARTS_V1", "DARTS_V2") == ("DARTS_V1", "DARTS_V2")
    assert name_both(str(files[0]), str(files[0]))[0] in (str(files[0]), "the first")
    assert name_both("Genotype(" + "x" * 60, "DARTS_V1") == ("the first", "DARTS_V1")
