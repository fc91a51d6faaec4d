"""An int8 file as an array of C."""

import ctypes
import subprocess
from pathlib import Path

from test_litert_int8 import FILE, SEES

from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.export.c_array import list_operations, name_method, write_c
from darts_lite.export.litert_int8 import open_litert


def test_a_c_compiler_reads_the_bytes_of_the_file(tmp_path: Path) -> None:
    copy = tmp_path / "net_int8.tflite"
    copy.write_bytes(FILE.read_bytes())
    _, scaling = open_litert(SEES, copy)
    seen = ImagePreparation(1, 28, mean=(0.1307,), std=(0.3081,)).to_dict()
    facts = {"data": {"init_args": {"dataset": "MNIST"}}, "class_names": [*"012345678", "*/"]}
    facts |= {"preparation": seen}
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


def test_operations_are_named_as_the_interpreter_names_them() -> None:
    wanted = {"PADV2": "AddPadV2", "CONV_2D": "AddConv2D", "PAD": "AddPad", "MEAN": "AddMean"}
    assert {name: name_method(name) for name in wanted} == wanted
