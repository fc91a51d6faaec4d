"""The benchmark for GPUs runs on a CPU with few packages, and goes on where a step fails."""

import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gpu
import gpu_record
import presets_by_hand
import pytest
import torch
from gpu_jobs import FEW, FOR_OVERLAYS, TINY, Jobs
from gpu_record import Record, in_own_process, verdicts
from test_algorithms import NAMES

from darts_lite.retraining.retraining import Retraining
from darts_lite.runs import presets
from darts_lite.runs.stages import Search
from darts_lite.training.signals import Stopped

BARE = """
import sys
from importlib.machinery import PathFinder

HIDDEN = {
    "jsonargparse", "shtab", "ruamel", "docstring_parser", "typeshed_client", "onnx",
    "hypothesis", "pandas", "scipy", "sklearn", "scikit_learn",
}


def is_hidden(name):
    return name.lower().replace("-", "_").partition(".")[0] in HIDDEN


class Bare:
    def find_spec(self, name, path=None, target=None):
        return None if is_hidden(name) else PathFinder.find_spec(name, path, target)

    def find_distributions(self, *context):
        found = PathFinder.find_distributions(*context)
        return (one for one in found if not is_hidden(one.metadata["Name"] or ""))

    def invalidate_caches(self):
        PathFinder.invalidate_caches()


finders = [one for one in sys.meta_path if "editable" not in repr(one)]  # a checkout only
sys.meta_path[:] = [Bare() if one is PathFinder else one for one in finders]
"""


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """A record with a minute left."""
    about = {"arguments": {"device": "cuda"}}
    return Record(tmp_path / "gpu.json", about, time.monotonic() + 60)


def written(record: Record) -> dict[str, Any]:
    return json.loads(record.path.read_text())


def raising(error: BaseException) -> Callable[[], Any]:
    def run() -> Any:
        raise error

    return run


# ---------------------------------------------------------------------- the command


@pytest.mark.slow
def test_all_stages_run_on_a_cpu_with_few_packages(digits_root: str, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(BARE)
    command = [sys.executable, str(Path(gpu.__file__)), "--device", "cpu", "--quick"]
    out = tmp_path / "results" / "gpu.json"
    paths = os.environ | {"PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "--out", str(out), "--data", digits_root, "--minutes", "60"],
        cwd=tmp_path,
        env=paths,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    content = json.loads(out.read_text())
    assert content["machine"]["gpu"] is None and content["versions"]["torch"] == torch.__version__
    steps = {step["name"]: step for step in content["steps"]}
    left_out = {name for name, step in steps.items() if step["ok"] is None}
    assert all(name == "published code" or name.startswith("compiled") for name in left_out)
    assert all(step["ok"] for name, step in steps.items() if name not in left_out)
    assert {step["stage"] for step in content["steps"]} == {1, 2, 3, 4}
    assert {name for name in steps if name.startswith("overlay ")} == {
        f"overlay {n}" for n in sorted(NAMES)[:FEW]
    }
    for name in ("mnist bf16-mixed", "mnist_cells bf16-mixed"):
        assert 0 < steps[name]["figures"]["test_accuracy"] <= 1
    assert steps["mnist bf16-mixed"]["figures"]["trainings"] == 2
    assert {"folded", "literal", "graphed"} <= set(steps["steps bf16"]["figures"])
    assert steps["resumed against uninterrupted"]["figures"] == {"furthest": 0.0}
    assert steps["plan"]["figures"]["search"]["seconds"] > 0
    assert content["verdicts"][0].startswith("executor rule, bf16: ")
    assert content["verdicts"][-1] in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            [],
            "needs a GPU",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
        (["--device", "cpu", "--peer", "nowhere"], "nowhere is not it"),
        (["--device", "cpu", "--minutes", "0"], "--minutes must be above 0"),
        (["--device", "cpu", "--out", "/dev"], "--out: cannot write /dev"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())
    with pytest.raises(SystemExit) as caught:
        gpu.main(arguments)
    told = capsys.readouterr().err
    assert caught.value.code == 2
    assert message in told and told.count("\n") == 1


def test_after_the_last_minute_all_steps_are_left_out(
    digits_root: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())  # it sets some for what it starts
    out = tmp_path / "gpu.json"
    arguments = ["--device", "cpu", "--data", digits_root, "--out", str(out)]
    with pytest.raises(SystemExit) as caught:
        gpu.main([*arguments, "--minutes", "1e-9"])
    steps = json.loads(out.read_text())["steps"]
    assert caught.value.code == 0
    assert len([step for step in steps if step["name"].startswith("overlay ")]) == len(NAMES)
    assert len(steps) > 30 and {step["ok"] for step in steps} == {None}
    assert f"{len(steps)} steps, 0 failed" in capsys.readouterr().out


# ---------------------------------------------------------------------- the record


def test_a_step_that_fails_leaves_the_others(
    record: Record, capsys: pytest.CaptureFixture[str]
) -> None:
    assert record.step(1, "bad", raising(KeyError("alphas\nand more"))) is None
    assert record.step(1, "ended", raising(SystemExit("peer failed: too old"))) is None
    assert record.step(2, "good", lambda: {"ms": 1.5}) == {"ms": 1.5}
    bad, ended, good = written(record)["steps"]
    assert (bad["ok"], ended["ok"], good["ok"]) == (False, False, True)
    assert bad["error"].startswith("KeyError: 'alphas") and "test_benchmark_gpu.py" in bad["error"]
    assert "peer failed: too old" in ended["error"]
    assert good["figures"] == {"ms": 1.5}
    assert record.failed == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("1 bad: FAILED, 0.0 s; KeyError")


def test_a_signal_ends_the_run(record: Record) -> None:
    with pytest.raises(Stopped):
        record.step(1, "long", raising(Stopped("SIGTERM")))
    assert written(record)["steps"][0]["error"] == "a signal has ended the run"


def test_each_step_is_written_at_once_with_what_it_warned_of(record: Record) -> None:
    def step() -> dict[str, int]:
        print("hidden")
        for _ in range(2):
            warnings.warn("careful\nreally", stacklevel=1)
        return {}

    record.step(1, "first", step)
    assert written(record)["steps"][0]["warnings"] == ["careful"]
    record.leave_out(2, "second", "no time")
    assert [step["ok"] for step in written(record)["steps"]] == [True, None]


def test_no_step_begins_after_the_end(record: Record) -> None:
    record.end = time.monotonic() - 1
    assert record.step(1, "late", raising(AssertionError())) is None
    assert written(record)["steps"][0]["error"] == "the minutes were over"
    assert record.failed == 0


def test_a_step_in_its_own_process_can_be_ended() -> None:
    with pytest.raises(RuntimeError, match="ended after 0 s"):
        in_own_process(time.time, 0.0)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_process_of_its_own_tells_figures_warnings_and_reasons() -> None:
    assert in_own_process(torch.__config__.parallel_info, 60.0)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="^KeyError: 'popitem"):
        in_own_process({}.popitem, 60.0)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="its process ended with exit status 3"):
        in_own_process(partial(os._exit, 3), 60.0)


