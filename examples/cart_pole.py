"""Carts on rails that balance a pole: the classic task of Barto, Sutton and Anderson, in NumPy."""

import numpy as np


class CartPole:
    """``count`` carts at once, each pushed to the left (0) or to the right (1) in every step.

    Attributes:
        state: place, speed, angle of the pole and its speed, ``(count, 4)``.
        steps: for how long each has stood, ``(count,)``.
    """

    limit = 200  # steps after which a cart has won

    def __init__(self, count, seed):
        self.rng = np.random.default_rng(seed)
        self.state = self.rng.uniform(-0.05, 0.05, (count, 4))
        self.steps = np.zeros(count, int)

    def reset(self, which):
        """Begin again with the carts of that mask; returns the states of all."""
        self.state[which] = self.rng.uniform(-0.05, 0.05, (int(which.sum()), 4))
        self.steps[which] = 0
        return self.state.astype(np.float32)

    def step(self, actions):
        """Push for a 50th of a second; returns the new states, which fell, and which have won."""
        _, speed, angle, turning = self.state.T
        force = np.where(actions == 1, 10.0, -10.0)
        sin, cos = np.sin(angle), np.cos(angle)
        push = (force + 0.05 * turning**2 * sin) / 1.1
        spin = (9.8 * sin - cos * push) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
        gain = push - 0.05 * spin * cos / 1.1
        change = np.stack([speed, gain, turning, spin], axis=1)
        self.state = self.state + 0.02 * change
        self.steps = self.steps + 1
        fell = (abs(self.state[:, 0]) > 2.4) | (abs(self.state[:, 2]) > np.radians(12))
        return self.state.astype(np.float32), fell, (self.steps >= self.limit) & ~fell
