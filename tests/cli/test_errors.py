"""A user's mistake is one line."""

import subprocess
import sys

import pytest
from run_helpers import Finished

from darts_lite.cli.errors import LONGEST, stop


def test_a_message_becomes_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    nested = """Does not validate against any of the Union subtypes
      Subtypes: [<class 'A'>, <class 'NoneType'>]
      Errors:
        - unknown dataset 'X'; choose from ['MNIST']
        - Expected a <class 'NoneType'>
      Given value type: <class 'Namespace'>
      Given value: Namespace(dataset='X')"""
    with pytest.raises(SystemExit) as stopped:
        stop(nested)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: unknown dataset 'X'; choose from ['MNIST']\n"


def test_a_long_message_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        stop("x" * 10_000)
    assert len(capsys.readouterr().err) < LONGEST + 20


@pytest.mark.slow
def test_a_reader_may_go_before_the_end(finished: Finished) -> None:
    command = f"{sys.executable} -m darts_lite predict --ckpt_path {finished.directory}/net.ckpt"
    done = subprocess.run(
        f"{command} | head -n 1", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stdout == "image,class,probability\n"
    assert "Traceback" not in done.stderr
