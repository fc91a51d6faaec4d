"""Modules of a user's own, which checkpoints name and only the user lets in."""

import sys
from pathlib import Path

import pytest
from run_helpers import one_line

from darts_lite.cli.main import main
from darts_lite.storage.user_modules import import_own, makes_class, names_in


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[my_parts]", ("my_parts",)),
        ("my_parts", ("my_parts",)),
        ("[ 'one', two.three ]", ("one", "two.three")),
        ("[]", ()),
    ],
)
def test_names_are_listed_as_in_a_configuration(text: str, names: tuple[str, ...]) -> None:
    assert names_in(text) == names


def test_a_module_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "of_my_own.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    import_own(["of_my_own"])
    assert sys.modules["of_my_own"].value == 3


@pytest.mark.parametrize("name", ["not_there", "", ".relative", "darts_lite.not_there"])
def test_what_cannot_be_imported_is_named(name: str) -> None:
    with pytest.raises(ValueError) as caught:
        import_own([name])
    one_line(caught, "run.imports: cannot import", repr(name))


@pytest.mark.parametrize(
    "words",
    [
        ["export", "net.ckpt"],
        ["derive", "x.ckpt"],
        ["predict", "--ckpt_path", "net.ckpt", "--images", "x.png"],
    ],
)
def test_the_verbs_take_them(
    words: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.ckpt").touch()  # that it is none is told later
    with pytest.raises(SystemExit) as stopped:
        main(
            [*words, *(["--images", "x.png"] if words[0] == "predict" else []), "--run.imports=[x]"]
        )
    assert stopped.value.code == 2
    assert "cannot import 'x'" in capsys.readouterr().err


def test_a_function_must_say_what_it_makes() -> None:
    for path in (
        "darts_lite.SearchSpace",
        "darts_lite.mnist_space",
        "darts_lite.training.optimizers.darts_sgd",
    ):
        assert makes_class(path), path
    for path in ("darts_lite.storage.atomic_files.write_text", "torch.load", "torch.hub.load"):
        assert not makes_class(path), path
