"""Classes that deap's creator puts into its own module at run time, and individuals that go to and fro."""

import functools
import multiprocessing as mp
import random
import sys

from deap import algorithms, base, creator, tools

creator.create("Fitness", base.Fitness, weights=(1.0, -1.0))
creator.create("Individual", list, fitness=creator.Fitness, strategy=None)


def evaluate(one, weight=1):
    return weight * sum(one), len(one)


def vary(one):
    if type(one) is not creator.Individual or type(one.fitness) is not creator.Fitness:
        raise TypeError(type(one))
    other = creator.Individual(reversed(one))
    other.fitness.values = evaluate(one)
    other.strategy = creator.Individual
    return other


if __name__ == "__main__":
    random.seed(5)
    toolbox = base.Toolbox()
    toolbox.register("evaluate", functools.partial(evaluate, weight=2))
    toolbox.register("mate", tools.cxTwoPoint)
    toolbox.register("mutate", tools.mutFlipBit, indpb=0.2)
    toolbox.register("select", tools.selNSGA2)
    population = [creator.Individual(random.choices((0, 1), k=8)) for _ in range(8)]
    with mp.get_context(sys.argv[1]).Pool(2) as pool:
        toolbox.register("map", pool.map)
        varied = pool.map(vary, population)
        print([list(one) for one in varied] == [one[::-1] for one in population], varied[0].fitness.values)
        print({type(one) is creator.Individual for one in varied}, varied[0].strategy is creator.Individual)
        algorithms.eaMuPlusLambda(population, toolbox, 8, 8, 0.5, 0.3, 3, verbose=False)
        # Made when the pool is there already.
        creator.create("Later", dict, fitness=creator.Fitness)
    print(sorted(one.fitness.values for one in population))
    with mp.get_context(sys.argv[1]).Pool(1) as pool:
        (later,) = pool.map(dict.copy, [creator.Later(a=1)])
        print(later, type(later))
