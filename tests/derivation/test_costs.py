"""Costs of architectures, against those of their nets."""

import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from run_helpers import SMALL

from darts_lite.derivation.budget import WithinBudget
from darts_lite.derivation.costs import COSTS, CostTable, kept_costs
from darts_lite.networks.net import Net
from darts_lite.space.architecture import Architecture
from darts_lite.space.encoding import Encoding, one_path, random_point
from darts_lite.space.search_space import SearchSpace, darts_space, mnist_space, nasbench201_space

SPACES = [darts_space(4, 4, 3), mnist_space(8), nasbench201_space(4, 3)]


def table(space: SearchSpace, name: str) -> CostTable:
    return CostTable.measure(space, COSTS[name], in_channels=1, num_classes=10, image_size=13)


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_cost_is_that_of_the_net(space: SearchSpace, name: str) -> None:
    encoding, random, costs = Encoding(space), Random(0), table(space, name)
    image = torch.empty(1, 1, 13, 13)
    for _ in range(6):
        architecture = encoding.architecture(random_point(encoding.sizes, random))
        assert costs.of(architecture) == COSTS[name](Net(architecture, 1, 10), image)


def test_the_published_parameters() -> None:
    costs = CostTable.measure(nasbench201_space(), COSTS["parameters"], 3, 10, 32)
    everywhere = Encoding(nasbench201_space()).architecture((0, 3) * 1 + (0, 3, 3) + (0, 3, 3, 3))
    assert costs.of(everywhere) == 1_531_546
    assert costs.rest == 73_306


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_expectation_of_a_decided_search_is_the_cost(space: SearchSpace) -> None:
    encoding, costs = Encoding(space), table(space, "parameters")
    architecture = encoding.architecture(random_point(encoding.sizes, Random(1)))
    shares = {k: path + 1e-12 for k, path in one_path(space, architecture).items()}
    assert float(costs.expected(shares)) == pytest.approx(costs.of(architecture), rel=1e-5)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_the_expectation_has_the_slope_of_finite_differences(space: SearchSpace) -> None:
    torch.manual_seed(0)
    costs = table(space, "multiply_adds")
    alphas = {k: torch.randn(*e.shape, dtype=torch.float64) for k, e in costs.edges.items()}
    for alpha in alphas.values():
        alpha.requires_grad_()

    def expected() -> torch.Tensor:
        return costs.expected({k: alpha.softmax(dim=-1) for k, alpha in alphas.items()})

    slopes = torch.autograd.grad(expected(), list(alphas.values()))
    for alpha, slope in zip(alphas.values(), slopes, strict=True):
        assert (slope != 0).float().mean() > 0.8
        for place in [(0, 1), (1, 2), (2, 0)]:
            with torch.no_grad():
                alpha[place] += 1e-5
                above = expected()
                alpha[place] -= 2e-5
                below = expected()
                alpha[place] += 1e-5
            assert float(above - below) / 2e-5 == pytest.approx(float(slope[place]), rel=1e-5)


@pytest.mark.parametrize("name", ["parameters", "multiply_adds"])
def test_maps_may_shrink_to_a_pixel(name: str) -> None:
    space = darts_space(4, 4, 2)
    costs = CostTable.measure(space, COSTS[name], in_channels=1, num_classes=10, image_size=4)
    architecture = Encoding(space).architecture((0,) * len(Encoding(space).sizes))
    assert costs.of(architecture) == COSTS[name](Net(architecture, 1, 10), torch.zeros(1, 1, 4, 4))


DATA = (1, 10, 28)


def test_a_table_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "costs.json"
    measured = kept_costs(path, SMALL, "multiply_adds", *DATA, device="meta")
    counted = CostTable.measure(SMALL, COSTS["multiply_adds"], *DATA)
    read = kept_costs(path, SMALL, "multiply_adds", *DATA)
    for table in (measured, read):
        assert table.rest == counted.rest
        for kind, rows in counted.edges.items():
            assert torch.equal(table.edges[kind], rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "else"}, "is not a table of costs"),
        ({"cost": "latency"}, "a table for another cost"),
        ({"space": {}}, "a table for another space"),
        ({"images": [3, 28, 28]}, "a table for another images"),
        ({"edges": {"normal": [[1.0]]}}, "is an incomplete table"),
        ({"edges": {"normal": [[1.0]], "reduce": []}}, "must be 5 lists of 4 numbers"),
        ({"edges": {"normal": [["1"] * 4] * 5, "reduce": [[1] * 4] * 5}}, "of at least 0"),
        ({"edges": {"normal": [[-1] * 4] * 5, "reduce": [[1] * 4] * 5}}, "of at least 0"),
        ({"edges": 3}, "is an incomplete table"),
        ({"rest": None}, "is an incomplete table"),
    ],
)
def test_what_does_not_fit_is_refused_and_left(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "costs.json"
    kept_costs(path, SMALL, "parameters", *DATA, device="meta")
    changed = json.dumps(json.loads(path.read_text()) | change)
    path.write_text(changed)
    with pytest.raises(ValueError, match=message):
        kept_costs(path, SMALL, "parameters", *DATA)
    assert path.read_text() == changed


@pytest.mark.parametrize("text", ["", "[]", "{", "null", "\x00"])
def test_any_other_file_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a table of costs"):
        kept_costs(path, SMALL, "parameters", *DATA)


def test_a_budget_of_latency_is_kept(tmp_path: Path) -> None:
    space = SearchSpace(
        ("skip_connect", "conv_1x1", "conv_3x3"), nodes=2, channels=4, cells=2, reductions=()
    )
    path = tmp_path / "latency.json"
    costs = kept_costs(path, space, "latency", *DATA)
    encoding = Encoding(space)
    smallest = costs.rest + sum(
        sum(sorted(rows.min(dim=1).values.tolist())[:2])
        for rows in costs.edges["normal"].split(list(space.edges_per_node))
    )
    shares = {"normal": torch.tensor([[0.1, 0.2, 0.7]]).repeat(5, 1)}
    everything = costs.of(encoding.architecture((0, 2, 2, 0, 2, 2)))
    for limit in (everything * 2, (smallest + everything) / 2, smallest * 1.0001):
        rule = WithinBudget(None, None, limit, str(path), 28, 1, 10)
        cells = rule(space, shares)
        assert len([edge for node in cells["normal"] for edge in node]) == 4
        assert costs.of(Architecture(cells, skeleton=space.skeleton)) <= limit
    with pytest.raises(ValueError, match="no architecture of the space has at most"):
        WithinBudget(None, None, smallest * 0.9, str(path), 28, 1, 10)(space, shares)


def test_budgets_that_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="needs latency_table"):
        WithinBudget(latency=1.0)
    with pytest.raises(ValueError, match="two limits at most"):
        WithinBudget(1, 1, 1.0, "table.json")
