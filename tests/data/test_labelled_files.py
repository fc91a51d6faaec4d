"""Classes, groups and tests of real digits by the names of their files."""

from pathlib import Path

import pytest
from PIL import Image
from run_helpers import one_line, some_digits

from darts_lite.data.images.image_data import ImageData
from darts_lite.data.images.image_files import IMAGES
from darts_lite.data.labelled_files import scan_files
from darts_lite.data.naming import Naming


def write_named(folder: Path, count: int = 120) -> None:
    """Real digits as ``<class>_<writer>_<number>.png``, of six writers, in one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = some_digits()
    for number in range(count):
        name = f"{int(labels[number])}_writer{number // 10 % 6}_{number}.png"
        Image.fromarray(images[number].numpy()).save(folder / name)


NAMING = Naming(class_by=r"^(\d)_", group_by=r"_(writer\d)_")


def test_names_tell_classes_groups_and_the_test(tmp_path: Path) -> None:
    write_named(tmp_path)
    files = scan_files(tmp_path, IMAGES, NAMING._replace(test_by="writer5"))
    assert files.classes == [str(label) for label in range(10)] and not files.chosen
    assert len(files.train) == 100 and len(files.test) == 20
    assert all("writer5" in path.name for path, _ in files.test)
    assert all(path.name[0] == str(label) for path, label in files.train)
    groups = files.train_groups
    assert groups is not None and groups.unique().tolist() == [0, 1, 2, 3, 4]


def test_a_folder_test_is_the_test_where_names_tell_classes(tmp_path: Path) -> None:
    write_named(tmp_path / "train")
    (tmp_path / "test" / "deep").mkdir(parents=True)
    for path in (tmp_path / "train").glob("*writer2*"):
        path.rename(tmp_path / "test" / "deep" / path.name)
    naming = NAMING._replace(class_by=r"([^/])_[^/]*$")
    files = scan_files(tmp_path, IMAGES, naming)
    assert not files.chosen and len(files.train) == 100
    assert {path.name.split("_")[1] for path, _ in files.test} == {"writer2"}
    by_name = scan_files(tmp_path, IMAGES, naming._replace(test_by="writer3"))
    assert {path.name.split("_")[1] for path, _ in by_name.test} == {"writer3"}
    alone = scan_files(tmp_path / "test", IMAGES, naming._replace(group_by=None))
    assert alone.chosen and len(alone.train) + len(alone.test) == 20


def test_no_group_is_on_two_sides(tmp_path: Path) -> None:
    write_named(tmp_path)
    files = scan_files(tmp_path, IMAGES, NAMING)  # a sixth is kept for the test: one writer
    tested = {path.name.split("_")[1] for path, _ in files.test}
    assert files.chosen and len(tested) == 1 and len(files.test) == 20
    data = ImageData(str(tmp_path), validation_fraction=0.2, **NAMING._asdict())
    data.setup("fit")
    trained = files.train_groups
    assert trained is not None
    of_splits = [set(trained[part].tolist()) for part in data.splits.values()]
    assert [len(one) for one in of_splits] == [1, 2, 2]
    assert len(set.union(*of_splits)) == 5 and data.test_count == 20


def test_a_table_or_a_folder_tells_the_group(tmp_path: Path) -> None:
    write_named(tmp_path / "digits")
    rows = [f"{path.name},of {path.name[2:9]}" for path in sorted((tmp_path / "digits").iterdir())]
    (tmp_path / "digits" / "groups.csv").write_text("\n".join(["file,group", *rows]))
    naming = NAMING._replace(group_by="groups.csv")
    assert set(scan_files(tmp_path / "digits", IMAGES, naming).groups.values()) == {
        f"of writer{number}" for number in range(6)
    }
    (tmp_path / "digits" / "groups.csv").unlink()
    for path in [*(tmp_path / "digits").iterdir()]:
        label, writer, _ = path.name.split("_")
        (tmp_path / "sorted" / label / writer).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "sorted" / label / writer / path.name)
    files = scan_files(tmp_path / "sorted", IMAGES, Naming(group_by=r"^[^/]+/([^/]+)/"))
    assert len(set(files.groups.values())) == 6 and len(files.test) == 20


@pytest.mark.parametrize(
    "naming, said",
    [
        (Naming(class_by="([0-9"), "class_by must be a regular expression"),
        (Naming(class_by="[0-9]"), "class_by must have parentheses"),
        (Naming(class_by="^(x*)[0-9]"), "finds no class in the names of 120 of 120 files"),
        (Naming(class_by="^(x)_"), "finds no class in the names of 120 of 120 files, 0_writer"),
        (Naming(class_by="_(writer)"), "finds one class alone, writer"),
        (NAMING._replace(group_by="(nobody)"), "tells no group of 120 of 120 files"),
        (NAMING._replace(group_by="nothing.csv"), "cannot read the table .*nothing.csv"),
        (NAMING._replace(test_by="nothing"), "finds none of 120 files"),
        (NAMING._replace(test_by="png"), "finds all of 120 files"),
        (NAMING._replace(test_by="_1?5.png"), "the groups writer[0-5].* in training and test"),
        (Naming(), "is not a folder of images"),
    ],
)
def test_what_does_not_fit_is_one_line(naming: Naming, said: str, tmp_path: Path) -> None:
    write_named(tmp_path)
    with pytest.raises(ValueError, match=said) as caught:
        scan_files(tmp_path, IMAGES, naming)
    one_line(caught, "")


def test_too_few_groups_are_told(tmp_path: Path) -> None:
    write_named(tmp_path, 20)  # two writers
    data = ImageData(str(tmp_path), **NAMING._asdict())
    with pytest.raises(ValueError, match="1 groups cannot be split into 3 parts"):
        data.setup("fit")


def test_patterns_are_for_folders() -> None:
    with pytest.raises(ValueError, match="group_by is for images in folders, and not for MNIST"):
        ImageData("MNIST", group_by="(a)")
