"""Cells: checked when they come from anywhere, read from and written as ``Genotype(...)`` text.

DARTS and its successors print cells in that form. It is Python, but only parsed, never evaluated.
"""

import ast
import re
from collections.abc import Mapping, Sequence
from reprlib import repr as short
from typing import Any

from darts_lite.space.operations import OPERATIONS, is_operation_name

Edge = tuple[str, int]
Cell = tuple[tuple[Edge, ...], ...]

FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")
LONGEST = 20_000
"""Characters of text that are read at most; published cells take about 600."""
MOST_STATES = 1_000
"""Largest ``stop`` of a ``range``: one that fills the memory is refused before it is expanded."""
_ASSIGNMENT = re.compile(r"^\w+\s*=\s*")


def state_name(state: int, inputs: int = 2) -> str:
    """The name of a cell's state: inputs like ``c_{k-2}`` and ``c_{k-1}``, then nodes ``0``, ..."""
    return f"c_{{k-{inputs - state}}}" if state < inputs else str(state - inputs)


def read_sequence(value: Any, where: str, of: str) -> Sequence[Any]:
    """`value` if it is a list or tuple with items, else ValueError naming the place `where`."""
    if not isinstance(value, list | tuple | range) or not value:
        raise ValueError(f"{where}: expected a list of at least one {of}, got {short(value)}")
    return value


def read_integer(value: Any, allowed: range, where: str, what: str) -> int:
    """`value` if it is an integer in `allowed` (and no bool), else ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise ValueError(
            f"{where}: {what} must be a whole number from {allowed[0]} to {allowed[-1]}, "
            f"got {short(value)}"
        )
    return value


def read_cell(value: Any, where: str, inputs: int = 2) -> Cell:
    """Nodes of edges ``(operation, source)``; ValueError names the place, as ``normal[2][0]``."""
    nodes = []
    for node, edges in enumerate(read_sequence(value, where, "node")):
        place = f"{where}[{node}]"
        earlier = range(inputs + node)
        edges = enumerate(read_sequence(edges, place, "edge [operation, source]"))
        nodes.append(tuple(_edge(edge, earlier, f"{place}[{i}]") for i, edge in edges))
    return tuple(nodes)


def _edge(value: Any, earlier: range, where: str) -> Edge:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{where}: expected [operation, source], got {short(value)}")
    name, source = value
    if not is_operation_name(name):
        raise ValueError(
            f"{where}: unknown operation {short(name)}; choose from {sorted(OPERATIONS)}, or "
            "module.Name of your own"
        )
    return name, read_integer(source, earlier, where, "source")


def read_concat(value: Any, nodes: int, where: str, inputs: int = 2) -> tuple[int, ...]:
    """Distinct states of a cell with so many `nodes`, else ValueError."""
    states = range(inputs + nodes)
    listed = tuple(
        read_integer(s, states, where, "state") for s in read_sequence(value, where, "state")
    )
    if len(set(listed)) < len(listed):
        raise ValueError(f"{where}: states must differ from each other, got {short(listed)}")
    return listed


def write_genotype(cells: Mapping[str, Cell], concat: Mapping[str, Sequence[int]]) -> str:
    """One line of text: a cell is a flat list where all its nodes have two edges, else nested."""
    fields = []
    for kind, nodes in cells.items():
        flat = all(len(edges) == 2 for edges in nodes)
        cell = [edge for edges in nodes for edge in edges] if flat else [list(e) for e in nodes]
        fields += [f"{kind}={cell}", f"{kind}_concat={list(concat[kind])}"]
    return f"Genotype({', '.join(fields)})"


def read_genotype(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The literals in ``Genotype(normal=..., normal_concat=..., ...)``.

    Args:
        text: Optionally with ``NAME =`` in front. Cells are flat lists with two edges per node
            (quark0/darts) or one list of edges per node (khanrc/pt.darts).

    Returns:
        ``cells`` (kind -> nodes -> edges) and ``concat`` (kind -> states), whose content is for the
        caller to check.

    Raises:
        ValueError: if the text is not such a call with literal arguments.
    """
    if len(text) > LONGEST:
        raise ValueError(
            f"a genotype text has at most {LONGEST} characters, got {len(text)}; "
            "give one Genotype(...) only"
        )
    try:
        call = ast.parse(_ASSIGNMENT.sub("", text.strip()), mode="eval").body
        fields = _fields(call)
        cells = {name: _nodes(name, fields[name]) for name in FIELDS[::2] if name in fields}
    except SyntaxError as error:
        raise ValueError(f"genotype {short(text)}: {error.msg}, line {error.lineno}") from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"genotype {short(text)}: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"genotype {short(text)}: {error}") from error
    concat = {n.removesuffix("_concat"): fields[n] for n in FIELDS[1::2] if n in fields}
    return cells, concat


