"""optuna: one study in a journal file that a Pool's processes work on together, and trials asked for and told."""
import multiprocessing as mp, warnings; warnings.filterwarnings("ignore")
import optuna
from optuna.storages.journal import JournalFileBackend
optuna.logging.set_verbosity(optuna.logging.ERROR)
def storage(): return optuna.storages.JournalStorage(JournalFileBackend("study.log"))
def objective(trial):
    x = trial.suggest_float("x", -10, 10); k = trial.suggest_categorical("k", ["a", "b"])
    return (x - 2) ** 2 + (k == "b")
def work(seed):
    study = optuna.load_study(study_name="s", storage=storage(), sampler=optuna.samplers.RandomSampler(seed=seed))
    study.optimize(objective, n_trials=5)
    return seed
def value(params): return (params["x"] - 2) ** 2
if __name__ == "__main__":
    study = optuna.create_study(study_name="s", storage=storage())
    with mp.Pool(2) as pool: print("RESULT", sorted(pool.map(work, range(4), chunksize=1)))
    values = sorted(t.value for t in study.trials)
    print("RESULT", len(study.trials), {t.state.name for t in study.trials}, round(values[0], 6), round(sum(values), 6))
    other = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    with mp.Pool(2) as pool:
        for _ in range(3):
            trials = [other.ask({"x": optuna.distributions.FloatDistribution(-10, 10)}) for _ in range(4)]
            for trial, v in zip(trials, pool.map(value, [t.params for t in trials])): other.tell(trial, v)
    print("RESULT", len(other.trials), round(other.best_value, 6))
