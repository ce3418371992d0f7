"""Actor and critic: eight carts learn to balance poles together, while a critic says what to expect.

    python -m dtorch.compat examples/actor_critic.py --quick

The critic's guess of what follows takes the place of the end of an episode, so that the actor
learns every 16 steps. The mean time for which a pole stands rises from some 20 steps to over 100
with --quick; 200 is the most there can be.
"""

import argparse

import torch
import torch.nn as nn
import torch.optim as optim
from cart_pole import CartPole
from torch.distributions import Categorical


class ActorCritic(nn.Module):
    """States ``(*, 4)`` to scores of the two actions and to the value of the state."""

    def __init__(self, hidden):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh()
        )
        self.action_head = nn.Linear(hidden, 2)
        self.value_head = nn.Linear(hidden, 1)

    def forward(self, x):
        x = self.body(x)
        return self.action_head(x), self.value_head(x).squeeze(-1)


def make_model(args):
    return ActorCritic(args.hidden)


def make_optimizer(model, args):
    return optim.Adam(model.parameters(), lr=args.lr)


def batches(args, model):
    """What happens to the carts in so many steps under the model as it is then.

    States ``(T + 1, carts, 4)``, actions ``(T, carts)``, which of them went on afterwards, and how
    long those poles stood that fell in the meantime.
    """
    carts = CartPole(args.carts, args.seed)
    state = torch.from_numpy(carts.reset(carts.steps == 0))
    for _ in range(args.updates):
        states, actions, goes_on, stood = [state], [], [], []
        for _ in range(args.rollout):
            with torch.no_grad():
                scores, _ = model(state)
            action = Categorical(logits=scores).sample()
            _, fell, won = carts.step(action.numpy())
            stood.extend(carts.steps[fell | won].tolist())
            state = torch.from_numpy(carts.reset(fell | won))
            states.append(state)
            actions.append(action)
            goes_on.append(torch.from_numpy(~(fell | won)))
        yield torch.stack(states), torch.stack(actions), torch.stack(goes_on).float(), stood


def train(model, optimizer, batches, args):
    """One step for each batch; yields the losses of actor and critic, and how long poles stood."""
    for states, actions, goes_on, stood in batches:
        scores, values = model(states)
        returns = [values[-1].detach()]  # 1 is to stand for ever
        for going_on in goes_on.flip(0):
            returns.insert(0, 1 - args.gamma + args.gamma * going_on * returns[0])
        returns = torch.stack(returns[:-1])
        policy = Categorical(logits=scores[:-1])
        advantage = returns - values[:-1]
        critic_loss = advantage.square().mean()
        advantage = advantage.detach() / (advantage.detach().std() + 1e-5)
        actor_loss = -(policy.log_prob(actions) * advantage).mean()
        loss = actor_loss + args.critic * critic_loss - args.entropy * policy.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield actor_loss.item(), critic_loss.item(), sum(stood) / max(len(stood), 1)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="150 updates")
    parser.add_argument("--updates", type=int, help="default: 600")
    parser.add_argument("--carts", type=int, default=8)
    parser.add_argument("--rollout", type=int, default=16, help="steps between updates")
    parser.add_argument("--gamma", type=float, default=0.98, help="worth of the next step's reward")
    parser.add_argument("--critic", type=float, default=2.0, help="weight of its loss")
    parser.add_argument("--entropy", type=float, default=0.01, help="worth of being undecided")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args(argv)
    args.updates = args.updates if args.updates is not None else 150 if args.quick else 600
    if min(args.updates, args.carts, args.rollout, args.hidden) < 1:
        parser.error("--updates, --carts, --rollout and --hidden have to be at least 1")
    return args


def main():
    args = arguments()
    torch.manual_seed(args.seed)
    model = make_model(args)
    optimizer = make_optimizer(model, args)
    lengths = []
    for update, losses in enumerate(train(model, optimizer, batches(args, model), args), 1):
        actor_loss, critic_loss, stood = losses
        if stood:
            lengths.append(stood)
        if update % 30 == 0 or update == args.updates:
            recent = sum(lengths[-20:]) / max(len(lengths[-20:]), 1)
            print(
                f"update {update}: actor {actor_loss:+.3f}, critic {critic_loss:.4f}, "
                f"poles stand for {recent:.1f} steps"
            )


if __name__ == "__main__":
    main()
