"""Trains a neural network to balance a pole on a cart, by evolution strategies.

In the style of Salimans et al. (2017) and of Uber's trainers: one table of noise is shared by all
processes (a multiprocessing.Array, read through numpy), a task is an index into it and a sign, and
what comes back are rewards; so a process sends a few numbers for a network of any size. Rewards
are shaped by rank, noise is used in antithetic pairs, Adam takes the step.
"""

import argparse
import ctypes
import multiprocessing

import numpy as np

LAYERS = (4, 16, 1)
SIZE = sum((fan_in + 1) * fan_out for fan_in, fan_out in zip(LAYERS, LAYERS[1:]))
NOISE = 1_000_000
STEPS = 300
SIGMA = 0.3


class NoiseTable:
    """Gaussian noise that all processes read at the same address, and none writes."""

    def __init__(self, shared):
        self.values = np.frombuffer(shared.get_obj(), dtype=np.float32)

    @classmethod
    def create(cls, seed):
        shared = multiprocessing.Array(ctypes.c_float, NOISE)
        table = cls(shared)
        table.values[:] = np.random.RandomState(seed).randn(NOISE)
        return shared, table

    def sample_index(self, random):
        return int(random.randint(0, NOISE - SIZE + 1))

    def get(self, index):
        return self.values[index : index + SIZE]


class Optimizer:
    """Adam (Kingma and Ba, 2015)."""

    def __init__(self, step=0.2, beta1=0.9, beta2=0.999):
        self.step, self.beta1, self.beta2 = step, beta1, beta2
        self.mean, self.variance, self.time = np.zeros(SIZE), np.zeros(SIZE), 0

    def ascend(self, theta, gradient):
        self.time += 1
        self.mean = self.beta1 * self.mean + (1 - self.beta1) * gradient
        self.variance = self.beta2 * self.variance + (1 - self.beta2) * gradient**2
        rate = self.step * np.sqrt(1 - self.beta2**self.time) / (1 - self.beta1**self.time)
        return theta + rate * self.mean / (np.sqrt(self.variance) + 1e-8)


def act(theta, observation):
    """Force on the cart, between -1 and 1."""
    start, signal = 0, observation
    for fan_in, fan_out in zip(LAYERS, LAYERS[1:]):
        weights = theta[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        start += fan_in * fan_out
        signal = np.tanh(signal @ weights + theta[start : start + fan_out])
        start += fan_out
    return float(signal[0])


def rollout(theta, seed):
    """Reward of one episode: the steps for which the pole stays up, less for straying."""
    x, v, angle, spin = np.random.RandomState(seed).uniform(-0.2, 0.2, 4)
    reward = 0.0
    for _ in range(STEPS):
        force = 10.0 * act(theta, np.array([x, v, angle, spin]))
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + 0.05 * spin**2 * sine) / 1.1
        torque = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        x, v = x + 0.02 * v, v + 0.02 * (push - 0.05 * torque * cosine / 1.1)
        angle, spin = angle + 0.02 * spin, spin + 0.02 * torque
        if abs(x) > 2.4 or abs(angle) > 0.4:
            break
        reward += 1.0 - 0.25 * abs(x)
    return reward


def set_up(shared):
    """Runs once in each process of the pool."""
    global noise
    noise = NoiseTable(shared)


def evaluate(theta, indices, seed):
    """Rewards of theta plus and minus the noise at each index, in rows."""
    return [
        [rollout(theta + sign * SIGMA * noise.get(index), seed + number) for sign in (1, -1)]
        for number, index in enumerate(indices)
    ]


def centered_ranks(rewards):
    """Rewards as their ranks, spread evenly from -0.5 to 0.5."""
    ranks = np.empty(rewards.size)
    ranks[rewards.ravel().argsort(kind="stable")] = np.arange(rewards.size)
    return (ranks / (rewards.size - 1) - 0.5).reshape(rewards.shape)


def train(pool, table, options):
    random, optimizer = np.random.RandomState(options.seed), Optimizer()
    theta = 0.1 * random.randn(SIZE)
    for generation in range(options.generations):
        batches = [[table.sample_index(random) for _ in range(options.batch)] for _ in range(options.batches)]
        pending = [
            pool.apply_async(evaluate, (theta, batch, 1000 * generation + 100 * number))
            for number, batch in enumerate(batches)
        ]
        rewards = np.array([row for result in pending for row in result.get()])
        weights = centered_ranks(rewards)
        directions = np.array([table.get(index) for batch in batches for index in batch], dtype=float)
        gradient = (weights[:, 0] - weights[:, 1]) @ directions / (len(directions) * SIGMA)
        theta = optimizer.ascend(theta, gradient - 0.005 * theta)
        print(f"generation {generation:2}  mean reward {rewards.mean():8.3f}  best {rewards.max():8.3f}")
    return theta


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--generations", type=int, default=16)
    parser.add_argument("--batches", type=int, default=8, help="tasks of a generation")
    parser.add_argument("--batch", type=int, default=8, help="antithetic pairs of a task")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    shared, table = NoiseTable.create(options.seed)
    with multiprocessing.Pool(options.workers, initializer=set_up, initargs=(shared,)) as pool:
        theta = train(pool, table, options)
    score = np.mean([rollout(theta, seed) for seed in range(10)])
    print(f"trained: mean reward {score:.3f} of {STEPS}, |theta| {np.linalg.norm(theta):.6f}")


if __name__ == "__main__":
    main()
