"""Mutated architecture, configuration and checkpoint files: accepted, or refused in one line."""

import contextlib
import copy
import io
import json
import os
import pickle
import random
import signal
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from run_helpers import SMALL

from darts_lite.cli.lightning_cli import main
from darts_lite.networks.net import Net
from darts_lite.retraining.retraining import Retraining
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.search_space import SearchSpace
from darts_lite.storage.checkpoints import Checkpoint

# What a user only sees as a warning is no refusal.
pytestmark = pytest.mark.filterwarnings("ignore")

Path_ = tuple[Any, ...]  # keys and indices that lead to a value
LONGEST = 1_100
"""Characters of a line that can still be read."""
HANG = 60
"""Seconds after which a case, which takes less than one, will never end."""
RESUMING = "logs/search/version_0/"
"""Where a run that goes on may add records before it finds that it cannot."""


class NOTHING:
    """Stands for a value that is taken away."""


CANARY = "canary"
CODE = {"class_path": "os.system", "init_args": {"command": f"touch {CANARY}"}}
BAD: list[Any] = [
    NOTHING,
    None,
    True,
    -1,
    0,
    1.5,
    10**7,
    2**70,
    float("nan"),
    float("inf"),
    "",
    "x",
    "os.system",
    "darts_lite.Softmax",
    [],
    [1, "x"],
    {},
    {"a": 1},
    CODE,
]


class Code:
    """Would leave a file behind if it was unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {CANARY}",)


def paths(value: Any, so_far: Path_ = ()) -> Iterator[Path_]:
    """The way to every value inside."""
    if so_far:
        yield so_far
    if isinstance(value, dict | list):
        for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(entry, (*so_far, key))


def put(whole: Any, path: Path_, value: Any) -> Any:
    """A copy with another value at one place, or without one there."""
    whole = copy.deepcopy(whole)
    holder = whole
    for step in path[:-1]:
        holder = holder[step]
    if value is NOTHING:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return whole


def mostly_slow(cases: Iterable[Any]) -> list[Any]:
    """All cases, of which every thirteenth is tried by default."""
    slow = pytest.mark.slow
    return [pytest.param(case, marks=slow) if i % 13 else case for i, case in enumerate(cases)]


def mutations(whole: Any, number: int) -> list[tuple[Path_, Any]]:
    """So many of all places and bad values."""
    every = [(path, value) for path in paths(whole) for value in BAD]
    return random.Random(0).sample(every, number)


def label(case: tuple[Path_, Any]) -> str:
    path, value = case
    return f"{'.'.join(map(str, path))}={'nothing' if value is NOTHING else repr(value)[:30]}"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    def end(number: int, frame: FrameType | None) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(HANG)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refusal(action: Callable[[], Any]) -> str | None:
    """The line with which something is refused; None where it is accepted."""
    try:
        with no_hang():
            action()
    except (ValueError, FileNotFoundError) as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < LONGEST
        return str(error)
    finally:
        assert not Path(CANARY).exists()
    return None


def run(*arguments: str) -> str | None:
    """The line with which the command line refuses its arguments; None where it accepts them."""
    errors = io.StringIO()
    before = contents(Path())
    try:
        with no_hang(), contextlib.redirect_stderr(errors):
            main(arguments)
    except SystemExit as stopped:
        lines = [line for line in errors.getvalue().splitlines() if "Warning: " not in line]
        assert stopped.code == 2
        assert len(lines) == 1 and lines[0].startswith("error: ") and len(lines[0]) < LONGEST, lines
        after = contents(Path())
        assert after.items() >= before.items()
        assert all(name.startswith(RESUMING) for name in after.keys() - before.keys())
        return lines[0]
    finally:
        assert not Path(CANARY).exists()
    return None


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in a folder of its own, which a canary would be found in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------- architecture files

VALID = SMALL.first_architecture().to_dict()
ARCHITECTURES_MUTATED = mutations(VALID, 240)
ARCHITECTURE_BYTES = 60

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**9, 10**30, -(2**63), 10_000])
    | st.floats()
    | st.text()
    | st.sampled_from(["none", "conv_3x3", "os.system", "torch.nn.Linear", "reduce", "normal"])
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
prompt = settings(
    derandomize=True,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


def build(path: Path) -> None:
    """Loads an architecture file and builds its net, which takes no memory here."""
    architecture = Architecture.load(path)
    assert Architecture.of(architecture.to_dict()) == architecture
    frame = architecture.skeleton
    if frame.cells * max(sum(map(len, cell)) for cell in architecture.cells.values()) < 300:
        with torch.device("meta"):
            Net(architecture, 1, 10)


@prompt
@given(values)
def test_any_json_value(value: Any) -> None:
    path = Path("any.json")
    path.write_text(json.dumps(value))
    assert refusal(lambda: build(path))


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A published or small architecture with a few values replaced, taken away or doubled."""
    whole: Any = copy.deepcopy(draw(st.sampled_from([VALID, ARCHITECTURES["DARTS_V2"].to_dict()])))
    for _ in range(draw(st.integers(1, 3))):
        places = list(paths(whole))
        if not places:
            break
        path = draw(st.sampled_from(places))
        other = draw(st.sampled_from(places))
        holder = whole
        for step in other:
            holder = holder[step]
        value = draw(values | st.just(NOTHING) | st.just(copy.deepcopy(holder)))
        whole = put(whole, path, value)
    return whole


