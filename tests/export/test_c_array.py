"""An int8 file as an array of C."""

import ctypes
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from test_litert_int8 import FILE, SEES

from darts_lite.data.images.image_files import GreyRange
from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.export.c_array import list_operations, name_method, write_c
from darts_lite.export.litert_int8 import open_litert

SEEN = ImagePreparation(1, 28, mean=(0.1307,), std=(0.3081,))


def describe_net(seen: ImagePreparation) -> dict[str, object]:
    return {
        "data": {"init_args": {"dataset": "MNIST"}},
        "class_names": [*"012345678", "*/"],
        "preparation": seen.to_dict(),
    }


def test_a_c_compiler_reads_the_bytes_of_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "net_int8.tflite"
    copy.write_bytes(FILE.read_bytes())
    _, scaling = open_litert(SEES, copy)
    facts = describe_net(SEEN)
    header, example = write_c(copy, scaling, (28, 28, 1), facts, 9744, example=True)
    example.write_text(example.read_text() + "// mine\n")
    for example_too in (True, False):  # the example is there already
        assert write_c(copy, scaling, (28, 28, 1), facts, 9744, example_too) == [header]
    assert example.read_text().endswith("// mine\n")
    assert "Arena: 9,744 bytes" in header.read_text()
    assert "AddDepthwiseConv2D" in example.read_text()
    source, made = tmp_path / "read.c", tmp_path / "read.so"
    lines = [
        "unsigned int size() { return net_int8_size; }",
        "int at(int i) { return net_int8[i]; }",
    ]
    source.write_text("\n".join([f'#include "{header.name}"', *lines]))
    command = ["cc", "-Wall", "-Werror", "-Wno-unused-variable", "-shared", "-fPIC"]
    subprocess.run([*command, str(source), "-o", str(made)], check=True)
    library, content = ctypes.CDLL(str(made)), FILE.read_bytes()
    assert library.size() == len(content)
    assert bytes(map(library.at, range(len(content)))) == content
    assert {"CONV_2D", "PAD"} < {*list_operations(content)}


def test_grey_values_of_more_than_eight_bits_are_what_a_device_measures(tmp_path: Path) -> None:
    copy = tmp_path / "net_int8.tflite"
    copy.write_bytes(FILE.read_bytes())
    _, scaling = open_litert(SEES, copy)
    deep = replace(SEEN, greys=GreyRange(100.0, 16483.0))
    (header,) = write_c(copy, scaling, (28, 28, 1), describe_net(deep), None, example=False)
    text = header.read_text()
    assert "for a grey value of 100 to 16483" in text
    factor, offset = (
        float(re.search(rf"{name}: (\S+)", text)[1])  # type: ignore[index]
        for name in ("factors", "offsets")
    )
    for grey in (0.0, 0.25, 1.0):  # from black to white
        wanted = scaling.factors[0] * grey + scaling.offsets[0]
        assert factor * (100 + 16383 * grey) + offset == pytest.approx(wanted, abs=1e-3)


def test_an_example_of_ones_own_is_told_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "net_int8.tflite"
    copy.write_bytes(FILE.read_bytes())
    _, scaling = open_litert(SEES, copy)
    own = tmp_path / "net_int8.cc"
    own.write_text("resolver.AddConv2D();")
    write_c(copy, scaling, (28, 28, 1), describe_net(SEEN), None, example=True)
    said = capsys.readouterr().out
    assert "cannot run this net: it lacks " in said and "resolver.AddDepthwiseConv2D();" in said
    assert "resolver.AddConv2D" not in said
    assert own.read_text() == "resolver.AddConv2D();"


def test_operations_are_named_as_the_interpreter_names_them() -> None:
    wanted = {"PADV2": "AddPadV2", "CONV_2D": "AddConv2D", "PAD": "AddPad", "MEAN": "AddMean"}
    assert {name: name_method(name) for name in wanted} == wanted
