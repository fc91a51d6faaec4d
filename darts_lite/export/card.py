"""Writes the card of a model, as Hugging Face's Hub shows it: a README.md beside its files."""

import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from darts_lite.data.class_balance import describe_recalls
from darts_lite.data.images.datasets import EMBEDDED, is_embedded
from darts_lite.data.preparation import build_preparation
from darts_lite.export.formats import FORMATS, Written
from darts_lite.export.int8 import Int8
from darts_lite.export.usage import show_use
from darts_lite.storage.atomic_files import write_text

NAMES = ("README.md", "README.net.md")
"""Names of a card: the usual one, and one for folders whose README.md is somebody else's."""
SEAL = "<!-- Written by darts_lite, which writes over this file until somebody changes it: {} -->\n"
"""Last line, with a checksum of all before it."""
MOST_SHOWN = 100
"""Largest number of classes that are named."""


def write_card(folder: Path, text: str) -> Path | None:
    """Writes a card; returns its path, or None where all `NAMES` are files of somebody else."""
    for path in (folder / name for name in NAMES):
        if not path.exists() or _is_own(path):
            write_text(path, text + SEAL.format(_checksum(text)))
            return path
    return None


def _is_own(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    *lines, last = text.splitlines(keepends=True) or [""]
    return last == SEAL.format(_checksum("".join(lines)))


def _checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


def make_card(
    facts: Mapping[str, Any],
    files: Mapping[str, Written],
    summary: Mapping[str, Any],
    others: Sequence[str] = (),
    whole: Sequence[Int8] = (),
) -> str:
    """Returns the text of a card.

    Args:
        facts: What the files tell; see `darts_lite.export.facts.describe`.
        files: The files by the names of their formats.
        summary: That of the run; empty if there is none.
        others: Names of such files that lie there from before.
        whole: The files in whole numbers.
    """
    data = _name_data(facts)
    parts = [
        f"---\n{yaml.safe_dump(_front(facts), sort_keys=False)}---\n",
        f"# A small network for {_escape(data)}\n",
        _introduce(facts, summary),
        "## How to use it\n",
        *_tell_use(facts, files),
        *(show_use(name, written.path.name, facts) for name, written in files.items()),
        "## Files\n",
        *_list_files(facts, files, others),
        *_list_whole(whole),
        "## Accuracy\n",
        *_tell_accuracy(facts, summary),
        "## Data and licence\n",
        _tell_data(facts, summary, data),
        "## Limits\n",
        _tell_limits(facts),
    ]
    return "\n".join(parts)


def _name_data(facts: Mapping[str, Any]) -> str:
    data = facts["data"]
    return str(data["init_args"].get("dataset", data["class_path"]))


def _name_tested(facts: Mapping[str, Any]) -> str:
    """Returns the name of the data set whose images were asked for the accuracy."""
    return str((facts["accuracy"] or {}).get("dataset") or _name_data(facts))


def _front(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the values that the Hub reads."""
    task = build_preparation(facts["preparation"]).task
    front: dict[str, Any] = {
        "license": facts["data_licence"]["hub"],
        "library_name": "darts_lite",
        "pipeline_tag": task,
        "tags": ["neural-architecture-search", task],
        "metrics": ["accuracy"],
    }
    if facts["accuracy"] is None:
        return front
    result = {
        "task": {"type": task},
        "dataset": _front_data(facts),
        "metrics": [{"type": "accuracy", "value": facts["accuracy"]["share"]}],
    }
    return {**front, "model-index": [{"name": "net", "results": [result]}]}


def _front_data(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns name and kind of the tested images; a part of a data set is not called the whole."""
    data, accuracy = _name_tested(facts), facts["accuracy"]
    if is_embedded(accuracy.get("data_source") or facts["data_source"]):
        return {"name": f"{data}, {EMBEDDED} of darts_lite", "type": "embedded-digits"}
    return {"name": data, "type": data.lower()}


def _introduce(facts: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    seconds = summary.get("search_seconds")
    found = "" if seconds is None else f"found by a search of {seconds:,.0f} s and "
    passes, kind = facts["passes"], build_preparation(facts["preparation"]).kind
    answer = f"An answer is the mean over {passes} shifts. " if passes > 1 else ""
    return (
        f"A classifier of {kind.words} that darts_lite {found}trained. It has "
        f"{facts['parameters']:,} parameters, and takes {facts['multiply_adds']:,} multiply-adds "
        f"for an answer. {answer}Its {len(facts['class_names'])} classes: "
        f"{_list_names(facts['class_names'])}.\n"
    )


def _tell_use(facts: Mapping[str, Any], files: Mapping[str, Written]) -> Iterator[str]:
    if files:
        yield f"It takes {facts['input']}. It gives {facts['output']}.\n"
    else:
        yield "See below: it is here in whole numbers alone.\n"


def _list_files(
    facts: Mapping[str, Any], files: Mapping[str, Written], others: Sequence[str]
) -> Iterator[str]:
    weights = 4 * facts["parameters"]
    rows = [
        f"| `{each.path.name}` | {FORMATS[name].runtime} | {each.size:,} | "
        f"{each.size / weights:.2f} | {each.milliseconds:.3f} |"
        for name, each in files.items()
    ]
    word = build_preparation(facts["preparation"]).kind.word
    head = f"| file | runs in | bytes | of its weights' bytes | ms for one {word} |"
    told = (
        "Milliseconds are medians in one thread of the machine that wrote the files. Norms are "
        "folded into the convolutions before them, but for `net.safetensors`, whose weights can "
        "be trained further."
    )
    if files:
        yield "\n".join([head, "| --- | --- | --- | --- | --- |", *rows, "", told, ""])
    if others:
        named = ", ".join(f"`{name}`" for name in others)
        yield f"From before, not written or tried together with this card: {named}.\n"


def _list_whole(files: Sequence[Int8]) -> Iterator[str]:
    """Yields what is known of files in whole numbers: of each its needs and its own accuracy."""
    if not files:
        return
    yield "In whole numbers of 8 bits, each asked for all test items in its own runtime:\n"
    head = "| file | bytes | arena | right | in the micro interpreter | net in floats |"
    rows = [
        f"| `{each.path.name}` | {each.path.stat().st_size:,} | "
        f"{'-' if each.needs is None else f'{each.needs.arena:,}'} | {_percent(each.share)} | "
        f"{'-' if each.micro is None else _percent(each.micro)} | {_percent(each.floats)} |"
        for each in files
    ]
    yield "\n".join([head, "| --- | --- | --- | --- | --- | --- |", *rows, ""])
    yield (
        "The arena is the memory in bytes that TensorFlow Lite for Microcontrollers needs for maps "
        "and its own records, measured where pointers have 8 bytes.\n"
    )
    for name in (each.path.name for each in files if each.path.suffix == ".tflite"):
        yield (
            f"`{name}` takes normalised maps as int8, channels last, and gives logits as int8; "
            f"`{Path(name).with_suffix('.h')}` holds its scales, and its bytes as an array of C.\n"
        )


def _tell_accuracy(facts: Mapping[str, Any], summary: Mapping[str, Any]) -> Iterator[str]:
    accuracy = facts["accuracy"]
    if accuracy is None:
        yield "It was not measured.\n"
        return
    passes = "one pass" if facts["passes"] == 1 else f"{facts['passes']} passes"
    yield f"{_percent(accuracy['share'])} of {accuracy['of']}, by {passes} for an answer.\n"
    if (tested := _name_tested(facts)) != _name_data(facts):
        words = build_preparation(facts["preparation"]).kind.words
        yield f"These are {words} of {_escape(tested)}, and the net was trained on others.\n"
    balanced, recalls = accuracy.get("balanced_accuracy"), accuracy.get("class_recalls")
    if balanced is not None and recalls:
        told = _escape(describe_recalls(recalls))
        yield f"Balanced accuracy, the mean over classes: {_percent(balanced)}. Recall: {told}.\n"
    shares = summary.get("class_accuracies")
    if isinstance(shares, list) and len(shares) == len(facts["class_names"]):
        known = [
            pair for pair in zip(shares, facts["class_names"], strict=True) if pair[0] is not None
        ]
        for share, name in sorted(known)[:1]:
            yield f"At the end of the run the worst class was {_escape(name)}: {_percent(share)}.\n"
    names, rivals = summary.get("control_names"), summary.get("control_test_accuracies")
    if names and rivals and summary.get("test_accuracy") is not None:
        yield "Rivals within the same limits, trained alike and tested once:\n"
        pairs = zip(names, rivals, strict=False)
        rows = [f"| {_escape(name)} | {_percent(share)} |" for name, share in pairs]
        found = f"| this net | {_percent(summary['test_accuracy'])} |"
        yield "\n".join(["| net | test accuracy |", "| --- | --- |", found, *rows, ""])


def _tell_data(facts: Mapping[str, Any], summary: Mapping[str, Any], data: str) -> str:
    count, words = summary.get("train_images"), build_preparation(facts["preparation"]).kind.words
    trained = "Trained" if count is None else f"Trained on {count:,} {words}"
    licence = facts["data_licence"]
    source = f" ({licence['source']})" if licence["source"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"{trained} of {_escape(data)} ({_escape(facts['data_source'])}). Licence of these "
        f"{words}: {licence['name']}{source}. The line `license` above repeats it; which licence "
        f"the net itself has is for whoever hands it on to say. Written by {versions}.\n"
    )


def _tell_limits(facts: Mapping[str, Any]) -> str:
    tested, seen = _escape(_name_tested(facts)), build_preparation(facts["preparation"])
    return (
        f"It knows its {len(facts['class_names'])} classes and nothing else: it gives one of them "
        f"for every {seen.kind.word}. The accuracy is that on {seen.kind.words} of {tested}; "
        f"{seen.untried} were not measured, nor was it tried against {seen.kind.words} made to "
        "deceive it. Probabilities were not calibrated.\n"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _list_names(names: Sequence[object]) -> str:
    shown = ", ".join(_escape(str(name)) for name in names[:MOST_SHOWN])
    return shown + (" and others" if len(names) > MOST_SHOWN else "")


def _escape(text: str) -> str:
    """Returns a text of somebody else as plain words of Markdown."""
    return re.sub(r"[^\w ,.()+%-]", lambda found: f"&#{ord(found[0])};", text)
