#!/usr/bin/env python3
"""Duet's DCGAN in PyTorch: the same layers, the same names, so that weights go both ways.

    dcgan.py predict WEIGHTS INPUT OUTPUT       what the generator or the discriminator in WEIGHTS makes, in evaluation
                                                mode, of the tensor `input` of a safetensors file
    dcgan.py train GENERATOR DISCRIMINATOR [SEED]   both, trained for a few steps on made-up pictures, as weight files;
                                                duet::nn::GanGenerator::load reads the first

Needs PyTorch alone (Debian: apt install python3-torch).
"""
import json
import sys

import torch
from torch import nn
from torch.nn import functional as F

from unet import load_safetensors, save_safetensors


def levels_of(size):
    """How often a side is halved, and what is left: 4 to 7."""
    count = 0
    while size > 7 and size % 2 == 0:
        size, count = size // 2, count + 1
    return count, size


def generator(image_size=28, channels=1, latent=64, base_channels=64, hidden=0):
    count, start = levels_of(image_size)
    width = base_channels << (count - 1)
    layers = []
    if hidden:
        layers = [nn.ConvTranspose2d(latent, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()]
    layers.append(nn.ConvTranspose2d(hidden or latent, width, start, bias=False))
    for level in range(count):
        following = channels if level + 1 == count else width // 2
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, following, 4, 2, 1, bias=False)]
        width = following
    return nn.Sequential(*layers, nn.Tanh())


def discriminator(image_size=28, channels=1, latent=64, base_channels=64, hidden=0):
    count, start = levels_of(image_size)
    layers, width = [], channels
    for level in range(count):
        layers.append(nn.Conv2d(width, base_channels << level, 4, 2, 1, bias=False))
        width = base_channels << level
        layers += [nn.BatchNorm2d(width)] * (level > 0) + [nn.LeakyReLU(0.2)]
    if hidden:
        layers += [nn.Conv2d(width, hidden, start, bias=False), nn.BatchNorm2d(hidden), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(hidden or width, 1, 1 if hidden else start, bias=False))


NETS = {"GanGenerator": generator, "GanDiscriminator": discriminator}


def load_net(path):
    """The net that a file describes, in evaluation mode."""
    tensors, metadata = load_safetensors(path)
    net = NETS[metadata["architecture"]](**json.loads(metadata["options"]))
    net.load_state_dict(tensors)
    return net.eval()


def save_net(path, net, architecture, form):
    save_safetensors(path, net.state_dict(), {
        "architecture": architecture, "options": json.dumps(form), "classes": "[]",
        "normalization": '{"mean": [], "deviation": []}', "threshold": "0.5"})


def train(generator_path, discriminator_path, seed):
    torch.manual_seed(seed)
    form = {"image_size": 28, "channels": 1, "latent": 6, "base_channels": 4}
    makes, judges = generator(**form), discriminator(**form)
    optimizers = [torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.5, 0.999)) for net in (makes, judges)]

    def step(which, loss):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        optimizers[which].step()

    entropy = F.binary_cross_entropy_with_logits
    for _ in range(5):
        real = torch.tanh(F.avg_pool2d(torch.randn(8, 1, 30, 30), 3, 1) * 3)
        made = makes(torch.randn(8, form["latent"], 1, 1))
        yes, no = torch.ones(8, 1, 1, 1), torch.zeros(8, 1, 1, 1)
        step(1, entropy(judges(real), yes) + entropy(judges(made.detach()), no))
        step(0, entropy(judges(made), yes))
    save_net(generator_path, makes, "GanGenerator", form)
    save_net(discriminator_path, judges, "GanDiscriminator", form)


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "predict":
        _, weights, given, wanted = arguments
        with torch.no_grad():
            save_safetensors(wanted, {"output": load_net(weights)(load_safetensors(given)[0]["input"])})
    elif len(arguments) in (3, 4) and arguments[0] == "train":
        train(arguments[1], arguments[2], int(arguments[3]) if len(arguments) == 4 else 0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
