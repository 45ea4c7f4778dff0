"""docs/proof.md: the proof as a table for people. The same results give the same text."""

from __future__ import annotations

from collections import Counter, defaultdict

from pydicom.uid import UID

from cases import KINDS
from verdicts import Expected, Verdict

INTRODUCTION = """\
# Proof

Every DICOM file that the Python packages pydicom 3.0.2 and pydicom-data 1.0.0 carry, and every bare
codestream of wsidicom-data 0.3.0, is split in each way that a partner could split it, joined again
by dcmjoin in one run, and compared with the original. `cargo xtask proof` does it, and fails where
a case is wrong or this page is not what it would write (`--update` writes it).

A case is right when

- `dcmftest` calls the output a Part 10 file, and `dcmdump` reads it to its end;
- `dcmdump`, `dciodvfy` and `gdcmconv --raw` find nothing wrong that they don't find in the
  original;
- pydicom, with every warning an error, reads all values and decodes the pixels, where it does so
  with the original;
- its elements are those of the JSON header, and its file meta information fits them;
- its pixels are the original's: the decoded array, and for encapsulated pixels each frame's bytes;
- native and header-only: its data set is byte for byte what pydicom writes from that header, where
  pydicom can write it at all.
"""

KIND_TEXTS = {
    "native": "uncompressed pixels; of compressed files, what a decoder makes of them",
    "gz": "the same image member, gzip-compressed",
    "encapsulated": "the value of Pixel Data as it stands in the file, items and all",
    "encapsulated-delimited": "the same with the sequence delimiter",
    "codestream": "the bare codestream of the one frame",
    "codestreams": "the bare codestreams of all frames, joined",
    "header-only": "no image member",
    "empty": "an image member of no bytes",
}


def table(verdicts: list[Verdict]) -> list[str]:
    """Returns the table of right cases of all cases."""
    right: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for verdict in verdicts:
        place = (verdict.case.syntax, verdict.case.kind)
        total[place] += 1
        right[place] += verdict.right
    used = {syntax for syntax, _ in total}
    syntaxes = sorted(used, key=lambda uid: [int(part) for part in uid.split(".")])
    lines = [
        "| transfer syntax of the original | " + " | ".join(KINDS) + " |",
        "| --- |" + " ---: |" * len(KINDS),
    ]
    for syntax in syntaxes:
        cells = [
            f"{right[syntax, kind]} / {total[syntax, kind]}" if total[syntax, kind] else ""
            for kind in KINDS
        ]
        lines.append(f"| {UID(syntax).name} | " + " | ".join(cells) + " |")
    sums = [
        f"{sum(right[s, kind] for s in syntaxes)} / {sum(total[s, kind] for s in syntaxes)}"
        for kind in KINDS
    ]
    return [*lines, "| **all** | " + " | ".join(sums) + " |"]


def documented(verdicts: list[Verdict], expected: dict[tuple[str, str], Expected]) -> list[str]:
    """Returns the documented cases, those with the same cause together."""
    groups: defaultdict[tuple[str, str], defaultdict[str, list[str]]]
    groups = defaultdict(lambda: defaultdict(list))
    for verdict in verdicts:
        reason = verdict.rejection or verdict.limit
        if reason is not None:
            why = expected[verdict.case.file, verdict.case.kind].why
            groups[reason, why][verdict.case.file].append(verdict.case.kind)
    lines = ["| reason | files (kinds) | why |", "| --- | --- | --- |"]
    for (reason, why), files in sorted(groups.items()):
        listed = "<br>".join(f"{file} ({', '.join(kinds)})" for file, kinds in files.items())
        lines.append(f"| `{reason}` | {listed} | {why} |")
    return lines


def counts(verdicts: list[Verdict]) -> list[str]:
    """Returns how far the checks reached."""
    right = [verdict for verdict in verdicts if verdict.right]
    notes = Counter(note for verdict in right for note in verdict.notes)
    lines = [
        f"- {len(verdicts)} cases: {len(right)} right, "
        f"{sum(v.rejection is not None for v in verdicts)} rejected and "
        f"{sum(v.limit is not None for v in verdicts)} published with a fault, as listed below.",
        f"- {sum(v.strict for v in right)} are read by pydicom with every warning an error; the "
        "originals of the others are not.",
        f"- {sum(v.oracle for v in right)} are byte for byte pydicom's own writing.",
    ]
    lines += [f"- {count}: {note}." for note, count in sorted(notes.items())]
    return lines


def render(
    verdicts: list[Verdict],
    expected: dict[tuple[str, str], Expected],
    left_out: dict[str, str],
) -> str:
    """Returns the page."""
    parts = [
        INTRODUCTION,
        "## Right, of all\n",
        *table(verdicts),
        "",
        *(f"- *{kind}*: {text}" for kind, text in KIND_TEXTS.items()),
        "",
        "What is not right in this table is listed below, with its cause.",
        "",
        "## In numbers\n",
        *counts(verdicts),
        "",
        "## Rejected\n",
        *documented([v for v in verdicts if v.rejection is not None], expected),
        "",
        "## Published with a fault\n",
        "Cases whose input does not say what an output would have to be:\n",
        *documented([v for v in verdicts if v.limit is not None], expected),
        "",
        "## Left out\n",
        "Files that give no case, and why:\n",
        *(f"- {file}: {why}" for file, why in left_out.items()),
    ]
    return "\n".join(parts) + "\n"
