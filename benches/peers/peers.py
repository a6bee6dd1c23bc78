#!/usr/bin/env python3
"""How fast this crate is beside its peers, on the same arrays and threads, in one run.

    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1 imbalanced-learn==0.14.2 \
        betacal==1.1.0 vowpalwabbit==9.11.9
    python benches/peers/peers.py [GROUP ...]      # groups: sampling dense sparse ftrl calibration metrics

Both sides load the same arrays and take turns: a run of the peer, a run of this crate, and again, with a pause
before each, and a short task again and again within its turn. The table has the median of each and the ratio of
the medians. Where both compute a number (an objective, a metric) it is compared, so that nobody is fast by doing
less. Threads: all cores on both sides.
"""

import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ["-p", "imbalance-benches", "--bench", "peers"]
GROUPS = ["sampling", "dense", "sparse", "ftrl", "calibration", "metrics"]
# A relative difference to the least objective found at which a solver counts as having reached it.
REACHED = 1e-9
# Seconds before a turn. The threads of a linear algebra library spin for some hundredths of a second after their
# work, and would hold a core that belongs to the other side.
PAUSE = 0.1
# Seconds that a turn lasts at least, a short task being done again and again: the first milliseconds after a rest
# measure how fast the machine wakes its cores.
TURN = 0.1


class Ours:
    """This crate's program, with one group of tasks loaded."""

    def __init__(self, folder, group):
        command = ["cargo", "bench", "--quiet", *BENCH, "--", str(folder), group]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def run(self, task):
        print(task, file=self.process.stdin, flush=True)
        seconds, value = self.process.stdout.readline().split()
        return float(seconds), float(value)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def timed(run):
    start = time.perf_counter()
    value = run()
    return time.perf_counter() - start, value


def row(task, peer, theirs, ours, required):
    """A row of the table; each side is a list of seconds."""
    a, b = np.median(theirs), np.median(ours)
    print(f"| {task} | {peer} | {a:.4f} | {b:.4f} | {a / b:.1f} | {required} |", flush=True)


def turns(ours, task, peer, theirs, required, repeats=5, same=None):
    """Both sides in turn. `same`: the relative difference their numbers may have."""
    sides = [lambda: timed(theirs), lambda: ours.run(task)]
    seconds, values = [[], []], [None, None]
    for run in sides:
        run()
    for _ in range(repeats):
        for side, run in enumerate(sides):
            time.sleep(PAUSE)
            turn = []
            while sum(turn) < TURN:
                second, values[side] = run()
                turn.append(second)
            seconds[side].append(np.median(turn))
    if same is not None:
        their_value, our_value = np.sum(values[0]), values[1]
        assert abs(their_value - our_value) <= same * abs(their_value), (task, their_value, our_value)
    row(task, peer, *seconds, required)


def clouds(rng, rows, columns, positives):
    """Two overlapping clouds in random order."""
    y = np.zeros(rows, bool)
    y[rng.permutation(rows)[:positives]] = True
    x = rng.standard_normal((rows, columns))
    x[y] += 0.3
    return x, y


def save(folder, **arrays):
    for name, array in arrays.items():
        dtype = {"b": "u1", "i": "<u8", "f": "<f8"}[array.dtype.kind]
        array.astype(dtype).tofile(folder / f"{name.replace('_', ' ')}.bin")


