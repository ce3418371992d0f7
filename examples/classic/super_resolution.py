"""Pictures of twice the size, by a sub-pixel convolution (Shi et al. 2016)."""

from __future__ import print_function

import argparse
import os
from math import log10

import made
import numpy as np
import torch
import torch.nn as nn
import torch.nn.init as init
import torch.optim as optim
import torch.utils.data as data
from PIL import Image
from torch.autograd import Variable
from torchvision.transforms import CenterCrop, Compose, Scale, ToTensor

parser = argparse.ArgumentParser(description="Super-resolution")
parser.add_argument("--data", help="folder with folders of pictures (default: some are made)")
parser.add_argument("--upscale_factor", type=int, default=2)
parser.add_argument("--nEpochs", type=int, default=10)
parser.add_argument("--lr", type=float, default=0.005)
parser.add_argument("--quick", action="store_true", help="a few batches only")
opt = parser.parse_args()
if opt.quick:
    opt.nEpochs = 3

torch.manual_seed(123)
size = 32 if opt.quick else 64
crop = size - size % opt.upscale_factor
root = opt.data or made.pictures(made.folder(None), 24 if opt.quick else 200, size + 4)


class Pictures(data.Dataset):
    """Pairs of a small picture and the large one it was made of: brightness only."""

    def __init__(self, folder):
        super(Pictures, self).__init__()
        self.filenames = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        self.small = Compose([CenterCrop(crop), Scale(crop // opt.upscale_factor), ToTensor()])
        self.large = Compose([CenterCrop(crop), ToTensor()])

    def __getitem__(self, index):
        y, _, _ = Image.open(self.filenames[index]).convert("YCbCr").split()
        return self.small(y), self.large(y)

    def __len__(self):
        return len(self.filenames)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2))
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        init.orthogonal(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal(self.conv3.weight)

    def forward(self, x):
        return self.pixel_shuffle(self.conv3(self.relu(self.conv2(self.relu(self.conv1(x))))))


training = data.DataLoader(Pictures(os.path.join(root, "waves")), batch_size=4, shuffle=True)
testing = data.DataLoader(Pictures(os.path.join(root, "rings")), batch_size=4)
model = Net(opt.upscale_factor)
criterion = nn.MSELoss()
optimizer = optim.Adam(model.parameters(), lr=opt.lr)


def train(epoch):
    epoch_loss = 0
    for batch in training:
        input, target = Variable(batch[0]), Variable(batch[1])
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.data[0]
        loss.backward()
        optimizer.step()
    print("===> Epoch {} Avg. Loss: {:.4f}".format(epoch, epoch_loss / len(training)))


def test():
    avg_psnr = 0
    for batch in testing:
        input, target = Variable(batch[0], volatile=True), Variable(batch[1])
        mse = criterion(model(input), target)
        avg_psnr += 10 * log10(1 / mse.data[0])
    print("===> Avg. PSNR: {:.4f} dB".format(avg_psnr / len(testing)))


path = os.path.join(made.folder(None), "model.pth")
for epoch in range(1, opt.nEpochs + 1):
    train(epoch)
    test()
    torch.save(model, path)

# With the network from its file, one picture in colours.
model = torch.load(path)
picture = Image.open(testing.dataset.filenames[0]).convert("YCbCr")
y, cb, cr = picture.split()
input = Variable(ToTensor()(y)).view(1, -1, y.size[1], y.size[0])
out = model(input).cpu()
out_y = Image.fromarray(np.uint8((out.data[0].numpy() * 255.0).clip(0, 255)[0]), mode="L")
out_cb, out_cr = (c.resize(out_y.size, Image.BICUBIC) for c in (cb, cr))
large = Image.merge("YCbCr", [out_y, out_cb, out_cr]).convert("RGB")
print("a picture of {} became one of {}".format(picture.size, large.size))
