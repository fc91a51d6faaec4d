"""Files in folders."""

from pathlib import Path

import pytest
from PIL import Image

from darts_lite.data.file_lists import list_files
from darts_lite.data.images.image_files import IMAGES


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".thumbnails").mkdir()
    for name in ("b.png", "a.PNG", "sub/c.jpg", "sub/.thumbnails/c.jpg"):
        Image.new("L", (3, 3)).save(tmp_path / name)
    for name in ("notes.txt", "notes.pdf", "._a.png"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "folder.png").mkdir()
    with pytest.warns(UserWarning, match="2 of the files in .* are left out, .*notes.pdf for"):
        found = [path.name for path in list_files([tmp_path / "b.png", tmp_path], IMAGES)]
    assert found == ["b.png", "a.PNG", "b.png", "c.jpg"]
    with pytest.warns(UserWarning):
        twice = [
            path.name for path in list_files([tmp_path, f"{tmp_path}/sub/..", tmp_path], IMAGES)
        ]
    assert twice == ["a.PNG", "b.png", "c.jpg"]
    (tmp_path / "sub" / "lost.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.warns(UserWarning, match="a file in .* is left out, lost.png: it has no"):
        assert [*list_files([tmp_path / "sub"], IMAGES)] == [tmp_path / "sub" / "c.jpg"]
