"""Fetches folders from Hugging Face's Hub and puts them there; it needs the extra ``hub``."""

from importlib import import_module
from pathlib import Path
from textwrap import shorten
from typing import Any


def download(repository: str, revision: str | None = None) -> Path:
    """Returns the folder, in the Hub's own cache, that holds a repository's weights.

    Args:
        repository: Its name, ``user/name``.
        revision: Branch, tag or commit; None takes the newest one.

    Raises:
        ValueError: if the extra is not installed, or the repository cannot be fetched.
    """
    hub = _import_hub(f"{repository} is no folder here")
    try:
        found = hub.snapshot_download(
            repository, revision=revision, allow_patterns=["*.safetensors", "config.json"]
        )
    except Exception as error:  # of the Hub, of the network, of the disk
        raise ValueError(
            _explain(f"{repository} is no folder here, nor to be fetched", error)
        ) from error
    return Path(found)


def upload(folder: Path, repository: str, private: bool | None = None) -> str:
    """Copies a folder's files to a repository, made if absent; returns the address of the commit.

    Raises:
        ValueError: if the extra is not installed, or the Hub refuses.
    """
    api = _import_hub(f"{repository} is on the Hub").HfApi(library_name="darts_lite")
    try:
        name = api.create_repo(repository, private=private, exist_ok=True).repo_id
        return str(api.upload_folder(repo_id=name, folder_path=folder))
    except Exception as error:  # of the Hub, of the network
        raise ValueError(_explain(f"cannot write to {repository}", error)) from error


def _import_hub(why: str) -> Any:
    try:
        return import_module("huggingface_hub")
    except ImportError as error:
        raise ValueError(
            f"{why}, and the package for the Hub is not installed ({error}); install this package "
            "with its extra hub, as in pip install -e '.[hub]'"
        ) from error


def _explain(what: str, error: Exception) -> str:
    return f"{what} ({shorten(str(error), 200)}); check the name, the network and `hf auth login`"
