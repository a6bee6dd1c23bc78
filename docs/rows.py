"""What scorer.py reads: saved files, and rows, which may be records for a saved encoder; see scoring.md."""
import functools, json, struct
from bisect import bisect_left, bisect_right
from math import copysign, cos, isfinite, log1p, nan, pi, sin
PRIMES = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
def rotated(x, bits): return (x << bits | (x & 2**64 - 1) >> 64 - bits) & 2**64 - 1
def mixed(x, lane): return rotated(x + lane * PRIMES[1], 31) * PRIMES[0] & 2**64 - 1
@functools.lru_cache(1 << 16)
def xxh64(data, seed):
    (a, b, c, d, e), whole, n = PRIMES, len(data) // 32 * 32, len(data); hash = seed + e
    if whole:
        lanes = [seed + a + b, seed + b, seed, seed - a]
        for at in range(0, whole, 32): lanes = [*map(mixed, lanes, struct.unpack_from("<4Q", data, at))]
        hash = functools.reduce(lambda h, lane: (h ^ mixed(0, lane)) * a + d, lanes, sum(map(rotated, lanes, (1, 7, 12, 18))))
    hash, words, halves = hash + n, n // 8 * 8, n // 4 * 4
    for at in range(whole, words, 8): hash = rotated(hash ^ mixed(0, int.from_bytes(data[at:at + 8], "little")), 27) * a + d
    for at in range(words, halves, 4): hash = rotated(hash ^ int.from_bytes(data[at:at + 4], "little") * a, 23) * b + c
    for byte in data[halves:]: hash = rotated(hash ^ byte * e, 11) * a
    hash &= 2**64 - 1; hash = (hash ^ hash >> 33) * b & 2**64 - 1
    hash = (hash ^ hash >> 29) * c & 2**64 - 1; return hash ^ hash >> 32
def place(levels, hash):  # none for a level that training did not see
    if "places" not in levels: levels["places"] = {h: at for at, h in enumerate(levels["hashes"])}
    return levels["places"].get(hash)
# Each form as a pair: its number of features, and those of a value as pairs of place and number.
def number(m, x):
    x = copysign(log1p(abs(x)), x) if m["form"] == "log" else x
    return [] if x != x else [(0, (x - m["mean"]) / m["scale"])]
def bins(m, x): return [(bisect_right(m["edges"], x), 1.0)] if x == x else [(len(m["edges"]) + 1, 1.0)] * m["missing"]
def one_hot(m, hash):
    at = place(m["levels"], hash); at = len(m["levels"]["hashes"]) if at is None and m["other"] else at
    return [] if at is None or at < m["drop_first"] else [(at - m["drop_first"], 1.0)]
def value(m, hash):
    at = place(m["values"]["levels"], hash); return [(0, m["values"]["unknown"] if at is None else m["values"]["values"][at])]
CYCLES = {"hour": (24, 86400.0, 0.0), "weekday": (7, 604800.0, 259200.0)}  # its values, its seconds, and those since it began in 1970
def date(m, time):
    features, start = [], 0
    for values, seconds, since in map(CYCLES.get, m["parts"] if isfinite(time) else []):
        share = (time + 3600.0 * m["utc_offset"] + since) % seconds / seconds
        features += [(start, sin(2 * pi * share)), (start + 1, cos(2 * pi * share))] if m["cyclic"] else [
            (start + min(int(share * values), values - 1), 1.0)]
        start += 2 if m["cyclic"] else values
    return features
FORMS = {"number": (lambda m: 1, number), "bins": (lambda m: len(m["edges"]) + 1 + m["missing"], bins), "value": (lambda m: 1, value),
    "one_hot": (lambda m: max(len(m["levels"]["hashes"]) + m["other"] - m["drop_first"], 0), one_hot),
    "date": (lambda m: sum(2 if m["cyclic"] else CYCLES[part][0] for part in m["parts"]), date)}
READS = {"number": "numbers", "bins": "numbers", "date": "times"}  # the other forms read texts
def encode(encoder, record):
    """A list with the value of each column, or for sparse rows {column: value} in ascending order without zeros."""
    read = {kind: [record[name] for name in encoder[kind]] for kind in ("numbers", "texts", "times")}
    unknown = set(record).difference(*map(encoder.get, read)) if encoder["strict"] else []; assert not unknown, f"unknown: {unknown}"
    hashes = [xxh64((x or "").encode(), xxh64(name.encode(), 0)) for name, x in zip(encoder["texts"], read["texts"])]
    def value_of(kind, columns):
        if kind in READS: x = read[READS[kind]][columns[0]]; return nan if x is None else 1.0 * x
        return functools.reduce(lambda h, next: xxh64(next.to_bytes(8, "little"), h), [hashes[i] for i in columns])
    row, missing, slots, width, first = {}, [], {}, 2 ** encoder["bits"], 0
    for part in encoder["parts"]:
        [(kind, m)] = part["form"].items() if part["form"] != "hashed" else [("hashed", None)]
        x = value_of(kind, part["of"])
        if m is None: slots[x % width] = slots.get(x % width, 0.0) + (1.0 if x < 2**63 else -1.0); continue
        row.update((first + at, number) for at, number in FORMS[kind][1](m, x)); first += FORMS[kind][0](m)
        if kind == "number" and m["indicator"]: missing.append(float(x != x))
    hashed = first + len(missing); row.update(enumerate(missing, first)); row.update((hashed + slot, slots[slot]) for slot in sorted(slots))
    if encoder["precision"] == "f32": row = {j: struct.unpack("f", struct.pack("f", x))[0] for j, x in row.items()}
    place = lambda j: j - bisect_left(encoder["dropped"], j)
    if "gone" not in encoder: encoder["gone"] = set(encoder["dropped"])
    if encoder["is_sparse"]: return {place(j): x for j, x in row.items() if x and j not in encoder["gone"]}
    columns = hashed + (width if any(part["form"] == "hashed" for part in encoder["parts"]) else 0)
    return [row.get(j, 0.0) for j in range(columns) if j not in encoder["gone"]]
def plain(o):  # with numbers for the texts "inf" and "-inf"
    o.update((k, [*map(float, o[k])]) for k in ("logits", "edges") if k in o)
    return o | {k: [[*map(float, part)] for part in o[k]] for k in ("p0", "p1") if k in o}
def load(path):
    saved = json.load(open(path, encoding="utf-8"), object_hook=plain)
    assert (saved["format"], saved["version"]) == ("imbalance", 1) and saved["kind"] in ("fitted_pipeline", "scorer"), "nothing to score"
    return saved["content"]
class Dense(dict): pass  # a row with the value of each column
def rows(lines, content, members):
    [m] = members[0][0].values(); m = m.get("linear") or (m if "base" in m else m.get("trees") or m)
    names, columns = {k: j for j, k in enumerate(m.get("feature_names") or [])}, m.get("columns") or len(m["coefficients"])
    for row in map(json.loads, lines):
        if "encoder" in content: row = encode(content["encoder"], row)
        elif isinstance(row, dict): row = {int(names.get(k, k)): x for k, x in row.items()}
        assert isinstance(row, dict) or len(row) == columns, f"{columns} columns are needed"
        yield row if isinstance(row, dict) else Dense(enumerate(row))
