"""Scores rows by a saved fitted pipeline, see scoring.md: python3 scorer.py pipeline.json < rows > probabilities
A row is a line of JSON: [the value of each column], or {"column": value} in ascending order without zeros."""
import bisect, functools, json, sys
from math import exp, expm1, inf, isfinite, lgamma, log, log1p
def ln(x): return log(x) if x > 0 else -inf
def logit(p): return ln(p / (1 - p)) if p < 1 else inf
def sigmoid(z): return (1.0 if z >= 0 else exp(z)) / (1.0 + exp(-abs(z)))
def ln_sigmoid(z): return min(z, 0.0) - log1p(exp(-abs(z)))
def times(c, x): return c * x if c else 0.0  # 0 · ∞ is 0
def add(terms, start=0.0): return functools.reduce(lambda a, b: a + b, terms, start)  # `sum` may round otherwise
def of_kind(kinds, part, x): return next(kinds[kind](m, x) for kind, m in part.items())
def linear(m, row):  # added up in the order of the crate, because a map may step at any logit
    beta, b, whole = m.get("linear", m)["coefficients"], m.get("linear", m)["intercept"], len(row) // 8 * 8
    terms = [beta[j] * x for j, x in row.items()]; s = [add(terms[i:whole:8]) for i in range(8)]
    if len(row) < len(beta): return add(terms, b)
    return b + (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + add(terms[whole:]))
def rare_events(m, row):
    z, v, k = linear(m, row), m["inference"]["covariance"], len(m["inference"]["estimates"])
    x = [*row.items(), (k - 1, 1.0)] if m["averaged"] else []
    c = (0.5 - sigmoid(z)) * add(a * b * v[i * k + j] for i, a in x for j, b in x)
    return z + (log1p(c * sigmoid(-z)) - log1p(-c * sigmoid(z)))
def leaves(tree, row, at=0, here=True):  # from left to right: the score, and whether the row falls into it
    if "leaf" in tree[at]: return [(tree[at]["leaf"]["value"], here)]
    split = tree[at]["split"]; x, left = row.get(split["column"], 0.0), split["left"]
    to_left = x < float(split["threshold"]) if x else split["zero_to_left"]
    return leaves(tree, row, left, here and to_left) + leaves(tree, row, left + 1, here and not to_left)
def all_leaves(m, row): return [leaf for tree in m["trees"] for leaf in leaves(tree, row)]
def trees(m, row): return m["base"] + add(score for score, here in all_leaves(m, row) if here)
def on_leaves(m, row): return linear(m["regression"], {j: 1.0 for j, leaf in enumerate(all_leaves(m["trees"], row)) if leaf[1]})
MODELS = {"linear": linear, "fitted_logistic_regression": linear, "fitted_ftrl": linear, "fitted_boosted_trees": trees,
          "fitted_rare_events": rare_events, "fitted_boosted_leaves": on_leaves}
def excess(g, z): return log1p(-g * sigmoid(z := sorted([-700.0, z, 700.0])[1]) * ln_sigmoid(z) / sigmoid(-z))
def slope(g, z): return (1 + g) * ln_sigmoid(-z) + excess(g, z)
def asymmetric(z, up, down, margin):
    u, v = sigmoid(z) - margin, sigmoid(-z) + margin
    if u <= 0 or margin == 0: return slope(down, -z) - slope(up, z) if margin == 0 else -inf
    of_p = u ** down * (1 / v - down / u * (log1p(-u) if u < 0.5 else log(v)))
    return ln(of_p) + ln_sigmoid(z) - times(up, ln_sigmoid(-z)) - excess(up, z)
def posterior(part, z): return z if part == "identity" else of_kind(POSTERIORS, part, z)
POSTERIORS = {"shift": lambda m, z: z + m, "shifted": lambda m, z: posterior(m["inner"], z) + m["by"],
    "focal": lambda m, z: slope(m["gamma"], -z) - slope(m["gamma"], z) - log(m["positive"] / m["negative"]),
    "asymmetric": lambda m, z: asymmetric(z, m["gamma_positive"], m["gamma_negative"], m["margin"]),
    "smoothed": lambda m, z: ln(sigmoid(t := posterior(m["inner"], z)) - (e := m["epsilon"] / 2)) - ln(sigmoid(-t) - e)}
