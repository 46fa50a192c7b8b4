"""datasets: map and filter with num_proc=2 (multiprocess.Pool, Manager queue, dill, arrow files written by processes)."""
import datasets, os, tempfile
os.environ["HF_HUB_OFFLINE"] = "1"; datasets.disable_progress_bars()
if __name__ == "__main__":
    k = 3; d = tempfile.mkdtemp()
    ds = datasets.Dataset.from_dict({"x": list(range(100))})
    ds.save_to_disk(d); ds = datasets.load_from_disk(d)
    m = ds.map(lambda r: {"y": r["x"] * k}, num_proc=2, load_from_cache_file=False)
    print("RESULT", sum(m["y"]), len(m.filter(lambda r: r["y"] % 2, num_proc=2)), m.column_names)
