"""Wire format, Snappy, tables and quantised weights: what is written is read, and what lies is refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from rltuner.errors import InputError
from rltuner.magenta.reading.magenta_js import read_magenta_js
from rltuner.magenta.reading.snappy import decompressed
from rltuner.magenta.reading.tables import FOOTER, MAGIC, TRAILER, Table, masked_crc
from rltuner.magenta.reading.wire import WireError, fields, varint
from rltuner.magenta.writing import block_after, table
from rltuner.magenta.writing import varint as written_varint


def test_numbers_and_fields_are_protobufs() -> None:
    """The examples of its own documentation: 150 is 96 01, field 1 is 08, "testing" in field 2 is 12 07."""
    assert varint(memoryview(b"\x96\x01"), 0) == (150, 2)
    message = memoryview(b"\x08\x96\x01\x12\x07testing\x1d\x00\x00\x80\x3f")
    assert [(n, v if isinstance(v, int) else bytes(v)) for n, v in fields(message)] == [
        (1, 150),
        (2, b"testing"),
        (3, np.float32(1).tobytes()),
    ]


@pytest.mark.parametrize("lie", [b"\x12\x08testing", b"\x08", b"\x0b", b"\x00\x01", b"\xff" * 11])
def test_a_message_that_lies_is_refused(lie: bytes) -> None:
    with pytest.raises(WireError):
        list(fields(memoryview(lie)))


def test_crc32c_is_castagnolis() -> None:
    """RFC 3720's value of "123456789", E3069283, rotated and with LevelDB's constant added."""
    crc = 0xE3069283
    assert masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_snappy_reads_literals_and_copies_that_overlap_themselves() -> None:
    assert bytes(decompressed(memoryview(b"\x0b\x28hello world"), 99)) == b"hello world"
    # 1-byte offset 2, length 9 (tag 1, length - 4 = 5); 2-byte offset; a literal whose length takes a byte.
    assert bytes(decompressed(memoryview(b"\x0b\x04ab\x15\x02"), 99)) == b"ab" + b"ababababa"
    assert bytes(decompressed(memoryview(b"\x06\x08abc\x0a\x03\x00"), 99)) == b"abcabc"
    long = bytes(range(100))
    assert bytes(decompressed(memoryview(b"\x64\xf0\x63" + long), 100)) == long


@pytest.mark.parametrize(
    "lie", [b"\x0b\x28hello", b"\x06\x08abc\x0a\x04\x00", b"\x05\x04ab", b"\x64\x00a", b"\x02\xfc"]
)
def test_snappy_that_lies_is_refused(lie: bytes) -> None:
    with pytest.raises(WireError):
        decompressed(memoryview(lie), 99)


def test_a_table_gives_its_entries_in_order_and_those_of_a_compressed_block() -> None:
    entries = {b"": b"head", b"b": b"2" * 300, b"a": b"1"}
    written = table(entries)
    assert [(k, bytes(v)) for k, v in Table(memoryview(written))] == sorted(entries.items())
    plain, _ = block_after(b"", dict(sorted(entries.items())))
    block = plain[:-TRAILER]
    packed = (
        written_varint(len(block)) + b"\xf4" + (len(block) - 1).to_bytes(2, "little") + block
    )  # one literal
    content = packed + b"\x01" + masked_crc(packed + b"\x01").to_bytes(4, "little")
    content, index = block_after(content, {b"b": written_varint(0) + written_varint(len(packed))})
    whole = content + (index + index).ljust(FOOTER - 8, b"\0") + MAGIC.to_bytes(8, "little")
    assert [(k, bytes(v)) for k, v in Table(memoryview(whole))] == sorted(entries.items())


@pytest.mark.parametrize("place", [0, 9, -1, -49, -46])
def test_a_table_with_a_bit_flipped_is_refused(place: int) -> None:
    written = bytearray(table({b"": b"head", b"a": b"1", b"b": b"2"}))
    written[place] ^= 4
    with pytest.raises(WireError):
        list(Table(memoryview(written)))


def folder_of(folder: Path, weight: dict[str, object], content: bytes) -> Path:
    folder.mkdir()
    (folder / "shard").write_bytes(content)
    weight = {"name": "w", "dtype": "float32", **weight}
    (folder / "weights_manifest.json").write_text(json.dumps([{"paths": ["shard"], "weights": [weight]}]))
    return folder


def test_quantised_weights_are_scaled_and_moved(tmp_path: Path) -> None:
    eight = {"shape": [2, 2], "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1}}
    found = read_magenta_js(folder_of(tmp_path / "8", eight, bytes([0, 1, 2, 255])))
    assert found.read("w").tolist() == [[-1.0, -0.5], [0.0, 126.5]]
    sixteen = {"shape": [2], "quantization": {"dtype": "uint16", "scale": 2, "min": 1}}
    found = read_magenta_js(folder_of(tmp_path / "16", sixteen, bytes([1, 0, 0, 1])))
    assert found.read("w").tolist() == [3.0, 513.0]
    half = {"shape": [2], "quantization": {"dtype": "float16"}}
    found = read_magenta_js(folder_of(tmp_path / "h", half, np.array([0.5, -2], "<f2").tobytes()))
    assert found.read("w").tolist() == [0.5, -2.0]


def test_a_manifest_reads_no_file_outside_of_its_folder_and_no_more_than_its_shards_hold(
    tmp_path: Path,
) -> None:
    folder = folder_of(tmp_path / "js", {"shape": [3]}, bytes(8))
    with pytest.raises(InputError, match=r"shard: truncated: w ends at byte 12 of 8"):
        read_magenta_js(folder)
    weight = {"name": "w", "dtype": "float32", "shape": [2]}
    for path in ("../shard", "/etc/passwd", "..", "a\\b", ""):
        manifest = [{"paths": [path], "weights": [weight]}]
        (folder / "weights_manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(InputError, match="is not the name of a file beside it"):
            read_magenta_js(folder)
    shape = {"shape": [2**30, 2**30]}
    with pytest.raises(InputError, match="truncated"):
        read_magenta_js(folder_of(tmp_path / "huge", shape, bytes(8)))
