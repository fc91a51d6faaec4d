"""Where a user's data lie."""

from pathlib import Path

import pytest

from darts_lite.storage.data_places import hide_places, recall_place, remember_place


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "darts_lite" / "places"


def test_a_place_is_known_by_the_checksum_of_its_images(tmp_path: Path) -> None:
    remember_place(7, str(tmp_path / "photos"), Path("data"))
    assert recall_place(7) == {
        "dataset": str(tmp_path / "photos"),
        "root": str(Path.cwd() / "data"),
    }
    assert recall_place(8) == {}


@pytest.mark.parametrize("content", ["", "[]", '{"dataset": 1, "root": "x"}', "\0"])
def test_what_is_no_place_is_unknown(content: str, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "00000007.json").write_text(content)
    assert recall_place(7) == {}


@pytest.mark.parametrize("checksum", [None, "../../x", [], True, -1, 10**300])
def test_no_other_file_is_asked_for(checksum: object) -> None:
    assert recall_place(checksum) == {}


def test_a_cache_that_cannot_be_written_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    remember_place(7, "MNIST", tmp_path)
    assert recall_place(7) == {}


@pytest.mark.parametrize("dataset", ["/home/me/photos", "photos", "../me/photos", r"C:\me\photos"])
def test_only_the_names_of_folders_remain(dataset: str) -> None:
    settings = {"dataset": dataset, "root": "/home/me", "seed": 1}
    hidden = hide_places({"class_path": "x.Data", "init_args": settings})
    assert hidden["init_args"] == {"dataset": "photos", "root": None, "seed": 1}
    assert settings["dataset"] == dataset
