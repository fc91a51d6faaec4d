"""Shows how an exported file is asked, as a few lines of Python that run where the file lies."""

from collections.abc import Mapping
from string import Template

from darts_lite.data.preparation import build_preparation

HEAD = {
    "onnx": "With ONNX Runtime (`pip install onnxruntime`):",
    "litert": "With LiteRT (`pip install ai-edge-litert`), one at a time:",
    "python": "With PyTorch alone (`pip install torch`):",
    "pt2": "As a program of `torch.export` (`pip install torch`):",
    "safetensors": "With darts_lite, which trains it further; its net takes normalised maps:",
}
LINES: Mapping[str, str] = {
    "onnx": """
import json

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("$file")
classes = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
$values = np.zeros((1, $size), np.float32)  # put your $items here, with values of $scale
(shares,) = session.run(None, {"$values": $values})
for row in shares:
    print(classes[row.argmax()], row.max())
""",
    "litert": """
import json
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

net = Interpreter("$file")
net.allocate_tensors()
classes = json.loads(zipfile.ZipFile("$file").read("about.json"))["class_names"]
$values = np.zeros((1, $size), np.float32)  # put a single $one here, with values of $scale
net.set_tensor(net.get_input_details()[0]["index"], $values)
net.invoke()
(row,) = net.get_tensor(net.get_output_details()[0]["index"])
print(classes[row.argmax()], row.max())
""",
    "python": """
import torch
from $module import CLASSES, load

net = load()
$values = torch.zeros(1, $size)  # put your $items here, with values of $scale
with torch.no_grad():
    shares = net($values)
for row in shares:
    print(CLASSES[row.argmax()], float(row.max()))
""",
    "pt2": """
import json

import torch

about = {"about.json": ""}
net = torch.export.load("$file", extra_files=about).module()
classes = json.loads(about["about.json"])["class_names"]
$values = torch.zeros(1, $size)  # put your $items here, with values of $scale
with torch.no_grad():
    shares = net($values)
for row in shares:
    print(classes[row.argmax()], float(row.max()))
""",
    "safetensors": """
import torch
from darts_lite import $import

net = Net.from_pretrained(".")  # or the name of its repository on Hugging Face's Hub
$values = torch.zeros(1, $size)  # put your $items here, with values of $scale
mean, std = torch.tensor($mean), torch.tensor($std)  # of each channel
maps = ($maps - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
with torch.no_grad():
    shares = net(maps).softmax(dim=1)
for row in shares:
    print(int(row.argmax()), float(row.max()))  # the number of the class, from 0 on
""",
}
"""Kind of file, as `darts_lite.export.formats.FORMATS` names it -> the lines."""


def show_use(kind: str, file: str, facts: Mapping[str, object]) -> str:
    """Returns a heading and the lines, in Markdown."""
    seen = build_preparation(facts["preparation"])
    words = {
        "file": file,
        "module": file.removesuffix(".py"),
        "size": ", ".join(map(str, seen.shape)),
        "values": seen.values,
        "one": seen.kind.word,
        "items": seen.kind.words,
        "scale": seen.scale,
        "maps": seen.values,
        "import": "Net",
        "mean": list(seen.mean),
        "std": list(seen.std),
    }
    if (front := seen.front_code()).startswith("nn."):
        words["maps"] = seen.values if front == "nn.Identity()" else f"torch.{front}({seen.values})"
    else:
        words |= {"import": f"{front.partition('(')[0]}, Net", "maps": f"{front}({seen.values})"}
    code = Template(LINES[kind]).substitute(words)
    return f"{HEAD[kind]}\n\n```python\n{code.strip()}\n```\n"
