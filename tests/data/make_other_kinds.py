"""Makes the files in checkpoints/ that PyTorch alone can write; run with PyTorch 2.

    python make_other_kinds.py

script.pt: a module with its program (TorchScript). packed.pt: one whose weights only its program
can read. quantised.pth: numbers stored as integers; quantised.pth.json: what they stand for.
"""

import io
import json
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

FOLDER = Path(__file__).parent / "checkpoints"


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.blocks = nn.ModuleList([nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 1), nn.ReLU())])
        self.tied = self.blocks[0].weight
        self.sizes = [3, 5]
        self.names = ["a", "b"]
        self.register_buffer("absent", None)

    def forward(self, x):
        x = self.norm(self.conv(x)).mean((2, 3))
        for block in self.blocks:
            x = block(x)
        return x


def filled(module):
    """Weights that can be written down: k/8 for k = 0, 1, 2, ... in each tensor."""
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.copy_((torch.arange(tensor.numel()) / 8).reshape(tensor.shape))
    return module.eval()


def save_program(module, path):
    """Save a program without the code, which is PyTorch's own and not read here."""
    made = io.BytesIO()
    torch.jit.save(torch.jit.script(module), made)
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            if "/code/" not in info.filename:
                # A ZipInfo of the name alone has a fixed date.
                new.writestr(zipfile.ZipInfo(info.filename), old.read(info))


def main():
    warnings.simplefilter("ignore")
    save_program(filled(Net()), FOLDER / "script.pt")
    layer = nn.Sequential(nn.Linear(3, 2))
    packed = torch.ao.quantization.quantize_dynamic(layer, dtype=torch.qint8)
    save_program(packed, FOLDER / "packed.pt")
    x = torch.tensor([[-1.0, 0.5, 2.0], [3.0, -0.25, 1.5]])
    scales = torch.tensor([0.5, 0.25], dtype=torch.float64)
    tensors = {
        "qint8": torch.quantize_per_tensor(x, 0.25, 3, torch.qint8),
        "quint8": torch.quantize_per_tensor(x, 0.125, 64, torch.quint8),
        "qint32": torch.quantize_per_tensor(x, 0.001, 0, torch.qint32),
        "channels": torch.quantize_per_channel(x, scales, torch.tensor([0, 5]), 0, torch.qint8),
    }
    torch.save(tensors, FOLDER / "quantised.pth")
    values = {name: tensor.dequantize().tolist() for name, tensor in tensors.items()}
    (FOLDER / "quantised.pth.json").write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
