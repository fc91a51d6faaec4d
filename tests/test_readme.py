"""The README's commands parse and its links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from runs import SMALL, quiet_trainer

from darts_lite.cli import DartsCLI
from darts_lite.commands import OWN, parser
from darts_lite.data import ImageData
from darts_lite.derivation import derive
from darts_lite.parsing import with_checkpoint_settings
from darts_lite.presets import with_presets
from darts_lite.retraining import Retraining
from darts_lite.search import ArchitectureSearch

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
COMMANDS = [part.strip() for line in LINES for part in line.split("#")[0].split("&&")]
OURS = sorted({c for c in COMMANDS if "python -m darts_lite" in c})


class ParseOnly(DartsCLI):
    """Parses, then stops before anything is built."""

    def instantiate_classes(self) -> None:
        pass

    def _run_subcommand(self, subcommand: str) -> None:
        pass


@pytest.fixture(scope="module")
def checkpoint(digits_root: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A net.ckpt for the commands that read one."""
    shares = {k: a.detach() for k, a in ArchitectureSearch(SMALL).supernet.alphas.items()}
    run = quiet_trainer(max_steps=1, limit_val_batches=0)
    run.fit(Retraining(derive(SMALL, shares, {})), datamodule=ImageData(root=digits_root))
    path = tmp_path_factory.mktemp("readme") / "net.ckpt"
    run.save_checkpoint(path, weights_only=True)
    return str(path)


@pytest.mark.parametrize("command", OURS)
def test_a_command_parses(command: str, checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    arguments = words[words.index("darts_lite") + 1 :]
    if arguments[0] in OWN:
        parser().parse_args(arguments)
        return
    arguments = [checkpoint if word.endswith(".ckpt") else word for word in arguments]
    ParseOnly(with_checkpoint_settings(with_presets(arguments)))


def test_the_two_commands_that_set_everything_up() -> None:
    text = "\n".join(LINES)
    assert "pip install -e . && python -m darts_lite fit --config configs/mnist.yaml" in text
    assert "pip install -e '.[test]' && pytest" in text


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_verb_is_shown() -> None:
    for verb in ("fit", "test", "validate", "predict"):
        assert any(f"darts_lite {verb}" in command for command in OURS), verb


@pytest.mark.filterwarnings("ignore")
def test_the_library_example_runs(
    found_digits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
