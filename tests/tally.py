#!/usr/bin/env python3
"""Counts what ./check ran.

tally.py RESULTS_DIR             prints "N passed, N failed, N skipped"; exits 1 where one failed or nothing ran
tally.py --targets BUILD SUITE...   prints the ninja targets of the tests that carry one of these

RESULTS_DIR holds: LABEL/testlog.json and LABEL/testlog.junit.xml (meson's), *.xml (pytest's), steps ("name pass|fail" a line).
"""
import json
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml


def junit_counts(path):
    passed = failed = skipped = 0
    names = []
    for case in xml.parse(path).getroot().iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
            names.append(f'{case.get("classname")}.{case.get("name")}')
        elif case.find("skipped") is not None or case.get("status") == "notrun" or case.get("result") == "skipped":
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped, names


def meson_counts(folder):
    """Each GoogleTest case counts; a program that died before its report, or is no GoogleTest, counts as one."""
    passed = failed = skipped = 0
    names = []
    suites = list(xml.parse(folder / "testlog.junit.xml").getroot().iter("testsuite"))
    for line in (folder / "testlog.json").read_text().splitlines():
        test = json.loads(line)
        program = test["name"].split(" / ")[-1]
        prefix = f'guideway.{test["name"]}.'
        mine = [case for suite in suites if suite.get("name").startswith(prefix) for case in suite.iter("testcase")]
        bad = [case for case in mine if case.find("failure") is not None or case.find("error") is not None]
        idle = [case for case in mine if case.find("skipped") is not None or case.get("status") == "notrun"]
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        failed += len(bad)
        names += [f'{program}: {case.get("classname")}.{case.get("name")}' for case in bad]
        skipped += len(idle)
        passed += len(mine) - len(bad) - len(idle)
        if test["result"] == "SKIP":
            skipped += not mine
        elif good:
            passed += not mine
        elif not bad:
            failed += 1
            names.append(f'{program} ({test["result"]})')
    return passed, failed, skipped, names


def tally(results):
    total = [0, 0, 0]
    for log in sorted(results.glob("*/testlog.json")):
        counts = meson_counts(log.parent)
        print(f"{log.parent.name}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
        report(total, counts)
    for path in sorted(results.glob("*.xml")):
        counts = junit_counts(path)
        print(f"{path.stem}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
        report(total, counts)
    steps = results / "steps"
    if steps.exists():
        lines = steps.read_text().splitlines()
        bad = [line[: -len(" fail")] for line in lines if line.endswith(" fail")]
        print(f"steps: {len(lines) - len(bad)} passed, {len(bad)} failed, 0 skipped")
        report(total, (len(lines) - len(bad), len(bad), 0, bad))
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] or not total[0] else 0


def report(total, counts):
    for i in range(3):
        total[i] += counts[i]
    for name in counts[3]:
        print(f"  FAILED {name}")


def targets(build, suites):
    """What the tests of these suites run, and what is given to them as an argument."""
    introspect = lambda what: json.loads(subprocess.check_output(["meson", "introspect", what, build]))
    root = pathlib.Path(build).resolve()
    tests = [test for test in introspect("--tests") if any(suite.split(":")[-1] in suites for suite in test["suite"])]
    wanted = {name for test in tests for name in test["depends"]}
    for target in introspect("--targets"):
        if target["id"] in wanted:
            for name in target["filename"]:
                print(pathlib.Path(name).relative_to(root))
    return 0


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "--targets":
        sys.exit(targets(sys.argv[2], set(sys.argv[3:])))
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(tally(pathlib.Path(sys.argv[1])))