def _fields(call: ast.expr) -> dict[str, Any]:
    match call:
        case ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords):
            names = [keyword.arg for keyword in keywords]
        case _:
            raise ValueError("expected Genotype(normal=[...], normal_concat=[...], ...)")
    if not set(names) <= set(FIELDS) or len(set(names)) < len(names):
        raise ValueError(f"expected each of {list(FIELDS)} at most once, got {names}")
    return {str(keyword.arg): _literal(str(keyword.arg), keyword.value) for keyword in keywords}


def _literal(name: str, value: ast.expr) -> Any:
    match value:
        case ast.Call(
            func=ast.Name(id="range"),
            args=[ast.Constant(value=int(start)), ast.Constant(value=int(stop))],
            keywords=[],
        ) if stop <= MOST_STATES:
            return list(range(start, stop))
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must be a plain list, or a range up to {MOST_STATES}, "
            f"got {short(ast.unparse(value))}"
        ) from error


def _nodes(name: str, cell: Any) -> Any:
    """Two edges per node if the list is flat; anything else is left as it is."""
    if not isinstance(cell, list | tuple) or not any(_is_edge(item) for item in cell):
        return cell
    if len(cell) % 2:
        raise ValueError(
            f"{name} lists {len(cell)} edges, but a flat list has two for each node; "
            "nest them, one list per node, if nodes differ"
        )
    return list(zip(cell[::2], cell[1::2], strict=True))


def _is_edge(item: Any) -> bool:
    return isinstance(item, list | tuple) and bool(item) and isinstance(item[0], str)


PUBLISHED: Mapping[str, tuple[str, Cell, Cell]] = {
    "DARTS_V1": (
        "arXiv 1806.09055, first order",
        (
            (("sep_conv_3x3", 1), ("sep_conv_3x3", 0)),
            (("skip_connect", 0), ("sep_conv_3x3", 1)),
            (("skip_connect", 0), ("sep_conv_3x3", 1)),
            (("sep_conv_3x3", 0), ("skip_connect", 2)),
        ),
        (
            (("max_pool_3x3", 0), ("max_pool_3x3", 1)),
            (("skip_connect", 2), ("max_pool_3x3", 0)),
            (("max_pool_3x3", 0), ("skip_connect", 2)),
            (("skip_connect", 2), ("avg_pool_3x3", 0)),
        ),
    ),
    "DARTS_V2": (
        "arXiv 1806.09055, second order",
        (
            (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
            (("sep_conv_3x3", 0), ("sep_conv_3x3", 1)),
            (("sep_conv_3x3", 1), ("skip_connect", 0)),
            (("skip_connect", 0), ("dil_conv_3x3", 2)),
        ),
        (
            (("max_pool_3x3", 0), ("max_pool_3x3", 1)),
            (("skip_connect", 2), ("max_pool_3x3", 1)),
            (("max_pool_3x3", 0), ("skip_connect", 2)),
            (("skip_connect", 2), ("max_pool_3x3", 1)),
        ),
    ),
    "PC_DARTS_cifar": (
        "arXiv 1907.05737, CIFAR-10",
        (
            (("sep_conv_3x3", 1), ("skip_connect", 0)),
            (("sep_conv_3x3", 0), ("dil_conv_3x3", 1)),
            (("sep_conv_5x5", 0), ("sep_conv_3x3", 1)),
            (("avg_pool_3x3", 0), ("dil_conv_3x3", 1)),
        ),
        (
            (("sep_conv_5x5", 1), ("max_pool_3x3", 0)),
            (("sep_conv_5x5", 1), ("sep_conv_5x5", 2)),
            (("sep_conv_3x3", 0), ("sep_conv_3x3", 3)),
            (("sep_conv_3x3", 1), ("sep_conv_3x3", 2)),
        ),
    ),
    "PC_DARTS_image": (
        "arXiv 1907.05737, ImageNet",
        (
            (("skip_connect", 1), ("sep_conv_3x3", 0)),
            (("sep_conv_3x3", 0), ("skip_connect", 1)),
            (("sep_conv_3x3", 1), ("sep_conv_3x3", 3)),
            (("sep_conv_3x3", 1), ("dil_conv_5x5", 4)),
        ),
        (
            (("sep_conv_3x3", 0), ("skip_connect", 1)),
            (("dil_conv_5x5", 2), ("max_pool_3x3", 1)),
            (("sep_conv_3x3", 2), ("sep_conv_3x3", 1)),
            (("sep_conv_5x5", 0), ("sep_conv_3x3", 3)),
        ),
    ),
}
"""Name -> source, normal cell, reducing cell; the output concatenates all nodes."""
