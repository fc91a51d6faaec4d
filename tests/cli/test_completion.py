"""The script that completes the command, asked in a real shell."""

import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from darts_lite.cli.front.arguments import OWN, TRAINING
from darts_lite.cli.main import main

ASK = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(( $# - 1 )) COMPREPLY=()
_shtab_darts_lite
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shell") / "script"
    path.write_text(printed("bash"))
    return path


def printed(shell: str) -> str:
    """What the command prints."""
    with redirect_stdout(StringIO()) as said, pytest.raises(SystemExit) as ended:
        main(["completion", shell])
    assert not ended.value.code
    return said.getvalue()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pre"], {"predict"}),
        (["export", "--to", "onnx", "py"], {"python"}),
        (["fit", "--config", "gd"], {"gdas"}),
        (["fit", "--config", "mnist_c"], {"mnist_cells"}),
        (["fit", "--help", "ret"], {"retraining"}),
        (["predict", "--help-"], {"--help-all"}),
        (["fit", "--model.by"], {"--model.by_hand"}),
        (["fit", "--model.warmup"], {"--model.warmup_epochs"}),
        (["fit", "--config", "mnist", "--data.batch"], {"--data.batch_size"}),
        (["test", "--ckpt"], {"--ckpt_path"}),
    ],
)
def test_bash_completes(words: list[str], offered: set[str], script: Path) -> None:
    command = ["bash", "-c", ASK, "-", str(script), "darts-lite", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert offered <= set(done.stdout.split()), done.stdout


@pytest.mark.parametrize("shell", ["zsh", "tcsh"])
def test_other_shells_get_all_verbs(shell: str) -> None:
    text = printed(shell)
    for verb in (*TRAINING, *OWN):
        assert verb in text
