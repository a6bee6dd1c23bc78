"""Boosted trees beside scikit-learn's histogram boosting, both at their defaults: log loss on test rows.

    cargo build --release --features csv,gbdt --example boosted_trees
    python benches/peers/trees.py target/release/examples/boosted_trees [FOLDER]

Needs numpy and scikit-learn. Two data sets are drawn from a known truth. FOLDER, if given, holds two that may not be
passed on: hillstrom.csv.gz (the e-mail campaign of MineThatData) and shuttle-2_vs_5.csv.gz (KEEL).
"""

import csv
import gzip
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss


def normals(rows, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 3))
    return x, random.random(rows) < 1 / (1 + np.exp(3 - 1.2 * x[:, 0] - x[:, 1] * x[:, 2]))


def clicks(rows, seed):
    """About 1 % positives: thresholds, a line, an interaction, and four columns of noise."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 10))
    logit = -6 + 1.5 * (x[:, 0] > 1) + 0.8 * x[:, 1] + 0.7 * x[:, 2] * x[:, 3] - 1.0 * (np.abs(x[:, 4]) < 0.3) + 0.3 * x[:, 5]
    return x, random.random(rows) < 1 / (1 + np.exp(-logit))


def read(path, label, dropped=()):
    with gzip.open(path, "rt") as file:
        rows = list(csv.DictReader(file))
    columns = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        if name == label or name in dropped:
            continue
        try:
            columns.append([float(value) for value in values])
        except ValueError:
            columns += [[float(value == level) for value in values] for level in sorted(set(values))]
    return np.array(columns).T, np.array([float(row[label]) > 0 for row in rows])


def halves(x, y, seed):
    order = np.random.default_rng(seed).permutation(len(y))
    train, test = order[: len(y) // 2], order[len(y) // 2 :]
    return x[train], y[train], x[test], y[test]


def sets(folder):
    yield "normals, 4,000 rows", (*normals(4_000, 1), *normals(40_000, 2))
    yield "clicks, 100,000 rows at 1 %", (*clicks(100_000, 1), *clicks(100_000, 2))
    if folder:
        x, y = read(folder / "hillstrom.csv.gz", "visit", ("conversion", "spend"))
        yield "hillstrom, visits", halves(x, y, 1)
        x, y = read(folder / "shuttle-2_vs_5.csv.gz", "y")
        yield "shuttle, 2 against 5", halves(x, y, 1)


def write(path, x, y):
    with open(path, "w") as file:
        print("label", *(f"x{j}" for j in range(x.shape[1])), sep=",", file=file)
        for row, label in zip(x, y):
            print(int(label), *map(repr, map(float, row)), sep=",", file=file)


program, folder = sys.argv[1], pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
for name, (x, y, x_test, y_test) in sets(folder):
    model = HistGradientBoostingClassifier(random_state=0).fit(x, y)
    theirs = log_loss(y_test, model.predict_proba(x_test)[:, 1])
    constant = log_loss(y_test, np.full(len(y_test), y.mean()))
    with tempfile.TemporaryDirectory() as place:
        train, test = pathlib.Path(place, "train.csv"), pathlib.Path(place, "test.csv")
        write(train, x, y)
        write(test, x_test, y_test)
        ours = subprocess.run([program, "--train", train, "--test", test], capture_output=True, text=True, check=True)
    print(f"{name}: {y.sum()} positives of {len(y)}; base rate {constant:.5f}, scikit-learn {theirs:.5f}; ours:")
    print("   ", ours.stdout.strip().replace("\n", "\n    "), flush=True)
