"""REINFORCE (Williams 1992): keep a pole upright on a cart, by rewards for what was drawn."""

from __future__ import print_function

import argparse
from itertools import count

import made
import numpy as np
import torch
import torch.autograd as autograd
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.autograd import Variable

parser = argparse.ArgumentParser(description="REINFORCE on a cart with a pole")
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


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(4, 64)
        self.affine2 = nn.Linear(64, 2)
        self.saved_actions = []
        self.rewards = []

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.affine1(x))))


model = Policy()
optimizer = optim.Adam(model.parameters(), lr=1e-2)


def select_action(state):
    state = torch.from_numpy(state).float().unsqueeze(0)
    action = model(Variable(state)).multinomial()
    model.saved_actions.append(action)
    return action.data


def finish_episode():
    R = 0
    rewards = []
    for r in model.rewards[::-1]:
        R = r + args.gamma * R
        rewards.insert(0, R)
    rewards = torch.Tensor(rewards)
    rewards = (rewards - rewards.mean()) / (rewards.std() + np.finfo(np.float32).eps)
    for action, r in zip(model.saved_actions, rewards):
        action.reinforce(r)
    optimizer.zero_grad()
    autograd.backward(model.saved_actions, [None for _ in model.saved_actions])
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]


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
    finish_episode()
    if episode % args.log_interval == 0:
        print("Episode {}\tLast length: {:5d}\tAverage length: {:.2f}".format(episode, t, running))
    if running > 180:
        print("Solved: the average length is {:.0f}".format(running))
        break
