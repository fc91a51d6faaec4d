"""Do several seeds find the same? Edge by edge, from the checkpoints of finished searches.

For each edge of each kind of cell: the strongest candidate of every run, whether the derived
architecture keeps the edge, and the share of runs that agree with the most frequent answer.

    python benchmarks/agreement.py logs/mnist/version_0 logs/mnist/version_1 logs/mnist/version_2

Results: docs/benchmarks/methods.md.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from darts_lite import Architecture, ArchitectureSearch, SearchSpace
from darts_lite.space.cells.genotype import name_state

Edge = tuple[str, str, str]  # kind of cell, node, source


def decisions(run: Path) -> dict[Edge, tuple[str, bool]]:
    """Edge -> strongest candidate other than ``none``, and whether the edge is kept."""
    search = ArchitectureSearch.load_from_checkpoint(
        run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True
    )
    space, derived = search.space, search.derive()
    if not (isinstance(space, SearchSpace) and isinstance(derived, Architecture)):
        raise ValueError(f"{run} did not search cells")
    inputs = space.skeleton.inputs
    kept = set(kept_edges(derived))
    found: dict[Edge, tuple[str, bool]] = {}
    for kind, shares in search.shares().items():
        for state, rows in enumerate(shares.split(space.edges_per_node), inputs):
            for source, row in enumerate(rows):
                choices = dict(zip(space.candidates, row.tolist(), strict=True))
                choices.pop("none", None)
                best = max(choices, key=lambda name: choices[name])
                edge = kind, name_state(state, inputs), name_state(source, inputs)
                found[edge] = best, edge in kept
    return found


def kept_edges(architecture: Architecture) -> Iterator[Edge]:
    """The edges of a derived architecture."""
    for kind, nodes in architecture.cells.items():
        inputs = architecture.skeleton.inputs
        for state, edges in enumerate(nodes, inputs):
            for _, source in edges:
                yield kind, name_state(state, inputs), name_state(source, inputs)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", nargs="+", type=Path)
    runs: list[Path] = parser.parse_args(arguments).runs
    columns = [decisions(run) for run in runs]
    seeds = [json.loads((run / "summary.json").read_text())["seed"] for run in runs]
    print("| cell | edge | " + " | ".join(f"seed {seed}" for seed in seeds) + " | agreement |")
    print("| --- " * (len(runs) + 3) + "|")
    agreed = 0
    for edge in columns[0]:
        kind, node, source = edge
        answers = [column[edge] for column in columns]
        most = Counter(answers).most_common(1)[0][1]
        agreed += most == len(runs)
        cells = [name if is_kept else f"({name})" for name, is_kept in answers]
        print(f"| {kind} | {source} -> {node} | " + " | ".join(cells) + f" | {most}/{len(runs)} |")
    print(f"\n{agreed} of {len(columns[0])} edges agree in all runs; in brackets: not kept.")


if __name__ == "__main__":
    main()
