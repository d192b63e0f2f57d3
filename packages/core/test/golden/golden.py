"""Makes the golden files of this folder anew: what PyTorch computes for the models of packages/core/src/models.

    python golden.py [state-dicts | gradients | flattened | loss-curve]...        all of them where none is named

state-dicts.json        names and shapes of every model's parameters and statistics
<model>-<route>.safetensors   one batch in float64, at width 1/8: see packages/core/src/testing/golden.ts
flattened-<route>.safetensors   the same of a small network whose features lie behind a flattened image, with all of its numbers
loss-curve.json         100 iterations of ResNet-18 at width 1/4 in float32, and how far PyTorch is from itself
"""
import json
import os
import sys

import torch
import torch.nn.functional as F

folder = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(folder, "../../../../examples"))
import drawn
from networks import Neurons, flattened, models
from pytorch_weights import save

torch.set_num_threads(1)
MIX = 0.05
KEPT = 96  # numbers of each gradient


def loss_of(out, labels):
    return (1 - MIX) * F.cross_entropy(out, labels) + MIX * F.mse_loss(out, torch.ones_like(out))


def state_dicts():
    shapes = {}
    for name, make in models.items():
        channels, classes = (2, 10) if name.startswith("vgg") else (3, 1000 if name.startswith("nf") else 10)
        with torch.device("meta"):
            tensors = make(Neurons(), 1, classes, channels).state_dict()
        shapes[name] = {key: list(tensor.shape) for key, tensor in tensors.items() if "num_batches" not in key}
    lines = [f"  {json.dumps(name)}: {json.dumps(each, separators=(',', ':'))}" for name, each in shapes.items()]
    with open(f"{folder}/state-dicts.json", "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def backpropagate(network, neurons, frames, labels):
    """All time steps of one batch; gradients add up in the parameters. Gives the read-outs and the loss."""
    neurons.clear()
    outs, total = [], 0
    for frame in frames:
        out = network(frame)
        loss = loss_of(out, labels) / len(frames)
        if neurons.route != "bptt":
            loss.backward()
            loss = loss.detach()
        total = total + loss
        outs.append(out.detach())
    if neurons.route == "bptt":
        total.backward()
    return torch.stack(outs), total.item()


def gradients():
    steps, batch, width, classes, tau = 3, 2, 0.125, 10, 2.0
    for name, sample in (("resnet18", [3, 32, 32]), ("vgg11", [2, 48, 48]), ("nfresnet50", [3, 64, 64])):
        events = name == "vgg11"

        def run(route, seed):
            neurons = Neurons(tau, route)
            network = models[name](neurons, width, classes, sample[0]).double()
            drawn.fill(seed, network)
            if events:
                frames = drawn.events(seed, 0, steps, batch, sample).double()
            else:
                frames = drawn.images(seed, 0, batch, classes, sample).double().expand(steps, batch, *sample)
            with torch.set_grad_enabled(route is not None):
                if route is None:
                    for frame in frames:
                        network(frame)
                    return network, neurons, None
                return network, neurons, backpropagate(network, neurons, frames, drawn.labels(seed, 0, batch, classes))

        # Float32 is to see the same spikes: of some seeds, that whose membranes stay furthest from the threshold.
        seed = max(range(300), key=lambda seed: run(None, seed)[1].margin)
        for route in ("bptt", "sltt"):
            network, neurons, (out, loss) = run(route, seed)
            counts = torch.tensor(neurons.counts).reshape(steps, -1).T
            tensors = {"steps": torch.arange(float(steps)), "out": out, "counts": counts}
            for key, parameter in network.named_parameters():
                tensors[f"grad.{key}"] = drawn.sample(parameter.grad, KEPT)
                tensors[f"summary.{key}"] = drawn.summary(seed, key, parameter.grad)
            tensors |= {f"after.{key}": value for key, value in network.state_dict().items() if "running" in key}
            metadata = {"net": name, "width": width, "classes": classes, "tau": tau, "surrogate": "triangle", "route": route}
            metadata |= {"loss_lambda": MIX, "seed": seed, "time_steps": steps, "batch": batch, "sample": json.dumps(sample)}
            metadata |= {"data": "events" if events else "images", "loss": loss}
            save(f"{folder}/{name}-{route}.safetensors", tensors, metadata)
            print(name, route, "seed", seed, f"margin {neurons.margin:.1e}", f"loss {loss:.4f}", "spikes", [int(count) for count in counts.sum(1)])


def flattened_image():
    """All numbers of a network with batch norm, neurons and an added branch along the features of a flattened image."""
    steps, batch, classes, sample = 3, 4, 5, [2, 3, 4]

    def run(route, seed):
        neurons = Neurons(2.0, route)
        network = flattened(neurons).double()
        drawn.fill(seed, network)
        before = {name: value.clone() for name, value in network.state_dict().items() if "num_batches" not in name}
        frames = drawn.images(seed, 0, batch, classes, sample).double().expand(steps, batch, *sample)
        labels = drawn.labels(seed, 0, batch, classes)
        spikes = []
        for layer in neurons.layers:
            spikes.append([])
            layer.register_forward_hook(lambda _, __, s, kept=spikes[-1]: kept.append(s.detach()))
        return network, neurons, before, frames, labels, spikes, backpropagate(network, neurons, frames, labels)

    seed = max(range(300), key=lambda seed: run("sltt", seed)[1].margin)
    for route in ("bptt", "sltt"):
        network, neurons, before, frames, labels, spikes, (out, loss) = run(route, seed)
        tensors = {f"param.{name}": value for name, value in before.items()}
        tensors |= {"input": frames, "label": labels, "steps": torch.arange(float(steps)), "out": out}
        tensors |= {f"spikes.{i}": torch.stack(each) for i, each in enumerate(spikes)}
        tensors |= {f"grad.{name}": parameter.grad for name, parameter in network.named_parameters()}
        tensors |= {f"after.{name}": value for name, value in network.state_dict().items() if "running" in name}
        metadata = {"net": "flattened", "tau": 2.0, "surrogate": "triangle", "route": route, "loss_lambda": MIX, "seed": seed}
        save(f"{folder}/flattened-{route}.safetensors", tensors, metadata)
        print("flattened", route, "seed", seed, f"margin {neurons.margin:.1e}", f"loss {loss:.4f}", "spikes", [int(sum(s.sum() for s in each)) for each in spikes])


def curve(dtype, nudge=0.0):
    """Losses of SGD with momentum, from the drawn weights; `nudge` changes each weight by that share of itself, before every update."""
    seed, steps, batch, classes, sample = 4, 2, 8, 4, [3, 32, 32]
    neurons = Neurons(2.0, "sltt")
    network = models["resnet18"](neurons, 0.25, classes, sample[0])
    drawn.fill(seed, network)
    network.to(dtype)
    parameters = list(network.parameters())
    momentum = [torch.zeros_like(parameter) for parameter in parameters]
    losses = []
    for update in range(1, 101):
        network.zero_grad()
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1 + nudge * torch.randn(parameter.shape, dtype=dtype).sign())
        frames = [drawn.images(seed, update, batch, classes, sample).to(dtype)] * steps
        losses.append(backpropagate(network, neurons, frames, drawn.labels(seed, update, batch, classes))[1])
        with torch.no_grad():
            for parameter, velocity in zip(parameters, momentum):
                velocity.mul_(0.9).add_(parameter.grad)
                parameter.sub_(0.1 * velocity)
    return losses


def loss_curve():
    torch.manual_seed(0)
    runs = {"float32": curve(torch.float32), "float64": curve(torch.float64)}
    runs |= {f"nudged{i}": curve(torch.float32, 2**-24) for i in range(8)}
    for name, losses in runs.items():
        print(name, " ".join(f"{loss:.4f}" for loss in losses[:8] + losses[8::8]))
    with open(f"{folder}/loss-curve.json", "w") as file:
        lines = [f"  {json.dumps(name)}: {json.dumps([round(loss, 6) for loss in each])}" for name, each in runs.items()]
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    parts = {"state-dicts": state_dicts, "gradients": gradients, "flattened": flattened_image, "loss-curve": loss_curve}
    for part in sys.argv[1:] or parts:
        parts[part]()
