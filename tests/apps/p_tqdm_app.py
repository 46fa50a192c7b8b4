"""p_tqdm: pathos' pools under progress bars, which processes draw under one lock."""
from p_tqdm import p_map, p_umap, p_imap
if __name__ == "__main__":
    k = 4
    print("RESULT", sum(p_map(lambda x: x * k, range(60), num_cpus=2, disable=True)), sorted(p_umap(lambda x, y: x - y, [3, 4], [1, 1], num_cpus=2)))
    print("RESULT", list(p_imap(lambda x: x ** 2, range(6), num_cpus=2)))
