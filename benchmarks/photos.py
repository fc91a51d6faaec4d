"""Own photographs from a folder to an ONNX file, with and without class weights.

    pip install scikit-image scikit-learn && pip install -e '.[onnx]'
    python benchmarks/photos.py FOLDER --seeds 0 1

Makes the 600 photographs of `photo_folder` in FOLDER, runs what README tells a stranger to run, and
prints for each run accuracies, recalls and seconds; how many images are marked as unlike, of other
squares of the training halves, of test images and of other things; and how far the answers of an
ONNX file, asked by `PROGRAM`, are from those of `predict`. Results: docs/benchmarks/data.md.
"""

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from photo_folder import PARTS, PHOTOGRAPHS, STRANGE, WHOLE, write_kind, write_photos

VARIANTS = {
    "balanced": [],
    "unweighted": ["--model.class_weights=null", "--retraining.class_weights=null"],
}
"""Name -> arguments of `fit`, after those of the preset."""
PROGRAM = """\
import json, sys, numpy as np, onnxruntime, PIL.Image as Image, PIL.ImageOps as ImageOps
net = onnxruntime.InferenceSession(sys.argv[1])
facts = {name: json.loads(text) for name, text in net.get_modelmeta().custom_metadata_map.items()}
for path in sys.argv[2:]:
    image = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    box = [(n + m * min(image.size)) / 2 for m in (-1, 1) for n in image.size]  # the middle
    planes = [plane.convert("F") for plane in image.crop(map(int, box)).split()]
    planes = [plane.resize(2 * [facts["preparation"]["size"]], 2) for plane in planes]
    shares = net.run(None, {"pixels": np.stack(planes)[None].round() / np.float32(255)})[0][0]
    print(path, facts["class_names"][shares.argmax()], shares.max(), sep=",")
"""
"""Asks an ONNX file about image files, without torch."""
EACH = 24  # images of each photograph, of the same halves and of other things


def run(*words: object) -> str:
    """Runs a command of this package; returns what it prints."""
    return run_python("-m", "darts_lite", *words)


def run_python(*words: object) -> str:
    """Runs Python; raises RuntimeError with its last line if it fails."""
    done = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{words[:3]} failed: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def fit(folder: Path, variant: str, seed: int, more: Sequence[str]) -> Path:
    """Runs the preset on the photographs; returns the run's folder. One that is done is kept."""
    place = folder / "logs" / f"{variant}-{seed}" / "version_0"
    if not (place / "net.ckpt").exists():
        begun = time.monotonic()
        data = ["--config=photos", f"--data.dataset={folder / 'photos'}"]
        where = [f"--run.folder={folder / 'logs'}", f"--run.name={variant}-{seed}"]
        run("fit", *data, *where, f"--seed_everything={seed}", *VARIANTS[variant], *more)
        (place / "seconds.txt").write_text(f"{time.monotonic() - begun:.0f}")
    return place


def predict(place: Path, images: Path) -> list[dict[str, str]]:
    """Returns the lines that `predict` writes for the images of a folder."""
    answers = place / f"{images.name}.csv"
    run("predict", f"--ckpt_path={place / 'net.ckpt'}", f"--output={answers}", "--images", images)
    with answers.open(newline="") as file:
        return [*csv.DictReader(file)]


def ask_onnx(place: Path, images: Path) -> dict[str, tuple[str, float]]:
    """Exports a net and asks `PROGRAM`: path of an image -> class and probability."""
    run("export", place / "net.ckpt", "--to", "onnx")
    paths = sorted(images.rglob("*.jpg"))
    lines = run_python("-c", PROGRAM, place / "net.onnx", *paths).splitlines()
    split = (line.rsplit(",", 2) for line in lines)
    return {path: (name, float(share)) for path, name, share in split}


def describe(place: Path, variant: str, seed: int, folder: Path) -> dict[str, Any]:
    """Returns a row of the table."""
    summary = json.loads((place / "summary.json").read_text())
    tested = predict(place, folder / "photos" / "test")
    kinds = [predict(place, folder / "akin"), tested, predict(place, folder / "strange")]
    asked = ask_onnx(place, folder / "photos" / "test")
    same = sum(asked[each["image"]][0] == each["class"] for each in tested)
    apart = max(abs(asked[each["image"]][1] - float(each["probability"])) for each in tested)
    return {
        "class weights": variant,
        "seed": seed,
        "balanced": f"{100 * summary['balanced_accuracy']:.1f} %",
        "accuracy": f"{100 * summary['test_accuracy']:.1f} %",
        **{name: f"{100 * summary['class_recalls'][name]:.0f} %" for name in PHOTOGRAPHS},
        "parameters": f"{summary['params']:,}",
        "search, training, all (s)": ", ".join(
            [
                f"{summary['search_seconds']:.0f}",
                f"{summary['retrain_seconds']:.0f}",
                (place / "seconds.txt").read_text(),
            ]
        ),
        "unsure: right, sure: right": describe_unsure(tested),
        "unlike: akin, test, other": ", ".join(map(share_of, kinds)),
        "ONNX": f"{same} of {len(tested)} same, within {apart:.0e}",
    }


def share_of(answers: Sequence[Mapping[str, str]]) -> str:
    """Returns the share of answers that are marked as unlike, in words."""
    marked = sum("unlike" in each["note"] for each in answers)
    return f"{100 * marked / len(answers):.0f} %"


def describe_unsure(answers: Sequence[Mapping[str, str]]) -> str:
    """Returns how many of the answers marked as unsure, and of the others, are right."""
    parts = []
    for unsure in (True, False):
        some = [each for each in answers if ("unsure" in each["note"]) is unsure]
        right = sum(Path(each["image"]).parent.name == each["class"] for each in some)
        parts.append(f"{right} of {len(some)}")
    return ", ".join(parts)


def main(args: Sequence[str] | None = None) -> None:
    """Prints a row per run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    options, more = parser.parse_known_args(args)  # what is unknown goes to `fit`
    folder = options.folder.resolve()
    if not (folder / "photos").exists():
        write_photos(folder / "photos")
        write_kind(folder / "akin", PHOTOGRAPHS, PARTS["train"], EACH)
        write_kind(folder / "strange", STRANGE, WHOLE, EACH)
    for number, (seed, variant) in enumerate(
        (seed, variant) for seed in options.seeds for variant in options.variants
    ):
        row = describe(fit(folder, variant, seed, more), variant, seed, folder)
        if not number:
            print("|", " | ".join(row), "|")
            print("|", " | ".join("---" for _ in row), "|")
        print("|", " | ".join(map(str, row.values())), "|", flush=True)


if __name__ == "__main__":
    main()
