"""Reckons a plan a second time, from the price file and the question, with other means.

Reads the printed price file and the JSON of `dcmjoin plan`; exact fractions, no code in common.
Prints what differs, one line each.
"""

import json
import sys
import tomllib
from fractions import Fraction as F
from math import ceil

HOUR, DAY, GIB, MIB = 3600, 86400, 1 << 30, 1 << 20
HOURS = {  # from a request to its copy, by whether the archive is deep
    (False, "bulk"): (5, 12),
    (False, "standard"): (3, 5),
    (True, "bulk"): (12, 48),
    (True, "standard"): (9, 12),
}


def usd(price):
    value = price["usd"] if isinstance(price, dict) else price
    return F(str(value))


def storage(region, gb_months):
    cost, start = F(0), F(0)
    for step in region["standard_gb_month"]:
        end = F(step["up_to_gb"]) if "up_to_gb" in step else None
        part = gb_months - start if end is None else min(gb_months, end) - start
        cost += max(part, F(0)) * usd(step["price"])
        start = end
    return cost


def reckon(region, plan, run):
    scope = plan["scope"]
    told = {item["name"]: item["value"] for item in plan["assumptions"]}
    deep = scope["class"] == "deep_archive"
    klass = "deep_archive" if deep else "glacier"
    price = region["retrieval"][klass][scope["tier"]]
    meta, images = scope["metadata"], scope["images"]
    n, size = scope["instances"], meta["bytes"] + images["bytes"]
    archived = sum(side["archives"] - side["ready_archives"] for side in (meta, images))
    cold = sum(side["bytes"] - side["ready_bytes"] for side in (meta, images))

    gets = ceil(F(size, 16 * MIB)) + meta["archives"] + images["archives"]
    parts = lambda objects: objects if images["bytes"] // objects <= 16 * MIB else objects * (
        ceil(F(images["bytes"] // objects, 16 * MIB)) + 2)
    puts = {
        "instances": n,
        "series-tar": parts(ceil(F(n, told["series_instances"]))),
        "shards": parts(ceil(F(images["bytes"], GIB))),
    }[scope["layout"]]
    raw_puts = raw_bytes = 0
    if run in ("two_pass", "staged_raw"):
        gets += 2 * n
    if run == "staged_raw":
        raw_puts, raw_bytes = 2 * n, size
    if run == "staged_packs":
        raw_bytes = n * 2048
        raw_puts = ceil(F(raw_bytes, 64 * MIB))
        gets += ceil(F(raw_bytes, 16 * MIB)) * scope["machines"]

    machine = region["machines"][scope["machine"]]
    rate = F(str(machine["gbps"])) * 10**9 / 8 * told["line_percent"] / 100 * scope["machines"]
    read = lambda amount: F(amount) / rate
    put_time = F(max(puts, raw_puts), 3500 * told["prefixes"])
    get_time = F(gets, 5500 * told["prefixes"])
    if run == "two_pass":
        busy = read(size) + max(read(size), put_time, get_time)
    else:
        twice = 2 if run == "staged_raw" else 1
        busy = read(meta["bytes"] * twice) + max(
            read(images["bytes"] * twice), put_time, get_time)

    lo, hi = HOURS.get((deep, scope["tier"]), (0, 0))
    days = plan_days = next(bill for bill in plan["runs"] if bill["run"] == run)["work"]["days"]
    if run == "two_pass":
        days = max(ceil((busy + (hi - lo + 2) * HOUR) / DAY), 2)
    months = lambda amount, hours: F(amount, GIB) * hours / told["month_hours"]
    spread = lambda hours: max(ceil(F(hours, told["month_hours"])), 1)

    def kept(amount, hours, over):
        over = spread(over)
        return storage(region, months(amount, hours) / over) * over

    keep = told.get("keep_days", 0)
    keep_parts = ceil(F(size, 8 * MIB))
    keep_puts = keep_parts + 3 * (meta["archives"] + images["archives"])
    calls = {"none": 0, "bucket-keys": F(gets + puts + raw_puts, 100), "keys": gets + puts + raw_puts}
    requests = region["requests"]
    stay = days * 24 + 12
    line = next(item for bill in plan["runs"] if bill["run"] == run
        for item in bill["lines"] if item["what"] == "batch_jobs")
    return {
        "batch_jobs": line["count"] and line["count"] * usd(requests["batch_job"])
        + F(archived, 10**6) * usd(requests["batch_million"]),
        "retrieval": F(cold, GIB) * usd(price["gb"]),
        "restore_requests": F(archived, 1000) * usd(price["requests_1k"]),
        "copies": kept(cold, stay, busy // HOUR + stay),
        "kept": kept(size, keep * 24, keep * 24) + (keep > 0) * (
            F(keep_puts, 1000) * usd(requests["put_1k"])
            + F(keep_parts, 1000) * usd(requests["get_1k"])),
        "get": F(gets, 1000) * usd(requests["get_1k"]),
        "put_output": F(puts, 1000) * usd(requests["put_1k"]),
        "put_raw": F(raw_puts, 1000) * usd(requests["put_1k"]),
        "raw_storage": kept(raw_bytes, told["raw_days"] * 24, told["raw_days"] * 24),
        "kms": F(calls[scope["kms"]]) / 10000 * usd(requests["kms_10k"]),
        "events": F(archived * 6, 10**6) * usd(requests["sqs_million"])
        + F(ceil(F(archived, 1000)) * max(ceil(hi), 1), 1000) * usd(requests["put_1k"]),
        "compute": busy / HOUR * usd(machine["hour"]) * scope["machines"],
        "days": (days, plan_days),
        "hours": (lo + busy / HOUR, hi + (busy + F(archived, 1000)) / HOUR),
    }


def main():
    prices = tomllib.loads(open(sys.argv[1]).read())
    plan = json.loads(open(sys.argv[2]).read())
    region = prices["regions"][plan["scope"]["region"]]
    off = lambda a, b, slack: abs(a - b) > slack + abs(b) / 10**6
    for bill in plan["runs"]:
        mine = reckon(region, plan, bill["run"])
        total = F(0)
        for line in bill["lines"]:
            expected = mine[line["what"]]
            total += F(line["usd"])
            # Whole seconds, whole calls and whole billionths of a dollar.
            if off(F(line["usd"]), expected, F(1, 100)):
                print(bill["run"], line["what"], line["usd"], float(expected))
        if off(total, F(bill["total_usd"]), F(1, 10**4)):
            print(bill["run"], "total", bill["total_usd"], float(total))
        if mine["days"][0] != mine["days"][1]:
            print(bill["run"], "days", mine["days"])
        if plan["scope"]["tier"] != "expedited":
            for word, expected in zip(("from", "to"), mine["hours"]):
                if off(F(bill["hours"][word]), expected, F(2, 100)):
                    print(bill["run"], "hours", word, bill["hours"][word], float(expected))


main()
