"""Files that are there whole or not at all."""

import errno
from pathlib import Path

import pytest

from darts_lite.storage.atomic_files import make_folder, remove_parts, write_text, write_whole


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "text"
    for text in ("one", "two \N{GREEK SMALL LETTER ALPHA}"):
        write_text(path, text)
        assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_in_between_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_text(path, "before")
    with pytest.raises(KeyboardInterrupt), write_whole(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "before"
        raise KeyboardInterrupt
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_no_room_is_one_line_that_names_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "text"
    for kept in (False, True):
        with pytest.raises(OSError, match="cannot write .*No space") as error, write_whole(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert ("the one before is intact" in str(error.value)) == kept
        assert "\n" not in str(error.value)
        write_text(path, "before")


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.123.part").write_bytes(b"half")
    write_text(tmp_path / "last.ckpt", "whole")
    remove_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_link_stays_one_and_what_is_no_file_stays_what_it_is(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "text")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "text").read_text() == "new"
    with pytest.raises(OSError, match="which is not a file"):
        write_text(tmp_path, "new")


def test_a_folder_is_made_or_named(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b", "--output").is_dir()
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="set --output to another") as error:
            make_folder(place, "--output")
        assert "\n" not in str(error.value)
