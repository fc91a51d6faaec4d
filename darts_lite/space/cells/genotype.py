"""Checks cells, reads them from ``Genotype(...)`` text, and writes them as such.

DARTS and its successors print cells in this form. It is Python, but only parsed, never evaluated.
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
UNUSED = ("connectN", "connects")  # fields of D-X-Y/AutoDL-Projects that are None for such cells
NNI = ("normal/op_", "normal/input_", "reduce/op_", "reduce/input_")
NNI_NAME = re.compile(r"(normal|reduce)/(op|input)_(\d{1,3})_(\d{1,3})")
LOGGED = re.compile(r"[^=(){}'\";]*(=\s*)?(?<![\w.])")
"""What a log and an assignment put before a genotype."""
MARKS = ("Genotype(", "{")  # beginnings of a genotype
LONGEST = 20_000
"""Largest number of characters of a text; published cells take about 600."""
MOST_STATES = 1_000
"""Largest ``stop`` of a ``range``, so that expanding it cannot fill the memory."""


def name_state(state: int, inputs: int = 2) -> str:
    """Returns the name of a state: ``c_{k-2}``, ``c_{k-1}`` are inputs, ``0``, ``1``, ... nodes."""
    return f"c_{{k-{inputs - state}}}" if state < inputs else str(state - inputs)


def label_edges(edges_per_node: Sequence[int]) -> tuple[str, ...]:
    """Returns a label for each edge of a cell whose nodes read all earlier states.

    Edges are ordered by node and then by source.
    """
    return tuple(
        f"${name_state(source, edges_per_node[0])}$ \N{RIGHTWARDS ARROW} {node}"
        for node, count in enumerate(edges_per_node)
        for source in range(count)
    )


def read_sequence(value: Any, where: str, of: str) -> Sequence[Any]:
    """Returns `value` if it is a list or tuple with items, else raises ValueError with `where`."""
    if not isinstance(value, list | tuple | range) or not value:
        raise ValueError(f"{where}: expected a list of at least one {of}, got {short(value)}")
    return value


def read_integer(value: Any, allowed: range, where: str, what: str) -> int:
    """Returns `value` if it is an integer in `allowed` and not a bool, else raises ValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
        raise ValueError(
            f"{where}: {what} must be a whole number from {allowed[0]} to {allowed[-1]}, "
            f"got {short(value)}"
        )
    return value


def read_cell(value: Any, where: str, inputs: int = 2) -> Cell:
    """Returns the checked edges of each node; a ValueError says where, as ``normal[2][0]: ...``."""
    nodes = []
    for node, edges in enumerate(read_sequence(value, where, "node")):
        place = f"{where}[{node}]"
        earlier = range(inputs + node)
        edges = enumerate(read_sequence(edges, place, "edge [operation, source]"))
        nodes.append(tuple(_read_edge(edge, earlier, f"{place}[{i}]") for i, edge in edges))
    return tuple(nodes)


def _read_edge(value: Any, earlier: range, where: str) -> Edge:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{where}: expected [operation, source], got {short(value)}")
    name, source = value
    if not is_operation_name(name):
        raise ValueError(
            f"{where}: unknown operation {short(name)}; choose from {sorted(OPERATIONS)}, or "
            "write a class for it, built by channels, stride and affine, and name it as module.Name"
        )
    return name, read_integer(source, earlier, where, "source")


def read_concat(value: Any, nodes: int, where: str, inputs: int = 2) -> tuple[int, ...]:
    """Returns the distinct states of a cell with `nodes` nodes, else raises ValueError."""
    states = range(inputs + nodes)
    listed = tuple(
        read_integer(s, states, where, "state") for s in read_sequence(value, where, "state")
    )
    if len(set(listed)) < len(listed):
        raise ValueError(f"{where}: states must differ from each other, got {short(listed)}")
    return listed


def write_genotype(cells: Mapping[str, Cell], concat: Mapping[str, Sequence[int]]) -> str:
    """Returns one line of text, in which a cell is a flat list if all its nodes have two edges."""
    fields = []
    for kind, nodes in cells.items():
        flat = all(len(edges) == 2 for edges in nodes)
        cell = [edge for edges in nodes for edge in edges] if flat else [list(e) for e in nodes]
        fields += [f"{kind}={cell}", f"{kind}_concat={list(concat[kind])}"]
    return f"Genotype({', '.join(fields)})"


def is_genotype(text: str) -> bool:
    """Returns whether `read_genotype` is to read a text."""
    return "Genotype(" in text or re.search(r"\{\s*['\"]", text) is not None


