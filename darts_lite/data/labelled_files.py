"""Folders of files that hold an item each: its class, its group, and whether it is for the test.

The layout is ``<folder>/train/<class>/…`` and ``<folder>/test/<class>/…``; or
``<folder>/<class>/…``, where a sixth of the files is kept for the test. Names of files may tell
classes and the test instead, see `Naming`.
"""

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from darts_lite.data.class_balance import list_names
from darts_lite.data.file_lists import FileKind, digest_file, list_files
from darts_lite.data.naming import BY_FOLDER, Naming
from darts_lite.data.splits import split_test

File = tuple[Path, int]  # path and class of an item
NAMES_OF_PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
"""Names of folders that are no classes, in small letters."""


class HeldOut(NamedTuple):
    """The files of a folder with which nets are tested."""

    names: tuple[str, ...] = ()
    """Paths inside the folder, in the order of the test items."""
    digests: tuple[str, ...] = ()
    """What the files hold, in the order of the test items; see `digest_file`."""
    chosen: bool = False
    """Whether they were chosen, and no folder or pattern names them as those of the test."""
    repeated: int = 0
    """Number of test items that are training items as well, the same to the last bit."""


@dataclass(frozen=True)
class LabelledFiles:
    """The files of a folder.

    Args:
        folder: Where they lie.
        kind: What they are.
        classes: Names of the classes.
        train: Files for the training.
        test: Files for the test.
        chosen: Whether those for the test were chosen here, and nothing names them.
        groups: Group of each file; empty without groups.
    """

    folder: Path
    kind: FileKind
    classes: Sequence[str]
    train: Sequence[File]
    test: Sequence[File]
    chosen: bool
    groups: Mapping[Path, str] = field(default_factory=dict)

    @cached_property
    def held_out(self) -> HeldOut:
        """The files for the test, which must be readable as those for the training."""
        names = tuple(path.relative_to(self.folder).as_posix() for path, _ in self.test)
        digests = tuple(digest_file(path) for path, _ in self.test)
        sizes = {path.stat().st_size for path, _ in self.test}
        alike = [p for p, _ in self.train if p.is_file() and p.stat().st_size in sizes]
        trained = {digest_file(path) for path in alike}
        repeated = sum(digest in trained for digest in digests)
        return HeldOut(names, digests, self.chosen, repeated)

    @property
    def train_groups(self) -> Tensor | None:
        """The number of each training file's group ``(N,)``; None without groups."""
        if not self.groups:
            return None
        numbers = {name: number for number, name in enumerate(sorted(set(self.groups.values())))}
        return torch.tensor([numbers[self.groups[path]] for path, _ in self.train])

    def keep(self, tested: Sequence[str]) -> "LabelledFiles":
        """Returns the same files, those with these digests for the test, in the same order.

        All others count as training files. Where a folder names those for the test, nothing
        changes. Raises ValueError if one is gone.
        """
        if not (self.chosen and tested) or tuple(tested) == self.held_out.digests:
            return self
        known: dict[str, list[File]] = {}
        for file in sorted([*self.train, *self.test]):
            known.setdefault(digest_file(file[0]), []).append(file)
        test = [known[digest].pop(0) for digest in tested if known.get(digest)]
        train = [file for files in known.values() for file in files]
        if absent := len(tested) - len(test):
            raise ValueError(
                f"{self.folder} has changed: of the {len(tested)} files that the net's run kept "
                f"for its test, {absent} cannot be found unchanged, and others may be its "
                f"training {self.kind.words}; restore the folder, or give {self.kind.words} that "
                "it has not seen in the folders train/<class> and test/<class> of another "
                "data.dataset"
            )
        return replace(self, train=train, test=test)

    def doubt(self) -> Iterator[str]:
        """Yields which classes have no file in the test."""
        tested = {label for _, label in self.test}
        untested = [name for label, name in enumerate(self.classes) if label not in tested]
        if untested:
            word = self.kind.word
            yield f"no test {word} of {list_names(untested)}; their accuracy stays unknown"


def scan_files(folder: Path, kind: FileKind, naming: Naming = BY_FOLDER) -> LabelledFiles:
    """Finds the files of a folder, without reading them.

    Raises ValueError if the folder has another layout, a pattern tells nothing of a file, or a
    group would be in training and test.
    """
    naming.check()
    if naming.class_by is None:
        classes, train, test, chosen = _list_parts(folder, kind, naming)
    else:
        classes, train = _list_named(folder, kind, naming)
        test = []
        if naming.test_by is None:
            train, test = _take_test_folder(folder, train)
        chosen = not test
    if naming.test_by is not None:
        if not chosen:
            raise ValueError(
                f"{folder} has a folder test, and test_by finds test {kind.words} as well; leave "
                "one of them out"
            )
        train, test = _pick(folder, [*train, *test], naming.test_by)
        chosen = False
    files, every = LabelledFiles(folder, kind, classes, train, test, chosen), [*train, *test]
    if naming.group_by is not None:
        files = replace(files, groups=naming.find_groups(folder, [path for path, _ in every]))
    if chosen:
        labels = torch.tensor([label for _, label in train])
        places = split_test(labels, files.train_groups)
        files = replace(
            files,
            train=[train[place] for place in places[0].tolist()],
            test=[train[place] for place in places[1].tolist()],
        )
    elif both := _list_groups(files, train) & _list_groups(files, test):
        raise ValueError(
            f"the groups {list_names(sorted(both))} have {kind.words} in training and test; give "
            "each group whole to one of them"
        )
    if not files.test:
        raise ValueError(
            f"{folder} has too few {kind.words} for a test; add {kind.words} to each class"
        )
    return files


