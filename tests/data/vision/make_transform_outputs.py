"""Write transforms.npz: what torchvision makes of a small tensor image.

Run by hand, where torchvision 0.29 is installed; tests need the result only.
"""

from pathlib import Path

import numpy as np
import torch
from torchvision import utils
from torchvision.transforms import InterpolationMode as Mode, functional

y, x = np.mgrid[0:16, 0:22]
image = np.stack(
    [127 + 120 * np.sin(x / 3 + y / 4), 127 + 100 * np.cos(x / 2 - y / 5), (9 * x + 7 * y) % 256]
)
image = image.clip(0, 255).astype(np.uint8)
corners = [[0, 0], [21, 0], [21, 15], [0, 15]]
moved = [[2.3, 1.2], [19.8, 2.4], [20.7, 13.1], [1.4, 14.2]]

CASES = {
    "resize": lambda t: functional.resize(t, [9, 13]),
    "resize_plain": lambda t: functional.resize(t, [9, 13], antialias=False),
    "resize_up": lambda t: functional.resize(t, [31, 40]),
    "resize_cubic": lambda t: functional.resize(t, [9, 13], Mode.BICUBIC),
    "resize_cubic_plain": lambda t: functional.resize(t, [9, 13], Mode.BICUBIC, antialias=False),
    "resize_nearest": lambda t: functional.resize(t, [9, 13], Mode.NEAREST),
    "resize_nearest_exact": lambda t: functional.resize(t, [9, 13], Mode.NEAREST_EXACT),
    "resize_side": lambda t: functional.resize(t, 10),
    "rotate": lambda t: functional.rotate(t, 30),
    "rotate_expand": lambda t: functional.rotate(t, 30, expand=True),
    "rotate_quarter": lambda t: functional.rotate(t, 90, expand=True),
    "affine": lambda t: functional.affine(t, 20, [3, 4], 1.2, [10, 5]),
    "perspective": lambda t: functional.perspective(t, corners, moved, Mode.NEAREST),
    "brightness": lambda t: functional.adjust_brightness(t, 1.3),
    "contrast": lambda t: functional.adjust_contrast(t, 0.6),
    "saturation": lambda t: functional.adjust_saturation(t, 1.7),
    "hue": lambda t: functional.adjust_hue(t, 0.2),
    "gamma": lambda t: functional.adjust_gamma(t, 1.7, 0.9),
    "sharpness": lambda t: functional.adjust_sharpness(t, 1.8),
    "gray": lambda t: functional.rgb_to_grayscale(t),
    "invert": functional.invert,
    "autocontrast": functional.autocontrast,
    "equalize": functional.equalize,
    "posterize": lambda t: functional.posterize(t, 3),
    "solarize": lambda t: functional.solarize(t, 100),
    "blur": lambda t: functional.gaussian_blur(t, [5, 3], [1.1, 0.7]),
    "pad_reflect": lambda t: functional.pad(t, [1, 2, 3, 4], padding_mode="reflect"),
    "pad": lambda t: functional.pad(t, [1, 2, 3, 4], fill=7),
    "center": lambda t: functional.center_crop(t, [9, 11]),
    "center_larger": lambda t: functional.center_crop(t, [21, 27]),
}
grid = torch.arange(5 * 3 * 4 * 6).float().view(5, 3, 4, 6) / 360

results = {name: case(torch.from_numpy(image)).numpy() for name, case in CASES.items()}
results |= {
    "image": image,
    "grid": utils.make_grid(grid, nrow=2, padding=1, pad_value=0.3).numpy(),
    "grid_each": utils.make_grid(grid, nrow=2, normalize=True, scale_each=True).numpy(),
    "grid_range": utils.make_grid(grid, normalize=True, value_range=(0.2, 0.7)).numpy(),
}
np.savez_compressed(Path(__file__).parent / "transforms.npz", **results)
