"""The networks of the benchmark in PyTorch, and one training iteration of each policy.

A network is a list of layers; neuron layers come from one of the makers below:

  plain         autograd through ordinary tensor operations, as a person would write it
  fused         SLTT only: the membrane in place, one autograd node a neuron layer, one saved tensor
  snntorch      snn.Leaky
  spikingjelly  neuron.LIFNode

All of them compute u[t] = lam * v[t-1] + x[t]; s[t] = 1 where u[t] >= 1; v[t] = u[t] - s[t], with the triangle surrogate
max(0, 1 - |u - 1|), so that they can be held against each other.
"""

import torch
from torch import nn
from torch.nn import functional


class Triangle(torch.autograd.Function):
    @staticmethod
    def forward(ctx, distance):
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return gradient * torch.clamp(1 - distance.abs(), min=0)


class Plain(nn.Module):
    def __init__(self, decay, through_time):
        super().__init__()
        self.decay, self.through_time, self.v, self.rates = decay, through_time, None, []

    def forward(self, x):
        v = self.v
        if v is None:
            u = x
        else:
            u = self.decay * (v if self.through_time else v.detach()) + x
        spikes = Triangle.apply(u - 1)
        self.v = u - (spikes if self.through_time else spikes.detach())
        return spikes

    def forget(self):
        self.v = None


class FusedStep(torch.autograd.Function):
    """Moves v on in place; keeps u - 1, which is all that the surrogate needs."""

    @staticmethod
    def forward(ctx, x, v, decay):
        distance = torch.add(x, v, alpha=decay).sub_(1)
        spikes = (distance >= 0).to(x.dtype)
        torch.sub(distance, spikes, out=v).add_(1)
        ctx.save_for_backward(distance)
        return spikes

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return distance.abs_().neg_().add_(1).clamp_(min=0).mul_(gradient), None, None


class Fused(nn.Module):
    def __init__(self, decay, through_time):
        super().__init__()
        if through_time:
            raise ValueError("fused neurons pass no gradient through time")
        self.decay, self.v = decay, None

    def forward(self, x):
        if self.v is None:
            self.v = torch.zeros_like(x)
        return FusedStep.apply(x, self.v, self.decay)

    def forget(self):
        if self.v is not None:
            self.v.zero_()


class SnnTorch(nn.Module):
    """snnTorch's Leaky; reset_delay off takes the threshold away in the step of the spike, as here."""

    def __init__(self, decay, through_time):
        super().__init__()
        import snntorch

        self.neuron = snntorch.Leaky(
            beta=decay, threshold=1.0, reset_mechanism="subtract", reset_delay=False, spike_grad=Triangle.apply
        )
        self.through_time, self.v = through_time, None

    def forward(self, x):
        v = torch.zeros_like(x) if self.v is None else self.v
        spikes, self.v = self.neuron(x, v if self.through_time else v.detach())
        return spikes

    def forget(self):
        self.v = None


class SpikingJelly(nn.Module):
    """SpikingJelly's LIFNode: 1 - 1/tau is the decay, the input is not scaled, the reset is soft."""

    def __init__(self, decay, through_time):
        super().__init__()
        from spikingjelly.activation_based import neuron

        self.neuron = neuron.LIFNode(
            tau=1 / (1 - decay),
            decay_input=False,
            v_threshold=1.0,
            v_reset=None,
            surrogate_function=Triangle.apply,
            detach_reset=not through_time,
        )
        self.through_time = through_time

    def forward(self, x):
        if not self.through_time and torch.is_tensor(self.neuron.v):
            self.neuron.v = self.neuron.v.detach()
        return self.neuron(x)

    def forget(self):
        self.neuron.reset()


neurons = {"plain": Plain, "fused": Fused, "snntorch": SnnTorch, "spikingjelly": SpikingJelly}


def build(model, neuron, width=1):
    """A network; `neuron()` makes a layer of neurons, `width` is a factor of its channels."""
    narrow, wide, hidden = int(32 * width), int(64 * width), int(1000 * width)
    if model == "conv":
        return nn.Sequential(
            nn.Conv2d(1, narrow, 3, padding=1), neuron(), nn.AvgPool2d(2),
            nn.Conv2d(narrow, wide, 3, padding=1), neuron(), nn.AvgPool2d(2),
            nn.Flatten(), nn.Linear(wide * 7 * 7, 10),
        )  # fmt: skip
    if model == "mlp":
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, hidden), neuron(),
            nn.Linear(hidden, hidden), neuron(), nn.Linear(hidden, 10),
        )  # fmt: skip
    raise ValueError(f"there is no network {model} here: conv and mlp are")


class Iteration:
    """One training iteration of a batch: an image that stays the same for all time steps, cross-entropy, Adam."""

    def __init__(self, net, policy, time_steps, inputs, labels, steps=1, hoist=False, learning_rate=1e-3):
        self.net, self.policy, self.time_steps, self.steps = net, policy, time_steps, steps
        self.inputs, self.labels = inputs, labels
        self.layers = [each for each in net.modules() if hasattr(each, "forget")]
        # Everything before the first layer of neurons is the same at every step.
        first = next(i for i, each in enumerate(net) if hasattr(each, "forget"))
        self.still, self.rest = (net[:first], net[first:]) if hoist else (None, net)
        self.optimizer = torch.optim.Adam(net.parameters(), lr=learning_rate)
        self.rates = [0.0] * len(self.layers)
        self.watched = False

    def watch(self):
        """Firing rates of the next iteration are taken; it is not to be timed."""

        def note(i):
            def hook(_module, _inputs, output):
                self.rates[i] += output.detach().mean().item() / self.time_steps

            return hook

        self.rates = [0.0] * len(self.layers)
        return [layer.register_forward_hook(note(i)) for i, layer in enumerate(self.layers)]

    def trained(self):
        if not self.policy.startswith("slttk"):
            return range(self.time_steps)
        return set(torch.randperm(self.time_steps)[: self.steps].tolist())

    def run(self):
        """Gives the mean loss over the time steps, before the update."""
        for layer in self.layers:
            layer.forget()
        self.optimizer.zero_grad(set_to_none=True)
        total = self.bptt() if self.policy == "bptt" else self.sltt()
        self.optimizer.step()
        return total

    def bptt(self):
        # The same layer on the same image: autograd adds up what comes back to it.
        x = self.inputs if self.still is None else self.still(self.inputs)
        losses = [functional.cross_entropy(self.rest(x), self.labels) for _ in range(self.time_steps)]
        loss = torch.stack(losses).mean()
        loss.backward()
        return loss.item()

    def sltt(self):
        trained, total = self.trained(), 0.0
        x = self.inputs
        if self.still is not None:
            below = self.still(self.inputs)
            x = below.detach().requires_grad_()
        for t in range(self.time_steps):
            with torch.set_grad_enabled(t in trained):
                loss = functional.cross_entropy(self.rest(x), self.labels) / self.time_steps
                if t in trained:
                    loss.backward()
            total += loss.item()
        if self.still is not None:
            below.backward(x.grad)
        return total
