"""Expands the paths that users write, and looks at folders without overlooking what is there."""

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short

VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([^}]*)\})", re.ASCII)
"""A variable of the environment in a path, with or without braces."""
ADDRESS = re.compile(r"^[A-Za-z][\w+.-]+:/|^data:|://|::", re.ASCII)
"""What libraries take for a file elsewhere: ``s3://…``, ``file:///…``, ``zip::…``."""
LARGEST_FILE = 2**28
"""Largest number of bytes of a file that is read as a whole, as a table or a summary."""


def expand(text: str, setting: str) -> str:
    """Returns a path with the values of its ``$VARIABLES`` and the folder that ``~`` stands for.

    A path without them is returned as it is, and so is a name with a ``$`` that stands for nothing
    and is there. Nothing may expand the result again.

    Raises:
        ValueError: if a variable has no value, a user no folder, or the path is an address or no
            printable text. The message begins with the `setting`.
    """

    def read(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not (value := os.environ.get(name, "")):
            if os.path.exists(text):
                return found[0]
            raise ValueError(
                f"{setting}: the variable {name} in {short(text)} has no value; set it, or write "
                "the path out"
            )
        return value

    path = VARIABLE.sub(read, text)
    if not path.isprintable():  # files of a run tell it as text
        raise ValueError(
            f"{setting}: {path!a} has characters that cannot be printed, or is not in UTF-8; "
            "rename this file or folder"
        )
    if ADDRESS.search(path):
        raise ValueError(
            f"{setting}: {short(path)} is an address; give a path on a disk of this machine"
        )
    if not str(Path(path)).startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError as error:
        raise ValueError(
            f"{setting}: no user has the folder {short(path)}; write the path out"
        ) from error


def is_there(path: Path) -> bool:
    """Returns whether a file or folder exists; raises OSError where that cannot be known.

    `Path.exists` says no as well where a folder may not be looked into, or a link leads nowhere.
    """
    with reading(path):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null byte
            return False
    return True


def list_entries(folder: Path) -> list[Path]:
    """Returns what is in a folder, by name; nothing if there is none.

    Raises OSError if it cannot be read, or is a link to nowhere, as to a disk that is not mounted.
    `Path.glob` finds nothing as well in a folder that may not be read.
    """
    with reading(folder):
        try:
            return sorted(folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            if not folder.is_symlink():
                return []
            raise OSError("a link to a place that is not there") from None


def read_content(path: Path) -> bytes:
    """Returns what a file holds; raises OSError unless it is a plain file of a moderate size.

    A pipe would be waited for, and a device may never end.
    """
    state = path.stat()
    if not (stat.S_ISREG(state.st_mode) or stat.S_ISDIR(state.st_mode)):
        raise OSError(errno.EINVAL, "is a pipe or a device, and no plain file", str(path))
    if state.st_size > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"has more than {LARGEST_FILE:,} bytes", str(path))
    return path.read_bytes()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises an OSError in one line for an error of the file system while a path is read."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"cannot read {path} ({error.strerror or error}); make it readable and start again"
        ) from error
