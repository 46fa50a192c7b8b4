"""OpenAI Baselines' SubprocVecEnv and ShmemVecEnv over Monitor, whose files the processes write."""

import csv
import hashlib
import os
import sys
import tempfile

import gym
import numpy as np
from baselines.bench import Monitor
from baselines.common.vec_env import ShmemVecEnv, SubprocVecEnv


def maker(rank, folder):
    def make():
        env = gym.make("CartPole-v1")
        env.seed(rank)
        return Monitor(env, os.path.join(folder, str(rank)), allow_early_resets=True)

    return make


def played(kind, context, **how):
    """A line for what 200 steps of four environments have shown, and what is in the files."""
    with tempfile.TemporaryDirectory() as folder:
        envs = kind([maker(rank, folder) for rank in range(4)], context=context, **how)
        seen, total = hashlib.sha1(envs.reset().round(5).tobytes()), 0.0
        for step in range(200):
            observations, rewards, _dones, _infos = envs.step(np.array([(step + i) % 2 for i in range(4)]))
            seen.update(observations.round(5).tobytes())
            total += rewards.sum()
        envs.close()
        episodes = []
        for rank in range(4):
            with open(os.path.join(folder, f"{rank}.monitor.csv")) as file:
                next(file)
                episodes.append([row["l"] for row in csv.DictReader(file)])
    return f"{kind.__name__} {context} {sorted(how)} {total} {seen.hexdigest()[:12]} {episodes}"


if __name__ == "__main__":
    for context in sys.argv[1:] or ["spawn", "fork"]:
        print("RESULT", played(SubprocVecEnv, context))
        print("RESULT", played(SubprocVecEnv, context, in_series=2))
        print("RESULT", played(ShmemVecEnv, context))
