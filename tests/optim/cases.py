"""Optimizers and schedules whose course is compared with a stored one of PyTorch.

Optimizer cases are ``(name, arguments)``; schedule cases ``(name, optimizer, schedule, steps)`` with
expressions in which ``p`` are the parameters, ``o`` the optimizer, and ``S`` the module of schedules.
"""

from __future__ import annotations

OPTIMIZERS = [
    "SGD(p, lr=0.05)",
    "SGD(p, lr=0.05, momentum=0.9, weight_decay=0.1)",
    "SGD(p, lr=0.05, momentum=0.9, nesterov=True)",
    "SGD(p, lr=0.05, momentum=0.9, dampening=0.3, maximize=True)",
    "Adam(p, lr=0.1)",
    "Adam(p, lr=0.1, weight_decay=0.1, amsgrad=True)",
    "AdamW(p, lr=0.1, betas=(0.8, 0.9), eps=1e-3)",
    "AdamW(p, lr=0.1, amsgrad=True, maximize=True)",
    "Adamax(p, lr=0.1, weight_decay=0.1)",
    "NAdam(p, lr=0.1, weight_decay=0.1)",
    "NAdam(p, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)",
    "RAdam(p, lr=0.1, betas=(0.9, 0.8))",
    "RAdam(p, lr=0.1, weight_decay=0.1, decoupled_weight_decay=True)",
    "Adagrad(p, lr=0.1, lr_decay=0.1, weight_decay=0.1, initial_accumulator_value=0.5)",
    "Adadelta(p, lr=2.0, rho=0.8, weight_decay=0.1)",
    "RMSprop(p, lr=0.05)",
    "RMSprop(p, lr=0.05, momentum=0.9, centered=True, weight_decay=0.1)",
    "Rprop(p, lr=0.1)",
    "ASGD(p, lr=0.05, t0=2, lambd=0.1, weight_decay=0.1)",
    "Adafactor(p, lr=0.1, weight_decay=0.1)",
    "LBFGS(p, lr=0.5, max_iter=4, history_size=3)",
    "LBFGS(p, max_iter=6, line_search_fn='strong_wolfe')",
]

SGD = "SGD([{'params': p[:1], 'lr': 0.5}, {'params': p[1:]}], lr=0.1, momentum=0.9)"
ADAM = "Adam(p, lr=0.1)"

SCHEDULES = [
    (SGD, "S.LambdaLR(o, [lambda e: 0.9 ** e, lambda e: 1 / (1 + e)])", 6),
    (SGD, "S.MultiplicativeLR(o, lambda e: 0.9)", 6),
    (SGD, "S.StepLR(o, 2, 0.5)", 7),
    (SGD, "S.MultiStepLR(o, [2, 5, 5], 0.5)", 8),
    (SGD, "S.ConstantLR(o, 0.25, 3)", 6),
    (SGD, "S.LinearLR(o, 0.25, 0.75, 4)", 7),
    (SGD, "S.ExponentialLR(o, 0.8)", 5),
    (SGD, "S.PolynomialLR(o, 4, 2.0)", 7),
    (SGD, "S.CosineAnnealingLR(o, 4, 0.01)", 14),
    (SGD, "S.CosineAnnealingWarmRestarts(o, 2, 2, 0.01)", 12),
    (SGD, "S.CyclicLR(o, 0.1, [1.0, 2.0], 2, 3)", 13),
    (SGD, "S.CyclicLR(o, 0.1, 1.0, 2, mode='triangular2')", 13),
    (SGD, "S.CyclicLR(o, 0.1, 1.0, 2, scale_fn=lambda x: 1 / x, cycle_momentum=False)", 9),
    (ADAM, "S.CyclicLR(o, 0.1, 1.0, 2, mode='exp_range', gamma=0.9)", 9),
    (SGD, "S.OneCycleLR(o, [1.0, 2.0], 12)", 11),
    (ADAM, "S.OneCycleLR(o, 1.0, epochs=3, steps_per_epoch=4, three_phase=True, anneal_strategy='linear')", 11),
    (SGD, "S.SequentialLR(o, [S.ConstantLR(o, 0.1, 2), S.ExponentialLR(o, 0.9)], [3])", 8),
    (SGD, "S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 3), S.CosineAnnealingLR(o, 5)], [3])", 8),
    (SGD, "S.ChainedScheduler([S.ConstantLR(o, 0.1, 2), S.ExponentialLR(o, 0.9)])", 6),
    (SGD, "A.SWALR(o, 0.05, 4)", 8),
    (SGD, "A.SWALR(o, [0.05, 0.5], 4, 'linear')", 8),
]  # fmt: skip
