"""A case of the proof: one file, split in one way, under a SOP Instance UID of its own."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
NATIVE_SYNTAXES = ("1.2.840.10008.1.2", EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG)

# The ways of splitting, in the order of the page's columns.
KINDS = (
    "native",
    "gz",
    "encapsulated",
    "encapsulated-delimited",
    "codestream",
    "codestreams",
    "header-only",
    "empty",
)


@dataclass(frozen=True)
class Case:
    """One file, split in one way."""

    file: str
    """The source, as people find it: package and path."""
    kind: str
    """One of KINDS."""
    syntax: str
    """The transfer syntax that the pixels had in the source."""
    uid: str
    """The SOP Instance UID of this case alone."""
    reference: str
    """Path of the Part 10 file that the output must equal: the source, or what was made of it."""
    output_syntax: str
    """The transfer syntax that the output must have."""
    has_pixels: bool


def uid_of(file: str, kind: str) -> str:
    """Returns the UID of a case: the same on every machine."""
    digest = hashlib.sha256(f"{file}|{kind}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def is_native(syntax: str) -> bool:
    """Returns true where pixel data is not encapsulated."""
    return syntax in NATIVE_SYNTAXES


def save(cases: list[Case], left_out: dict[str, str], path: Path) -> None:
    """Writes the cases, and the files that are none with the reason."""
    rows = {"cases": [asdict(case) for case in cases], "left_out": left_out}
    path.write_text(json.dumps(rows, indent=1))


def load(path: Path) -> tuple[list[Case], dict[str, str]]:
    """Reads what `save` wrote."""
    rows = json.loads(path.read_text())
    return [Case(**row) for row in rows["cases"]], rows["left_out"]
