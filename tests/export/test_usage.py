"""Lines that show how a file is asked; `test_card` runs them."""

import ast
import re

import pytest

from darts_lite.data.images.image_preparation import ImagePreparation
from darts_lite.data.preparation import Preparation
from darts_lite.data.signals.signal_preparation import SignalPreparation
from darts_lite.data.sounds.sound_preparation import SoundPreparation
from darts_lite.export.formats import FORMATS
from darts_lite.export.usage import HEAD, LINES, show_use

IMAGES = ImagePreparation(3, 32, mean=(0.5,) * 3, std=(0.2,) * 3)
SOUNDS = SoundPreparation(8000, 3200, 32, (-8.0,), (2.0,))
SIGNALS = SignalPreparation(6, 100, (0.5,) * 6, (0.2,) * 6)
SEEN = [IMAGES, SOUNDS, SIGNALS]


@pytest.mark.parametrize("seen", SEEN, ids=["images", "sounds", "signals"])
@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_lines_with_its_size(name: str, seen: Preparation) -> None:
    file = f"net{FORMATS[name].ending}"
    text = show_use(name, file, {"preparation": seen.to_dict()})
    assert text.startswith(HEAD[name]) and LINES.keys() == HEAD.keys() == FORMATS.keys()
    (code,) = re.findall(r"```python\n(.*)```\n", text, flags=re.DOTALL)
    ast.parse(code)
    size = ", ".join(map(str, (1, *seen.shape)))
    assert f"({size})" in code and seen.values in code and "$" not in code
    assert file in code or "from net import" in code or "from_pretrained" in code