def isotonic(m, z):
    x, y = [-inf, *map(float, m["logits"]), inf], [m["probabilities"][0], *m["probabilities"], m["probabilities"][-1]]
    i = min(bisect.bisect_right(x, z), len(x) - 1); in_p = (lambda x: -sigmoid(-x)) if x[i - 1] > 0 else sigmoid
    a, t, b = map(in_p if m["in_probability"] else float, (x[i - 1], z, x[i]))
    share = (t / 2 - a / 2) / (b / 2 - a / 2) if -inf < a < b < inf else (1 + (b < inf) - (a > -inf)) / 2
    return logit(min(y[i - 1] + (share if z > x[i - 1] else 0.0) * (y[i] - y[i - 1]), y[i]))
def quadratic(m, z):
    (a, b, c), inside = m["powers"], sorted([z, *m["range"]])[1]; t = (inside - m["centre"]) / m["scale"]
    return c + t * (b + a * t) + times(m["slopes"][z > inside], z - inside)
def spline(m, z):
    i = bisect.bisect_right(m["knots"], z); (a, b, c, d), t = m["cubics"][i], (z - m["knots"][max(i, 1) - 1]) / m["length"]
    return m["intercept"] + (a + (t * (b + t * (c + t * d)) if isfinite(t) else times(b, t)))
def ln_beta(z, a, b, f=1.0):  # ln I_p(a, b) for p = σ(z) up to (a + 1)/(a + b + 2), by its continued fraction
    for n in range(int(100 + 10 * max(a, b) ** 0.5), 0, -1):
        f = 1 + (-(a + n // 2) * (a + b + n // 2) if n % 2 else n // 2 * (b - n // 2)) * sigmoid(z) / ((a + n - 1) * (a + n)) / f
    return a * ln_sigmoid(z) + b * ln_sigmoid(-z) + lgamma(a + b) - lgamma(a) - lgamma(b) - log(a) - log(f)
def beta_cdf(m, z):
    a, b = m["alpha"], m["beta"]; a, b, sign = (a, b, 1) if z < log(a + 1) - log(b + 1) else (b, a, -1)
    return sign * ((tail := ln_beta(sign * z, a, b)) - ln(-expm1(tail))) if a else m["constant"]
def step(edges, values, z, side=bisect.bisect_right): return values[side([*map(float, edges)], z)]
MAPS = {"uncalibrated": lambda m, z: z, "beta_cdf": beta_cdf, "quadratic": quadratic, "spline": spline, "isotonic": isotonic,
    "prior": lambda m, z: posterior(m["posterior"], z) - m["log_odds"],
    "linear_prior": lambda m, z: logit(m["factor"] * sigmoid(posterior(m["posterior"], z))),
    "platt": lambda m, z: times(m["slope"], sigmoid(z) if m["on_probabilities"] else z) + m["intercept"],
    "beta": lambda m, z: times(m["a"], ln_sigmoid(z)) - times(m["b"], ln_sigmoid(-z)) + m["c"],
    "temperature": lambda m, z: times(m["slope"], z) + m["offset"], "clip": lambda m, z: sorted([z, a := logit(m["bound"]), -a])[1],
    "histogram": lambda m, z: logit(step(m["edges"], m["values"], z)),
    "venn_abers": lambda m, z: logit((p1 := step(*m["p1"], z, bisect.bisect_left)) / (1 - step(*m["p0"], z) + p1)),
    "chain": lambda m, z: of_kind(MAPS, m["second"]["map"], of_kind(MAPS, m["first"]["map"], z))}
saved = json.load(open(sys.argv[1], encoding="utf-8")); members = saved["content"]["members"]
assert (saved["format"], saved["version"], saved["kind"]) == ("imbalance", 1, "fitted_pipeline"), "no fitted pipeline"
[m] = members[0][0].values(); m = m.get("linear") or (m if "base" in m else m.get("trees") or m)
names, columns = {k: j for j, k in enumerate(m.get("feature_names") or [])}, m.get("columns") or len(m["coefficients"])
for row in map(json.loads, sys.stdin):
    assert isinstance(row, dict) or len(row) == columns, f"{columns} columns are needed"
    row = {int(names.get(k, k)): x for k, x in (row.items() if isinstance(row, dict) else enumerate(row))}
    print(add(sigmoid(of_kind(MAPS, c["map"], of_kind(MODELS, m, row))) for m, c in members) / len(members))
