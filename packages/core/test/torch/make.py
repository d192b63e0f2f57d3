"""Writes the files beside this one: torch.save's archive, the form before PyTorch 1.6, a checkpoint with more than weights, and one of a
narrow ResNet-18 with what the network answers to two images, summed over four time steps."""
import json
import sys
from pathlib import Path

import torch

folder = Path(__file__).parent
sys.path.insert(0, str(folder.parent / "golden"))
import drawn
from networks import Neurons, models

torch.manual_seed(0)
state = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
optimizer = {"state": {0: {"momentum_buffer": torch.zeros(2, 3)}}, "param_groups": [{"lr": 0.1, "nesterov": False, "params": [0, 1], "maximize": None}]}
torch.save({"net": state, "acc": 93.1, "epoch": 7, "opt": optimizer}, folder / "net.pth")
kinds = {
    "w": torch.arange(6.0).reshape(2, 3).t(),
    "h": torch.tensor([1.5, -2], dtype=torch.float16),
    "b": torch.tensor([1.5], dtype=torch.bfloat16),
    "l": torch.tensor([7]),
    "u": torch.tensor([True]),
    "view": torch.arange(10.0)[4:7],
    "scalar": torch.tensor(2.5),
    "p": torch.nn.Parameter(torch.ones(2)),
    "empty": torch.empty(0, 3),
}
torch.save(kinds, folder / "kinds.pth")

neurons = Neurons()
network = models["resnet18"](neurons, 1 / 32, 10, 3)
drawn.fill(7, network)
network.eval()
images = drawn.images(7, 0, 2, 10, (3, 32, 32))
with torch.no_grad():
    outputs = sum(network(images) for _ in range(4))
assert neurons.margin > 1e-5, "a neuron is so near its threshold that rounding decides"
torch.save({"net": network.state_dict(), "acc": 93.1, "epoch": 7}, folder / "resnet18.pth")
(folder / "resnet18.json").write_text(json.dumps(outputs.tolist()) + "\n")