def sampling(folder):
    from imblearn.over_sampling import SMOTE
    from imblearn.under_sampling import RandomUnderSampler
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(1)
    sizes = {}
    for positives, columns in [(20_000, 32), (10_000, 8), (20_000, 8), (200_000, 8)]:
        name = f"smote {positives}x{columns}"
        sizes[name] = clouds(rng, 3 * positives, columns, positives)
        save(folder, **{name: sizes[name][0], f"{name} y": sizes[name][1]})
    big = clouds(rng, 1_000_000, 32, 10_000)
    save(folder, x=big[0], y=big[1])
    ours = Ours(folder, "sampling")
    peers = {"default": 5, "n_jobs=-1": NearestNeighbors(n_neighbors=6, n_jobs=-1)}

    def smote(name, jobs, required, repeats):
        x, y = sizes[name]
        theirs = SMOTE(k_neighbors=peers[jobs], random_state=7)
        run = lambda: len(theirs.fit_resample(x, y)[1])
        turns(ours, name, f"imbalanced-learn, {jobs}", run, required, repeats, same=0)

    for name in ["smote 20000x32", "smote 10000x8"]:
        for jobs in peers:
            smote(name, jobs, "5", 3)
    under = RandomUnderSampler(sampling_strategy=0.1, random_state=7)
    turns(
        ours,
        "under-sampling 1000000x32",
        "imbalanced-learn",
        lambda: len(under.fit_resample(*big)[1]),
        "5",
        same=0,
    )
    # How much longer ten times the positives take, on both sides.
    for name in ["smote 20000x8", "smote 200000x8"]:
        smote(name, "n_jobs=-1", "", 1)
    few, many = ([ours.run(f"smote {n}x8")[0] for _ in range(3)] for n in (20_000, 200_000))
    row("smote 200000x8", "this crate, 20000x8 (growth at most 15)", few, many, "1/15")
    ours.close()


def logistic(folder, group, x, y, solvers):
    """Every solver with falling tolerances, until its objective is the least one to `REACHED`."""
    from sklearn.linear_model import LogisticRegression

    save(folder, y=y)
    ours = Ours(folder, group)
    ours.run("fit")
    signs = np.where(y, 1.0, -1.0)

    def objective(model):
        z = x @ model.coef_[0] + model.intercept_[0]
        return np.logaddexp(0, -signs * z).sum() + 0.5 * (model.coef_[0] ** 2).sum()

    reference = ours.run("fit")[1]
    for solver, tolerances in solvers.items():
        for tolerance in tolerances:
            model = LogisticRegression(C=1.0, solver=solver, tol=tolerance, max_iter=5000)
            seconds, _ = timed(lambda: model.fit(x, y))
            gap = objective(model) / reference - 1
            if gap <= REACHED:
                break
        if gap > REACHED:
            print(f"| fit {group} | scikit-learn, {solver} | {seconds:.2f} | not reached: {gap:.1e} |")
            continue
        turns(ours, "fit", f"scikit-learn, {solver}, tol {tolerance:g} ({group}, gap {gap:.0e})",
              lambda: model.fit(x, y), "3 × the fastest", 3)
    ours.close()


def dense(folder):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1_000_000, 32))
    y = rng.random(len(x)) < 1 / (1 + np.exp(5.4 - x @ rng.normal(0, 0.2, 32)))
    save(folder, x=x)
    # sag and saga pass the rows thousands of times; they are not the fastest here.
    falling = [1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9]
    logistic(folder, "dense", x, y, {s: falling for s in
             ["newton-cholesky", "lbfgs", "newton-cg", "liblinear"]})


def hashed(folder):
    """A million rows of 20 columns of 2**20, popular ones often, 1 % positive."""
    import scipy.sparse

    rng = np.random.default_rng(3)
    rows, each, columns = 1_000_000, 20, 1 << 20
    # 20 fields with levels of Zipf-like popularity, hashed.
    level = np.floor(np.exp(rng.random((rows, each)) * np.log(200_000))).astype(np.int64)
    index = (level * 2_654_435_761 + np.arange(each) * 40_503_001 + 12_345) % columns
    index = np.sort(index, axis=1)
    effect = rng.normal(0, 0.4, columns)
    z = effect[index].sum(1) * 0.5 - 5.0
    y = rng.random(rows) < 1 / (1 + np.exp(-z))
    # Rows name each column once.
    keep = np.ones_like(index, bool)
    keep[:, 1:] = index[:, 1:] != index[:, :-1]
    starts = np.concatenate([[0], np.cumsum(keep.sum(1))])
    values = np.ones(starts[-1])
    save(folder, sparse_starts=starts, sparse_columns=index[keep], sparse_values=values, y=y)
    return scipy.sparse.csr_matrix((values, index[keep], starts), (rows, columns)), y


