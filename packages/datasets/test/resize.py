"""The expected values of resize.test.ts: python resize.py prints them anew."""
import torch
import torch.nn.functional as F

def image(height, width, channels):
    i = torch.arange(height * width * channels, dtype=torch.float64)
    return ((i * 7919) % 101).reshape(1, height, width, channels).permute(0, 3, 1, 2)

for height, width, channels, to in [(8, 8, 2, 3), (5, 7, 1, 4), (3, 2, 1, 5), (128, 128, 2, 48)]:
    out = F.interpolate(image(height, width, channels), size=(to, to), mode="bilinear", antialias=True)
    values = out.permute(0, 2, 3, 1).flatten()
    print(height, width, channels, to, [round(v, 4) for v in values[:10].tolist()], round(values.sum().item(), 4))

# torchvision's Resize(⌊size·256/224⌋) and CenterCrop(size) at size 14.
for height, width in [(20, 31), (40, 24), (20, 34)]:
    shorter = 14 * 256 // 224
    size = (shorter, shorter * width // height) if height <= width else (shorter * height // width, shorter)
    out = F.interpolate(image(height, width, 1), size=size, mode="bilinear", antialias=True)
    top, left = round((size[0] - 14) / 2), round((size[1] - 14) / 2)
    values = out[0, 0, top:top + 14, left:left + 14].flatten()
    print(height, width, size, [round(v, 4) for v in values[:6].tolist()], round(values.sum().item(), 4))
