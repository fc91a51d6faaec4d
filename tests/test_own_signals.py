"""Signals from a file of rows to files that take rows: real digits, whose rows are channels."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from own_networks import AlongTime
from run_helpers import FEW_NETS
from signal_helpers import write_signals

from darts_lite.cli.lightning_cli import main
from darts_lite.cli.main import main as verbs
from darts_lite.export.inference import load_answer
from darts_lite.networks.net import Net

SHORT = [
    *FEW_NETS,
    *("--data.search_batches_per_epoch=8", "--data.least_batches_per_epoch=1"),
    *("--retraining.max_epochs=2", "--trainer.logger=false", "--trainer.accelerator=cpu"),
]
PROGRAM = """
import json, sys, numpy as np, onnxruntime
net = onnxruntime.InferenceSession(sys.argv[1])
facts = {name: json.loads(text) for name, text in net.get_modelmeta().custom_metadata_map.items()}
assert [one.name for one in net.get_inputs()] == ["signals"], facts["input"]
rows = np.load(sys.argv[2])["test_x"].astype("float32")
np.save(sys.argv[3], net.run(None, {"signals": rows})[0])
"""


def words(configs: Path, tmp_path: Path) -> list[str]:
    rows = write_signals(tmp_path / "digits.npz", 180)
    where = [f"--data.dataset={rows}", f"--run.folder={tmp_path / 'logs'}"]
    return ["fit", "--config", str(configs / "signals.yaml"), *where, *SHORT]


@pytest.mark.slow
def test_signals_from_a_file_to_files_that_take_rows(
    configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words(configs, tmp_path))
    run, rows = tmp_path / "logs" / "signals" / "version_0", tmp_path / "digits.npz"
    told = capsys.readouterr().out
    assert "Signals:   28 values, 28 channels" in told and f"--signals {rows}" in told
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test_images"] == 60 and summary["memory"] <= 16_000
    assert summary["params"] <= 20_000 and summary["macs"] <= 2_000_000
    assert (run / "worst.png").exists() and (run / "architecture.png").exists()
    assert json.loads((run / "architecture.json").read_text())["axes"] == 1
    assert Net.from_run(run)(torch.zeros(2, 28, 1, 28)).shape == (2, 10)
    net = str(run / "net.ckpt")
    verbs(["predict", "--ckpt_path", net, "--signals", str(rows)])
    said = capsys.readouterr()
    assert said.out.startswith("signal,class,probability,note\n")
    assert len(said.out.splitlines()) == 181
    assert " % of the 180 of 180 signals whose label or folder is one of" in said.err
    with pytest.raises(SystemExit):
        verbs(["predict", "--ckpt_path", net, "--images", str(rows)])
    assert "this net takes signals; give them as --signals" in capsys.readouterr().err
    verbs(["export", net, "--to", "onnx", "python", "pt2", "safetensors"])
    answer, about = load_answer(net)
    given = [str(run / "net.onnx"), str(rows), str(tmp_path / "answers.npy")]
    subprocess.run([sys.executable, "-c", PROGRAM, *given], check=True)
    found = torch.from_numpy(np.load(tmp_path / "answers.npy"))
    with torch.no_grad():
        expected = answer(torch.from_numpy(np.load(rows)["test_x"]).float())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert about["preparation"].shape == (28, 28)
    card = (run / "README.md").read_text()
    assert "signals of the training's scale, (signals, 28, 28)" in card
    assert "A classifier of signals" in card and "one of them for every signal" in card
    verbs(["export", net, "--to", "onnx", "--int8", "--most_drop", "20"])
    assert (run / "net_int8.onnx").exists()
    verbs(["report", str(run)])
    assert f"predict --ckpt_path {net} --signals" in (run / "report.html").read_text()
    capsys.readouterr()
    main(["test", "--ckpt_path", net, f"--data.dataset={rows}", "--trainer.logger=false"])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert said["test/accuracy"] == pytest.approx(summary["test_accuracy"])


def test_a_network_of_ones_own_may_read_signals(configs: Path, tmp_path: Path) -> None:
    space = f"{AlongTime.__module__}.{AlongTime.__name__}"
    settings = {"class_path": "darts_lite.NetworkSpace", "init_args": {"network": space, "axes": 1}}
    whole = {"model": {"class_path": "darts_lite.PlayOff", "init_args": {"space": settings}}}
    (tmp_path / "own.yaml").write_text(json.dumps(whole))
    own = ["--config", str(tmp_path / "own.yaml"), "--model.by_hand=0", "--model.at_random=2"]
    main([*words(configs, tmp_path), *own])
    run = tmp_path / "logs" / "signals" / "version_0"
    assert json.loads((run / "architecture.json").read_text())["axes"] == 1
    assert Net.from_run(run)(torch.zeros(2, 28, 1, 28)).shape == (2, 10)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            ["--model.space.axes=2"],
            "the data are signals, and the nets are for images; take a space of layers with axes: "
            "1, as --config signals does",
        ),
        (
            ["--data", "darts_lite.ImageData", "--data.dataset", "MNIST"],
            "the data are images, and the nets are for signals; leave axes out of the space",
        ),
        (["--model.space.axes=3"], "axes must be 1 for signals or 2 for images, got 3"),
        (["--data.dataset=nowhere.npz"], "there is no file nowhere.npz"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_does_not_fit_is_told_before_anything_is_trained(
    more: list[str],
    told: str,
    configs: Path,
    tmp_path: Path,
    found_digits: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main([*words(configs, tmp_path), *more])
    assert told in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "logs" / "signals" / "version_0").exists()
