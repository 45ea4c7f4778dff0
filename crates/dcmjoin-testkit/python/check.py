"""Compares what dcmjoin joined with what split.py split; see docs/proof.md for what it checks."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cases
import page
import verdicts
from verdicts import Expected, Verdict

EXPECTED = Path(__file__).with_name("expected_rejections.toml")
PROCESSES = 2


@dataclass(frozen=True)
class Job:
    """All cases of one original, so that the checkers are asked once of it."""

    split: Path
    joined: Path
    listed: list[cases.Case]
    expected: dict[tuple[str, str], Expected]
    rejected: dict[str, tuple[str, str]]

    def run(self) -> list[Verdict]:
        """Judges the cases."""
        return [
            verdicts.judge(
                case,
                self.joined / f"{case.uid}.dcm",
                self.split / "headers" / f"{case.uid}.json",
                self.expected.get((case.file, case.kind)),
                self.rejected.get(case.uid),
            )
            for case in self.listed
        ]


def be_quiet() -> None:
    """Keeps pydicom's warnings off the terminal; where they count, they are made errors."""
    warnings.simplefilter("ignore")


def judge_all(
    split: Path, joined: Path, listed: list[cases.Case], expected: dict[tuple[str, str], Expected]
) -> list[Verdict]:
    """Judges all cases."""
    rejected = verdicts.load_rejected(joined)
    by_original: defaultdict[str, list[cases.Case]] = defaultdict(list)
    for case in listed:
        by_original[case.reference].append(case)
    jobs = [
        Job(
            split,
            joined,
            group,
            {key: value for key, value in expected.items() if key[0] == group[0].file},
            {case.uid: rejected[case.uid] for case in group if case.uid in rejected},
        )
        for group in by_original.values()
    ]
    with ProcessPoolExecutor(PROCESSES, initializer=be_quiet) as pool:
        return [verdict for judged in pool.map(Job.run, jobs) for verdict in judged]


def faults_of_run(joined: Path, listed: list[cases.Case]) -> list[str]:
    """Compares the report with the files that are there."""
    reports = sorted(joined.glob("_dcmjoin/*/report.json"))
    if len(reports) != 1:
        return [f"{len(reports)} reports"]
    report = json.loads(reports[0].read_text())
    files = {path.stem for path in joined.glob("*.dcm")}
    faults = [f"{uid}: an output that nobody asked for" for uid in files - {c.uid for c in listed}]
    if report["instances"]["published"] != len(files):
        faults.append(f"{len(files)} files, reported {report['instances']['published']}")
    return faults


def stale(expected: dict[tuple[str, str], Expected], listed: list[cases.Case]) -> list[str]:
    """Returns the documented rejections that are no case."""
    known = {(case.file, case.kind) for case in listed}
    return [f"{file} ({kind}): documented, but no case"
            for file, kind in expected.keys() - known]


def compare_page(text: str, path: Path, update: bool) -> list[str]:
    """Compares the page with the one in the repository, or writes it."""
    if update:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    elif not path.is_file() or path.read_text() != text:
        return [f"{path.name} is stale: run `cargo xtask proof --update`"]
    return []


def arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", type=Path, required=True, help="what split.py wrote")
    parser.add_argument("--joined", type=Path, required=True, help="what dcmjoin wrote")
    parser.add_argument("--page", type=Path, required=True, help="docs/proof.md")
    parser.add_argument("--tally", type=Path, required=True, help="where the counts go")
    parser.add_argument("--update", action="store_true", help="write the page")
    return parser.parse_args()


def main() -> int:
    """Checks all, and says what is wrong."""
    args = arguments()
    listed, left_out = cases.load(args.split / "cases.json")
    expected = verdicts.load_expected(EXPECTED)
    judged = judge_all(args.split, args.joined, listed, expected)
    wrong = [verdict for verdict in judged if verdict.faults]
    for verdict in wrong:
        case = verdict.case
        print(f"WRONG {case.file} ({case.kind}) {case.uid}")
        for fault in verdict.faults:
            print(f"  {fault}")
    others = faults_of_run(args.joined, listed) + stale(expected, listed)
    if not wrong:
        others += compare_page(page.render(judged, expected, left_out), args.page, args.update)
    for fault in others:
        print(f"WRONG {fault}")
    failed = len(wrong) + len(others)
    passed = len(judged) - len(wrong)
    args.tally.write_text(json.dumps({"passed": passed, "failed": failed}))
    print(f"{passed} cases as they should be, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
