"""The benchmark of own photographs, and that of images that are none."""

from pathlib import Path

import familiarity
import photo_folder
import photos
import pytest
import torch
from PIL import Image
from run_helpers import Finished

from darts_lite.data.images.image_data import ImageData
from darts_lite.export.inference import load_answer


def test_the_photographs_are_600_of_which_one_class_is_rare(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    photo_folder.write_photos(tmp_path)
    counts = {
        part: {place.name: len([*place.iterdir()]) for place in (tmp_path / part).iterdir()}
        for part in ("train", "test")
    }
    assert sum(sum(each.values()) for each in counts.values()) == 600
    assert counts["train"].pop("cat") == 20 and {*counts["train"].values()} == {115}
    assert {*counts["test"].values()} == {24} and len(counts["test"]) == 5
    with Image.open(tmp_path / "test" / "cat" / "000.jpg") as image:
        assert image.size == (96, 96) and image.mode == "RGB"


def test_its_program_has_ten_lines_and_its_table_counts() -> None:
    assert len(photos.PROGRAM.splitlines()) == 10
    compile(photos.PROGRAM, "ten lines", "exec")
    assert photos.share_of([{"note": "unsure unlike"}, {"note": ""}]) == "50 %"
    answers = [
        {"image": "a/cat/1.jpg", "class": "cat", "note": ""},
        {"image": "a/cat/2.jpg", "class": "dog", "note": "unsure"},
    ]
    assert photos.describe_unsure(answers) == "0 of 1, 1 of 1"


def test_every_measure_tells_noise_from_digits_or_not(
    finished: Finished, digits: ImageData
) -> None:
    net, _ = load_answer(finished.directory / "net.ckpt")
    digits.setup("test")
    pixels = digits.sample_test(400)[0]
    measures = familiarity.make_measures(familiarity.look(net, pixels[:300]))
    torch.manual_seed(0)
    seen = [familiarity.look(net, each) for each in (pixels[300:], torch.rand(50, 1, 28, 28))]
    for measure in measures.values():
        assert all(measure(each).isfinite().all() for each in seen)
    own, noise = map(measures["pixels"], seen)
    assert noise.min() > own.max()
