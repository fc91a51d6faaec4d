"""Writes files atomically: a file is complete, or it does not exist."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from darts_lite.storage.leftovers import name_own, remove_left


@contextmanager
def write_whole(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a file that appears under its name only when all of it is on the disk.

    Until then, and if the block fails or the process dies, an older file of that name stays.

    Raises:
        OSError: if it cannot be written; the message says whether an older file is intact.
    """
    path = Path(path)
    if path.is_symlink():  # replaces the link's target, not the link
        path = path.parent / path.readlink()
    if path.exists() and not path.is_file():
        raise OSError(f"cannot write {path}, which is not a file; choose another name")
    begun = f".{path.name}."
    beside = path.with_name(f"{name_own(begun)}part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_left(path.parent, begun)
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
        _sync_folder(path.parent)
    except OSError as error:
        kept = f"; the one before is intact: {path}" if path.exists() else ""
        raise OSError(f"cannot write {path} ({error.strerror or error}){kept}") from error
    finally:
        with suppress(OSError):  # a read-only disk refuses to delete, too
            beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file as `write_whole` does."""
    with write_whole(path) as file:
        file.write(text.encode())


def format_names(names: Iterable[str]) -> str:
    """Returns names of files, a line each; one that cannot be printed is spelt as in Python."""
    return "".join(f"{name if name.isprintable() else ascii(name)}\n" for name in names)


def make_folder(path: str | Path, setting: str) -> Path:
    """Returns a folder to write to, made if absent; an OSError tells which `setting` names it."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder {folder} ({error.strerror or error}); set {setting} to another"
        ) from error
    check_writable(folder, setting)
    return folder


def shorten_names(folders: Sequence[str]) -> list[str]:
    """Returns the paths of folders relative to the folder that holds all of them."""
    shared = os.path.commonpath(folders) if len(folders) > 1 else os.path.dirname(folders[0])
    return [os.path.relpath(folder, shared) for folder in folders]


def check_writable(folder: Path, setting: str = "run.folder") -> None:
    """Raises OSError, without writing, if a folder, or the one to make it in, is not writable."""
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise OSError(f"cannot write to {existing}; make it writable, or set {setting} to another")


def remove_parts(folder: Path) -> None:
    """Deletes the incomplete files of a killed process, also in subfolders."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes a new name survive a loss of power, on systems that can sync folders."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