@prompt
@given(mutated())
def test_architectures_of_many_mutations(value: Any) -> None:
    path = Path("mutated.json")
    path.write_text(json.dumps(value))
    refusal(lambda: build(path))


@pytest.mark.parametrize("case", mostly_slow(ARCHITECTURES_MUTATED), ids=label)
def test_an_architecture_with_one_wrong_value(case: tuple[Path_, Any]) -> None:
    path = Path("architecture.json")
    path.write_text(json.dumps(put(VALID, *case)))
    refusal(lambda: build(path))
    refusal(lambda: Retraining(str(path)))


@pytest.mark.parametrize("number", mostly_slow(range(ARCHITECTURE_BYTES)))
def test_an_architecture_file_of_damaged_bytes(number: int) -> None:
    dice = random.Random(number)
    Path("damaged.json").write_bytes(damaged(json.dumps(VALID).encode(), dice))
    refusal(lambda: build(Path("damaged.json")))


@pytest.mark.parametrize(
    "skeleton",
    [
        {"channels": 10**9},
        {"cells": 10**6},
        {"cells": 10_000, "channels": 10_000},
        {"cells": 10_000},
        {"cells": 40, "reductions": list(range(40))},
        {"cells": 10**18},
    ],
    ids=str,
)
def test_absurd_sizes_are_refused_before_anything_is_built(skeleton: dict[str, Any]) -> None:
    given = {**VALID, "skeleton": {**VALID["skeleton"], "reductions": [1], **skeleton}}
    Path("large.json").write_text(json.dumps(given))
    for action in (
        lambda: Retraining("large.json"),
        lambda: Retraining(VALID, **skeleton),
        lambda: SearchSpace(SMALL.candidates, stem="conv3x3", **skeleton),
    ):
        assert refusal(action)


# ---------------------------------------------------------------------- configuration files

