"""A search that knows what its net will cost, on real digits."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything
from run_helpers import SMALL, cost_table, fast_sgd, quiet_trainer

from darts_lite.data.images.image_data import ImageData
from darts_lite.derivation.budget import WithinBudget
from darts_lite.networks.net import Net
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.search.callbacks.cost_penalty import CostPenalty, ExpectedCost
from darts_lite.space.cost_tables import CostTable


def adam(parameters: object) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=0.02)  # type: ignore[arg-type]


def searched(digits: ImageData, *penalties: CostPenalty) -> float:
    """Parameters of the net that a search finds."""
    seed_everything(0, verbose=False)
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, alphas_optimizer=adam)
    run = quiet_trainer(max_steps=40, limit_val_batches=0, callbacks=list(penalties))
    run.fit(search, datamodule=digits)
    return cost_table(SMALL, "parameters").of(search.derive())


@pytest.mark.slow
def test_a_strong_penalty_finds_a_smaller_net(digits: ImageData) -> None:
    free = searched(digits)
    cheap = searched(digits, CostPenalty("parameters", strength=50.0))
    assert cheap < free
    within = searched(digits, CostPenalty("parameters", strength=50.0, budget=10**9))
    assert within == free


@pytest.mark.parametrize("budget", [None, 900.0])
@pytest.mark.parametrize("cost", ["parameters", "multiply_adds"])
def test_its_slope_in_the_alphas_is_that_of_finite_differences(
    cost: str, budget: float | None
) -> None:
    torch.manual_seed(0)
    search = ArchitectureSearch(SMALL, partial_channels=2, edge_weights=True).double()
    parameters = search.mixture.parameters()
    for parameter in parameters:
        torch.nn.init.normal_(parameter)
    table = cost_table(SMALL, cost)
    penalty = ExpectedCost(CostPenalty(cost, 0.7, budget), table, search.mixture.ranking)
    alphas = dict(search.supernet.alphas.items())
    slopes = torch.autograd.grad(penalty.penalty(alphas, 0.5), parameters)
    for alpha, slope in zip(parameters, slopes, strict=True):
        assert (slope != 0).float().mean() > 0.7
        for place in [(0, 1), (2, 3), (4, 2)] if alpha.ndim == 2 else [0, 3]:
            values = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    alpha[place] += step
                    values.append(float(penalty.penalty(alphas, 0.5)))
                    alpha[place] -= step
            expected = (values[0] - values[1]) / 2e-6
            assert float(slope[place]) == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_what_counts_is_the_net_that_is_retrained(digits: ImageData) -> None:
    tables = []
    for channels in (None, 8):
        rule = WithinBudget(parameters=10**6, channels=channels)
        search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd, derivation=rule)
        run = quiet_trainer(max_steps=1, limit_val_batches=0, callbacks=[CostPenalty("parameters")])
        run.fit(search, datamodule=digits)
        (penalty,) = search.regularizers
        assert isinstance(penalty, ExpectedCost)
        tables.append(penalty.table)
    own, retrained = (table.of(search.derive()) for table in tables)
    wide = search.derive().in_skeleton({"channels": 8})
    assert own < retrained == sum(p.numel() for p in Net(wide, 1, 10).parameters())


def test_latency_is_measured_on_the_device(digits: ImageData, tmp_path: Path) -> None:
    search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
    penalties = [CostPenalty("latency", table=str(tmp_path / "latency.json"))]
    run = quiet_trainer(max_steps=2, limit_val_batches=0, callbacks=penalties)
    run.fit(search, datamodule=digits)
    (penalty,) = search.regularizers
    assert isinstance(penalty, ExpectedCost)
    convolution = SMALL.candidates.index("conv_3x3")
    assert isinstance(penalty.table, CostTable)
    for costs in penalty.table.options.values():
        assert (costs[:, convolution] > costs[:, SMALL.candidates.index("none")] * 0.5).all()
        assert (costs > 0).all()


def test_a_table_is_measured_once_and_then_read(digits: ImageData, tmp_path: Path) -> None:
    path = tmp_path / "tables" / "latency.json"
    tables = []
    for _ in range(2):
        search = ArchitectureSearch(SMALL, weights_optimizer=fast_sgd)
        penalty = CostPenalty("latency", table=str(path))
        run = quiet_trainer(max_steps=1, limit_val_batches=0, callbacks=[penalty])
        run.fit(search, datamodule=digits)
        (added,) = search.regularizers
        assert isinstance(added, ExpectedCost)
        assert isinstance(added.table, CostTable)
        tables.append(added.table)
    assert path.exists()
    assert tables[0].rest == tables[1].rest
    for kind, rows in tables[0].options.items():
        assert torch.equal(rows, tables[1].options[kind])


def test_a_slip_is_one_line() -> None:
    with pytest.raises(ValueError, match="unknown cost 'watts'"):
        CostPenalty("watts")
    with pytest.raises(ValueError, match="must be above 0"):
        CostPenalty(budget=0.0)
    with pytest.raises(ValueError, match="a latency penalty needs a table"):
        CostPenalty("latency")
