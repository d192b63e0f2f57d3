"""Safetensors files for PyTorch, with no package besides torch.

`model.load_state_dict(load("weights.safetensors"))` loads a file written by `bun run export`.
`save("weights.safetensors", model.state_dict())` writes a file for `bun run import`, which also reads `.pth` files.
"""
import json
import struct

import torch


def save(path, tensors, metadata=None):
    """Writes named tensors as float32, except batch norm's counters."""
    header, blobs, at = {}, [], 0
    if metadata:
        header["__metadata__"] = {key: str(value) for key, value in metadata.items()}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        blob = tensor.detach().cpu().float().contiguous().numpy().tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load(path):
    """Reads named float32 tensors."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(length)), bytearray(file.read())
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(data[slice(*entry["data_offsets"])], dtype=torch.float32).reshape(entry["shape"])
        for name, entry in header.items()
    }
