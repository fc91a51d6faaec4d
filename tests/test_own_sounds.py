"""Sounds from recordings to a file that takes samples: real digits as tones."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from run_helpers import FEW_NETS
from sound_helpers import write_sounds

from darts_lite.cli.lightning_cli import main
from darts_lite.cli.main import main as verbs
from darts_lite.export.inference import load_answer

SHORT = [
    *FEW_NETS,
    *("--data.search_batches_per_epoch=8", "--data.least_batches_per_epoch=1"),
    *("--retraining.max_epochs=2", "--trainer.logger=false"),
]
PROGRAM = """
import json, sys, numpy as np, onnxruntime
net = onnxruntime.InferenceSession(sys.argv[1])
facts = {name: json.loads(text) for name, text in net.get_modelmeta().custom_metadata_map.items()}
assert [one.name for one in net.get_inputs()] == ["samples"], facts["input"]
np.save(sys.argv[3], net.run(None, {"samples": np.load(sys.argv[2])})[0])
"""


@pytest.mark.slow
def test_sounds_from_a_folder_to_a_file_that_takes_samples(
    configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounds = tmp_path / "sounds"
    write_sounds(sounds, 120)
    where = [f"--data.dataset={sounds}", "--data.class_by=^([0-9])_", "--data.test_by=_1.wav$"]
    where += [f"--run.folder={tmp_path / 'logs'}"]
    main(["fit", "--config", str(configs / "sounds.yaml"), *where, *SHORT])
    run = tmp_path / "logs" / "sounds" / "version_0"
    told = capsys.readouterr().out
    assert "of an int8 LiteRT file" not in told
    assert "Sounds:    0.4" in told and f"--sounds {sounds}" in told
    summary = json.loads((run / "summary.json").read_text())
    assert summary["test_images"] == 60 and summary["preparation"]["rate"] == 8000
    assert (run / "worst.png").exists() and summary["params"] <= 10_000
    net = str(run / "net.ckpt")
    verbs(["predict", "--ckpt_path", net, "--sounds", str(sounds)])
    told = capsys.readouterr().out
    assert told.startswith("sound,class,probability,note\n") and len(told.splitlines()) == 121
    with pytest.raises(SystemExit):
        verbs(["predict", "--ckpt_path", net, "--images", str(sounds)])
    assert "this net takes sounds; give them as --sounds" in capsys.readouterr().err
    verbs(["export", net, "--to", "onnx", "python", "pt2", "safetensors"])
    answer, about = load_answer(net)
    paths = sorted(sounds.iterdir())
    samples = torch.stack([about["preparation"].read(path).values for path in paths])
    np.save(tmp_path / "samples.npy", samples.numpy())
    words = [run / "net.onnx", tmp_path / "samples.npy", tmp_path / "answers.npy"]
    subprocess.run([sys.executable, "-c", PROGRAM, *map(str, words)], check=True)
    with torch.no_grad():
        expected = answer(samples)
    found = torch.from_numpy(np.load(tmp_path / "answers.npy"))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    card = (run / "README.md").read_text()
    assert "samples of -1 to 1" in card and "LogMel" not in (run / "net.py").read_text()[:400]
    verbs(["report", str(run)])
    assert f"predict --ckpt_path {net} --sounds" in (run / "report.html").read_text()
    told = json.loads((run / "summary.json").read_text())["macs"]
    assert f"takes {told:,} multiply-adds" in card  # without those of the maps
    for asked in (["--to", "onnx", "--int8"], ["--to", "c"], ["--to", "litert"]):
        with pytest.raises(SystemExit):
            verbs(["export", net, *asked])
        assert "LiteRT and int8 files are for nets of images" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            "--budget.arena=9kB",
            "budget.arena is about LiteRT and int8 files, which nets of sounds do not",
        ),
        (
            "--run.export=[onnx,int8]",
            "int8 in run.export is about LiteRT and int8 files, which nets of sounds",
        ),
    ],
)
def test_int8_files_are_refused_before_the_search(
    asked: str, told: str, configs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sounds(tmp_path / "sounds", 120)
    where = [f"--data.dataset={tmp_path / 'sounds'}", "--data.class_by=^([0-9])_"]
    where += [f"--run.folder={tmp_path}", asked]
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(configs / "sounds.yaml"), *where, *SHORT])
    assert told in capsys.readouterr().err
