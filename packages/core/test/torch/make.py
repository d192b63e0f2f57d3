"""Writes the files beside this one: torch.save's archive, the form before PyTorch 1.6, and a checkpoint with more than weights."""
from pathlib import Path

import torch

folder = Path(__file__).parent
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
