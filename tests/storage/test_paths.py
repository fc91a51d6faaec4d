"""Paths as users write them, and folders that are not what they seem."""

import os
from pathlib import Path

import pytest

from darts_lite.storage.paths import (
    LARGEST_FILE,
    expand,
    is_there,
    list_entries,
    read_content,
    reading,
)


def test_a_path_is_expanded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCRATCH", "/big/disk")
    monkeypatch.setenv("INDIRECT", "~/of/mine")
    for text, path in (
        ("logs", "logs"),
        ("logs//x/", "logs//x/"),
        ("a$", "a$"),
        ("$5", "$5"),
        ("x~y", "x~y"),
        ("~", str(tmp_path)),
        ("~/runs", f"{tmp_path}/runs"),
        ("./~/runs", f"{tmp_path}/runs"),
        ("~root/runs", f"{Path('~root').expanduser()}/runs"),
        ("$SCRATCH/runs", "/big/disk/runs"),
        ("${SCRATCH}_1/$SCRATCH", "/big/disk_1//big/disk"),
        ("$INDIRECT", f"{tmp_path}/of/mine"),
    ):
        assert expand(text, "run.folder") == path
        assert expand(path, "run.folder") == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("$NOWHERE/runs", "the variable NOWHERE"),
        ("${NOWHERE}", "the variable NOWHERE"),
        ("${}", "has no value"),
        ("$EMPTY/runs", "the variable EMPTY"),
        ("~no_such_user/runs", "no user has the folder '~no_such_user/runs'"),
        ("s3://bucket/runs", "is an address"),
        ("gs://bucket", "is an address"),
        ("file:///tmp/runs", "is an address"),
        ("file:/tmp/runs", "is an address"),
        ("$REMOTE/runs", "is an address"),
        ("simplecache::s3://bucket", "is an address"),
        ("logs/s3://bucket", "is an address"),
        ("data:runs", "is an address"),
        ("runs/\udcff", r"'runs/\udcff' has characters that cannot be printed, or is not in UTF-8"),
        ("runs\n", "has characters that cannot be printed"),
    ],
)
def test_what_is_no_path_is_refused(text: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    monkeypatch.setenv("REMOTE", "s3://bucket")
    with pytest.raises(ValueError, match="^run.folder: ") as refused:
        expand(text, "run.folder")
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_what_cannot_be_looked_at_is_no_absence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "astray").symlink_to("nothing")
    for name in ("file", "loop", "astray"):
        assert is_there(tmp_path / name)
    for name in ("nothing", "file/below", "a\0b"):
        assert not is_there(tmp_path / name)
    for name in ("nothing", "file"):
        assert list_entries(tmp_path / name) == []
    assert [entry.name for entry in list_entries(tmp_path)] == ["astray", "file", "loop"]
    for look in (is_there, list_entries):
        with pytest.raises(OSError, match=r"cannot read .*loop.* \(Too many levels"):
            look(tmp_path / "loop" / "below")


def test_an_error_of_the_file_system_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot read .*; make it read") as failed, reading(tmp_path):
        tmp_path.read_bytes()
    assert "\n" not in str(failed.value)


def test_a_link_to_nowhere_is_no_empty_folder(tmp_path: Path) -> None:
    assert list_entries(tmp_path / "nothing") == []
    (tmp_path / "disk").symlink_to(tmp_path / "not mounted")
    with pytest.raises(OSError, match="disk .a link to a place that is not there.; make it reada"):
        list_entries(tmp_path / "disk")


def test_only_plain_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("some")
    assert read_content(tmp_path / "text") == b"some"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="is a pipe or a device, and no plain file"):
            read_content(path)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(OSError, match="has more than 268,435,456 bytes"):
        read_content(tmp_path / "large")
