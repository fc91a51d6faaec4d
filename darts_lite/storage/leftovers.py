"""Names temporary files and folders by their process, so that a later one deletes what is left.

No process can clean up after a kill. What it leaves is deleted when the same is written again: by
any process of the same machine, as on a shared disk the others' processes cannot be looked for.
"""

import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def name_own(prefix: str) -> str:
    """Returns a name that begins with a prefix and tells this machine and process."""
    return f"{prefix}{platform.node()}-{os.getpid()}."


def remove_left(place: Path, prefix: str) -> None:
    """Deletes the files and folders with a name of `name_own` whose process has ended."""
    owner = re.compile(re.escape(f"{prefix}{platform.node()}-") + r"(\d+)\.")
    for left in os.listdir(place) if os.access(place, os.R_OK) else ():
        found = owner.match(left)
        if found is None or _is_running(int(found[1])):
            continue
        if (place / left).is_dir():
            shutil.rmtree(place / left, ignore_errors=True)
        else:
            with suppress(OSError):  # of another user, or deleted by another process
                (place / left).unlink()


@contextmanager
def work_in_folder(place: Path, prefix: str) -> Iterator[Path]:
    """Yields a new folder, deleted at the end; those that killed processes left are deleted too."""
    remove_left(place, prefix)
    with tempfile.TemporaryDirectory(dir=place, prefix=name_own(prefix)) as folder:
        yield Path(folder)


def _is_running(process: int) -> bool:
    if os.name == "nt":  # where a signal would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True
