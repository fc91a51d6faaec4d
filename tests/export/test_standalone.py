"""Nets as plain torch code."""

import ast
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from run_helpers import SMALL, some_digits
from torch import nn

from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.export.folding import fold_norms
from darts_lite.export.standalone import generate_code
from darts_lite.networks.net import Net
from darts_lite.retraining.recipe import average_over_shifts
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.nasbench201 import read_string
from darts_lite.space.cells.search_space import mnist_space, nasbench201_space
from darts_lite.space.protocol import AnyArchitecture

MEAN, STD = (0.1307,), (0.3081,)
FACTS = {
    "preparation": ImagePreparation(1, 28, mean=MEAN, std=STD).to_dict(),
    "class_names": list("0123456789"),
    "test_shifts": 0,
}
ALONE = """
import runpy, sys, torch
images = torch.load("images.pt", weights_only=True)
for kind in sys.argv[1:]:
    load = runpy.run_path(f"{kind}.py")["load"]
    with torch.no_grad():
        torch.save(load()(images), f"{kind}.pt")
assert not any(name.startswith("darts_lite") for name in sys.modules)
"""


def trained_like(architecture: AnyArchitecture) -> Net:
    """A net whose norms and statistics are not those it started with."""
    torch.manual_seed(0)
    net = Net(architecture, 1, 10)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.5, 0.5)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


def of_cell(text: str, wiring: str = "residual") -> Architecture:
    space = replace(nasbench201_space(channels=4, cells=3), wiring=wiring)
    return Architecture({"normal": read_string(text)}, {}, space.skeleton, space.name)


CELL = "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
KINDS = {
    "darts": ARCHITECTURES["DARTS_V1"].with_skeleton(channels=4, cells=4),
    "pc_darts": ARCHITECTURES["PC_DARTS_image"].with_skeleton(channels=4, cells=3),
    "searched": ArchitectureSearch(SMALL).derive(),
    "digits": ArchitectureSearch(mnist_space(channels=4)).derive(),
    "twice": ARCHITECTURES["DARTS_V2"].with_skeleton(
        channels=4, cells=3, stem="conv3x3_twice_stride2"
    ),
    "residual": of_cell(CELL),
    "separable": of_cell(CELL, "separable"),
    "cut off": of_cell("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"),
}


def test_the_files_answer_alone_as_the_nets_do(tmp_path: Path) -> None:
    images = some_digits()[0][:20].unsqueeze(1) / 255
    torch.save(images, tmp_path / "images.pt")
    kinds = [*KINDS, "digits shifted"]
    nets = {kind: trained_like(KINDS[kind.removesuffix(" shifted")]) for kind in kinds}
    for kind, net in nets.items():
        about = {**FACTS, "test_shifts": int(kind.endswith("shifted"))}
        (tmp_path / f"{kind}.py").write_text(generate_code(fold_norms(net), "A net.", about))
    subprocess.run([sys.executable, "-I", "-c", ALONE, *kinds], check=True, cwd=tmp_path)
    normal = (images - MEAN[0]) / STD[0]
    for kind, net in nets.items():
        with torch.no_grad():
            shifted = kind.endswith("shifted")
            expected = average_over_shifts(net, normal, 1) if shifted else net(normal)
        found = torch.load(tmp_path / f"{kind}.pt", weights_only=True)
        assert torch.allclose(found, expected.softmax(dim=1), atol=1e-6, rtol=1e-5), kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_is_plain_and_imports_torch_only(kind: str) -> None:
    code = generate_code(fold_norms(trained_like(KINDS[kind])), "A net.", FACTS)
    tree = ast.parse(code)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {
        str(node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in imports
    }
    assert modules == {"torch", "base64", "io"}
    assert "class Cell0(nn.Module):" in code
    assert max(map(len, code.splitlines())) <= 100


class Own(nn.Module):
    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x)


def test_a_users_own_operation_is_refused() -> None:
    name = f"{__name__}.Own"
    cell = (((name, 0), (name, 1)), (("skip_connect", 0), (name, 2)))
    net = Net(Architecture({"normal": cell, "reduce": cell}, {}, SMALL.skeleton), 1, 10)
    with pytest.raises(ValueError, match=r"test_standalone.Own is a custom operation"):
        generate_code(fold_norms(net), "A net.", FACTS)


def test_what_the_file_says_of_itself_never_becomes_code() -> None:
    told = 'Found for """\nimport antigravity\n"""\\, digits.'
    tree = ast.parse(generate_code(fold_norms(trained_like(KINDS["digits"])), told, FACTS))
    assert (ast.get_docstring(tree) or "").startswith("Found for ____import antigravity_____, dig")
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    assert {name.name for node in imported for name in node.names} == {"base64", "io", "torch"}