def steps_with(ratio: float | None, error: str | None = None) -> list[dict[str, Any]]:
    """A measurement of graphed steps, and of literal ones that take twice as long as folded."""
    figures = {"literal": {"folded_over_it": 0.5}}
    if ratio is not None:
        figures["graphed"] = {"folded_over_it": ratio}
    start = {"name": "start graphed steps 32", "ok": not error, "figures": {}, "error": error}
    return [start, {"name": "steps 32", "ok": True, "figures": figures, "error": None}]


def test_verdicts_follow_from_the_ratios() -> None:
    rule, graphs = verdicts(steps_with(1.5), "cuda")
    assert rule == "executor rule, 32: folded is faster; literal takes 2.00 times as long as folded"
    assert graphs == "cuda_graphs, 32: worth keeping, 1.50 times as fast as folded without"
    assert "not worth keeping, 1.02" in verdicts(steps_with(1.02), "cuda")[1]
    failed = verdicts(steps_with(None, "RuntimeError: capturing"), "cuda")
    assert failed[1] == "cuda_graphs, 32: failed, RuntimeError: capturing"
    other = {"name": "CUDA graphs against eager, 32-true", "ok": False, "error": "ValueError: far"}
    told = verdicts([*steps_with(1.5), {**other, "figures": {}}], "cuda")
    assert told[2] == "cuda_graphs in a search: failed, ValueError: far"
    assert verdicts(steps_with(1.5), "cpu")[-1].endswith("there is no GPU")
    assert gpu_record.FASTER == 1.05


# ---------------------------------------------------------------------- presets by hand


@pytest.mark.parametrize("overlay", NAMES)
def test_an_overlay_is_built_as_the_command_builds_it(overlay: str, tmp_path: Path) -> None:
    changes = FOR_OVERLAYS.get(overlay, {})
    job = Jobs("cpu", True, tmp_path).tiny(overlay, "32-true", [overlay], changes)
    assert job.model().algorithm == NAMES[overlay].removesuffix(", ExpectedCost")
    assert job.trainer_settings["limit_val_batches"] == TINY["trainer"]["limit_val_batches"]


OF_YOUR_OWN = ("photos", "sounds", "signals", "own_network", "own_network_darts")


@pytest.mark.parametrize(
    "name", [n for n in presets.names() if "/" not in n and n not in OF_YOUR_OWN]
)
def test_every_preset_of_a_known_data_set_is_built(name: str) -> None:
    settings = presets_by_hand.read(name)
    data = presets_by_hand.built(settings["data"])
    sizes = {"in_channels": data.in_channels, "num_classes": data.num_classes}
    if name == "retrain":
        model = presets_by_hand.maker(settings["model"])(**sizes)
        assert isinstance(model, Retraining)
    else:
        model = presets_by_hand.maker(settings["model"])(**sizes)
        assert isinstance(model, Search)
        net = presets_by_hand.maker(settings["retraining"])("DARTS_V2", **sizes)
        assert isinstance(net, Retraining)


def test_configurations_are_merged() -> None:
    base = {"a": {"x": 1, "y": [1]}, "list": [1, 2], "kept": None}
    over = {"a": {"x": 2}, "list": [3], "more+": [4]}
    assert presets_by_hand.merged(base, over) == {
        "a": {"x": 2, "y": [1]},
        "list": [3],
        "kept": None,
        "more": [4],
    }
    assert presets_by_hand.merged(base, {"list+": [3]})["list"] == [1, 2, 3]
    assert base["list"] == [1, 2]


def test_another_class_takes_over_what_it_knows() -> None:
    adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.1, "betas": [0.5, 0.9]}}
    sgd = {"class_path": "torch.optim.SGD", "init_args": {"momentum": 0.9}}
    found = presets_by_hand.merged(adam, sgd)
    assert found == {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1, "momentum": 0.9}}
    weights = [torch.nn.Parameter(torch.ones(1))]
    made = presets_by_hand.built([found])[0](weights)
    assert isinstance(made, torch.optim.SGD) and made.defaults["lr"] == 0.1
    with pytest.raises(TypeError, match="no class"):
        presets_by_hand.named("torch.nn.functional.relu")