class _Parts(NamedTuple):
    """The files of a folder by their places."""

    classes: list[str]
    train: list[File]
    test: list[File]
    chosen: bool  # whether test files are still to be chosen among those for the training


def _list_parts(folder: Path, kind: FileKind, naming: Naming) -> _Parts:
    named = folder / "train"
    if not _has_folders(named):
        return _Parts(*_list_classes(folder, kind, naming), [], chosen=True)
    _warn_of_loose_files(folder, kind)
    classes, train = _list_classes(named, kind, naming)
    others = [name for name in _list_folders(folder) if name not in ("train", "test")]
    if others:
        warnings.warn(
            f"{folder} also has {', '.join(others)}, which is not read: validation {kind.words} "
            f"are a part of train, test {kind.words} are in test",
            stacklevel=2,
        )
    if not (folder / "test").is_dir():
        return _Parts(classes, train, [], chosen=True)
    test_classes, test = _list_classes(folder / "test", kind, naming)
    if test_classes != classes:
        raise ValueError(
            f"{folder / 'test'} has the classes {test_classes}, {named} has {classes}; both need "
            "the same folders"
        )
    return _Parts(classes, train, test, chosen=False)


def _list_classes(folder: Path, kind: FileKind, naming: Naming) -> tuple[list[str], list[File]]:
    """Returns the classes and the files of a folder of folders."""
    classes = _list_folders(folder)
    files = [
        (path, label)
        for label, name in enumerate(classes)
        for path in list_files([folder / name], kind)
    ]
    deep = bool(files) and all(path.parent.parent != folder for path, _ in files)
    parts = {name.lower() for name in classes} <= NAMES_OF_PARTS
    if deep and (naming.group_by is None or parts):  # else folders in classes may be the groups
        raise ValueError(
            f"{folder} has folders of folders, {', '.join(classes[:3])}, which are not "
            "classes; give <folder>/train/<class>/... and <folder>/test/<class>/..., or "
            "<folder>/<class>/...; or set group_by if folders in those of the classes are groups"
        )
    if len(classes) < 2:
        raise ValueError(
            f"{folder} is not a folder of {kind.words}: it needs one folder per class, at least "
            f"two, and has {', '.join(classes) or 'none'}; add folders, or set class_by if the "
            "names of files tell the class"
        )
    _warn_of_loose_files(folder, kind)
    return classes, files


def _list_named(folder: Path, kind: FileKind, naming: Naming) -> tuple[list[str], list[File]]:
    """Returns the classes and the files of a folder in which names tell the classes."""
    pattern = naming.class_by
    paths = list(list_files([folder], kind, {folder / (naming.group_by or "")}))
    names = [naming.find_class(_place(folder, path)) for path in paths]
    if unnamed := [path for path, name in zip(paths, names, strict=True) if name is None]:
        raise ValueError(
            f"class_by {pattern!r} finds no class in the names of {len(unnamed)} of {len(paths)} "
            f"files, {_place(folder, unnamed[0])} for one; change the pattern, or move them away"
        )
    classes = sorted({str(name) for name in names})
    if len(classes) < 2:
        raise ValueError(f"class_by {pattern!r} finds one class alone, {classes[0]}; change it")
    if unprintable := [name for name in classes if not name.isprintable()]:
        raise ValueError(f"class_by finds the class {unprintable[0]!a}, which cannot be printed")
    return classes, [(path, classes.index(str(n))) for path, n in zip(paths, names, strict=True)]


def _take_test_folder(folder: Path, files: Sequence[File]) -> tuple[list[File], list[File]]:
    """Returns the files outside of the folder ``test``, and those in it; none if that has all."""
    named = folder / "test"
    found = [path.is_relative_to(named) for path, _ in files]
    return ([*files], []) if all(found) else _part(files, found)


def _pick(folder: Path, files: Sequence[File], pattern: str) -> tuple[list[File], list[File]]:
    """Returns the files for the training, and those for the test, which a pattern finds."""
    found = [re.search(pattern, _place(folder, path)) is not None for path, _ in files]
    if all(found) or not any(found):
        raise ValueError(
            f"test_by {pattern!r} finds {'all' if all(found) else 'none'} of {len(files)} files, "
            f"{_place(folder, files[0][0])} for one; change the pattern"
        )
    return _part(files, found)


def _part(files: Sequence[File], tested: Sequence[bool]) -> tuple[list[File], list[File]]:
    """Returns the files for the training, and those for the test."""
    pairs = [*zip(files, tested, strict=True)]
    return [file for file, flag in pairs if not flag], [file for file, flag in pairs if flag]


def _list_groups(files: LabelledFiles, part: Sequence[File]) -> set[str]:
    return {files.groups[path] for path, _ in part if path in files.groups}


def _place(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _warn_of_loose_files(folder: Path, kind: FileKind) -> None:
    endings = kind.list_endings()
    loose = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in endings)
    if loose:
        warnings.warn(
            f"{kind.words} in {folder} itself are left out, {loose[0]} for one, {len(loose)} in "
            "all: they belong into the folders of their classes",
            stacklevel=2,
        )


def _list_folders(folder: Path) -> list[str]:
    """Returns the names of the folders in one, sorted; ValueError if one is not text."""
    names = sorted(path.name for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    for name in names:
        if not name.isprintable():
            raise ValueError(
                f"{str(folder / name)!a} has a name that cannot be printed; rename this folder"
            )
    return names


def _has_folders(folder: Path) -> bool:
    """Returns whether there is a folder with this path, and folders in it."""
    return folder.is_dir() and bool(_list_folders(folder))
