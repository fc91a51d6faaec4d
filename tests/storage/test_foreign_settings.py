"""Settings that a stranger's file gives."""

from pathlib import Path
from typing import Any

import pytest
from run_helpers import one_line

from darts_lite.storage.foreign_settings import check_arguments, list_classes, refuse_files

FILE = Path("some.ckpt")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ArchitectureSearch", {"space": {}, "relaxation": "my_module.Thing"}),
        ("ArchitectureSearch", {"space": "/tmp/settings.yaml"}),
        ("ArchitectureSearch", {"space": {}, "regularizers": ["my_module.Thing"]}),
        ("ArchitectureSearch", {"space": {}, "executor": "my_module.Thing"}),
        ("Retraining", {"architecture": {}, "optimizer": "settings.yaml"}),
        ("Retraining", {"architecture": {}, "schedule": "settings.yaml"}),
        ("ImageData", {"augmentation": "my_module.Thing"}),
    ],
)
def test_a_text_where_a_class_stands_is_refused(name: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        check_arguments(FILE, f"darts_lite.{name}", arguments)
    one_line(caught, f"some.ckpt: {name}.", "a text; it was changed")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ArchitectureSearch", {"space": {"stem": "conv3x3"}, "executor": "folded"}),
        ("Retraining", {"architecture": {}, "schedule": "cosine", "stem": None}),
        ("ImageData", {"dataset": "photos", "root": None}),
    ],
)
def test_texts_that_are_texts_are_taken(name: str, arguments: dict[str, Any]) -> None:
    if "space" in arguments:
        arguments["space"]["candidates"] = ["conv_3x3"]
    check_arguments(FILE, f"darts_lite.{name}", arguments)


def test_classes_are_found_wherever_they_stand() -> None:
    inner = {"class_path": "b.B", "init_args": {"x": 1}}
    outer = {"class_path": "a.A", "init_args": {"parts": [inner]}}
    assert [*list_classes({"model": outer})] == [("a.A", {"parts": [inner]}), ("b.B", {"x": 1})]
    with pytest.raises(ValueError) as caught:
        [*list_classes({"class_path": "a.A", "dict_kwargs": {}})]
    one_line(caught, "beside class_path and init_args stands 'dict_kwargs'")
    with pytest.raises(ValueError) as caught:
        [*list_classes({"class_path": ["a.A"]})]
    one_line(caught, "class_path is ['a.A'], no text")


def test_content_may_stand_for_a_file_and_a_path_may_not() -> None:
    refuse_files(FILE, {"architecture": {"cells": {}}, "rule": [{"latency_table": None}]})
    with pytest.raises(ValueError) as caught:
        refuse_files(FILE, {"rule": [{"latency_table": "/dev/zero"}]})
    one_line(caught, "some.ckpt: latency_table is '/dev/zero'", "may not name what is to be opened")
