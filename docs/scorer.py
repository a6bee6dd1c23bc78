"""Scores rows by a saved fitted pipeline or scorer, see scoring.md: python3 scorer.py saved.json < rows > probabilities
A row is a line of JSON: [the value of each column], or {"column": value}, ascending and without zeros; or a record."""
import bisect, itertools, sys
from math import exp, expm1, inf, isfinite, lgamma, log, log1p
from rows import Dense, load, rows
def ln(x): return log(x) if x > 0 else -inf
def logit(p): return ln(p / (1 - p)) if p < 1 else inf
def sigmoid(z): return (1.0 if z >= 0 else exp(z)) / (1.0 + exp(-abs(z)))
def ln_sigmoid(z): return min(z, 0.0) - log1p(exp(-abs(z)))
def times(c, x): return c * x if c else 0.0  # 0 · ∞ is 0
def add(terms, sum=0.0): [sum := sum + term for term in terms]; return sum  # in this order; Python's may round otherwise
def of_kind(kinds, part, x): [(kind, m)] = part.items(); return kinds[kind](m, x)
def linear(m, row):  # added up in the order of the crate, because a map may step at any logit
    beta, b = m.get("linear", m)["coefficients"], m.get("linear", m)["intercept"]
    if not isinstance(row, Dense): return add((beta[j] * x for j, x in row.items()), b)
    terms, whole = [c * x for c, x in zip(beta, row.values())], len(row) // 8 * 8
    s = [add(terms[i:whole:8]) for i in range(8)] if whole else [0.0] * 8
    return b + (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])) + add(terms[whole:]))
def rare_events(m, row):
    z, v, k = linear(m, row), m["inference"]["covariance"], len(m["inference"]["estimates"])
    x = [*row.items(), (k - 1, 1.0)] if m["averaged"] else []
    c = (0.5 - sigmoid(z)) * add(a * b * v[i * k + j] for i, a in x for j, b in x)
    return z + (log1p(c * sigmoid(-z)) - log1p(-c * sigmoid(z)))
def grown(tree, at, count):  # (column, threshold, zero_to_left, left, right), and leaves as (score, number from the left)
    if "leaf" in tree[at]: return tree[at]["leaf"]["value"], next(count)
    split = tree[at]["split"]; sides = [grown(tree, split["left"] + side, count) for side in (0, 1)]
    return split["column"], float(split["threshold"]), split["zero_to_left"], *sides
def leaves(m, row):
    if "grown" not in m: count = itertools.count(); m["grown"] = [grown(tree, 0, count) for tree in m["trees"]]
    for node in m["grown"]:
        while len(node) > 2: node = node[3] if (x < node[1] if (x := row.get(node[0], 0.0)) else node[2]) else node[4]
        yield node
MODELS = {"linear": linear, "fitted_logistic_regression": linear, "fitted_ftrl": linear, "fitted_rare_events": rare_events,
    "fitted_boosted_trees": lambda m, row: m["base"] + add(score for score, _ in leaves(m, row)),
    "fitted_boosted_leaves": lambda m, row: linear(m["regression"], {j: 1.0 for _, j in leaves(m["trees"], row)})}
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
    x, y = m["logits"], m["probabilities"]; i = bisect.bisect_right(x, z)
    if i == 0 or i == len(x) or x[i - 1] == z: return logit(y[max(i - 1, 0)])
    in_p = (lambda x: -sigmoid(-x)) if x[i - 1] > 0 else sigmoid
    a, t, b = map(in_p if m["in_probability"] else float, (x[i - 1], z, x[i]))
    share = (t / 2 - a / 2) / (b / 2 - a / 2) if -inf < a < b < inf else (1 + (b < inf) - (a > -inf)) / 2
    return logit(min(y[i - 1] + share * (y[i] - y[i - 1]), y[i]))
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
def step(edges, values, z, side=bisect.bisect_right): return values[side(edges, z)]
MAPS = {"uncalibrated": lambda m, z: z, "beta_cdf": beta_cdf, "quadratic": quadratic, "spline": spline, "isotonic": isotonic,
    "prior": lambda m, z: posterior(m["posterior"], z) - m["log_odds"],
    "linear_prior": lambda m, z: logit(m["factor"] * sigmoid(posterior(m["posterior"], z))),
    "platt": lambda m, z: times(m["slope"], sigmoid(z) if m["on_probabilities"] else z) + m["intercept"],
    "beta": lambda m, z: times(m["a"], ln_sigmoid(z)) - times(m["b"], ln_sigmoid(-z)) + m["c"],
    "temperature": lambda m, z: times(m["slope"], z) + m["offset"], "clip": lambda m, z: sorted([z, a := logit(m["bound"]), -a])[1],
    "histogram": lambda m, z: logit(step(m["edges"], m["values"], z)),
    "venn_abers": lambda m, z: logit((p1 := step(*m["p1"], z, bisect.bisect_left)) / (1 - step(*m["p0"], z) + p1)),
    "chain": lambda m, z: of_kind(MAPS, m["second"]["map"], of_kind(MAPS, m["first"]["map"], z))}
content = load(sys.argv[1]); members = content.get("pipeline", content)["members"]
for row in rows(sys.stdin, content, members):
    print(add(sigmoid(of_kind(MAPS, c["map"], of_kind(MODELS, m, row))) for m, c in members) / len(members))
