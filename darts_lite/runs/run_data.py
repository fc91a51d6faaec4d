"""The data of a run, as its jobs and those who go on with it must find them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from darts_lite.data.preparation import Preparation, build_preparation
from darts_lite.data.split_data import SplitData
from darts_lite.storage.atomic_files import write_text
from darts_lite.storage.paths import read_content, reading
from darts_lite.storage.run_folder import RunFolder


class Seen(NamedTuple):
    """How another run's net, with whose checkpoint a run began, saw its own items.

    Attributes:
        preparation: What was done to them.
        held_out: Digests of the files with which it was tested; empty without such files.
    """

    preparation: Preparation
    held_out: Sequence[str]


class RunData(NamedTuple):
    """The data of a run.

    Attributes:
        checksum: See `SplitData.checksum`.
        source: See `SplitData.data_source`.
        seen: None if the run began with no checkpoint.
    """

    checksum: int
    source: str
    seen: Seen | None

    @classmethod
    def of(cls, data: SplitData, seen: Seen | None) -> "RunData":
        """Returns what is to be known of data that are set up."""
        return cls(data.checksum, data.data_source, seen)

    def write(self, folder: RunFolder) -> None:
        """Writes it into the folder of a run, or of a part of one."""
        seen = self.seen and {
            "preparation": self.seen.preparation.to_dict(),
            "held_out": [*self.seen.held_out],
        }
        content = {"checksum": self.checksum, "source": self.source, "seen": seen}
        write_text(folder.data, json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, folder: RunFolder) -> "RunData":
        """Reads what `write` wrote; raises ValueError if the file was changed."""
        with reading(folder.data):
            content = read_content(folder.data)
        try:
            found = json.loads(content)
            seen = found["seen"] and Seen(
                build_preparation(found["seen"]["preparation"]),
                [str(one) for one in found["seen"]["held_out"]],
            )
            return cls(int(found["checksum"]), str(found["source"]), seen or None)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(
                f"{folder.data} is damaged ({error!r}); restore what the run wrote, or set "
                "run.resume to null for a new run"
            ) from None

    def check(self, data: SplitData) -> None:
        """Raises ValueError if data that are set up are not these."""
        check_data({"data_checksum": self.checksum, "data_source": self.source}, data)


def check_data(summary: Mapping[str, Any], data: SplitData) -> None:
    """Raises ValueError if data that are set up are not those of a run, by its summary."""
    if summary.get("data_checksum", data.checksum) != data.checksum:
        raise ValueError(
            f"the run began with other data ({summary.get('data_source')}; now: "
            f"{data.data_source}), or with other groups of them; restore them, or set "
            "data.dataset, data.root or DARTS_LITE_DATA to their place, or begin anew: set "
            "run.resume to null, or in a sweep another run.name"
        )
