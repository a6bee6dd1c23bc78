"""Join the six files of the small Open Bandit Dataset into open_bandit.csv.gz.

    python make_open_bandit.py path/to/obd open_bandit.csv.gz

Needs the standard library only. What is changed and why stands in README.md.
"""

import argparse
import csv
import gzip
import hashlib
import io
from pathlib import Path

CAMPAIGNS = ["all", "men", "women"]
POLICIES = ["bts", "random"]
HASHED = [f"item_feature_{k}" for k in (1, 2, 3)] + [f"user_feature_{k}" for k in range(4)]
COLUMNS = (
    ["timestamp", "campaign", "policy", "position", "item_id", "item_feature_0"]
    + HASHED
    + ["affinity", "propensity_score", "click"]
)


def read_items(path):
    with open(path, newline="") as file:
        return {row["item_id"]: row for row in csv.DictReader(file)}


def read_impressions(folder, policy, campaign):
    items = read_items(folder / f"{policy}_{campaign}_item_context.csv")
    with gzip.open(folder / f"{policy}_{campaign}.csv.gz", "rt", newline="") as file:
        for row in csv.DictReader(file):
            shown = row["item_id"]
            # One column an item; only that of the item shown is kept. It counts
            # earlier clicks, so it is a whole number written as a decimal.
            affinity = float(row[f"user-item_affinity_{shown}"])
            assert affinity == int(affinity) and row["click"] in ("0", "1")
            # Each campaign numbers its items from zero: item 0 of men is not item 0
            # of women. The two policies of a campaign show the same items.
            yield row | items[shown] | {
                "campaign": campaign,
                "policy": policy,
                "item_id": f"{campaign}-{shown}",
                "affinity": str(int(affinity)),
            }


def check_items(folder):
    """The two policies must agree on what an item is, else they cannot share ids."""
    for campaign in CAMPAIGNS:
        one, other = (
            read_items(folder / f"{policy}_{campaign}_item_context.csv") for policy in POLICIES
        )
        assert one.keys() == other.keys()
        for key in ("item_feature_0", "item_feature_1", "item_feature_2", "item_feature_3"):
            pairs = {(one[i][key], other[i][key]) for i in one}
            # The number is the same; the hashes differ, yet map one to one.
            assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
            assert key != "item_feature_0" or all(a == b for a, b in pairs)


def shorten(rows):
    """Cut the hashes to eight characters where no two of a column then coincide."""
    for column in HASHED:
        whole = {row[column] for row in rows}
        assert all(len(value) == 32 for value in whole)
        assert len({value[:8] for value in whole}) == len(whole), column
        for row in rows:
            row[column] = row[column][:8]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the files as published")
    parser.add_argument("output", type=Path, help="the .csv.gz to write")
    args = parser.parse_args()

    check_items(args.folder)
    rows = [
        row
        for policy in POLICIES
        for campaign in CAMPAIGNS
        for row in read_impressions(args.folder, policy, campaign)
    ]
    # All have the same length and the same zone, so that text sorts as time does.
    assert {(len(row["timestamp"]), row["timestamp"][-6:]) for row in rows} == {(32, "+00:00")}
    # The sort is stable: within a file, equal times stay in the published order.
    rows.sort(key=lambda row: (row["timestamp"], row["policy"], row["campaign"]))
    shorten(rows)

    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = text.getvalue().encode("ascii")

    # No name and no time in the header: the same input gives the same file.
    with open(args.output, "wb") as raw:
        with gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
            file.write(content)

    print("| campaign | policy | rows | clicks |\n|---|---|---:|---:|")
    for campaign in CAMPAIGNS:
        for policy in POLICIES:
            part = [r for r in rows if (r["campaign"], r["policy"]) == (campaign, policy)]
            clicks = sum(r["click"] == "1" for r in part)
            print(f"| {campaign} | {policy} | {len(part):,} | {clicks} |")
    print(f"\n{len(rows):,} rows, {sum(r['click'] == '1' for r in rows)} clicks")
    print(f"{args.output.stat().st_size:,} bytes, {len(content):,} unpacked")
    print("SHA-256 unpacked:", hashlib.sha256(content).hexdigest())


if __name__ == "__main__":
    main()