CONFIG: dict[str, Any] = {
    "seed_everything": 1,
    "ckpt_path": None,
    "run": {
        "name": "fuzz",
        "folder": "logs",
        "max_minutes": 5.0,
        "imports": [],
        "seeds": 1,
        "control": None,
        "control_nets": 1,
        "resume": None,
        "save_every_steps": 5,
        "save_every_minutes": 1.0,
        "keep_checkpoints": 2,
    },
    "trainer": {
        "accelerator": "cpu",
        "devices": 1,
        "precision": None,
        "callbacks": [{"class_path": "darts_lite.OperationFreezing"}],
        "fast_dev_run": True,
        "max_epochs": 1,
        "max_steps": 1,
        "limit_train_batches": 1,
        "limit_val_batches": 1,
        "check_val_every_n_epoch": 1,
        "log_every_n_steps": 1,
        "deterministic": False,
        "plugins": None,
    },
    "model": {
        "class_path": "darts_lite.ArchitectureSearch",
        "init_args": {
            "space": {
                "class_path": "darts_lite.SearchSpace",
                "init_args": {
                    "candidates": ["none", "conv_1x1"],
                    "nodes": 1,
                    "kept_edges": 2,
                    "channels": 2,
                    "cells": 1,
                    "reductions": [0],
                    "stem": "conv3x3_stride2",
                    "name": "tiny",
                    "wiring": "darts",
                },
            },
            "relaxation": {"class_path": "darts_lite.Concrete", "init_args": {"start": 2.0}},
            "regularizers": [
                {"class_path": "darts_lite.BetaDecay", "init_args": {"strength": 0.1}}
            ],
            "gradient": {"class_path": "darts_lite.SecondOrder"},
            "weights_optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
            "warmup_epochs": 0.0,
            "final_learning_rate": 0.1,
            "gradient_clip": 5.0,
            "partial_channels": 1,
            "edge_weights": True,
            "auxiliary_skip": 1.0,
        },
    },
    "retraining": {
        "class_path": "darts_lite.Retraining",
        "init_args": {
            "max_epochs": 1,
            "optimizer": {"class_path": "torch.optim.AdamW", "init_args": {"lr": 0.1}},
            "schedule": "cosine",
            "drop_path": 0.1,
            "ema_decay": 0.0,
            "auxiliary_weight": 0.0,
            "inherit": False,
            "channels": None,
            "reductions": None,
        },
    },
    "data": {
        "class_path": "darts_lite.ImageData",
        "init_args": {
            "dataset": "MNIST",
            "seed": 0,
            "validation_fraction": 0.1,
            "train_images": 100,
            "search_batches_per_epoch": 1,
            "least_batches_per_epoch": 1,
            "search_batch_size": 4,
            "batch_size": 4,
            "evaluation_batch_size": 50,
            "augmentation": {"class_path": "darts_lite.Augmentation", "init_args": {"shift": 1}},
        },
    },
}
CONFIGS_MUTATED = mutations(CONFIG, 70)
UNKNOWN = [path for path in paths(CONFIG) if path[-1] in ("init_args", "run", "trainer")]
TEXT = yaml.safe_dump(CONFIG)
TEXTS: dict[str, str | bytes] = {
    "tag": TEXT + f"x: !!python/object/apply:os.system ['touch {CANARY}']\n",
    "tag inside": TEXT.replace(
        "name: fuzz", f"name: !!python/object/apply:os.system ['touch {CANARY}']"
    ),
    "new": TEXT + "x: !!python/object/new:os.system ['touch canary']\n",
    "inside itself": "run: &a {name: *a}\n",
    "deep list": "[" * 100_000,
    "deep mapping": "{a: " * 5_000 + "1" + "}" * 5_000,
    "list": "[1, 2]",
    "number": "5",
    "empty": "",
    "null": "null",
    "zero byte": "a: \0",
    "latin": b"run: {name: \xff\xfe}",
    "utf-16": TEXT.encode("utf-16"),
    "binary": bytes(range(256)),
    "tab": "run:\n\tname: x\n",
    "no anchor": "<<: *x\n",
    "number as key": TEXT + "1: 2\n",
    "list as key": TEXT + "? [1, 2]\n: 2\n",
    "many digits": TEXT.replace("seeds: 1", "seeds: " + "9" * 5_000),
    "1e400": TEXT.replace("max_minutes: 5.0", "max_minutes: 1e400"),
    "two documents": f"{TEXT}\n---\n{TEXT}",
    "long name": TEXT.replace("name: fuzz", "name: " + "f" * 5_000),
    "name that leaves": TEXT.replace("name: fuzz", "name: ../../outside"),
    "absolute name": TEXT.replace("name: fuzz", "name: /tmp/outside"),
    "name of two lines": TEXT.replace("name: fuzz", 'name: "a\\nb"'),
    "half": TEXT[: len(TEXT) // 2],
    "function with arguments": yaml.safe_dump(
        put(
            CONFIG,
            ("model", "init_args", "weights_optimizer"),
            {
                "class_path": "darts_lite.storage.atomic_files.write_text",
                "init_args": {"path": CANARY, "text": ""},
            },
        )
    ),
    "no such model": yaml.safe_dump(put(CONFIG, ("model",), {})),
}


@pytest.fixture
def configure(found_digits: None, offline: None) -> Callable[[Any], str | None]:
    """Runs a configuration beside an older run, and tells the line with which it was refused."""
    old = Path("logs/fuzz/version_0")
    old.mkdir(parents=True)
    for name in ("config.yaml", "summary.json", "architecture.json"):
        (old / name).write_text('{"finished": true}')
    before = contents(old)

    def answer(text: str | bytes) -> str | None:
        Path("fuzz.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        line = run("fit", "--config", "fuzz.yaml")
        assert contents(old) == before
        return line

    return answer


def test_the_configuration_is_accepted(configure: Callable[[Any], str | None]) -> None:
    assert configure(TEXT) is None
    assert contents(Path("logs/fuzz/version_1"))


@pytest.mark.parametrize("case", mostly_slow(CONFIGS_MUTATED), ids=label)
def test_a_configuration_with_one_wrong_value(
    case: tuple[Path_, Any], configure: Callable[[Any], str | None]
) -> None:
    configure(yaml.safe_dump(put(CONFIG, *case)))


@pytest.mark.parametrize("path", UNKNOWN, ids=str)
def test_unknown_keys(path: Path_, configure: Callable[[Any], str | None]) -> None:
    line = configure(yaml.safe_dump(put(CONFIG, (*path, "unknown"), 1)))
    assert line is not None and "unknown" in line


@pytest.mark.parametrize("name", TEXTS)
def test_configuration_files_of_another_kind(
    name: str, configure: Callable[[Any], str | None]
) -> None:
    assert configure(TEXTS[name])


# ---------------------------------------------------------------------- checkpoints

LEGACY = {"_use_new_zipfile_serialization": False}
BYTES = 60
CONTENTS = 20
RESUMED = 20


def damaged(whole: bytes, dice: random.Random) -> bytes:
    """Bytes cut off, flipped, overwritten, left out, doubled, or around it."""
    start, end = sorted(dice.sample(range(len(whole)), 2))
    match dice.randrange(6):
        case 0:
            return whole[:start]
        case 1:
            flipped = bytearray(whole)
            for _ in range(dice.choice([1, 1, 5])):
                flipped[dice.randrange(len(whole))] ^= 1 << dice.randrange(8)
            return bytes(flipped)
        case 2:
            end = min(end, start + 100)
            return whole[:start] + dice.randbytes(end - start) + whole[end:]
        case 3:
            return whole[:start] + whole[end:]
        case 4:
            return whole[:end] + whole[start:]
    return dice.randbytes(9) + whole + dice.randbytes(9)


def rezipped(whole: bytes, dice: random.Random | None, **settings: Any) -> bytes:
    """The same file with proper sums; with dice, of a pickle whose bytes were flipped."""
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(whole)) as source,
        zipfile.ZipFile(written, "w", **settings) as target,
    ):
        for name in source.namelist():
            entry = bytearray(source.read(name))
            if dice is not None and name.endswith("data.pkl"):
                for _ in range(dice.choice([1, 2, 5])):
                    entry[dice.randrange(len(entry))] ^= 1 << dice.randrange(8)
            target.writestr(name, bytes(entry))
    return written.getvalue()


