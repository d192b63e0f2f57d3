"""The networks of packages/core/src/models in PyTorch, with the state dicts of the SLTT paper's own: what golden.py runs."""
import torch
import torch.nn as nn
import torch.nn.functional as F


class Triangle(torch.autograd.Function):
    """The step function; its derivative is taken to be max(0, 1 - |z|)."""

    @staticmethod
    def forward(ctx, z):
        ctx.save_for_backward(z)
        return (z >= 0).to(z.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (z,) = ctx.saved_tensors
        return gradient * (1 - z.abs()).clamp(min=0)


class Neurons:
    """What all neurons of a network share: decay, route, and what they did since `clear`."""

    def __init__(self, tau=2.0, route="sltt"):
        self.decay, self.route = 1 - 1 / tau, route
        self.layers = []
        self.clear()

    def clear(self):
        self.counts, self.margin = [], float("inf")
        for layer in self.layers:
            layer.v = None

    def __call__(self):
        layer = LIF(self)
        self.layers.append(layer)
        return layer


class LIF(nn.Module):
    """u = decay*v + x, s = [u >= 1], v = u - s; under sltt v is a constant of the next step."""

    def __init__(self, shared):
        super().__init__()
        object.__setattr__(self, "shared", shared)
        self.v = None

    def forward(self, x):
        u = x
        if self.v is not None:
            v = self.v if self.shared.route == "bptt" else self.v.detach()
            u = self.shared.decay * v + x
        s = Triangle.apply(u - 1)
        self.v = u - s
        self.shared.counts.append(s.sum().item())
        self.shared.margin = min(self.shared.margin, (u - 1).abs().min().item())
        return s


def convolution(inputs, outputs, kernel, stride=1, bias=True):
    return nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, bias=bias)


class PreActivationBlock(nn.Module):
    def __init__(self, neurons, inputs, outputs, stride):
        super().__init__()
        self.bn1, self.lif1 = nn.BatchNorm2d(inputs), neurons()
        self.conv1 = convolution(inputs, outputs, 3, stride)
        self.bn2, self.lif2 = nn.BatchNorm2d(outputs), neurons()
        self.conv2 = convolution(outputs, outputs, 3)
        self.shortcut = nn.Identity() if stride == 1 and inputs == outputs else convolution(inputs, outputs, 1, stride)

    def forward(self, x):
        a = self.lif1(self.bn1(x))
        return self.conv2(self.lif2(self.bn2(self.conv1(a)))) + self.shortcut(a)


class PreActivationResNet(nn.Module):
    def __init__(self, blocks, neurons, width, classes, channels):
        super().__init__()
        at = max(1, round(64 * width))
        self.conv1 = convolution(channels, at, 3, bias=False)
        for i, length in enumerate(blocks):
            outputs = max(1, round((64 << i) * width))
            stage = []
            for j in range(length):
                stage.append(PreActivationBlock(neurons, at, outputs, 2 if i > 0 and j == 0 else 1))
                at = outputs
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.bn1, self.lif1, self.pool = nn.BatchNorm2d(at), neurons(), nn.AvgPool2d(4)
        self.linear = nn.Linear(at, classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.linear(torch.flatten(self.pool(self.lif1(self.bn1(x))), 1))


class VGG(nn.Module):
    def __init__(self, convolutions, neurons, width, classes, channels):
        super().__init__()
        for i, length in enumerate(convolutions):
            stage = []
            for _ in range(length):
                outputs = max(1, round(min(64 << i, 512) * width))
                stage += [convolution(channels, outputs, 3), nn.BatchNorm2d(outputs), neurons(), nn.Identity()]  # dropout 0
                channels = outputs
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage, nn.AvgPool2d(2)))
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(channels * 49, classes))

    def forward(self, x):
        return self.classifier(self.avgpool(self.layer5(self.layer4(self.layer3(self.layer2(self.layer1(x)))))))


