#!/usr/bin/env python3
"""flow_bench runs every case on a small scale, its rows are well formed, and its check of the packets can fail.

  smoke_test.py PATH_OF_FLOW_BENCH
"""

import json
import os
import subprocess
import sys
import tempfile

KEYS = {
    "established": {"ip", "proto", "flows", "burst", "workers", "ns_per_packet", "spread", "generator_ns", "swap_ns",
                    "miss_ns", "miss2_ns", "checked"},
    "setup": {"ip", "proto", "flows", "burst", "workers", "connections_per_second", "spread", "refused"},
    "lifecycle": {"ip", "proto", "flows", "burst", "workers", "connections_per_second", "spread", "refused"},
    "flood": {"ip", "flows", "syn_per_second", "rtt_ms", "honest_succeed", "established_suffered"},
    "maglev": {"slots", "backends", "build_ms", "spread"},
    "apply": {"services", "nodes", "change", "apply_ms", "decode_ms", "lost"},
    "scaling": {"ip", "proto", "flows", "workers", "ns_per_packet", "spread"},
}


def run(*options):
    return subprocess.run([sys.argv[1], *options], capture_output=True, text=True, timeout=300)


def fail(message, result=None):
    print("FAIL", message)
    if result is not None:
        print(result.stdout[-2000:], result.stderr[-2000:])
    sys.exit(1)


def main():
    core = str(max(os.sched_getaffinity(0)))
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "rows.json")
        result = run("--quick", "--turns", "1", "--flows", "3000", "--core", core, "--json", path)
        if result.returncode != 0:
            fail(f"exit status {result.returncode}", result)
        with open(path, encoding="utf-8") as file:
            rows = json.load(file)
    seen = {row["case"] for row in rows}
    wanted = set(KEYS) if len(os.sched_getaffinity(0)) > 1 else set(KEYS) - {"scaling"}
    if not wanted <= seen:
        fail(f"no rows of {sorted(wanted - seen)}", result)
    for row in rows:
        missing = KEYS[row["case"]] - set(row)
        if missing:
            fail(f"row {row} has no {sorted(missing)}")
        for key, value in row.items():
            if isinstance(value, (int, float)) and value < 0 and key != "above_generator_ns":
                fail(f"{key} is negative in {row}")
    if {(row["ip"], row["proto"]) for row in rows if row["case"] == "established"} != {
            (ip, proto) for ip in (4, 6) for proto in ("tcp", "udp")}:
        fail("established: not both families and protocols")

    spoilt = run("--quick", "--turns", "1", "--flows", "100", "--only", "established", "--core", core, "--spoil")
    if spoilt.returncode == 0 or "not as it must be" not in spoilt.stderr:
        fail("a damaged packet was not noticed", spoilt)
    wrong = run("--flows", "many")
    if wrong.returncode != 2 or "--flows" not in wrong.stderr:
        fail("a wrong option was not refused by name", wrong)
    print(f"{len(rows)} rows, as they must be")


if __name__ == "__main__":
    main()
