"""`derive`: derives an architecture from a search's checkpoint by any rule, or compares two."""

import argparse
import os
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from darts_lite.data.preparation import read_preparation
from darts_lite.derivation.budget import DERIVATIONS, WithinBudget
from darts_lite.derivation.rules import Derivation, derive, rule_from
from darts_lite.networks.kinds import read_architecture
from darts_lite.networks.net import Net
from darts_lite.plots.comparison import draw_comparison
from darts_lite.plots.files import save
from darts_lite.retraining.from_search import architecture_in
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.differences import describe_differences
from darts_lite.space.protocol import AnyArchitecture
from darts_lite.storage.checkpoints import Checkpoint

LONGEST_NAME = 60
"""Largest number of characters of a name in a picture; texts of cells are longer."""


def run(options: argparse.Namespace) -> None:
    """Derives an architecture, or compares two."""
    if options.compare:
        first, second = options.compare
        compare(first, second, options.picture, options.imports)
        return
    if options.output is not None:
        check_replaceable(options.output)
    rule = read_rule(options.rule, options.parameters)
    checkpoint = Checkpoint.read(options.checkpoint)
    found = derive_architecture(checkpoint, rule, options.imports)
    if options.output is None:
        print(found)
        print(found.genotype())
    else:
        found.save(options.output)
        print(f"{options.output}: {found.genotype()}")
    print(f"{_describe_size(found, checkpoint)}, {found.size}")


def read_rule(text: str | None, parameters: int | None) -> Derivation | None:
    """Returns the rule that the arguments describe, or None.

    Args:
        text: A class of this package, a class path, or class and settings as YAML.
        parameters: Largest number of parameters for a budget, in place of the text.
    """
    if parameters is not None:
        return WithinBudget(parameters=parameters)
    if text is None:
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--rule", type=Derivation)
    try:
        value: Any = yaml.safe_load(text)
        described = dict(value) if isinstance(value, Mapping) else {"class_path": str(value)}
        if "." not in (name := described["class_path"]):
            if name not in {kind.__name__ for kind in DERIVATIONS}:
                raise ValueError("not a class of this package that derives from shares alone")
            described["class_path"] = f"darts_lite.{name}"
        return parser.instantiate(parser.parse_object({"rule": described})).rule
    except (ArgumentError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"--rule: {text!r} is not a rule ({error}); give Strongest, SkipLimit or "
            "'{class_path: WithinBudget, init_args: {parameters: 20000}}', or a custom class"
        ) from error


def derive_architecture(
    checkpoint: Checkpoint, rule: Derivation | None = None, trusted: Collection[str] = ()
) -> AnyArchitecture:
    """Derives an architecture from a search's checkpoint, by the search's rule or another one.

    The architecture has the skeleton of the net to be retrained, as far as a budget gives it.

    Args:
        checkpoint: Checkpoint of a search at any epoch; without a rule, also that of a net.
        rule: None means that of the search.
        trusted: Custom modules whose classes the checkpoint may name.
    """
    has_shares = checkpoint.model == ArchitectureSearch.__name__
    if rule is None and not has_shares:
        return architecture_in(checkpoint)
    settings = checkpoint.configuration(trusted)["model"]["init_args"]
    if not has_shares:
        raise ValueError(
            f"{checkpoint.path} holds no shares of candidates, so no --rule can derive from it; "
            "give the checkpoint of a differentiable search"
        )
    search = checkpoint.build(ArchitectureSearch, **dict(build_custom_parts(settings, trusted)))
    found = architecture_in(checkpoint)
    chosen = search.derivation
    if rule is not None:
        known = {name: search.hparams[name] for name in ("in_channels", "num_classes")}
        chosen = rule_from(rule).in_skeleton_of(search.derivation)
        seen = read_preparation(checkpoint)
        chosen = chosen.with_data(**known, image_size=None if seen is None else seen.size)
        found_by = {
            "algorithm": found.found_by.get("algorithm") or search.algorithm,
            "architecture_steps": int(search.architecture_steps),
            "derivation": chosen.describe(),
        }
        found = derive(search.space, search.shares(), found_by, chosen)
    return found.in_skeleton(chosen.skeleton or search.derivation.skeleton)


def check_replaceable(path: str | Path) -> None:
    """Checks that a path is free, or holds an architecture, which may be replaced."""
    if Path(path).exists():
        try:
            read_architecture(Path(path))
        except (FileNotFoundError, ValueError):
            raise ValueError(
                f"{path} exists and is not an architecture; choose another --output"
            ) from None


def compare(
    first: str, second: str, picture: str | None = None, trusted: Collection[str] = ()
) -> None:
    """Prints how two architectures differ, and draws both.

    Args:
        first: A name, a genotype's text, an architecture file, or a checkpoint.
        second: Another one.
        picture: Path of the drawing, or None.
        trusted: Custom modules whose classes a checkpoint may name.
    """
    files = [Checkpoint.read(each) if each.endswith(".ckpt") else None for each in (first, second)]
    pair = tuple(
        read_architecture(name) if file is None else derive_architecture(file, None, trusted)
        for name, file in zip((first, second), files, strict=True)
    )
    checkpoint = files[0] or files[1]  # both are counted for the same data
    for letter, name, each in zip("AB", (first, second), pair, strict=True):
        print(f"{letter}: {name}: {_describe_size(each, checkpoint)}")
    if picture is not None:
        names = name_both(first, second)
        save(draw_comparison([*zip(names, pair, strict=True)]), picture)
    print("\n".join(describe_differences(*pair)) or "They are the same.")
    if picture is not None:
        print(f"Drawn in {picture}")


def name_both(first: str, second: str) -> tuple[str, str]:
    """Returns short names by which two architectures are told apart: of files, what differs."""
    if first != second and os.path.isfile(first) and os.path.isfile(second):
        shared = os.path.commonpath([os.path.abspath(each) for each in (first, second)])
        return os.path.relpath(first, shared), os.path.relpath(second, shared)
    return (
        first if len(first) <= LONGEST_NAME else "the first",
        second if len(second) <= LONGEST_NAME else "the second",
    )


def build_custom_parts(
    settings: Mapping[str, Any], trusted: Collection[str]
) -> Iterator[tuple[str, Any]]:
    """Yields the arguments of a search that are objects of custom classes, with their names."""
    for name, described in settings.items():
        path = described.get("class_path", "") if isinstance(described, Mapping) else ""
        module, _, kind = path.rpartition(".")
        if module in trusted:
            yield name, getattr(import_module(module), kind)(**described.get("init_args", {}))


def _describe_size(architecture: AnyArchitecture, checkpoint: Checkpoint | None) -> str:
    """Returns the number of the net's parameters, in words, for the data of a checkpoint."""
    settings = {} if checkpoint is None else checkpoint.settings
    sizes = settings.get("in_channels", 1), settings.get("num_classes", 10)
    try:
        with torch.device("meta"):
            net = Net(architecture, *sizes)
    except ValueError as error:  # an operation of a module that is not imported
        return f"size unknown ({error})"
    count = sum(parameter.numel() for parameter in net.parameters())
    return f"{count:,} parameters for {sizes[0]} channel{'s' * (sizes[0] > 1)}, {sizes[1]} classes"