def saved(content: Any, **settings: Any) -> bytes:
    written = io.BytesIO()
    torch.save(content, written, **settings)
    return written.getvalue()


class Good:
    """A small run, whose checkpoints are there to be damaged."""

    def __init__(self, root: str) -> None:
        config = copy.deepcopy(CONFIG)
        config["trainer"] |= {"fast_dev_run": False, "max_epochs": 3, "max_steps": -1}
        config["trainer"] |= {"limit_test_batches": 1, "callbacks": None}
        config["model"]["init_args"] |= {"edge_weights": False, "auxiliary_skip": 0.0}
        config["model"]["init_args"]["gradient"] = None
        config["data"]["init_args"]["root"] = root
        self.config = config
        Path("good.yaml").write_text(yaml.safe_dump(config))
        main(["fit", "--config", "good.yaml"])
        whole = Path("logs/fuzz/version_0")
        self.net = (whole / "net.ckpt").read_bytes()
        self.last = (whole / "checkpoints/last.ckpt").read_bytes()
        self.search = put(config, ("retraining",), None)
        self.search["run"] |= {"resume": "auto", "name": "search"}
        Path("search.yaml").write_text(yaml.safe_dump(self.search))
        main(["fit", "--config", "search.yaml"])
        search = Path("logs/search/version_0")
        self.settings = (search / "config.yaml").read_bytes()
        self.before = (search / "checkpoints/last-1.ckpt").read_bytes()

    def content(self, name: str) -> Any:
        return torch.load(io.BytesIO(getattr(self, name)), weights_only=True)


