"""Actor and critic: what was drawn is rewarded by how much better it was than expected."""

from __future__ import print_function

import argparse
from collections import namedtuple
from itertools import count

import made
import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.autograd import Variable

parser = argparse.ArgumentParser(description="Actor-critic on a cart with a pole")
parser.add_argument("--gamma", type=float, default=0.99, help="discount")
parser.add_argument("--seed", type=int, default=543)
parser.add_argument("--episodes", type=int, default=400)
parser.add_argument("--log-interval", type=int, default=10)
parser.add_argument("--quick", action="store_true", help="40 episodes")
args = parser.parse_args()
if args.quick:
    args.episodes = 40

env = made.CartPole(args.seed)
torch.manual_seed(args.seed)
SavedAction = namedtuple("SavedAction", ["action", "value"])


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(4, 64)
        self.action_head = nn.Linear(64, 2)
        self.value_head = nn.Linear(64, 1)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x)), self.value_head(x)


model = Policy()
optimizer = optim.Adam(model.parameters(), lr=2e-2)


def select_action(state):
    state = torch.from_numpy(state).float().unsqueeze(0)
    probs, state_value = model(Variable(state))
    action = probs.multinomial()
    model.saved_actions.append(SavedAction(action, state_value))
    return action.data


def finish_episode():
    R = 0
    saved_actions = model.saved_actions
    value_loss = 0
    rewards = []
    for r in model.rewards[::-1]:
        R = r + args.gamma * R
        rewards.insert(0, R)
    rewards = torch.Tensor(rewards)
    rewards = (rewards - rewards.mean()) / (rewards.std() + np.finfo(np.float32).eps)
    for (action, value), r in zip(saved_actions, rewards):
        action.reinforce(r - value.data.squeeze())
        value_loss += F.smooth_l1_loss(value, Variable(torch.Tensor([r])))
    optimizer.zero_grad()
    final_nodes = [value_loss] + list(map(lambda p: p.action, saved_actions))
    gradients = [torch.ones(1)] + [None] * len(saved_actions)
    autograd.backward(final_nodes, gradients)
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]
    return value_loss.data[0]


running = 10
for episode in range(1, args.episodes + 1):
    state = env.reset()
    for t in count(1):
        action = select_action(state)
        state, reward, done, _ = env.step(action[0, 0])
        model.rewards.append(reward)
        if done:
            break
    running = running * 0.95 + t * 0.05
    loss = finish_episode() / t
    if episode % args.log_interval == 0:
        print(
            "Episode {}\tLast length: {:5d}\tAverage length: {:.2f}\tloss of values {:.3f}".format(
                episode, t, running, loss
            )
        )
    if running > 180:
        print("Solved: the average length is {:.0f}".format(running))
        break
