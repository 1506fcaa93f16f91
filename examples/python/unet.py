#!/usr/bin/env python3
"""Duet's U-Net in PyTorch: the same layers, the same names, so that weights go both ways.

    unet.py predict WEIGHTS INPUT OUTPUT   logits in evaluation mode for the tensor `input` (N, C, H, W) of a
                                           safetensors file, written as the tensor `output`
    unet.py train WEIGHTS [SEED]           a small net, trained for a few steps on made-up data, as a weight file that
                                           duet::nn::UNet::load reads

Needs PyTorch alone (Debian: apt install python3-torch).
"""
import json
import struct
import sys

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Convolution 3x3, batch norm, ReLU, twice."""

    def __init__(self, inputs, outputs, up=0):
        super().__init__()
        if up:
            self.upconv = nn.ConvTranspose2d(up, outputs, 2, stride=2)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x, skip=None):
        if skip is not None:
            x = torch.cat([skip, self.upconv(x, output_size=skip.shape[-2:])], 1)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class UNet(nn.Module):
    def __init__(self, in_channels=1, out_channels=1, base_channels=16, depth=4):
        super().__init__()
        width = [base_channels << level for level in range(depth)]
        self.down = nn.ModuleList(Block(i, o) for i, o in zip([in_channels] + width, width))
        self.up = nn.ModuleList(Block(2 * o, o, up=2 * o) for o in reversed(width[:-1]))
        self.head = nn.Conv2d(base_channels, out_channels, 1)

    def forward(self, x):
        skips = []
        for level, block in enumerate(self.down):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        for block, skip in zip(self.up, reversed(skips[:-1])):
            x = block(x, skip)
        return self.head(x)


TYPES = {"F32": torch.float32, "F64": torch.float64, "I64": torch.int64, "U8": torch.uint8}


def load_safetensors(path):
    """(tensors by name, metadata) of a file: eight bytes of length, a JSON header, the elements."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensor = torch.zeros(entry["shape"], dtype=TYPES[entry["dtype"]])
        if end > begin:
            tensor = torch.frombuffer(data[begin:end], dtype=tensor.dtype).reshape(entry["shape"])
        tensors[name] = tensor
    return tensors, metadata


def save_safetensors(path, tensors, metadata=None):
    names = {dtype: name for name, dtype in TYPES.items()}
    header, data = {"__metadata__": metadata or {}}, b""
    for name, tensor in tensors.items():
        raw = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": names[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def load_unet(path):
    """A net in evaluation mode with the weights of a file, its form read from their shapes."""
    tensors, _ = load_safetensors(path)
    first, head = tensors["down.0.conv1.weight"], tensors["head.weight"]
    depth = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("down."))
    net = UNet(first.shape[1], head.shape[0], first.shape[0], depth)
    net.load_state_dict(tensors)
    return net.eval()


def train(path, seed):
    torch.manual_seed(seed)
    form = {"in_channels": 1, "out_channels": 1, "base_channels": 4, "depth": 3}
    net = UNet(**form)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(5):
        x = torch.randn(2, 1, 33, 29)
        loss = F.binary_cross_entropy_with_logits(net(x), (F.avg_pool2d(x, 3, 1, 1) > 0).float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_safetensors(path, net.state_dict(), {
        "architecture": "UNet", "options": json.dumps(form), "classes": '["0", "1"]',
        "normalization": '{"mean": [0.5], "deviation": [0.25]}', "threshold": "0.5"})


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "predict":
        _, weights, given, wanted = arguments
        with torch.no_grad():
            save_safetensors(wanted, {"output": load_unet(weights)(load_safetensors(given)[0]["input"])})
    elif len(arguments) in (2, 3) and arguments[0] == "train":
        train(arguments[1], int(arguments[2]) if len(arguments) == 3 else 0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
