"""The space of chains of layers: kernels, widths, depth and strides are chosen."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from torch import Tensor

from darts_lite.space.cost_tables import Bound
from darts_lite.space.groups import Choices, Group
from darts_lite.space.layers.chain import refuse_frame
from darts_lite.space.layers.chain_costs import ChainCosts
from darts_lite.space.layers.chain_options import ChainOptions
from darts_lite.space.layers.choosing import choose_chain
from darts_lite.space.layers.families import fit_widths, scale_families
from darts_lite.space.protocol import HandMade, Space


@dataclass(frozen=True)
class LayerSpace(ChainOptions, Space):
    """The space of the chains that `ChainOptions` allow; see there for the settings."""

    @cached_property
    def groups(self) -> dict[str, Group]:
        slots = tuple(f"block {place}" for place in range(1, len(self.slots) + 1))
        stages = tuple(f"stage {place}" for place in range(1, len(self.stages) + 1))
        later = tuple(name for name, (_, first) in zip(slots, self.slots, strict=True) if not first)
        rows = {
            "placement": ("where the map is halved", ("net",)),
            "stem_kernel": ("kernel of the stem", ("stem",)),
            "stem_width": ("width of the stem", ("stem",)),
            "width": ("widths", stages),
            "kernel": ("kernels", slots),
            "expansion": ("expansions, or full convolutions", slots),
            "head": ("side of what the linear layer reads", ("head",)),
            "link": ("links", later),
        }
        return {
            name: Group(title, rows_, self.options[name], (1,) * len(rows_))
            for name, (title, rows_) in rows.items()
            if rows_
        }

    def in_skeleton(self, changes: Mapping[str, Any]) -> Self:
        refuse_frame(changes)
        return self

    def choose_within(
        self, shares: Mapping[str, Tensor], bounds: Sequence[Bound]
    ) -> tuple[Choices | None, list[float]]:
        """Returns the best choices within bounds, exactly."""
        return choose_chain(self, shares, bounds)

    def scale_families(self, admits: Callable[[Choices], bool]) -> Iterator[HandMade]:
        return scale_families(self, admits)

    def fit_sizes(self, choices: Choices, admits: Callable[[Choices], bool]) -> Choices:
        """Returns choices with all widths changed by one factor, as wide as is admitted."""
        return fit_widths(self, choices, admits)

    def read_costs(self, content: Mapping[str, Any]) -> ChainCosts:
        return ChainCosts.from_dict(self, content)
