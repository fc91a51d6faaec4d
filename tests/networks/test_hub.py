"""Folders of Hugging Face's form; no test needs the Hub itself."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from run_helpers import SMALL, Exported, Finished, one_line, some_digits
from safetensors import safe_open

from darts_lite.networks import hub
from darts_lite.networks.net import Net
from darts_lite.search.architecture_search import ArchitectureSearch

NOWHERE = "http://127.0.0.1:9"


def logits(net: Net) -> torch.Tensor:
    with torch.no_grad():
        return net(some_digits()[0][:20].unsqueeze(1) / 255)


def small_net() -> Net:
    torch.manual_seed(1)
    return Net(ArchitectureSearch(SMALL).derive(), 1, 10).eval()


def test_a_net_comes_back_from_its_folder(tmp_path: Path) -> None:
    net = small_net()
    net.save_pretrained(tmp_path / "new", {"class_names": list("0123456789")})
    folder = tmp_path / "new"
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "config.json"}
    again = Net.from_pretrained(folder)
    assert not again.training and again.architecture == net.architecture
    torch.testing.assert_close(logits(again), logits(net))
    config = json.loads((folder / "config.json").read_text())
    with safe_open(folder / "model.safetensors", "pt") as file:
        told = {name: json.loads(value) for name, value in file.metadata().items()}
    assert config == {name: told[name] for name in config}
    assert config["in_channels"] == 1 and config["class_names"][9] == "9"


def test_a_net_comes_back_from_an_export_and_from_a_run(
    exported: Exported, finished: Finished
) -> None:
    kept = logits(Net.from_run(finished.directory))
    assert torch.equal(logits(Net.from_pretrained(exported.folder)), kept)
    assert torch.equal(logits(Net.from_pretrained(str(finished.directory))), kept)


def test_what_is_pushed_is_what_a_folder_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Hub's half is a copy of the folder: here to another folder."""
    pushed = []

    def keep(folder: Path, repository: str, private: bool | None) -> str:
        for path in folder.iterdir():
            (tmp_path / path.name).write_bytes(path.read_bytes())
        pushed.append((repository, private))
        return "the commit"

    monkeypatch.setattr("darts_lite.networks.net.upload", keep)
    net = small_net()
    assert net.push_to_hub("somebody/digits", private=True) == "the commit"
    assert pushed == [("somebody/digits", True)]
    torch.testing.assert_close(logits(Net.from_pretrained(tmp_path)), logits(net))


def test_what_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        Net.from_pretrained(tmp_path)
    one_line(caught, "no weights at", "model.safetensors")


def test_without_a_network_the_hub_is_told_of_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constants = pytest.importorskip("huggingface_hub").constants
    monkeypatch.setattr(constants, "ENDPOINT", NOWHERE)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ValueError) as caught:
        Net.from_pretrained("somebody/digits")
    one_line(caught, "somebody/digits is no folder here, nor to be fetched", "the network")
    with pytest.raises(ValueError) as caught:
        Net.from_pretrained("no/name/of the Hub")
    one_line(caught, "no/name/of the Hub is no folder here")
    with pytest.raises(ValueError) as caught:
        small_net().push_to_hub("somebody/digits")
    one_line(caught, "cannot write to somebody/digits", "hf auth login")


def test_without_its_package_the_hub_is_told_of_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError) as caught:
        hub.download("somebody/digits")
    one_line(caught, "somebody/digits is no folder here", "its extra hub")


@pytest.mark.slow
def test_the_package_imports_no_hub() -> None:
    lines = "import sys, darts_lite; darts_lite.Net; print('huggingface_hub' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
