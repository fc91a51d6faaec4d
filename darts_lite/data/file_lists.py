"""Finds the files of a kind in folders."""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple


class FileKind(NamedTuple):
    """A kind of files that hold an item each."""

    word: str
    """What an item is called, ``image`` for one."""
    list_endings: Callable[[], set[str]]
    """Returns the endings of such files, as ``.png``."""

    @property
    def words(self) -> str:
        """The word for several items."""
        return f"{self.word}s"


def list_files(
    paths: Iterable[str | Path], kind: FileKind, silent: Collection[Path] = ()
) -> Iterator[Path]:
    """Yields the named files, and all of a kind inside the named folders, sorted by name.

    A subfolder that cannot be opened is yielded in place of its files, so that reading it fails
    as that of any other file. What is in several of the folders is yielded once. A warning tells
    which files are left out, but for those in ``silent``. Raises ValueError if there is no such
    file, or none of that kind in a folder.
    """
    endings, met = kind.list_endings(), set[str]()
    for path in map(Path, paths):
        if path.is_dir():
            visible, unreadable = _walk(path)
            inside = [file for file in visible if file.suffix.lower() in endings and _exists(file)]
            others = sorted(set(visible).difference(inside, silent))
            if others:
                warnings.warn(_tell_left_out(path, others, kind.word), stacklevel=2)
            if not (inside or unreadable):
                raise ValueError(f"{path} holds no {kind.words}; name another folder, or files")
            for found in sorted([*inside, *unreadable]):
                if (place := os.path.abspath(found)) not in met:
                    met.add(place)
                    yield found
        elif path.is_file():
            yield path
        else:
            raise ValueError(
                f"no {kind.word} file at {path}; name {kind.word} files or folders of them"
            )


def _tell_left_out(folder: Path, files: Sequence[Path], word: str) -> str:
    if len(files) == 1:
        reason = f"it has no {word} ending, or is no plain file; name it if it is to be read"
        return f"a file in {folder} is left out, {files[0].name}: {reason}"
    return (
        f"{len(files)} of the files in {folder} are left out, {files[0]} for one: they have no "
        f"{word} ending, or are no plain files; name those to be read"
    )


def digest_file(path: Path) -> str:
    """Returns a text by which the same content is known again, under any name."""
    return sha256(path.read_bytes()).hexdigest()[:16]


def _walk(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns what lies in and below a folder, and the folders that cannot be listed.

    Names that begin with a dot are left out, and links to folders are not followed.
    """
    found: list[Path] = []
    unreadable: list[Path] = []
    walk = os.walk(folder, onerror=lambda error: unreadable.append(Path(error.filename)))
    for place, folders, files in walk:
        folders[:] = [name for name in folders if name[0] != "."]
        paths = [Path(place, name) for name in (*folders, *files) if name[0] != "."]
        found += [path for path in paths if path.name in files or path.is_symlink()]
    return found, unreadable


def _exists(path: Path) -> bool:
    """Returns whether a path is a file, or cannot be looked at, so that reading it will fail."""
    try:
        return path.is_file()
    except OSError:
        return True
