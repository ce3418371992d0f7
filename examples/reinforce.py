"""REINFORCE: a policy learns to balance a pole from how long whole episodes lasted.

    python -m dtorch.compat examples/reinforce.py --quick

An episode lasts some 20 steps at first and 200 at most. After 60 of them the running
mean is several times what it was; it goes up and down, as this method is a noisy one.
"""

import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from cart_pole import CartPole
from torch.distributions import Categorical


class Policy(nn.Module):
    """States ``(T, 4)`` to the probabilities of pushing left and right."""

    def __init__(self, hidden, dropout):
        super().__init__()
        self.affine1 = nn.Linear(4, hidden)
        self.dropout = nn.Dropout(dropout)
        self.affine2 = nn.Linear(hidden, 2)

    def forward(self, x):
        x = F.relu(self.dropout(self.affine1(x)))
        return F.softmax(self.affine2(x), dim=-1)


def make_model(args):
    return Policy(args.hidden, args.dropout)


def make_optimizer(model, args):
    return optim.Adam(model.parameters(), lr=args.lr)


def batches(args, policy):
    """Episodes played by the policy as it is then: states ``(T, 4)`` and actions ``(T,)``."""
    cart = CartPole(1, args.seed)
    for _ in range(args.episodes):
        states, actions = [torch.from_numpy(cart.reset(np.array([True])))], []
        while True:
            with torch.no_grad():
                actions.append(Categorical(policy(states[-1])).sample())
            state, fell, won = cart.step(actions[-1].numpy())
            if fell or won:
                break
            states.append(torch.from_numpy(state))
        yield torch.cat(states), torch.cat(actions)


def train(policy, optimizer, batches, args):
    """One step for each episode; yields its loss, and how long it was."""
    for states, actions in batches:
        # Each step is worth 1, and a later one less: what counts for an action is all from it on.
        returns = (args.gamma ** torch.arange(len(actions))).cumsum(0).flip(0)
        returns = (returns - returns.mean()) / (returns.std() + 1e-5)
        loss = -(Categorical(policy(states)).log_prob(actions) * returns).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield loss.item(), len(actions)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="60 episodes")
    parser.add_argument("--episodes", type=int, help="default: 400")
    parser.add_argument("--gamma", type=float, default=0.99, help="worth of the next step's reward")
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--lr", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    args.episodes = args.episodes if args.episodes is not None else 60 if args.quick else 400
    if min(args.episodes, args.hidden) < 1:
        parser.error("--episodes and --hidden have to be at least 1")
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    policy = make_model(args)
    optimizer = make_optimizer(policy, args)
    running = None
    for episode, (loss, length) in enumerate(
        train(policy, optimizer, batches(args, policy), args), 1
    ):
        running = length if running is None else 0.95 * running + 0.05 * length
        if episode % 10 == 0 or episode == args.episodes:
            print(
                f"episode {episode}: loss {loss:.2f}, length {length}, running mean {running:.1f}"
            )


if __name__ == "__main__":
    main()
