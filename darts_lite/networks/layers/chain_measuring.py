"""Names the costs of chains, which are counted from the layers' shapes."""

from typing import Any

from darts_lite.space.cost_tables import Images
from darts_lite.space.layers.chain_costs import COSTS, ChainCosts
from darts_lite.space.layers.layer_space import LayerSpace


def measure_layers(
    space: LayerSpace, name: str, cost: Any, images: Images, device: Any
) -> ChainCosts:
    """Returns the costs with this name; ValueError if layers have no such cost.

    Nothing is measured, so a function and a device are not needed.
    """
    if name not in COSTS:
        raise ValueError(f"a space of layers has no costs {name!r}; choose from {[*COSTS]}")
    return ChainCosts(space, name, images)
