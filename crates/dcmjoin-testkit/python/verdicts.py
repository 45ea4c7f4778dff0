"""The verdict on each case: published and right, rejected as documented, or wrong."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import checkers
import compare
from cases import Case, is_native

UNPAIRED = "unpaired"


@dataclass(frozen=True)
class Expected:
    """A case that cannot become a file, or not the right one, and why."""

    reason: str
    """The reason of the rejection, or the fault of the output."""
    why: str
    published: bool


@dataclass
class Verdict:
    """What became of one case."""

    case: Case
    faults: list[str] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)
    rejection: str | None = None
    """The reason, where the case is rejected as documented."""
    limit: str | None = None
    """The fault, where the output is wrong as documented."""
    strict: bool = False
    """The original is read without a warning, so the output must be."""
    oracle: bool = False
    """pydicom writes the header without complaint, so the bytes must be its own."""

    @property
    def right(self) -> bool:
        """Published, and nothing is said against it."""
        return not self.faults and self.rejection is None and self.limit is None


def load_expected(path: Path) -> dict[tuple[str, str], Expected]:
    """Reads the documented rejections and limits, by file and kind."""
    tables = tomllib.loads(path.read_text())
    expected: dict[tuple[str, str], Expected] = {}
    for name in ("rejection", "limit"):
        for row in tables.get(name, []):
            entry = Expected(row["reason"], row["why"], published=name == "limit")
            for file in row["files"]:
                for kind in row["kinds"]:
                    if (file, kind) in expected:
                        raise SystemExit(f"{path.name}: {file} {kind} stands twice")
                    expected[file, kind] = entry
    return expected


def load_rejected(joined: Path) -> dict[str, tuple[str, str]]:
    """Reads what the program rejected or found unpaired: reason and detail by UID."""
    rejected: dict[str, tuple[str, str]] = {}
    for path in sorted(joined.glob("_dcmjoin/*/unpaired.jsonl")):
        for line in path.read_text().splitlines():
            rejected[json.loads(line)["uid"]] = (UNPAIRED, "")
    for path in sorted(joined.glob("_dcmjoin/*/rejected.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            rejected[row.get("uid") or ""] = (row["reason"], row.get("detail", ""))
    return rejected


def judge(
    case: Case,
    output: Path,
    header: Path,
    expected: Expected | None,
    rejected: tuple[str, str] | None,
) -> Verdict:
    """Returns the verdict on one case."""
    verdict = Verdict(case)
    if not output.is_file():
        reason, detail = rejected or ("lost", "neither published nor accounted for")
        if expected is None or rejected is None or expected.published:
            verdict.faults.append(f"not published: {reason}: {detail}")
        elif reason != expected.reason:
            documented = f"documented as {expected.reason}"
            verdict.faults.append(f"rejected for {reason}, {documented}: {detail}")
        else:
            verdict.rejection = reason
        return verdict
    if rejected is not None:
        verdict.faults.append(f"published, and reported as {rejected[0]} too")
    inspect(verdict, output, json.loads(header.read_text()))
    if expected is not None and expected.published and expected.reason in verdict.faults:
        verdict.faults.remove(expected.reason)
        verdict.limit = expected.reason
    elif expected is not None:
        verdict.faults.append(f"published, and documented as: {expected.reason}")
    return verdict


def inspect(verdict: Verdict, output: Path, header: compare.Json) -> None:
    """Looks at an output from all sides."""
    case = verdict.case
    reference = checkers.read(case.reference)
    if "TransferSyntaxUID" not in getattr(reference, "file_meta", {}):
        reference.file_meta = checkers.meta_of(case.syntax)
    theirs = checkers.opinion_of_reference(case.reference)
    verdict.faults += checkers.objections(checkers.opinion(output), theirs)
    verdict.strict = not theirs.strict
    try:
        ours = checkers.read(output)
        for check in (compare.header_faults(ours, header), compare.meta_faults(ours, case)):
            verdict.faults += check[0]
            verdict.notes |= check[1]
        verdict.faults += compare.pixel_faults(ours, reference, case)
    except Exception as error:  # a broken output must not end the run
        verdict.faults.append(f"cannot be read: {type(error).__name__}: {error}")
        return
    rewritten = verdict.notes & {compare.NOTE_CHARSET, compare.NOTE_DECIMAL}
    if is_native(case.output_syntax) and not rewritten:
        fault = compare.native_bytes_fault(output.read_bytes(), header, ours)
        verdict.oracle = fault is not None
        verdict.faults += fault or []
