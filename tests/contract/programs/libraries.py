"""What libraries are set to, and environments that the program registers: a forked process has it all."""

import multiprocessing as mp
import sys

import gymnasium
import matplotlib
import numpy as np
import pandas


class Ladder(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 99, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.at = np.zeros(1, np.float32)
        return self.at, {}

    def step(self, action):
        self.at = (self.at + action).astype(np.float32)
        return self.at, float(action), False, False, {}


def climb(name):
    env = gymnasium.make(name)
    env.reset(seed=1)
    return [env.step(step % 2)[1] for step in range(4)], env.spec.max_episode_steps


def look(results):
    results.put(pandas.DataFrame({"x": [1.23456, 2.0], "y": ["a", "b"]}).to_string())
    results.put((matplotlib.rcParams["lines.linewidth"], matplotlib.rcParams["axes.prop_cycle"].by_key()))
    results.put((matplotlib.get_backend(), np.get_printoptions()["precision"]))
    results.put(climb("Ladder-v0"))


def main():
    mp.set_start_method(sys.argv[1])
    gymnasium.register("Ladder-v0", entry_point=Ladder, max_episode_steps=7)
    pandas.set_option("display.float_format", "{:.2f}".format)
    matplotlib.use("svg")
    matplotlib.rcParams["lines.linewidth"] = 5
    matplotlib.rcParams["axes.prop_cycle"] = matplotlib.cycler(color=["r", "g"])
    np.set_printoptions(precision=3)

    results = mp.Queue()
    process = mp.Process(target=look, args=(results,))
    process.start()
    for _ in range(4):
        print(results.get())
    process.join()

    with mp.Pool(2) as pool:
        print(pool.map(climb, ["Ladder-v0"] * 3))

    envs = gymnasium.vector.AsyncVectorEnv([lambda: gymnasium.make("Ladder-v0")] * 2, context="fork")
    envs.reset(seed=2)
    print(envs.step(np.array([1, 0]))[:2])
    envs.close()


if __name__ == "__main__":
    main()
