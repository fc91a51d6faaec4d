"""Files that are handed on tell nothing of the machine that made them."""

import re
import socket
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from PIL import Image
from run_helpers import FEW_NETS, some_digits

from darts_lite.cli.main import main

FORMATS = ["pt2", "safetensors", "python"]
FORMATS += ["onnx"] if find_spec("onnxruntime") and find_spec("onnxscript") else []
FORMATS += ["litert"] if find_spec("litert_torch") else []
PLACE = re.compile(rb"(?<![\w./:])/(?:home|root|tmp|usr|opt|var|work|mnt|Users)/[\w./-]+")


def write_folder(folder: Path) -> None:
    images, labels = some_digits()
    for number in range(300):
        path = folder / f"digit {int(labels[number])}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(images[number].numpy()).save(path)


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of those inside of an archive."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_no_path_and_no_name_of_a_machine(tmp_path: Path, configs: Path) -> None:
    write_folder(tmp_path / "photos")
    short = ["--trainer.max_epochs=2", "--data.search_batches_per_epoch=4", *FEW_NETS]
    short += ["--retraining.max_epochs=1", "--data.least_batches_per_epoch=1"]
    short += [f"--data.root={tmp_path}", f"--run.folder={tmp_path / 'logs'}"]
    main(["fit", f"--config={configs / 'mnist.yaml'}", f"--data.dataset={tmp_path}/photos", *short])
    run = tmp_path / "logs" / "mnist" / "version_0"
    main(["export", str(run / "net.ckpt"), "--to", *FORMATS])
    files = [run / "summary.json", run / "net.ckpt", run / "checkpoints" / "last.ckpt"]
    files += sorted(run.glob("net.*"))
    assert len(files) >= 3 + 1 + len(FORMATS)
    personal = [str(tmp_path), str(Path.home()) + "/", str(Path(__file__).parents[1])]
    personal += [name for name in [socket.gethostname()] if len(name) > 6]
    for path in files:
        for content in contents(path):
            assert not [name for name in personal if name.encode() in content], path
            assert not PLACE.findall(content), (path, PLACE.findall(content)[:3])
