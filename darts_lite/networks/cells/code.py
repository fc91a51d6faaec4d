"""Writes the cells of a net and their skeleton as plain torch code."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from darts_lite.networks.cells.discrete import DiscreteCell
from darts_lite.networks.cells.skeleton import CellsBetweenBlocks, ResidualReduction, TwoInputs
from darts_lite.space.operation_code import assign, write_class


def write_cells(skeleton: Any, renamed: dict[str, str]) -> Iterator[str]:
    """Yields the class of each cell, then that of the net.

    Puts the modules' old and new names into ``renamed``.
    """
    for index, cell in enumerate(skeleton.cells):
        yield _write_cell(index, cell, renamed)
    yield _write_net(skeleton, renamed)


def _write_cell(index: int, cell: DiscreteCell, renamed: dict[str, str]) -> str:
    old, new = f"skeleton.cells.{index}", f"cell{index}"
    two = isinstance(cell.inputs, TwoInputs)
    inputs = ["before_last", "last"] if two else ["last"]
    built: list[str] = []
    flow: list[str] = [] if two else ["s0 = last"]
    for state, name in enumerate(inputs if two else []):
        built += assign(name, getattr(cell.inputs, name))
        renamed[f"{old}.inputs.{name}"] = f"{new}.{name}"
        flow.append(f"s{state} = self.{name}({name})")
    nodes: Any = cell.nodes
    for node, module in enumerate(nodes):
        terms = []
        for edge in module.adding:
            operation, (kept, source) = module.operations[edge], module.kept[edge]
            name = f"s{node + len(inputs)}_from_s{source}"
            # Several edges from one state are distinguished by their numbers.
            if sum(other == source for _, other in module.kept) > 1:
                name += f"_{edge}"
            if isinstance(operation, nn.Identity):
                terms.append(f"s{source}")
                continue
            built += [f"# {kept}", *assign(name, operation)]
            renamed[f"{old}.nodes.{node}.operations.{edge}"] = f"{new}.{name}"
            terms.append(f"self.{name}(s{source})")
        flow.append(f"s{node + len(inputs)} = {' + '.join(terms)}")
    output = ", ".join(f"s{state}" for state in cell.concat)
    output = f"torch.cat([{output}], dim=1)" if len(cell.concat) > 1 else output
    flow.append(f"return {output}")
    title = f"Cell {index}: {cell.kind}."
    return write_class(f"Cell{index}", title, built, ", ".join(inputs), flow)


def _write_net(frame: Any, renamed: dict[str, str]) -> str:
    built = [*assign("stem", frame.stem)]
    renamed["skeleton.stem"] = "stem"
    flow = ["x = self.stem(images)"]
    one_input = isinstance(frame, CellsBetweenBlocks)
    if not one_input:
        flow.append("before_last = last = x")
    for index in range(len(frame.cells)):
        if one_input and str(index) in frame.reductions:
            block, old = frame.reductions[str(index)], f"skeleton.reductions.{index}"
            residual = isinstance(block, ResidualReduction)
            parts = dict(block.named_children()) if residual else {"reduction": block}
            for part, module in parts.items():
                built += assign(f"{part}{index}", module)
                renamed[f"{old}.{part}" if residual else old] = f"{part}{index}"
            flow.append("x = " + " + ".join(f"self.{part}{index}(x)" for part in parts))
        built.append(f"self.cell{index} = Cell{index}()")
        if one_input:
            flow.append(f"x = self.cell{index}(x)")
        else:
            flow.append(f"before_last, last = last, self.cell{index}(before_last, last)")
    if one_input:
        built += assign("norm", frame.norm)
        renamed["skeleton.norm"] = "norm"
        flow.append("x = torch.relu(self.norm(x))")
    else:
        flow.append("x = last")
    built += assign("classifier", frame.classifier)
    renamed["skeleton.classifier"] = "classifier"
    flow.append("return self.classifier(x.mean(dim=(2, 3)))")
    title = "The network: normalised images -> logits."
    return write_class("Net", title, built, "images", flow)
