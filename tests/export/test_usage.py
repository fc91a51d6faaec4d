"""Lines that show how a file is asked; `test_card` runs them."""

import ast
import re

import pytest

from darts_lite.export.formats import FORMATS
from darts_lite.export.usage import HEAD, LINES, show_use

FACTS = {"preparation": {"channels": 3, "size": 32, "mean": [0.5] * 3, "std": [0.2] * 3}}


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_has_lines_with_its_size(name: str) -> None:
    file = f"net{FORMATS[name].ending}"
    text = show_use(name, file, FACTS)
    assert text.startswith(HEAD[name]) and LINES.keys() == HEAD.keys() == FORMATS.keys()
    (code,) = re.findall(r"```python\n(.*)```\n", text, flags=re.DOTALL)
    ast.parse(code)
    assert "(1, 3, 32, 32)" in code and "$" not in code
    assert file in code or "from net import" in code or "from_pretrained" in code
