"""Reading checkpoints without trusting them."""

import os
import pickle
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from darts_lite.cli.verbs.derive import derive_architecture
from darts_lite.derivation.rules import SkipLimit
from darts_lite.storage.checkpoints import Checkpoint

GOOD: dict[str, Any] = {
    "model": {
        "class_path": "darts_lite.Retraining",
        "init_args": {"architecture": {"cells": {}}, "max_epochs": 3},
    },
    "data": {"class_path": "darts_lite.ImageData", "init_args": {"dataset": "MNIST"}},
    "state_dict": {},
}
GROUPS = {name: GOOD[name] for name in ("model", "data")}


def saved(tmp_path: Path, content: object) -> Path:
    torch.save(content, tmp_path / "some.ckpt")
    return tmp_path / "some.ckpt"


def test_settings_come_back(tmp_path: Path) -> None:
    assert Checkpoint.read(saved(tmp_path, GOOD)).configuration() == GROUPS


def test_missing_data_settings_are_left_out(tmp_path: Path) -> None:
    checkpoint = Checkpoint.read(saved(tmp_path, {**GOOD, "data": None}))
    assert checkpoint.configuration() == {"model": GROUPS["model"]}


def test_no_such_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ckpt")
    (tmp_path / "folder.ckpt").mkdir()
    for name in ("absent.ckpt", "pipe.ckpt", "folder.ckpt", "pipe.ckpt/below"):
        with pytest.raises(
            FileNotFoundError, match=rf"(no checkpoint at .*{name}|{name} is a folder)"
        ):
            Checkpoint.read(tmp_path / name)


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.symlink_to("last.ckpt")  # nobody can open it, not even root
    (tmp_path / "astray.ckpt").symlink_to("absent.ckpt")
    for name, why in (("last.ckpt", "Too many levels"), ("astray.ckpt", "No such file")):
        with pytest.raises(OSError, match=rf"cannot read .*\({why}") as error:
            Checkpoint.read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_a_system_that_opens_nothing_more_says_nothing_of_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, GOOD)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limit[1]))
    try:
        with pytest.raises(OSError, match="cannot read .*Too many open files"):
            Checkpoint.read(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert Checkpoint.read(path).model == "Retraining"


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that cannot be read")
def test_a_file_that_opens_and_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").symlink_to("/proc/self/mem")
    with pytest.raises(OSError, match="cannot read .*last.ckpt .Input/output error.; make it read"):
        Checkpoint.read(tmp_path / "last.ckpt")
    with pytest.raises(FileNotFoundError, match="is a folder, a pipe or a device, and no checkp"):
        Checkpoint.read(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 100, -1, -100])
def test_a_truncated_file(tmp_path: Path, length: int) -> None:
    path = saved(tmp_path, GOOD)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="not a readable checkpoint") as error:
        Checkpoint.read(path)
    assert "\n" not in str(error.value)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("exploded"),))


@pytest.mark.parametrize("write", [torch.save, lambda c, p: p.write_bytes(pickle.dumps(c, 2))])
def test_code_in_a_file_is_not_run(
    tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write({**GOOD, "bomb": Bomb()}, tmp_path / "bomb.ckpt")
    with pytest.raises(ValueError, match="not a readable checkpoint") as error:
        Checkpoint.read(tmp_path / "bomb.ckpt")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [{}, [1, 2], {"state_dict": {}}, {**GOOD, "model": {}}, GROUPS])
def test_somebody_elses_file(tmp_path: Path, content: object) -> None:
    with pytest.raises(ValueError, match="was not written by darts_lite"):
        Checkpoint.read(saved(tmp_path, content))


def test_a_class_from_elsewhere_is_not_imported(tmp_path: Path) -> None:
    hidden = {"augmentation": {"class_path": "antigravity.Thing"}}
    content = {**GOOD, "data": {"class_path": "darts_lite.ImageData", "init_args": hidden}}
    with pytest.raises(ValueError, match="'antigravity.Thing', which a checkpoint may not import"):
        Checkpoint.read(saved(tmp_path, content)).configuration()


def of_mine(name: str, init_args: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds whose relaxation is one of a user's own."""
    own = {
        "space": {"candidates": ["conv_3x3"]},
        "relaxation": {"class_path": f"mine.parts.{name}", "init_args": init_args},
    }
    kind = "darts_lite.ArchitectureSearch"
    return {**GOOD, "model": {"class_path": kind, "init_args": own}}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of a user's own, which imports what it does not define."""
    (tmp_path / "mine").mkdir()
    lines = ("from shutil import rmtree", "class Sparse: ...", "def act(path: str) -> None: ...")
    (tmp_path / "mine" / "parts.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path)


def test_a_network_from_elsewhere_is_not_imported(tmp_path: Path) -> None:
    space = {"class_path": "darts_lite.NetworkSpace", "init_args": {"network": "antigravity.Thing"}}
    model = {"class_path": "darts_lite.Exploration", "init_args": {"space": space}}
    with pytest.raises(ValueError, match="'antigravity.Thing', which a checkpoint may not import"):
        Checkpoint.read(saved(tmp_path, {**GOOD, "model": model})).configuration()


@pytest.mark.usefixtures("mine")
def test_a_class_of_a_module_that_the_user_names_is_taken(tmp_path: Path) -> None:
    content = of_mine("Sparse", {"power": 3})
    path = saved(tmp_path, content)
    assert Checkpoint.read(path).configuration(["mine.parts"])["model"] == content["model"]
    for trusted in ([], ["mine"], ["mine.parts.Sparse"]):
        with pytest.raises(ValueError, match="add --run.imports='\\[mine.parts\\]'"):
            Checkpoint.read(path).configuration(trusted)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("name", ["rmtree", "act", "nothing"])
def test_functions_of_a_trusted_module_are_not_called(name: str, tmp_path: Path) -> None:
    (victim := tmp_path / "victim").mkdir()
    path = saved(tmp_path, of_mine(name, {"path": str(victim)}))
    with pytest.raises(ValueError, match=f"'mine.parts.{name}', which that module does not define"):
        derive_architecture(Checkpoint.read(path), SkipLimit(), ["mine.parts"])
    assert victim.is_dir()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"class_path": "darts_lite.retraining.retraining.Old", "init_args": {}}, "unknown class"),
        ({**GOOD["model"], "init_args": {"architecture": "x", "new": 1}}, "takes no .'new'."),
        ({**GOOD["model"], "init_args": {}}, "missing a required argument: 'architecture'"),
    ],
)
def test_settings_of_another_version_are_named(
    model: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"some.ckpt.*{message}"):
        Checkpoint.read(saved(tmp_path, {**GOOD, "model": model})).configuration()


def test_a_flipped_bit_in_the_weights_is_noticed(tmp_path: Path) -> None:
    path = saved(tmp_path, {**GOOD, "state_dict": {"w": torch.full((1000,), 3.0)}})
    content = bytearray(path.read_bytes())
    content[content.index(torch.full((9,), 3.0).numpy().tobytes()) + 7] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a readable checkpoint"):
        Checkpoint.read(path)
