"""What a graph says of attention: how many steps it remembers, which no variable does.

MetaGraphDef {2 GraphDef {1 NodeDef {1 name, 5 attributes {1 name, 2 AttrValue}}}}. The state that a graph begins with
is zeros: those of AttentionCellWrapperZeroState are (c, h) of each layer inside, a, and last of all what is remembered,
whose shape is in the attribute _output_shapes, AttrValue {1 list {7 shapes}}. Without it, the attention itself reshapes
what is remembered by a constant [-1, steps, units], AttrValue {8 TensorProto {4 bytes}}.

Source: tensorflow/core/protobuf/meta_graph.proto, tensorflow/core/framework/{graph,attr_value}.proto (Apache-2.0).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from rltuner.magenta.reading.variables import AttentionFound
from rltuner.magenta.reading.wire import bytes_of, fields, messages, text_of

LARGEST_META = 8 << 20  # bytes; Magenta's have some hundred thousand
_ZEROS = re.compile(r"AttentionCellWrapperZeroState/zeros(?:_(\d{1,4}))?$")
_RESHAPED = re.compile(r"attention_cell_wrapper/Reshape/shape$")


def attention_in(metagraph: memoryview, source: str) -> AttentionFound | None:
    """What a MetaGraphDef says of attention, None where it says nothing. WireError where it is none."""
    zeros: dict[int, int] = {}
    length = None
    for graph in messages(metagraph, 2):
        for node in messages(graph, 1):
            name = next((text_of(value) for number, value in fields(node) if number == 1), "")
            if match := _ZEROS.search(name):
                shape = _output_shape(node)
                if len(shape) == 2:
                    zeros[int(match[1] or 0)] = shape[1]
            elif _RESHAPED.search(name):
                length = _reshaped_to(node) or length
    if zeros:
        return AttentionFound(None, zeros[max(zeros)], source)
    return AttentionFound(length, None, source) if length else None


def _attribute(node: memoryview, wanted: str) -> Iterator[memoryview]:
    for attribute in messages(node, 5):
        found = dict(fields(attribute))
        if text_of(found.get(1, memoryview(b""))) == wanted:
            yield bytes_of(found.get(2, memoryview(b"")))


def _output_shape(node: memoryview) -> tuple[int, ...]:
    for value in _attribute(node, "_output_shapes"):
        for shapes in messages(value, 1):
            for shape in messages(shapes, 7):
                # A size that is not known, such as the batch's, is -1.
                sizes = [dict(fields(dimension)).get(1, 0) for dimension in messages(shape, 2)]
                return tuple(size if isinstance(size, int) and size < 1 << 31 else 0 for size in sizes)
    return ()


def _reshaped_to(node: memoryview) -> int:
    for value in _attribute(node, "value"):
        for tensor in messages(value, 8):
            for content in messages(tensor, 4):
                if len(content) == 12:
                    first, steps, _ = struct.unpack("<3i", content)
                    return int(steps) if first == -1 and steps > 0 else 0
    return 0
