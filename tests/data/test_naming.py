"""Paths of files that tell classes and groups."""

from pathlib import Path

import pytest

from darts_lite.data.naming import BY_FOLDER, Naming


def test_patterns_find_what_stands_in_parentheses(tmp_path: Path) -> None:
    naming = Naming(class_by=r"^(\d)_", group_by=r"_([a-z]+)_")
    assert naming.find_class("3_george_17.wav") == "3" and naming.find_class("x") is None
    paths = [tmp_path / "a" / "3_george_17.wav", tmp_path / "4_theo_1.wav"]
    assert naming.find_groups(tmp_path, paths) == {paths[0]: "george", paths[1]: "theo"}
    naming.check()
    BY_FOLDER.check()


def test_a_table_tells_groups(tmp_path: Path) -> None:
    naming = Naming(group_by="groups.csv")
    naming.check()
    path = tmp_path / "b" / "1.png"
    (tmp_path / "groups.csv").write_text("\ufefffile,group\nb/1.png,first\n", encoding="utf-8")
    assert naming.find_groups(tmp_path, [path]) == {path: "first"}
    (tmp_path / "groups.csv").write_text("name,group\nb/1.png,first\n")
    with pytest.raises(ValueError, match="has no column 'file'"):
        naming.find_groups(tmp_path, [path])
    (tmp_path / "groups.csv").write_text("file,group\nb/2.png,first\n")
    with pytest.raises(ValueError, match="no group of 1 of 1 files, b/1.png for one"):
        naming.find_groups(tmp_path, [path])
    (tmp_path / "groups.csv").write_text("file,group\nb/1.png,first\nb/1.png,second\n")
    with pytest.raises(ValueError, match="has two groups of b/1.png, first and second"):
        naming.find_groups(tmp_path, [path])
