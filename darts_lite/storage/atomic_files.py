"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def written_whole(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when all of it is on the disk.

    Until then, and if the block fails or the process dies, what was there before stays.

    Raises:
        OSError: if it cannot be written, in one line that says what is still there.
    """
    path = Path(path)
    if path.is_symlink():  # what a link leads to is replaced, not the link
        path = path.parent / path.readlink()
    if path.exists() and not path.is_file():
        raise OSError(f"cannot write {path}, which is no file; choose another name")
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        with suppress(OSError):  # where nothing can be written, nothing can be deleted either
            beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file whole.

    Raises:
        OSError: see `written_whole`.
    """
    with written_whole(path) as file:
        file.write(text.encode())


def made_folder(path: str | Path, setting: str) -> Path:
    """A folder to write to, which is made where it is not there yet.

    Args:
        path: Of the folder.
        setting: What a user can set to another one.

    Raises:
        OSError: if it cannot be made, or nothing can be written to it.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"cannot make the folder {folder} ({error.strerror or error}); set {setting} to another"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f"cannot write to {folder}; make it writable, or set {setting} to another")
    return folder


def short_names(folders: Sequence[str]) -> list[str]:
    """What tells folders apart: their paths from the folder that holds all of them."""
    shared = os.path.commonpath(folders) if len(folders) > 1 else os.path.dirname(folders[0])
    return [os.path.relpath(folder, shared) for folder in folders]


def check_writable(folder: Path) -> None:
    """Tells early, and without writing, of a folder that nothing can be written to.

    Raises:
        OSError: if it, or the folder in which it would be made, is read-only or no folder.
    """
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not (existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)):
        raise OSError(f"cannot write to {existing}; make it writable, or set run.folder to another")


def remove_parts(folder: Path) -> None:
    """Deletes what a killed process left of files that it was about to write, in subfolders too."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Makes the new name last through a loss of power, where the system lets folders be synced."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # as on Windows
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