class StandardizedConv2d(nn.Conv2d):
    """Scaled weight standardisation."""

    def __init__(self, inputs, outputs, kernel, stride=1):
        super().__init__(inputs, outputs, kernel, stride, (kernel - 1) // 2)
        self.gain = nn.Parameter(torch.ones(outputs, 1, 1, 1))

    def forward(self, x):
        axes, fan_in = (1, 2, 3), self.weight[0].numel()
        centred = self.weight - self.weight.mean(axes, keepdim=True)
        weight = self.gain * centred / torch.sqrt(self.weight.var(axes, keepdim=True) * fan_in + 1e-4)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class NormalizerFreeBlock(nn.Module):
    def __init__(self, neurons, inputs, inner, stride, beta, bottleneck):
        super().__init__()
        outputs = inner * 4 if bottleneck else inner
        kernels = [(inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1)]
        if not bottleneck:
            kernels = [(inputs, inner, 3, stride), (inner, outputs, 3, 1)]
        self.beta = beta
        for i, kernel in enumerate(kernels, 1):
            setattr(self, f"lif{i}", neurons())
            setattr(self, f"conv{i}", StandardizedConv2d(*kernel))
        self.length = len(kernels)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = StandardizedConv2d(inputs, outputs, 1, stride)
        self.skipinit_gain = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        shortcut, y = x, x / self.beta
        for i in range(1, self.length + 1):
            y = 2.74 * getattr(self, f"lif{i}")(y)
            if i == 1 and self.downsample is not None:
                shortcut = self.downsample(y)
            y = getattr(self, f"conv{i}")(y)
        return y * self.skipinit_gain * 0.2 + shortcut


class NormalizerFreeResNet(nn.Module):
    def __init__(self, blocks, bottleneck, neurons, width, classes, channels):
        super().__init__()
        at = max(1, round(64 * width))
        self.conv1, self.pool = StandardizedConv2d(channels, at, 7, 2), nn.AvgPool2d(3, 2, 1)
        variance = 1.0
        for i, length in enumerate(blocks):
            inner = max(1, round((64 << i) * width))
            stage = []
            for j in range(length):
                stage.append(NormalizerFreeBlock(neurons, at, inner, 2 if i > 0 and j == 0 else 1, variance**0.5, bottleneck))
                variance = (1 if j == 0 else variance) + 0.2**2
                at = inner * 4 if bottleneck else inner
            setattr(self, f"layer{i + 1}", nn.Sequential(*stage))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d(1), nn.Linear(at, classes)

    def forward(self, x):
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.pool(self.conv1(x))))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def resnet(*blocks):
    return lambda *options: PreActivationResNet(blocks, *options)


def vgg(*convolutions):
    return lambda *options: VGG(convolutions, *options)


def nfresnet(bottleneck, *blocks):
    return lambda *options: NormalizerFreeResNet(blocks, bottleneck, *options)


# name -> (neurons, width, classes, channels of the image) -> module
models = {
    "resnet18": resnet(2, 2, 2, 2),
    "resnet34": resnet(3, 4, 6, 3),
    "vgg11": vgg(1, 1, 2, 2, 2),
    "vgg13": vgg(2, 2, 2, 2, 2),
    "vgg16": vgg(2, 2, 3, 3, 3),
    "nfresnet34": nfresnet(False, 3, 4, 6, 3),
    "nfresnet50": nfresnet(True, 3, 4, 6, 3),
    "nfresnet101": nfresnet(True, 3, 4, 23, 3),
}


class Residual(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, x):
        return self.body(x) + x


def flattened(neurons):
    """`flattened` of packages/core/src/testing/golden-networks.ts, for images of 2 channels and 3x4 pixels."""
    return nn.Sequential(
        nn.Conv2d(2, 3, 2), nn.Flatten(), nn.BatchNorm1d(18), neurons(),
        Residual(nn.Sequential(nn.Linear(18, 18), nn.BatchNorm1d(18))), neurons(),
        nn.Linear(18, 5), nn.BatchNorm1d(5),
    )
