"""Million rows per CPU second that polars and pyarrow read on one thread from the files of the bench `files`.

cargo bench -p imbalance-benches --features files --bench files -- 5000000
python benches/peers/read.py 5000000
"""

import os
import sys
import tempfile
import time

os.environ["POLARS_MAX_THREADS"] = "1"

import polars
import pyarrow
import pyarrow.csv
import pyarrow.parquet

pyarrow.set_cpu_count(1)
pyarrow.set_io_thread_count(1)
rows = int(sys.argv[1])
log = os.path.join(tempfile.gettempdir(), f"imbalance-files-{rows}", "log")
plain = pyarrow.csv.ReadOptions(use_threads=False)
for name, read in {
    "polars, CSV": lambda: polars.read_csv(log + ".csv"),
    "pyarrow, CSV": lambda: pyarrow.csv.read_csv(log + ".csv", read_options=plain),
    "polars, Parquet": lambda: polars.read_parquet(log + ".parquet"),
    "pyarrow, Parquet": lambda: pyarrow.parquet.read_table(log + ".parquet", use_threads=False),
}.items():
    best = 0
    for _ in range(2):
        begin = time.process_time()
        read()
        best = max(best, rows / (time.process_time() - begin) / 1e6)
    print(f"{name:20} {best:.2f}")
