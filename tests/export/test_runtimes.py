"""Files are asked in their own runtimes, for answers and time."""

import shutil
from pathlib import Path

import pytest
import torch
from run_helpers import Exported, one_line

from darts_lite.export.formats import FORMATS
from darts_lite.export.runtimes import ask_python


@pytest.mark.parametrize("name", Exported.formats)
def test_a_file_takes_any_number_of_images(name: str, exported: Exported, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    file = exported.folder / f"net{FORMATS[name].ending}"
    path = Path(shutil.copy(file, tmp_path))  # answers are written beside
    pixels = torch.rand(3, 1, 28, 28)
    answers, milliseconds = FORMATS[name].ask(path, pixels)
    assert answers.shape == (3, 10) and milliseconds > 0
    torch.testing.assert_close(answers.sum(dim=1), torch.ones(3))
    assert torch.get_num_threads() == threads


def test_code_that_cannot_be_run_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("import nothing_that_is_there\n")
    with pytest.raises(ValueError) as caught:
        ask_python(tmp_path / "net.py", torch.rand(1, 1, 28, 28))
    one_line(caught, "net.py cannot be run", "nothing_that_is_there")
