"""Processes that need not import anything: copies of this one, or of one that has imported all."""

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch


def copies() -> ForkServerContext:
    """Begins processes as copies of one that has imported the package, and has no threads."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["darts_lite.retraining.retraining"])
    return context


def start(
    run: Callable[[Sequence[str]], None],
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    errors: Path | None = None,
) -> BaseProcess:
    """Begins a process that calls ``run``, in a folder, with what it prints in a file, or two."""

    def begin() -> None:
        for stream, path in ((1, log), (2, errors or log)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", buffering=1) for stream in (1, 2))
        os.environ.update(environment or {})
        if folder is not None:
            os.chdir(folder)
            sys.path.insert(0, str(folder))
        torch.set_num_threads(1)
        run(words)

    process = multiprocessing.get_context("fork").Process(target=begin)
    process.start()
    return process
