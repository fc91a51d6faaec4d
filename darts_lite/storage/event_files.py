"""TensorBoard's event files in a run's folder: what had been written when, and what to drop."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from tensorboard.compat.proto.event_pb2 import Event

from darts_lite.storage.atomic_files import write_whole
from darts_lite.storage.paths import list_entries, reading

PREFIX = "events.out.tfevents."
LENGTH, CHECKSUM = struct.Struct("<Q"), 4
"""What frames an event in a file: its number of bytes, and the size of each checksum."""


def measure_events(folder: Path) -> dict[str, int]:
    """Returns the names of the event files in a folder, with their sizes in bytes.

    What is written later is behind these sizes, or in other files, whatever any clock says.
    """
    sizes = {}
    for path in _list_files(folder):
        with reading(path):
            sizes[path.name] = path.stat().st_size
    return sizes


def read_sizes(value: object) -> dict[str, int] | None:
    """Returns what `measure_events` returned, from a file; None if it is anything else."""
    known = isinstance(value, Mapping) and all(isinstance(size, int) for size in value.values())
    return dict(value) if known else None  # type: ignore[call-overload]


def forget_events(folder: Path, known: Mapping[str, int], step: int) -> None:
    """Drops the events of steps that a run will repeat.

    Args:
        known: What `measure_events` returned then; these events stay.
        step: Later events with values of steps before this one, counted from 0, stay as well.
    """
    for file in _list_files(folder):
        with reading(file):
            content = file.read_bytes()
        kept = content[: known.get(file.name, 0)]
        for record, event in _read_records(content[len(kept) :]):
            kept += record if event.step < step and event.HasField("summary") else b""
        if not kept:
            file.unlink()
        elif kept != content:
            with write_whole(file) as whole:
                whole.write(kept)


def _read_records(content: bytes) -> Iterator[tuple[bytes, Event]]:
    """Yields the records, each with its event, up to one that is torn.

    A record is the length of its event, a checksum, the event, and another checksum.
    """
    position = 0
    while position + LENGTH.size <= len(content):
        start = position + LENGTH.size + CHECKSUM
        end = start + LENGTH.unpack_from(content, position)[0]
        record, position = content[position : end + CHECKSUM], end + CHECKSUM
        if position > len(content):
            return
        try:
            yield record, Event.FromString(content[start:end])
        except DecodeError:
            return


def _list_files(folder: Path) -> list[Path]:
    return [path for path in list_entries(folder) if path.name.startswith(PREFIX)]
