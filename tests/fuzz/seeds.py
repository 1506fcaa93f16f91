#!/usr/bin/env python3
"""Writes the small files that each fuzz target begins with: seeds.py FOLDER. Only Python's standard library."""
import gzip
import io
import json
import pathlib
import struct
import sys
import zipfile
import zlib


def safetensors(header, body):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def npy(dtype, shape, body):
    head = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    head += b" " * (63 - (10 + len(head)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + body


def npz(method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a.npy", npy("<f4", "(2, 3)", bytes(24)))
        archive.writestr("b.npy", npy("<i8", "(1,)", bytes(8)))
    return buffer.getvalue()


def png(color, depth, channels, palette=b""):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    row = b"\0" + bytes(range(max(1, 4 * channels * depth // 8)))
    head = struct.pack(">IIBBBBB", 4, 3, depth, color, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + (chunk(b"PLTE", palette) if palette else b"") +
            chunk(b"IDAT", zlib.compress(row * 3)) + chunk(b"IEND", b""))


def tiff(order, bits, sample_format):
    width, height = 4, 3
    pixels = bytes(range(width * height * bits // 8))
    tags = [(256, 3, width), (257, 3, height), (258, 3, bits), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
            (278, 3, height), (279, 4, len(pixels)), (339, 3, sample_format)]
    mark = {"<": b"II", ">": b"MM"}[order]
    text = mark + struct.pack(order + "HI", 42, 8 + len(pixels)) + pixels + struct.pack(order + "H", len(tags))
    for tag, kind, value in tags:
        packed = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        text += struct.pack(order + "HHI", tag, kind, 1) + packed
    return text + struct.pack(order + "I", 0)


def idx(kind, item):
    return bytes([0, 0, kind, 2]) + struct.pack(">II", 3, 4) + bytes(range(12)) * item


SEEDS = {
    "safetensors": [safetensors({}, b""), safetensors({"a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}, bytes(16)),
                    safetensors({"__metadata__": {"k": "v"}, "h": {"dtype": "F16", "shape": [3], "data_offsets": [0, 6]},
                                 "b": {"dtype": "BOOL", "shape": [2, 1], "data_offsets": [6, 8]}}, bytes(8))],
    "npy": [npy("<f4", "(2, 3)", bytes(24)), npy(">f8", "()", bytes(8)), npy("|b1", "(3,)", bytes(3)), npy("<f2", "(2,)", bytes(4))],
    "npz": [npz(zipfile.ZIP_STORED), npz(zipfile.ZIP_DEFLATED)],
    "png": [png(0, 8, 1), png(2, 8, 3), png(0, 16, 1), png(3, 8, 1, bytes(range(48))), png(6, 8, 4), png(0, 1, 1)],
    "tiff": [tiff("<", 8, 1), tiff(">", 16, 1), tiff("<", 32, 3)],
    "idx": [idx(8, 1), idx(13, 4), gzip.compress(idx(8, 1), mtime=0)],
}


def main():
    for name, files in SEEDS.items():
        folder = pathlib.Path(sys.argv[1]) / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(files):
            (folder / f"seed_{number}").write_bytes(data)


if __name__ == "__main__":
    main()
