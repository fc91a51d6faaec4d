"""Writes an int8 LiteRT file as an array of C, with an example that runs it on a device."""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from string import Template
from typing import Any

from darts_lite.data.preparation import Measured, build_preparation
from darts_lite.export.litert_int8 import Scaling
from darts_lite.storage.atomic_files import write_text

ARRAY = Template("""\
/* $title
 *
 * Input: $input numbers of int8, of the shape $shape: for a $measured
 * round(factor * it + offset), at least -128 and at most 127, with
 *   factors: $factors
 *   offsets: $offsets
 * Output: $classes numbers of int8, the largest of which names the class. A logit is
 * $scale * (number - ($zero)), and the softmax of all logits are the probabilities of the classes
 * $names.
 * Arena: $arena bytes$where.
 */
#ifndef NET_INT8_H
#define NET_INT8_H

#define NET_INT8_ARENA $arena_size
#define NET_INT8_INPUTS $input
#define NET_INT8_CLASSES $classes

static const float net_int8_factors[] = {$factors};
static const float net_int8_offsets[] = {$offsets};

#if defined(__GNUC__)
__attribute__((aligned(16)))
#endif
static const unsigned char net_int8[] = {
$bytes
};
static const unsigned int net_int8_size = $size;

#endif
""")
MAIN = Template("""\
// Runs the net of net_int8.h once, with TensorFlow Lite for Microcontrollers.
#include <cstdint>
#include <cstdio>

#include "net_int8.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

alignas(16) static uint8_t arena[NET_INT8_ARENA];

int main() {
  tflite::MicroMutableOpResolver<$count> resolver;
$operations
  tflite::MicroInterpreter interpreter(tflite::GetModel(net_int8), resolver, arena, sizeof(arena));
  if (interpreter.AllocateTensors() != kTfLiteOk) return 1;
  int8_t* input = interpreter.input(0)->data.int8;
  for (int place = 0; place < NET_INT8_INPUTS; ++place) input[place] = -128;  // put $one here
  if (interpreter.Invoke() != kTfLiteOk) return 1;
  const int8_t* logits = interpreter.output(0)->data.int8;
  int best = 0;
  for (int each = 1; each < NET_INT8_CLASSES; ++each) {
    if (logits[each] > logits[best]) best = each;
  }
  printf("%d\\n", best);
  return 0;
}
""")
NAMES = {
    "CONV_2D": "AddConv2D",
    "DEPTHWISE_CONV_2D": "AddDepthwiseConv2D",
    "FULLY_CONNECTED": "AddFullyConnected",
    "AVERAGE_POOL_2D": "AddAveragePool2D",
    "MAX_POOL_2D": "AddMaxPool2D",
    "L2_POOL_2D": "AddL2Pool2D",
    "PADV2": "AddPadV2",
    "CUMSUM": "AddCumSum",
}
"""How the interpreter's resolver calls operations whose names do not simply follow."""


def write_c(
    path: Path,
    scaling: Scaling,
    shape: tuple[int, ...],
    facts: dict[str, Any],
    arena: int | None,
    example: bool,
) -> list[Path]:
    """Writes ``net_int8.h`` beside an int8 file: its bytes, and how to read and ask it.

    With an `example` also ``net_int8.cc``, into which users put their own code, unless there is
    one; a warning tells which operations of the file that one lacks. Returns what was written.

    Args:
        path: The file.
        shape: That of its input, (height, width, channels).
        facts: What is known of the net; see `darts_lite.export.facts.describe`.
        arena: Bytes that the micro interpreter needs; None where nothing has measured it.
    """
    seen = build_preparation(facts["preparation"])
    measured = seen.measured or Measured("value")
    steps = [factor / (measured.one - measured.zero) for factor in scaling.factors]
    starts = [
        offset - step * measured.zero for step, offset in zip(steps, scaling.offsets, strict=True)
    ]
    content = path.read_bytes()
    rows = [content[first : first + 16] for first in range(0, len(content), 16)]
    inputs = shape[0] * shape[1] * shape[2]
    header = ARRAY.substitute(
        title=f"A network for {facts['data']['init_args'].get('dataset', 'images')}.",
        input=inputs,
        shape=shape,
        measured=measured.words,
        factors=_list_floats(steps),
        offsets=_list_floats(starts),
        classes=len(facts["class_names"]),
        names=", ".join(facts["class_names"]).replace("*/", "* /"),
        scale=f"{scaling.output_scale:.8g}",
        zero=scaling.output_zero,
        arena="not measured, perhaps 65,536" if arena is None else f"{arena:,}",
        where="" if arena is None else ", measured where pointers have 8 bytes",
        arena_size=65536 if arena is None else arena,
        bytes="\n".join("  " + "".join(f"0x{byte:02x}, " for byte in row).strip() for row in rows),
        size=len(content),
    )
    used = list_operations(content)
    lines = [f"  resolver.{name_method(name)}();" for name in used]
    program = MAIN.substitute(
        count=len(used), one=f"one {seen.kind.word}", operations="\n".join(lines)
    )
    files = {path.with_suffix(".h"): header}
    own = path.with_suffix(".cc")
    if own.exists():
        _warn_of_missing(own, [line.strip() for line in lines])
    elif example:
        files[own] = program
    for target, text in files.items():
        write_text(target, text)
    return [*files]


def _warn_of_missing(own: Path, lines: Sequence[str]) -> None:
    """Tells which operations an example of the user's does not add, without which no net runs."""
    kept = own.read_text(encoding="utf-8", errors="replace")
    if missing := [line for line in lines if line not in kept]:
        print(
            f"Warning: {own} stays as it is and cannot run this net: it lacks "
            f"{' '.join(missing)} for a resolver of {len(lines)} operations; add these, or move "
            "it away to get a new one"
        )


def list_operations(content: bytes) -> list[str]:
    """Returns the names of the operations in a LiteRT file."""
    schema = import_module("ai_edge_litert.schema_py_generated")
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return sorted(
        {names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes}
    )


def name_method(name: str) -> str:
    """Returns the method of the interpreter's resolver that adds an operation."""
    return NAMES.get(name, "Add" + "".join(word.capitalize() for word in name.split("_")))


def _list_floats(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.8g}" for value in values)