def read_genotype(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads the literals in ``Genotype(normal=..., normal_concat=..., ...)``; else ValueError.

    The text may also be a dictionary of the same fields, and may begin with ``NAME =`` and with
    what a log writes before a message. See `read_fields` for the cells.

    Returns:
        ``cells`` (kind -> nodes -> edges) and ``concat`` (kind -> states), which the caller checks.
    """
    if len(text) > LONGEST:
        raise ValueError(
            f"a genotype text has at most {LONGEST} characters, got {len(text)}; "
            "give one Genotype(...) only"
        )
    try:
        begin = min(f"{text}{mark}".find(mark) for mark in MARKS)
        if LOGGED.fullmatch(text[:begin]):
            text = text[begin:]
        return read_fields(_list_fields(ast.parse(text.strip(), mode="eval").body))
    except SyntaxError as error:
        raise ValueError(
            f"genotype {short(text)}: {error.msg}, line {error.lineno}; give one Genotype(...) only"
        ) from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"genotype {short(text)}: nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"genotype {short(text)}: {error}") from error


def read_fields(fields: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the cells and the outputs that plain values describe; see `read_genotype`.

    A cell is a flat list with two edges per node (quark0/darts) or has one list of edges per node
    (khanrc/pt.darts). An edge may have a weight, which is left out (D-X-Y/AutoDL-Projects). NNI has
    ``normal/op_2_0`` and ``normal/input_2_0`` for the first edge of the first node.
    """
    if any(str(name).startswith(NNI) for name in fields):
        fields = _read_nni(fields)
    fields = {n: v for n, v in fields.items() if n not in UNUSED or v is not None}
    if not fields or not set(fields) <= set(FIELDS):
        raise ValueError(f"expected some of {list(FIELDS)}, got {short(list(fields))}")
    cells = {name: _group_edges(name, fields[name]) for name in FIELDS[::2] if name in fields}
    concat = {n.removesuffix("_concat"): fields[n] for n in FIELDS[1::2] if n in fields}
    return cells, concat


def describes_cells(value: Mapping[str, Any]) -> bool:
    """Returns whether plain values have the keys that `read_fields` reads."""
    return any(name in FIELDS or str(name).startswith(NNI) for name in value)


def _read_nni(fields: Mapping[str, Any]) -> dict[str, Any]:
    cells: dict[str, dict[int, dict[int, list[Any]]]] = {}
    for name, value in fields.items():
        if (found := NNI_NAME.fullmatch(str(name))) is None:
            raise ValueError(f"expected names like {NNI[0]}2_0, got {short(name)}")
        kind, what, node, place = found[1], found[2], int(found[3]), int(found[4])
        edge = cells.setdefault(kind, {}).setdefault(node, {}).setdefault(place, [None, None])
        one = value[0] if isinstance(value, list) and len(value) == 1 else value
        edge[("op", "input").index(what)] = one
    return {
        kind: [[edge for _, edge in sorted(edges.items())] for _, edges in sorted(nodes.items())]
        for kind, nodes in cells.items()
    }


def _list_fields(tree: ast.expr) -> dict[str, Any]:
    fields: list[tuple[Any, ast.expr]]
    match tree:
        case ast.Call(func=ast.Name(id="Genotype"), args=[], keywords=keywords):
            fields = [(keyword.arg, keyword.value) for keyword in keywords]
        case ast.Dict(keys=keys, values=values):
            keys_given = [key.value if isinstance(key, ast.Constant) else None for key in keys]
            fields = list(zip(keys_given, values, strict=True))
        case _:
            raise ValueError("expected Genotype(normal=[...], normal_concat=[...], ...)")
    names = [name for name, _ in fields]
    if not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError(f"expected each of {list(FIELDS)} at most once, got {short(names)}")
    return {str(name): _read_literal(str(name), value) for name, value in fields}


def _read_literal(name: str, value: ast.expr) -> Any:
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


def _group_edges(name: str, cell: Any) -> Any:
    """Groups a flat list into two edges per node; returns anything else unchanged."""
    items = [_without_weight(item) for item in cell] if isinstance(cell, list | tuple) else []
    firsts = [item[0] for item in items if isinstance(item, list | tuple) and item]
    if not any(isinstance(first, str) for first in firsts):
        nested = all(isinstance(item, list | tuple) for item in items)
        return [[*map(_without_weight, item)] for item in items] if items and nested else cell
    if len(cell) % 2:
        raise ValueError(
            f"{name} lists {len(cell)} edges, but a flat list has two for each node; "
            "nest them, one list per node, if nodes differ"
        )
    return list(zip(items[::2], items[1::2], strict=True))


def _without_weight(edge: Any) -> Any:
    """Returns ``(operation, source)`` of an edge that has a weight too, else what is given."""
    match edge:
        case [str(), int(), int() | float()]:
            return edge[:2]
    return edge


PUBLISHED: Mapping[str, tuple[str, str]] = {
    "DARTS_V1": (
        "arXiv 1806.09055, first order",
        "Genotype(normal=[('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('skip_connect', 0), "
        "('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('skip_connect', 2)], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), "
        "('skip_connect', 2), ('max_pool_3x3', 0), ('max_pool_3x3', 0), ('skip_connect', 2), "
        "('skip_connect', 2), ('avg_pool_3x3', 0)])",
    ),
    "DARTS_V2": (
        "arXiv 1806.09055, second order",
        "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), "
        "('dil_conv_3x3', 2)], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), "
        "('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), "
        "('skip_connect', 2), ('max_pool_3x3', 1)])",
    ),
    "PC_DARTS_cifar": (
        "arXiv 1907.05737, CIFAR-10",
        "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), "
        "('dil_conv_3x3', 1), ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), "
        "('dil_conv_3x3', 1)], reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), "
        "('sep_conv_5x5', 1), ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), "
        "('sep_conv_3x3', 1), ('sep_conv_3x3', 2)])",
    ),
    "PC_DARTS_image": (
        "arXiv 1907.05737, ImageNet",
        "Genotype(normal=[('skip_connect', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 0), "
        "('skip_connect', 1), ('sep_conv_3x3', 1), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), "
        "('dil_conv_5x5', 4)], reduce=[('sep_conv_3x3', 0), ('skip_connect', 1), "
        "('dil_conv_5x5', 2), ('max_pool_3x3', 1), ('sep_conv_3x3', 2), ('sep_conv_3x3', 1), "
        "('sep_conv_5x5', 0), ('sep_conv_3x3', 3)])",
    ),
}
"""Name -> source, cells. The outputs concatenate all nodes."""