def sparse(folder):
    x, y = hashed(folder)
    falling = [1e-4, 1e-6, 1e-8]  # a fit takes a minute
    logistic(folder, "sparse", x, y, {s: falling for s in ["lbfgs", "newton-cg", "liblinear"]})


def ftrl(folder):
    """Vowpal Wabbit's pass from its cache: what ten more passes cost, divided by ten."""
    from vowpalwabbit import Workspace

    x, y = hashed(folder)
    text = folder / "rows.vw"
    with text.open("w") as file:
        for i, label in enumerate(y):
            columns = x.indices[x.indptr[i] : x.indptr[i + 1]]
            file.write(f"{1 if label else -1} | " + " ".join(map(str, columns)) + "\n")
    cache = folder / "rows.cache"

    def passes(n):
        Workspace(
            f"--ftrl --loss_function logistic -b 20 -d {text} --cache_file {cache} --passes {n} "
            "--holdout_off --quiet"
        ).finish()

    passes(1)
    ours = Ours(folder, "ftrl")
    ours.run("pass")
    theirs, mine = [], []
    for _ in range(3):
        one = timed(lambda: passes(1))[0]
        theirs.append((timed(lambda: passes(11))[0] - one) / 10)
        mine.append(ours.run("pass")[0])
    row("FTRL, a pass over 1000000x20", "Vowpal Wabbit", theirs, mine, "1.5")
    ours.close()


def calibration(folder):
    from betacal import BetaCalibration
    from sklearn.calibration import _SigmoidCalibration
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(4)
    z = rng.normal(-5, 1.5, 1_000_000)
    y = rng.random(len(z)) < 1 / (1 + np.exp(-(0.7 * z - 0.5)))
    p = 1 / (1 + np.exp(-z))
    save(folder, scores=p, scores_y=y)
    logits = np.log(p / (1 - p))
    ours = Ours(folder, "calibration")

    def both(name, peer, make, input, loss, required):
        def fitted():
            return make().fit(input, y.astype(float))

        def fit():
            return fitted() and None

        turns(ours, f"{name} fit", peer, fit, required, 5)
        model = fitted()
        turns(ours, f"{name} predict", peer, lambda: model.predict(input), required, 9, loss)

    both("isotonic", "scikit-learn", lambda: IsotonicRegression(out_of_bounds="clip"), p, 1e-2, "3")
    both("platt", "scikit-learn", _SigmoidCalibration, logits, 1e-3, "5")
    for form in ["abm", "am", "ab"]:
        both(f"beta {form}", "betacal", lambda: BetaCalibration(form), p, 1e-2, "5")
    ours.close()


def metrics(folder):
    from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

    rng = np.random.default_rng(5)
    z = rng.normal(-5, 1.5, 10_000_000)
    p = 1 / (1 + np.exp(-z))
    y = rng.random(len(z)) < p
    save(folder, p=p, p_y=y)
    ours = Ours(folder, "metrics")
    for name, metric in [
        ("roc auc", roc_auc_score),
        ("average precision", average_precision_score),
        ("log loss", log_loss),
    ]:
        turns(ours, name, "scikit-learn", lambda: metric(y, p), "4", 3, same=1e-12)
    ours.close()


def main():
    groups = sys.argv[1:] or GROUPS
    unknown = set(groups) - set(GROUPS)
    if unknown:
        sys.exit(f"no such group: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    subprocess.run(["cargo", "bench", *BENCH, "--no-run"], cwd=ROOT, check=True)
    print("| task | peer | peer, s | this crate, s | ratio | asked for |")
    print("|---|---|---:|---:|---:|---:|")
    for group in groups:
        with tempfile.TemporaryDirectory() as folder:
            globals()[group](pathlib.Path(folder))


if __name__ == "__main__":
    main()
