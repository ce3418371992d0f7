"""What an ordinary user writes: type checkers accept every line, but for those that say ``# error``.

It is read by checkers alone (``test_type_checkers.py``): nothing runs it, or imports it.
"""

from collections.abc import Iterator
from typing import Any, assert_type

import numpy as np

import dtorch
import dtorch.nn.functional as F
from dtorch import Size, Tensor, nn, optim
from dtorch.autograd import Function
from dtorch.data import DataLoader, Dataset, TensorDataset

# -- modules -------------------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self, width: int, hidden: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(0.1))
        self.heads = nn.ModuleList([nn.Linear(hidden, 2) for _ in range(2)])
        self.scale = nn.Parameter(dtorch.ones(1))
        self.register_buffer("steps", dtorch.zeros((), dtype=dtorch.int64))

    def forward(self, x: Tensor, which: int = 0) -> Tensor:
        features = F.relu(self.body(x))
        head = self.heads[which]
        scaled: Tensor = head(features) * self.scale
        return scaled


class Pair(nn.Module):
    def forward(
        self, left: Tensor, right: Tensor, *, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        return (left, right) if weights is None else (left * weights, right * weights)


class Untyped(nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]
        return x


net = Net(8).to("cpu").train()
assert_type(net, Net)
assert_type(net.eval(), Net)
assert_type(net.scale, nn.Parameter)
assert_type(net.body[0], nn.Module)
assert_type(net.state_dict(), dict[str, Any])
net.load_state_dict(net.state_dict(), strict=False).missing_keys.append("x")
names: list[str] = [name for name, parameter in net.named_parameters() if parameter.requires_grad]
sizes: int = sum(p.numel() for p in net.parameters())
dtorch.save(net.state_dict(), "net.pt")
net.load_state_dict(dtorch.load("net.pt", map_location="cpu"))
first: nn.Linear = nn.Linear(3, 4, bias=False)
assert_type(first.in_features, int)
assert_type(first.weight, nn.Parameter)
conv = nn.Conv2d(3, 8, kernel_size=(3, 3), padding="same")
handle = net.register_forward_hook(lambda module, args, out: None)
handle.remove()
nn.init.normal_(first.weight, std=0.02)

nn.Linaer(3, 4)  # error
nn.Linear(3)  # error
nn.Linear(3, 4, biass=False)  # error
nn.Linear("three", 4)  # error
nn.Conv2d(3, 8)  # error
F.rellu(dtorch.ones(2))  # error
net.train("yes")  # error

# -- functions -----------------------------------------------------------------------------------


class Cube(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, exponent: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.exponent = exponent
        return x**exponent

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.exponent * x ** (ctx.exponent - 1), None


class Square(Function):
    @staticmethod
    def forward(ctx: Function, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Function, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return grad * 2 * x


class Separate(Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.size = inputs[0].shape

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * 2


class Classic(Function):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        self.save_for_backward(x)
        return x * self.factor

    def backward(self, grad: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        assert x.shape == grad.shape
        return grad * self.factor


cubed: Tensor = Cube.apply(dtorch.ones(2), 3)
classic: Tensor = Classic(2.0)(cubed)

# -- tensors -------------------------------------------------------------------------------------

x = dtorch.randn(4, 8, requires_grad=True)
assert_type(x, Tensor)
assert_type(x.shape, Size)
assert_type(x.size(), Size)
assert_type(x.size(0), int)
assert_type(x.size(-1), int)
assert_type(x.stride(), tuple[int, ...])
assert_type(x.stride(0), int)
assert_type(x.dtype, dtorch.dtype)
assert_type(x.device, dtorch.device)
assert_type(x.dim(), int)
assert_type(len(x), int)
assert_type(bool(x.sum() > 0), bool)
assert_type(float(x.sum()), float)
assert_type(x + 1, Tensor)
assert_type(1 - x, Tensor)
assert_type(x @ x.T, Tensor)
assert_type(x == 0, Tensor)
assert_type(-x, Tensor)
assert_type(x[0], Tensor)
assert_type(x[:, 1:3], Tensor)
assert_type(x.view(-1, 2), Tensor)
assert_type(x.reshape(x.size(0), -1), Tensor)
assert_type(x.permute(1, 0), Tensor)
assert_type(x.to(dtorch.float64), Tensor)
assert_type(x.float(), Tensor)
array: np.ndarray = x.detach().cpu().numpy()
assert_type(x.sum(dim=1, keepdim=True), Tensor)
assert_type(dtorch.cat([x, x], dim=0), Tensor)
assert_type(dtorch.stack((x, x)), Tensor)
chosen: Tensor = dtorch.where(x > 0, x, 0.0)
assert_type(dtorch.tensor([1.0, 2.0]), Tensor)
assert_type(dtorch.from_numpy(np.zeros(3)), Tensor)
assert_type(x.grad, Tensor | None)
values, indices = x.max(1)
best: Tensor = values[indices]
assert_type(x.topk(2).values, Tensor)
batch, width = x.shape
assert_type(width, int)
rows: list[Tensor] = list(x)
x[0, 0] = 1.0
x[x > 0] = 0
x += 1
x.mul_(2).clamp_(min=0)
total: float = 0.0
total += x.sum().item()
correct = 0
correct += (x.argmax(1) == 0).sum().item()
print(f"{x.mean().item():.3f}")
x.sum().backward()
x.register_hook(lambda grad: grad * 2)
(gradient,) = dtorch.autograd.grad(x.sum(), [x])
penalty: Tensor = gradient.norm() ** 2

dtorch.rnadn(2)  # error
dtorch.ones(2).summ()  # error
x.shpae  # error
x.sum().item().backward()  # error
x.size().frobnicate()  # error
dtorch.cat(x, axes=0)  # error
dtorch.relu("x")  # error
x.backward(retain=True)  # error

# -- packages that are loaded when first used ----------------------------------------------------

dtorch.distributed.is_initialized()
dtorch.multiprocessing.get_context("spawn")
dtorch.cuda.is_available()
dtorch.cpu.is_available()
dtorch.vision.transforms.Compose([])
dtorch.vision.datasets.MNIST
dtorch.vision.models.resnet18()
dtorch.utils.data.DataLoader
dtorch.utils.checkpoint.checkpoint
dtorch.hub.load
dtorch.model_zoo.load_url
dtorch.amp.GradScaler()
dtorch.nn.parallel.DistributedDataParallel
dtorch.serialization.Checkpoint
dtorch.get_autocast_dtype("cpu")

dtorch.distributed.is_initialised()  # error
dtorch.vision.modles  # error
dtorch.nn.parallel.DistributedDataParalel  # error
dtorch.nn.modules.Linaer  # error

# -- training ------------------------------------------------------------------------------------


class Squares(Dataset[tuple[Tensor, Tensor]]):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return dtorch.tensor([float(index)]), dtorch.tensor(index**2)


def train(model: nn.Module, loader: DataLoader, epochs: int = 2) -> Iterator[float]:
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=1)
    for epoch in range(epochs):
        dtorch.manual_seed(epoch)
        for images, targets in loader:
            optimizer.zero_grad()
            with dtorch.autocast("cpu", dtype=dtorch.bfloat16):
                loss = loss_of(model(images), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            yield loss.item()
        scheduler.step()


def closure() -> Tensor:
    return x.sum()


@dtorch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> float:
    hits = 0
    with dtorch.no_grad(), dtorch.inference_mode():
        for images, targets in loader:
            hits += (model(images).argmax(1) == targets).sum().item()
    return hits / len(loader)


@dtorch.inference_mode()
def infer(model: nn.Module) -> str:
    return repr(model)


@dtorch.no_grad
def bare(model: nn.Module) -> str:
    return repr(model)


@dtorch.enable_grad
def recorded(x: Tensor, times: int = 2) -> Tensor:
    return x * times


@dtorch.inference_mode
def inferred(x: Tensor) -> int:
    return x.numel()


assert_type(infer(net), str)
assert_type(bare(net), str)
assert_type(recorded(x, times=3), Tensor)
assert_type(inferred(x), int)
assert_type(evaluate(net, DataLoader(Squares())), float)
optimizer = optim.LBFGS(net.parameters(), lr=1)
loss: Tensor = optimizer.step(closure)
loader = DataLoader(TensorDataset(x, x), batch_size=2, shuffle=True, num_workers=2)
assert_type(len(loader), int)
optim.Adam(
    [{"params": net.body.parameters(), "lr": 0.1}, {"params": [net.scale]}], betas=(0.9, 0.99)
)
optim.AdamW(list(net.named_parameters()))

optim.Sgd(net.parameters())  # error
optim.SGD(net.parameters(), learning_rate=0.1)  # error
DataLoader(Squares(), batchsize=2)  # error
evaluate(1, loader)  # error
bare(1)  # error
