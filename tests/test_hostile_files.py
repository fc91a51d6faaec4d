"""Otherwise valid files of a stranger that name what is not theirs: nothing of it is touched."""

import copy
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
from run_helpers import Finished, some_slow

from darts_lite.cli.main import main
from darts_lite.cli.parsing import add_checkpoint_settings
from darts_lite.cli.verbs.derive import derive_architecture
from darts_lite.derivation.rules import SkipLimit
from darts_lite.export.inference import load_answer
from darts_lite.networks.net import Net
from darts_lite.retraining.from_search import FoundArchitecture
from darts_lite.runs.resume import read_newest_checkpoint
from darts_lite.storage.checkpoints import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore")

CASES, PARTS = 80, 4
"""Number of changed files for each of `READERS`, and of the parts in which they are tried."""
HANG = 60
"""Seconds after which a case, which takes less than one, will never end."""
LEFT = ("optimizer_states", "state_dict", "loops", "lr_schedulers", "random")
"""Entries of tensors and numbers, in which nothing can be named."""

touched: list[str] = []
watched: list[Path] = []


def note(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes what is opened, listed, made or started, of all that stands in no file of ours."""
    if not watched:
        return
    named = [str(each) for each in arguments if isinstance(each, str | bytes | os.PathLike)]
    starts = event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn")
    imports = event == "import" and str(named[0]).partition(".")[0] in ("antigravity", "this")
    opens = any(name.startswith((str(watched[0]), "/dev/zero", "/etc/")) for name in named)
    if starts or imports or opens:
        touched.append(f"{event} {named}")


sys.addaudithook(note)


@contextmanager
def nothing_is_touched(trap: Path) -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it waits")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(HANG)
    watched.append(trap)
    try:
        yield
    finally:
        watched.clear()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert not touched, touched[:3]
    assert sorted(path.name for path in trap.iterdir()) == ["fifo", "images", "table.json"]


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A folder that no file of a stranger may reach."""
    folder = tmp_path / "trap"
    (folder / "images" / "train" / "a").mkdir(parents=True)
    os.mkfifo(folder / "fifo")
    (folder / "table.json").write_text("{}")
    touched.clear()
    return folder


def hostile(trap: Path) -> list[Any]:
    """Values that name a path, a device, a fifo, a table to write, a module or a program."""
    paths = [str(trap / name) for name in ("fifo", "images", "table.json", "new/table.json")]
    paths += ["/dev/zero", "/etc/passwd", f"file://{trap}/images", f"{trap}/fifo.ckpt"]
    table = {"latency": 1.0, "latency_table": str(trap / "new.json")}
    return [
        *paths,
        [paths[0]],
        "antigravity.Thing",
        "this",
        {"class_path": "antigravity.Thing"},
        {"class_path": "os.system", "init_args": {"command": f"touch {trap}/new"}},
        {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", f"{trap}/new"]}},
        {"class_path": "darts_lite.WithinBudget", "init_args": table},
        {"class_path": "darts_lite.TableLookup", "init_args": {"path": paths[2]}},
        {"class_path": "darts_lite.ImageData", "init_args": {"dataset": paths[1]}},
        {"class_path": "darts_lite.ImageData", "init_args": {"dataset": "MNIST", "root": paths[0]}},
    ]


def places(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value inside, but for those in `LEFT`."""
    if so_far:
        yield so_far
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            if key not in LEFT:
                yield from places(entry, (*so_far, key))


def changed(whole: dict[str, Any], place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    whole = copy.deepcopy(whole)
    holder: Any = whole
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value
    return whole


READERS: dict[str, list[Callable[[Path], Any]]] = {
    "net.ckpt": [
        lambda path: add_checkpoint_settings(["test", "--ckpt_path", str(path)]),
        load_answer,
        Net.from_run,
        lambda path: derive_architecture(Checkpoint.read(path)),
        FoundArchitecture.of,
    ],
    "checkpoints/last.ckpt": [
        lambda path: add_checkpoint_settings(["validate", "--ckpt_path", str(path)]),
        lambda path: derive_architecture(Checkpoint.read(path)),
        lambda path: derive_architecture(Checkpoint.read(path), SkipLimit()),
        lambda path: FoundArchitecture.of(path).supernet(),
        read_newest_checkpoint,
    ],
}


@pytest.mark.parametrize("part", some_slow([0], range(1, PARTS)))
@pytest.mark.parametrize("name", READERS)
def test_readers_refuse_or_leave_it(
    name: str, part: int, finished: Finished, trap: Path, tmp_path: Path
) -> None:
    whole = torch.load(finished.directory / name, weights_only=True)
    every = [(place, value) for place in places(whole) for value in hostile(trap)]
    cases = random.Random(0).sample(every, CASES)[part::PARTS]
    path = tmp_path / "stranger.ckpt"
    for place, value in cases:
        torch.save(changed(whole, place, value), path)
        for read in READERS[name]:
            with nothing_is_touched(trap):
                try:
                    read(path)
                except (ValueError, FileNotFoundError) as error:
                    assert "\n" not in str(error), (place, value)


VERBS = {
    "net.ckpt": (["test"], ["predict"], ["export", "--to", "safetensors"]),
    "checkpoints/last.ckpt": (["validate"], ["derive"]),
}
NAMED = (
    ("data", "init_args", "dataset"),
    ("data", "init_args", "root"),
    ("data", "class_path"),
    ("model", "init_args", "architecture"),
    ("model", "init_args", "derivation"),
    ("model", "init_args", "relaxation"),
    ("model", "init_args", "space"),
    ("model", "init_args", "weights_optimizer"),
    ("data", "init_args", "augmentation"),
    ("class_names",),
)
"""Places of the values that the command line would open, write or import."""
COMMANDS = [(name, verb, place) for name in VERBS for verb in VERBS[name] for place in NAMED]


@pytest.mark.parametrize(
    "command", some_slow(COMMANDS[::10], COMMANDS[5::10] + COMMANDS[1::5]), ids=str
)
def test_verbs_refuse_or_leave_it(
    command: tuple[str, list[str], tuple[str, ...]],
    finished: Finished,
    found_digits: None,
    trap: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    name, (word, *others), place = command
    whole = torch.load(finished.directory / name, weights_only=True)
    path = tmp_path / "stranger.ckpt"
    given = [str(path)] if word in ("export", "derive") else ["--ckpt_path", str(path)]
    texts = [str(trap / "fifo"), str(trap / "table.json"), "antigravity.Thing"]
    for value in [*texts, *random.Random(repr(place)).sample(hostile(trap), 2)]:
        torch.save(changed(whole, place, value), path)
        with nothing_is_touched(trap):
            try:
                main([word, *given, *others])
            except SystemExit as stopped:
                assert stopped.code == 2
