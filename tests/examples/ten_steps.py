"""Ten steps of examples, and their losses: a program of its own, for dtorch and for PyTorch.

    ten_steps.py record FOLDER EXAMPLES     from new weights, written there with the batches
    ten_steps.py replay FOLDER EXAMPLES     from weights and batches that were written there

EXAMPLES are names and flags, as JSON; so are the losses that it prints.
"""

import importlib
import inspect
import itertools
import json
import sys
from pathlib import Path


def ten_steps(example, flags, folder, record):
    import torch  # noqa: PLC0415 - dtorch, or PyTorch; where neither is, this file can be collected

    program = importlib.import_module(example.split()[0])
    args = program.arguments(["--quick", *flags])
    torch.manual_seed(0)
    model = program.make_model(args)
    if record:
        # Who plays needs the model, too.
        given = (args, model)[: len(inspect.signature(program.batches).parameters)]
        epochs = (program.batches(*given) for _ in itertools.count())
        batches = list(itertools.islice(itertools.chain.from_iterable(epochs), 10))
        torch.save({"model": model.state_dict(), "batches": batches}, folder / f"{example}.pt")
    else:
        saved = torch.load(folder / f"{example}.pt")
        model.load_state_dict(saved["model"])
        batches = saved["batches"]
    optimizer = program.make_optimizer(model, args)
    return list(program.train(model, optimizer, batches, args))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
    mode, folder, examples = sys.argv[1:]
    losses = {
        example: ten_steps(example, flags, Path(folder), mode == "record")
        for example, flags in json.loads(examples).items()
    }
    json.dump(losses, sys.stdout)
