"""`derive`: an architecture from a search's checkpoint by any rule, and how two of them differ."""

import argparse
from collections.abc import Collection, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from darts_lite.derivation.budget import DERIVATIONS, WithinBudget, for_data
from darts_lite.derivation.rules import Derivation, derive
from darts_lite.networks.net import Net
from darts_lite.plots.cells import check_ending, draw_comparison, save
from darts_lite.retraining.from_search import architecture_in
from darts_lite.search.architecture_search import ArchitectureSearch
from darts_lite.space.architecture import Architecture
from darts_lite.space.differences import in_words
from darts_lite.storage.checkpoints import read_checkpoint, settings_of
from darts_lite.storage.components import describe_part


def run(options: argparse.Namespace) -> None:
    """Does what the arguments ask for.

    Raises:
        ValueError, FileNotFoundError: if something does not go together, or cannot be read.
    """
    if options.compare:
        alone = ("checkpoint", "rule", "parameters", "output")
        if given := [name for name in alone if getattr(options, name) is not None]:
            raise ValueError(f"--compare takes no {given[0]}; leave it out, or derive first")
        if options.picture is not None:
            check_ending(options.picture)
        first, second = options.compare
        compare(first, second, options.picture, options.imports)
        return
    if options.picture is not None:
        raise ValueError("--picture draws what --compare A B compares; give both")
    if options.checkpoint is None:
        raise ValueError("derive needs the .ckpt file of a search, or --compare A B")
    if options.output is not None:
        check_replaceable(options.output)
    rule = rule_of(options.rule, options.parameters)
    found = architecture_of(options.checkpoint, rule, options.imports)
    if options.output is None:
        print(found)
        print(found.genotype())
    else:
        found.save(options.output)
        print(f"{options.output}: {found.genotype()}")
    frame = found.skeleton
    size = _size(found, options.checkpoint)
    print(f"{size}, {frame.cells} cells of {frame.channels} channels")


def rule_of(text: str | None, parameters: int | None) -> Derivation | None:
    """The rule that a user has named.

    Args:
        text: A class of this package, a class path, or both class and settings as YAML.
        parameters: Of a budget, where no text is given.

    Raises:
        ValueError: if both are given, or the text names no rule.
    """
    if text is not None and parameters is not None:
        raise ValueError("give either --rule or --parameters, which is short for a WithinBudget")
    if parameters is not None:
        return WithinBudget(parameters=parameters)
    if text is None:
        return None
    usual = (
        "give Strongest, SkipLimit or '{class_path: WithinBudget, init_args: {parameters: 20000}}'"
    )
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--rule", type=Derivation)
    try:
        value: Any = yaml.safe_load(text)
        described = dict(value) if isinstance(value, Mapping) else {"class_path": str(value)}
        if "." not in (name := described["class_path"]):
            if name not in {kind.__name__ for kind in DERIVATIONS}:
                raise ValueError("no class of this package that derives from shares alone")
            described["class_path"] = f"darts_lite.{name}"
        made: Derivation = parser.instantiate(parser.parse_object({"rule": described})).rule
    except (ArgumentError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"--rule: {text!r} names no rule ({error}); {usual}, or a class of your own"
        ) from error
    return made


def architecture_of(
    checkpoint: str | Path, rule: Derivation | None = None, trusted: Collection[str] = ()
) -> Architecture:
    """What a search's checkpoint stands for, by its own rule or another one.

    It comes in the skeleton of the net that is retrained, as far as a budget tells it.

    Args:
        checkpoint: Of any epoch.
        rule: The search's own when not given.
        trusted: Modules of your own whose classes the checkpoint may name.

    Raises:
        FileNotFoundError, ValueError: if the file is none, or holds no shares for a rule.
    """
    content = read_checkpoint(checkpoint)
    searched = content["model"]["class_path"].rpartition(".")[2] == ArchitectureSearch.__name__
    if rule is None and not searched:
        return architecture_in(content, checkpoint)
    settings = settings_of(checkpoint, trusted)["model"]["init_args"]
    if not searched:
        raise ValueError(
            f"{checkpoint} holds no shares of candidates, so no --rule can derive from it; give "
            "the checkpoint of a differentiable search"
        )
    search = ArchitectureSearch.load_from_checkpoint(
        checkpoint, map_location="cpu", weights_only=True, **dict(own_parts(settings, trusted))
    )
    found = architecture_in(content, checkpoint)
    known = {name: search.hparams[name] for name in ("in_channels", "num_classes")}
    budget = rule if isinstance(rule, WithinBudget) else search.derivation
    if isinstance(budget, WithinBudget):
        budget = budget.in_skeleton_of(search.derivation)
    if rule is not None:
        rule = budget if isinstance(rule, WithinBudget) else rule
        rule = for_data(rule, **known, image_size=content.get("image_size"))
        found_by = {
            "algorithm": found.found_by.get("algorithm") or search.algorithm,
            "architecture_steps": int(search.architecture_steps),
            "derivation": describe_part(rule),
        }
        found = derive(search.space, search.shares(), found_by, rule)
    return budget.retrained(found) if isinstance(budget, WithinBudget) else found


def check_replaceable(path: str | Path) -> None:
    """Refuses to write an architecture over a file that is none.

    Raises:
        ValueError: if there is one.
    """
    if Path(path).exists():
        try:
            Architecture.load(path)
        except (FileNotFoundError, ValueError):
            raise ValueError(
                f"{path} is there already and no architecture; choose another --output"
            ) from None


def compare(
    first: str, second: str, picture: str | None = None, trusted: Collection[str] = ()
) -> None:
    """Prints how two architectures differ, and draws both.

    Args:
        first, second: Names, texts, files, or checkpoints as `architecture_of` takes them.
        picture: Where to draw them.
        trusted: Modules of your own whose classes a checkpoint may name.
    """
    pair = tuple(
        architecture_of(each, None, trusted) if each.endswith(".ckpt") else Architecture.of(each)
        for each in (first, second)
    )
    place = first if first.endswith(".ckpt") else second  # of data that both are counted for
    for letter, name, each in zip("AB", (first, second), pair, strict=True):
        print(f"{letter}: {name}: {_size(each, place)}")
    if picture is not None:
        save(draw_comparison(*pair), picture)
    lines = list(in_words(*pair))
    print("\n".join(lines) if lines else "They are the same.")
    if picture is not None:
        print(f"Drawn in {picture}")


def own_parts(settings: Mapping[str, Any], trusted: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Of a search's settings those that are objects of a user's own classes.

    Args:
        settings: As `darts_lite.storage.checkpoints.settings_of` returns them.
        trusted: Modules whose classes may be built; those of this package are not built here.
    """
    for name, described in settings.items():
        path = described.get("class_path", "") if isinstance(described, Mapping) else ""
        module, _, kind = path.rpartition(".")
        if module in trusted:
            yield name, getattr(import_module(module), kind)(**described.get("init_args", {}))


def _size(architecture: Architecture, place: str) -> str:
    """Parameters of the net, for the data of a checkpoint where the place is one."""
    held = read_checkpoint(place)["model"]["init_args"] if place.endswith(".ckpt") else {}
    sizes = held.get("in_channels", 1), held.get("num_classes", 10)
    try:
        with torch.device("meta"):
            net = Net(architecture, *sizes)
    except ValueError as error:  # an operation whose module was not named
        return f"size unknown ({error})"
    count = sum(parameter.numel() for parameter in net.parameters())
    return f"{count:,} parameters for {sizes[0]} channel{'s' * (sizes[0] > 1)}, {sizes[1]} classes"
