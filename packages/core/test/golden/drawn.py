"""Weights and batches drawn from a seed and names, bit for bit those of packages/core/src/testing/drawn.ts."""
import numpy as np
import torch

WORD = 0xFFFFFFFF


def threefry(key, c0, c1):
    """One Threefry-2x32 block of 20 rounds for each counter (c0, c1), arrays of uint32."""
    keys = [np.uint32(word) for word in (*key, key[0] ^ key[1] ^ 0x1BD11BDA)]
    x0, x1 = c0 + keys[0], c1 + keys[1]
    for group in range(5):
        for turn in ((13, 15, 26, 6), (17, 29, 16, 24))[group & 1]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(turn)) | (x1 >> np.uint32(32 - turn))
            x1 = x1 ^ x0
        x0 = x0 + keys[(group + 1) % 3]
        x1 = x1 + keys[(group + 2) % 3] + np.uint32(group + 1)
    return x0, x1


def fold(key, part):
    if isinstance(part, str):
        code = 0x811C9DC5  # FNV-1a
        for letter in part.encode():
            code = ((code ^ letter) * 0x01000193) & WORD
        counter = (code, 0x73747200 + (len(part) & 0xFF))
    else:
        counter = (part >> 32, part & WORD)
    x0, x1 = threefry(key, *(np.array([word], np.uint32) for word in counter))
    return int(x0[0]), int(x1[0])


def uniform(seed, path, length):
    key = (seed >> 32, seed & WORD)
    for part in path:
        key = fold(key, part)
    blocks = np.arange((length + 1) // 2, dtype=np.uint32)
    words = np.stack(threefry(key, np.zeros_like(blocks), blocks), 1).reshape(-1)[:length]
    return (words >> np.uint32(8)).astype(np.float64) / 2**24


def centred(seed, path, length):
    return 2 * uniform(seed, path, length) - 1


def fill(seed, network):
    """Gives a network its drawn parameters and statistics."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            base, scale = (0 if name.endswith(("bias", "running_mean")) else 2 if name.endswith("gain") else 1), 0.3
            if name.endswith("weight") and tensor.dim() > 1:
                base, scale = 0, 3 / tensor[0].numel() ** 0.5
            values = base + scale * centred(seed, ["param", name], tensor.numel())
            tensor.copy_(torch.from_numpy(values.astype(np.float32)).reshape(tensor.shape))


def labels(seed, update, batch, classes):
    return torch.from_numpy(np.floor(uniform(seed, ["label", update], batch) * classes)).long()


def images(seed, update, batch, classes, shape):
    """A pattern of the class, in squares of 8x8 pixels, and noise."""
    channels, height, width = shape
    squares = (channels, (height + 7) // 8, (width + 7) // 8)
    patterns = np.stack([centred(seed, ["pattern", label], np.prod(squares)).reshape(squares) for label in range(classes)])
    patterns = patterns.repeat(8, 2).repeat(8, 3)[:, :, :height, :width]
    noise = centred(seed, ["noise", update], batch * channels * height * width).reshape(batch, *shape)
    values = noise / 2 + 2 * patterns[labels(seed, update, batch, classes).numpy()]
    return torch.from_numpy(values.astype(np.float32))


def events(seed, update, steps, batch, shape):
    """An event at 35 % of the places."""
    values = uniform(seed, ["events", update], steps * batch * int(np.prod(shape))) < 0.35
    return torch.from_numpy(values.astype(np.float32)).reshape(steps, batch, *shape)


def summary(seed, name, tensor):
    """Norm, and products with three drawn directions."""
    values = tensor.detach().double().numpy().reshape(-1)
    directions = [centred(seed, ["direction", i, name], values.size) for i in range(3)]
    return torch.tensor([np.sqrt(values @ values), *(values @ direction for direction in directions)])


def sample(tensor, count):
    """So many elements, evenly spread, of a tensor that has more."""
    values = tensor.detach().reshape(-1)
    if values.numel() <= count:
        return values
    return values[torch.arange(count) * values.numel() // count]
