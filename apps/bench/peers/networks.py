"""The networks of the benchmark in PyTorch, and one training iteration of each policy.

A network is a list of layers; neuron layers come from one of the makers below:

  plain         autograd through ordinary tensor operations, as a user would write it
  fused         SLTT only: in-place membrane, one autograd node and one saved tensor per neuron layer
  snntorch      snn.Leaky
  spikingjelly  neuron.LIFNode

All of them compute u[t] = lam * v[t-1] + x[t]; s[t] = 1 if u[t] >= 1; v[t] = u[t] - s[t], with the triangle surrogate
max(0, 1 - |u - 1|), so that their results can be compared.
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
    """Updates v in place and saves u - 1, which is all that the surrogate needs."""

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
    """snnTorch's Leaky. Without reset_delay the threshold is subtracted in the step of the spike, as in the other networks."""

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
    """SpikingJelly's LIFNode with decay 1 - 1/tau, unscaled input and soft reset."""

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


class PreActivation(nn.Module):
    """A pre-activation ResNet block whose shortcut carries the spikes, through a 1 x 1 convolution if the shape changes."""

    def __init__(self, inputs, outputs, stride, neuron):
        super().__init__()
        self.bn1, self.lif1 = nn.BatchNorm2d(inputs), neuron()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1)
        self.bn2, self.lif2 = nn.BatchNorm2d(outputs), neuron()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        reshapes = stride != 1 or inputs != outputs
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if reshapes else nn.Identity()

    def forward(self, x):
        spikes = self.lif1(self.bn1(x))
        return self.conv2(self.lif2(self.bn2(self.conv1(spikes)))) + self.shortcut(spikes)


def resnet18(neuron, width):
    channels = [int(each * width) for each in (64, 64, 128, 256, 512)]
    stages = [
        PreActivation(before if i == 0 else after, after, 2 if i == 0 and n > 0 else 1, neuron)
        for n, (before, after) in enumerate(zip(channels, channels[1:]))
        for i in range(2)
    ]
    return nn.Sequential(
        nn.Conv2d(3, channels[0], 3, padding=1, bias=False),
        *stages,
        nn.BatchNorm2d(channels[-1]), neuron(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], 10),
    )  # fmt: skip


def vgg11(neuron, width):
    layers, inputs = [], 2
    for outputs, pooled in ((64, True), (128, True), (256, False), (256, True), (512, False), (512, True), (512, False), (512, True)):
        outputs = int(outputs * width)
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), neuron()]
        layers += [nn.AvgPool2d(2)] if pooled else []
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(49 * inputs, 10))


def conv(neuron, width):
    narrow, wide = int(32 * width), int(64 * width)
    return nn.Sequential(
        nn.Conv2d(1, narrow, 3, padding=1), neuron(), nn.AvgPool2d(2),
        nn.Conv2d(narrow, wide, 3, padding=1), neuron(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(wide * 7 * 7, 10),
    )  # fmt: skip


def mlp(neuron, width):
    hidden = int(1000 * width)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, hidden), neuron(), nn.Linear(hidden, hidden), neuron(), nn.Linear(hidden, 10)
    )


def separable(inputs, outputs, stride, neuron):
    return [
        nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False), nn.BatchNorm2d(inputs), neuron(),
        nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), neuron(),
    ]  # fmt: skip


def mobilenet(neuron, width):
    layers = [nn.Conv2d(1, int(16 * width), 3, 2, padding=1, bias=False), nn.BatchNorm2d(int(16 * width)), neuron()]
    inputs = int(16 * width)
    for outputs, stride in ((32, 1), (64, 2), (64, 1), (128, 2), (128, 1)):
        outputs = int(outputs * width)
        layers += separable(inputs, outputs, stride, neuron)
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def cnn1d(neuron, width):
    layers, inputs = [], 1
    for outputs, kernel, stride in ((16, 7, 2), (32, 5, 1), (64, 5, 1)):
        outputs = int(outputs * width)
        layers += [nn.Conv1d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False), nn.BatchNorm1d(outputs)]
        layers += [neuron(), nn.AvgPool1d(2)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(inputs, 10))


