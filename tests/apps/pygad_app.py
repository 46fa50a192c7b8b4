"""pygad: fitness in a ProcessPoolExecutor (parallel_processing), many small generations."""
import numpy as np, pygad
def fitness(ga, solution, index): return -float(np.sum((solution - 3) ** 2))
if __name__ == "__main__":
    ga = pygad.GA(num_generations=8, num_parents_mating=4, fitness_func=fitness, sol_per_pop=12, num_genes=4, random_seed=5, parallel_processing=["process", 2], suppress_warnings=True)
    ga.run(); s, f, i = ga.best_solution(); print("RESULT %.10f" % f, np.round(s, 8).tolist())
