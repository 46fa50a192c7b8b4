"""Files of pandas, pyarrow and h5py, which open them by their paths in C."""

import multiprocessing as mp
import os
import sys
import tempfile
import warnings
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.feather
import pyarrow.json
import pyarrow.parquet


def make(folder):
    frame = pd.DataFrame({"a": range(5), "b": [x * 1.5 for x in range(5)]})
    frame.to_csv(f"{folder}/t.csv", index=False)
    frame.to_csv(f"{folder}/t.csv.gz", index=False)
    frame.to_parquet(f"{folder}/t.parquet")
    frame.to_pickle(f"{folder}/t.pkl")
    frame.to_json(f"{folder}/t.json", orient="records", lines=True)
    frame.to_feather(f"{folder}/t.feather")
    frame.to_parquet(f"{folder}/parts", partition_cols=["a"])
    with h5py.File(f"{folder}/t.h5", "w") as file:
        file["x"] = np.arange(300_000)


def reads(folder):
    yield [
        int(pd.read_csv(f"{folder}/t.csv", engine=engine).a.sum()) for engine in ("c", "python", "pyarrow")
    ]
    yield int(pd.read_csv(f"{folder}/t.csv", memory_map=True).a.sum()), len(pd.read_csv(f"{folder}/t.csv.gz"))
    yield len(pd.read_pickle(f"{folder}/t.pkl")), len(pd.read_json(f"{folder}/t.json", lines=True))
    yield len(pd.read_feather(f"{folder}/t.feather")), list(pd.read_parquet(f"{folder}/t.parquet"))
    yield (
        pd.read_parquet(Path(folder, "t.parquet"), columns=["a"]).a.tolist(),
        len(pd.read_parquet(f"{folder}/parts")),
    )
    yield (
        pa.parquet.read_table(f"{folder}/t.parquet").num_rows,
        pa.parquet.read_table(f"{folder}/parts").num_rows,
    )
    yield pa.parquet.ParquetFile(f"{folder}/t.parquet").metadata.num_rows
    yield pa.dataset.dataset(f"{folder}/parts", partitioning="hive").to_table().num_rows
    yield pa.csv.read_csv(f"{folder}/t.csv").num_rows, pa.csv.read_csv(f"{folder}/t.csv.gz").num_rows
    yield (
        pa.json.read_json(f"{folder}/t.json").num_rows,
        pa.feather.read_table(f"{folder}/t.feather").num_rows,
    )
    with pa.memory_map(f"{folder}/t.csv") as mapped:
        yield mapped.size(), mapped.read(3)
    with h5py.File(f"{folder}/t.h5") as file:
        yield list(file), int(file["x"][:].sum()), file.filename == f"{folder}/t.h5", file.mode


def writes(folder):
    table = pa.table({"q": [1, 2, 3]})
    pa.parquet.write_table(table, f"{folder}/new.parquet")
    pd.DataFrame({"q": [1]}).to_parquet(f"{folder}/frame.parquet")
    pa.dataset.write_dataset(table, f"{folder}/set", format="parquet")
    with pa.OSFile(f"{folder}/raw", "wb") as file:
        file.write(b"raw")
    with h5py.File(f"{folder}/new.h5", "w") as file:
        file["x"] = np.arange(4)
    with h5py.File(f"{folder}/new.h5", "a") as file:
        file["y"] = np.ones(2)
    with h5py.File(Path(folder, "begun.h5"), "a") as file:
        file.attrs["said"] = "by a process"


def wrong(folder):
    for attempt in (
        lambda: pd.read_csv(f"{folder}/none"),
        lambda: pd.read_parquet(f"{folder}/none"),
        lambda: pa.csv.read_csv(f"{folder}/none"),
        lambda: h5py.File(f"{folder}/none"),
        lambda: h5py.File(f"{folder}/new.h5", "x"),
        lambda: h5py.File(f"{folder}/t.csv"),
        lambda: pa.parquet.read_table(f"{folder}/t.csv"),
        lambda: pa.parquet.write_table(pa.table({"q": [1]}), f"{folder}/none/inside"),
    ):
        try:
            attempt()
        except Exception as error:
            yield type(error).__name__, getattr(error, "errno", None)


def work(folder):
    found = list(reads(folder))
    writes(folder)
    return found, list(wrong(folder))


if __name__ == "__main__":
    warnings.simplefilter("error", ResourceWarning)
    mp.set_start_method(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder, mp.Pool(1) as pool:
        make(folder)
        found, failed = pool.apply(work, (folder,))
        print(*found, *failed, sep="\n")
        print(
            pd.read_parquet(f"{folder}/new.parquet").q.tolist(),
            len(pd.read_parquet(f"{folder}/frame.parquet")),
        )
        print(pd.read_parquet(f"{folder}/set").q.tolist(), Path(folder, "raw").read_bytes())
        with h5py.File(f"{folder}/new.h5") as file, h5py.File(f"{folder}/begun.h5") as other:
            print({name: file[name][:].tolist() for name in file}, dict(other.attrs))
        print(sorted(os.listdir(folder)))
