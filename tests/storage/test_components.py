"""Parts of a model as plain values."""

from typing import Any

import pytest

from darts_lite.derivation.budget import DERIVATIONS, WithinBudget
from darts_lite.derivation.rules import SkipLimit
from darts_lite.search.relaxations import RELAXATIONS, Concrete
from darts_lite.storage.components import build_component, describe_component

KNOWN = (*RELAXATIONS, *DERIVATIONS)
PARTS = [kind() for kind in KNOWN] + [
    Concrete(3.0, 2.0),
    SkipLimit(1),
    WithinBudget(9000, cells=4, reductions=(1,)),
]


@pytest.mark.parametrize("part", PARTS, ids=repr)
def test_a_description_makes_it_again(part: Any) -> None:
    assert build_component(describe_component(part), KNOWN) == part
    assert build_component(part, KNOWN) is part


def test_what_is_not_known_is_not_made() -> None:
    with pytest.raises(ValueError, match="'os.Mine' is not one of"):
        build_component({"class_path": "os.Mine", "init_args": {}}, KNOWN)


def test_what_cannot_be_described_is_refused() -> None:
    class Mine:
        pass

    parts: list[Any] = [Mine(), lambda space, shares: {}, Concrete]
    for part in parts:
        with pytest.raises(ValueError, match="must be a dataclass"):
            describe_component(part)
