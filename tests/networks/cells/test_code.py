"""Cells and skeletons as plain code."""

import pytest

from darts_lite.export.folding import fold_norms
from darts_lite.networks.cells.code import write_cells
from darts_lite.networks.net import Net
from darts_lite.space.cells.architecture import ARCHITECTURES, Architecture
from darts_lite.space.cells.search_space import mnist_space

PUBLISHED = ARCHITECTURES["DARTS_V1"].with_skeleton(channels=4, cells=3)


@pytest.mark.parametrize("of_one_input", [False, True])
def test_there_is_a_class_for_each_cell_and_all_weights_are_renamed(of_one_input: bool) -> None:
    found = mnist_space(channels=4).first_architecture() if of_one_input else PUBLISHED
    assert isinstance(found, Architecture)
    net, renamed = fold_norms(Net(found, 1, 10)), dict[str, str]()
    *cells, last = write_cells(net.skeleton, renamed)
    assert len(cells) == found.skeleton.cells
    assert all(f"class Cell{index}(nn.Module):" in code for index, code in enumerate(cells))
    assert "class Net(nn.Module):" in last
    for name in net.state_dict():
        assert any(name.startswith(f"{old}.") for old in renamed), name