@pytest.fixture(scope="module")
def good(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> Good:
    with contextlib.chdir(tmp_path_factory.mktemp("good")):
        return Good(digits_root)


def offer(content: bytes, config: dict[str, Any]) -> list[str | None]:
    """What every reader of a checkpoint says of it."""
    Path("some.ckpt").write_bytes(content)
    short = {**config, "run": {"folder": "logs"}, "retraining": None}
    short["trainer"] = {"accelerator": "cpu", "fast_dev_run": True}
    short["model"] = {"class_path": "darts_lite.Retraining"}
    Path("retrain.yaml").write_text(yaml.safe_dump(short))
    return [
        refusal(lambda: Checkpoint.read("some.ckpt").configuration()),
        run("test", "--ckpt_path", "some.ckpt", "--trainer.accelerator=cpu"),
        run("validate", "--ckpt_path", "some.ckpt", "--trainer.accelerator=cpu"),
        run("fit", "--config", "retrain.yaml", "--model.architecture", "some.ckpt"),
        run(*["fit", "--config", "retrain.yaml", "--model.architecture", "some.ckpt"], INHERIT),
    ]


INHERIT = "--model.inherit=true"


def test_the_checkpoints_are_accepted(good: Good) -> None:
    test, inherits = 1, 4
    for name, refused in (("net", inherits), ("last", test)):
        answers = offer(getattr(good, name), good.config)
        assert [n for n, line in enumerate(answers) if line] == [refused], answers


@pytest.mark.parametrize("number", mostly_slow(range(BYTES)))
def test_damaged_bytes_are_noticed_or_change_nothing(number: int, good: Good) -> None:
    name = "net" if number % 2 else "last"
    expected = good.content(name)["state_dict"]
    Path("some.ckpt").write_bytes(damaged(getattr(good, name), random.Random(number)))
    if refusal(lambda: Checkpoint.read("some.ckpt")) is None:
        found = Checkpoint.read("some.ckpt").weights
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], value) for key, value in expected.items())
    verb = ("test", "validate")[number // 2 % 2]
    run(verb, "--ckpt_path", "some.ckpt", "--trainer.accelerator=cpu")


def bomb(depth: int) -> Any:
    """A list that is small until it is walked through."""
    inner: Any = [1]
    for _ in range(depth):
        inner = [inner] * 10
    return inner


def holds_itself() -> Any:
    inner: list[Any] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    "make",
    [
        lambda good: pickle.dumps(Code()),
        lambda good: pickle.dumps({**good.content("last"), "x": Code()}),
        lambda good: saved({**good.content("net"), "x": Code()}),
        lambda good: saved({**good.content("net"), "x": Code()}, **LEGACY),
        lambda good: saved(good.content("net"), **LEGACY),
        lambda good: rezipped(good.net, None, compression=zipfile.ZIP_DEFLATED),
        lambda good: b"{}",
        lambda good: b"",
        lambda good: saved([1]),
        lambda good: saved(None),
        lambda good: saved(torch.zeros(3)),
        lambda good: saved(torch.nn.Linear(2, 2)),
        lambda good: saved(good.content("net")["state_dict"]),
        lambda good: saved({**good.content("last"), "model": {"init_args": bomb(12)}}),
        lambda good: saved({**good.content("last"), "architecture": holds_itself()}),
        lambda good: good.net[: len(good.net) // 2] + good.last[len(good.last) // 2 :],
    ],
)
def test_files_that_are_no_checkpoints(make: Callable[[Good], bytes], good: Good) -> None:
    assert all(offer(make(good), good.config))


@pytest.mark.parametrize("number", mostly_slow(range(BYTES // 2)))
def test_a_damaged_pickle_with_proper_sums(number: int, good: Good) -> None:
    content = rezipped(good.net if number % 2 else good.last, random.Random(number))
    Path("some.ckpt").write_bytes(content)
    refusal(lambda: Checkpoint.read("some.ckpt").configuration())
    run("validate", "--ckpt_path", "some.ckpt", "--trainer.accelerator=cpu")


def changed(content: Any, dice: random.Random) -> Any:
    """A checkpoint with one value of another version, of another kind, or without it."""
    kinds = ("model", "data", "loops", "callbacks", "architecture", "optimizer_states")
    places = [path for path in paths(content) if path[0] in kinds or len(path) == 1]
    weights = [path for path in paths(content) if path[0] == "state_dict"]
    value = dice.choice([*BAD, NOTHING, NOTHING, torch.zeros(2)])
    return put(content, dice.choice(weights if dice.random() < 0.2 else places), value)


@pytest.mark.parametrize("number", mostly_slow(range(CONTENTS)))
def test_a_checkpoint_of_changed_content(number: int, good: Good) -> None:
    dice = random.Random(number)
    offer(saved(changed(good.content("net" if number % 2 else "last"), dice)), good.config)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("model", "init_args", "new_setting"), 1, ["some.ckpt", "version", "new_setting"]),
        (("model", "init_args", "architecture"), NOTHING, ["some.ckpt", "version", "architecture"]),
        (("data", "init_args", "new_setting"), 1, ["some.ckpt", "version", "new_setting"]),
        (
            ("model", "class_path"),
            "darts_lite.retraining.retraining.Old",
            ["some.ckpt", "version", "Old"],
        ),
        (("state_dict", "net.skeleton.classifier.weight"), NOTHING, ["version", "Missing key"]),
        (("state_dict", "net.old"), torch.zeros(1), ["version", "Unexpected key"]),
        (("state_dict", "net.skeleton.classifier.bias"), torch.zeros(3), ["size mismatch"]),
    ],
    ids=str,
)
def test_what_another_version_leaves_is_named(
    path: Path_, value: Any, words: list[str], good: Good
) -> None:
    Path("some.ckpt").write_bytes(saved(put(good.content("net"), path, value)))
    line = run("test", "--ckpt_path", "some.ckpt", "--trainer.accelerator=cpu")
    assert line is not None
    for word in words:
        assert word in line


@pytest.mark.parametrize("number", mostly_slow(range(RESUMED)))
def test_an_unfinished_run_whose_last_checkpoint_is_damaged(number: int, good: Good) -> None:
    dice = random.Random(number)
    Path("search.yaml").write_text(yaml.safe_dump(good.search))
    directory = Path("logs/search/version_0")
    kept = directory / "checkpoints/last-1.ckpt"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(good.before)
    (directory / "config.yaml").write_bytes(good.settings)
    content = good.content("before")
    last = saved(changed(content, dice)) if number % 2 else damaged(good.before, dice)
    (directory / "checkpoints/last.ckpt").write_bytes(last)
    if run("fit", "--config", "search.yaml") is None:
        summary = json.loads((directory / "summary.json").read_text())
        assert summary["finished"] and summary["search_epochs"] == 3
    else:
        assert kept.read_bytes() == good.before
    assert [path.name for path in Path("logs/search").iterdir()] == ["version_0"]


def test_there_are_at_least_500_files() -> None:
    files = {
        "architectures": len(ARCHITECTURES_MUTATED) + ARCHITECTURE_BYTES,
        "configurations": len(CONFIGS_MUTATED) + len(UNKNOWN) + len(TEXTS),
        "checkpoints": BYTES + BYTES // 2 + CONTENTS + RESUMED,
    }
    assert sum(files.values()) >= 500, files
    assert len({label(case) for case in CONFIGS_MUTATED}) > 0.9 * len(CONFIGS_MUTATED)