class CurrentStep(torch.autograd.Function):
    """Like FusedStep, with a synaptic current i before the membrane; updates both in place."""

    @staticmethod
    def forward(ctx, x, i, v, current_decay, decay):
        i.mul_(current_decay).add_(x)
        distance = torch.add(i, v, alpha=decay).sub_(1)
        spikes = (distance >= 0).to(x.dtype)
        torch.sub(distance, spikes, out=v).add_(1)
        ctx.save_for_backward(distance)
        return spikes

    @staticmethod
    def backward(ctx, gradient):
        (distance,) = ctx.saved_tensors
        return distance.abs_().neg_().add_(1).clamp_(min=0).mul_(gradient), None, None, None, None


class Recurrent(nn.Module):
    """A recurrent layer of current-based neurons: i = 0.8 i + W x + R s[t-1], u = decay v + i, v = u - s."""

    def __init__(self, inputs, features, neuron):
        super().__init__()
        self.input, self.recurrent = nn.Linear(inputs, features), nn.Linear(features, features, bias=False)
        self.decay, self.fused = neuron.decay, isinstance(neuron, Fused)
        self.through_time, self.state = getattr(neuron, "through_time", False), None

    def forward(self, x):
        if self.state is None:
            self.state = tuple(torch.zeros(len(x), self.recurrent.out_features) for _ in range(3))
        i, v, spikes = self.state if self.through_time else [each.detach() for each in self.state]
        x = self.input(x) + self.recurrent(spikes)
        if self.fused:
            spikes = CurrentStep.apply(x, i, v, 0.8, self.decay)
        else:
            i = 0.8 * i + x
            u = self.decay * v + i
            spikes = Triangle.apply(u - 1)
            v = u - spikes
        self.state = (i, v, spikes)
        return spikes

    def forget(self):
        self.state = None


def rsnn(neuron, width):
    hidden = round(256 * width)
    return nn.Sequential(Recurrent(700, hidden, neuron()), Recurrent(hidden, hidden, neuron()), nn.Linear(hidden, 20))


# Networks by name: `neuron()` creates a layer of neurons, `width` is a factor of the channels.
models = {
    **{"conv": conv, "mlp": mlp, "mobilenet": mobilenet, "cnn1d": cnn1d},
    **{"resnet18": resnet18, "rsnn": rsnn, "vgg11": vgg11},
}


def spiking(module):
    """Whether the module contains neurons."""
    return any(hasattr(each, "forget") for each in module.modules())


class Iteration:
    """One training iteration on a batch of static images, or of frames, one per time step; cross-entropy."""

    def __init__(self, net, policy, inputs, labels, time_steps, frames, optimizer, learning_rate, steps, hoist):
        self.net, self.policy, self.time_steps, self.steps = net, policy, time_steps, steps
        self.inputs, self.labels, self.frames = inputs, labels, frames
        self.layers = [each for each in net.modules() if hasattr(each, "forget")]
        # Everything before the first layer of neurons is the same at every step.
        first = next(i for i, each in enumerate(net) if spiking(each))
        self.still, self.rest = (net[:first], net[first:]) if hoist else (None, net)
        self.optimizer = (
            torch.optim.SGD(net.parameters(), lr=learning_rate, momentum=0.9)
            if optimizer == "sgd"
            else torch.optim.Adam(net.parameters(), lr=learning_rate)
        )
        self.rates = [0.0] * len(self.layers)

    def watch(self):
        """Records the firing rates of the next iteration, which must not be timed."""

        def note(i):
            def hook(_module, _inputs, output):
                self.rates[i] += output.detach().mean().item() / self.time_steps

            return hook

        self.rates = [0.0] * len(self.layers)
        return [layer.register_forward_hook(note(i)) for i, layer in enumerate(self.layers)]

    def trained(self):
        if self.policy != "slttk":
            return range(self.time_steps)
        return set(torch.randperm(self.time_steps)[: self.steps].tolist())

    def run(self):
        """Returns the mean loss over the time steps, before the update."""
        for layer in self.layers:
            layer.forget()
        self.optimizer.zero_grad(set_to_none=True)
        total = self.bptt() if self.policy == "bptt" else self.sltt()
        self.optimizer.step()
        return total

    def bptt(self):
        # The same layer on the same image: autograd sums its gradients.
        x = self.inputs if self.still is None else self.still(self.inputs)
        at = (lambda t: x[t]) if self.frames else (lambda _: x)
        losses = [functional.cross_entropy(self.rest(at(t)), self.labels) for t in range(self.time_steps)]
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
                outputs = self.rest(x[t] if self.frames else x)
                loss = functional.cross_entropy(outputs, self.labels) / self.time_steps
                if t in trained:
                    loss.backward()
            total += loss.item()
        if self.still is not None:
            below.backward(x.grad)
        return total
