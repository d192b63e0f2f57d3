"""Runs training iterations on request: answers each line of JSON with a line of JSON.

{"probe": true}                                     -> {"torch": "2.13.0", "snntorch": null, ...}
{"threads": 2}                                      -> {}
{"open": 1, "file": "w.safetensors", "neuron": "plain", "channelsLast": false, "hoist": false}
                                                    -> {"loss": ..., "firingRates": [...]} of an untimed iteration
{"run": 1, "uncounted": 1, "times": 3}              -> {"seconds": ..., "loss": ...} per iteration, of three after one untimed
{"close": 1}                                        -> {}
{"grow": "w.safetensors", "neuron": "plain", "channelsLast": false, "hoist": false}
                                                    -> {"bytes": ..., "loss": ...}: growth in resident memory of a new process
                                                       that builds and trains the network; Linux only

Errors are answered with {"error": "..."}. The file contains the inputs, labels and parameters; its metadata describe the iteration.
If the learning rate is 0, all iterations have the same weights.
"""

import gc
import importlib
import importlib.util
import json
import os
import sys
import time

answers = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # redirect output of libraries to the standard error


def read(file):
    """Tensors and metadata of a safetensors file."""
    import torch

    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
        data = stream.read()
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, each in header.items():
        start, end = each["data_offsets"]
        values = torch.frombuffer(bytearray(data[start:end]), dtype=torch.float32)
        tensors[name] = values.reshape(each["shape"]).clone()
    return tensors, metadata


def make(tensors, about, how, width=1):
    """A training iteration of the network that a file describes, with the file's parameters at full width."""
    import networks
    import torch

    policy, decay = about["policy"], 1 - 1 / float(about["tau"])
    maker = networks.neurons[how["neuron"]]
    net = networks.models[about["model"]](lambda: maker(decay, policy == "bptt"), width)
    if width == 1:
        with torch.no_grad():
            parameters = list(net.parameters())
            given = [tensors[name] for name in tensors if name.startswith("parameter.")]
            if [each.shape for each in parameters] != [each.shape for each in given]:
                raise ValueError("the file's parameters are not those of the network")
            for parameter, values in zip(parameters, given):
                parameter.copy_(values)
    inputs = tensors["inputs"]
    if how["channelsLast"]:
        net = net.to(memory_format=torch.channels_last)
        # For frames, this applies to each frame.
        images = inputs.flatten(0, -4).contiguous(memory_format=torch.channels_last)
        inputs = images.unflatten(0, inputs.shape[:-3])
    return networks.Iteration(
        net,
        policy,
        inputs,
        tensors["labels"].long(),
        time_steps=int(about["timeSteps"]),
        frames=about["encoding"] == "frames",
        optimizer=about["optimizer"],
        learning_rate=float(about["learningRate"]),
        steps=int(about["k"]),
        hoist=how["hoist"],
    )


def status(key):
    with open("/proc/self/status") as lines:
        for line in lines:
            if line.startswith(key):
                return 1024 * int(line.split()[1])
    return 0


class Server:
    def __init__(self):
        self.open_ones = {}

    def probe(self, _):
        found = {}
        for name in ("torch", "snntorch", "spikingjelly"):
            there = importlib.util.find_spec(name) is not None
            found[name] = getattr(importlib.import_module(name), "__version__", "?") if there else None
        return found

    def threads(self, message):
        import torch

        torch.set_num_threads(message["threads"])
        return {}

    def open(self, message):
        tensors, about = read(message["file"])
        iteration = make(tensors, about, message)
        self.open_ones[message["open"]] = iteration
        hooks = iteration.watch()
        loss = iteration.run()
        for hook in hooks:
            hook.remove()
        return {"loss": loss, "firingRates": list(iteration.rates)}

    def run(self, message):
        iteration = self.open_ones[message["run"]]
        for _ in range(message["uncounted"]):
            iteration.run()
        before = time.perf_counter()
        for _ in range(message["times"]):
            loss = iteration.run()
        return {"seconds": (time.perf_counter() - before) / message["times"], "loss": loss}

    def close(self, message):
        self.open_ones.pop(message["close"], None)
        return {}

    def grow(self, message):
        tensors, about = read(message["grow"])
        # Warm up with a small network of the same kind: the library's own setup is not part of the network's memory.
        steps = min(4, int(about["timeSteps"]))
        inputs = tensors["inputs"][:steps, :2] if about["encoding"] == "frames" else tensors["inputs"][:2]
        small = {"inputs": inputs.clone(), "labels": tensors["labels"][:2].clone()}
        iteration = make(small, {**about, "timeSteps": steps}, message, width=1 / 16)
        for _ in range(30):
            iteration.run()
        del iteration
        gc.collect()
        before = status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        iteration = make(tensors, about, message)
        for _ in range(5):
            loss = iteration.run()
        return {"bytes": status("VmHWM") - before, "loss": loss}


server = Server()
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
for line in sys.stdin:
    try:
        message = json.loads(line)
        action = next(name for name in ("probe", "threads", "open", "run", "close", "grow") if name in message)
        answer = getattr(server, action)(message)
    except Exception as error:  # noqa: BLE001: every error is reported to the other side
        answer = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
    answers.write(json.dumps(answer) + "\n")
