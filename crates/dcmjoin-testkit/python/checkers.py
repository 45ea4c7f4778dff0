"""What other people's programs say of a file, in a form in which two files can be compared.

Complaints are taken without paths, UIDs and offsets, so that those of an output are comparable
with those of its original: what an original has already is not ours.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import warnings
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

TIMEOUT_SECONDS = 60
UID_TEXT = re.compile(r"\b[0-2](\.\d+){3,}\b")
ADDRESS = re.compile(r"0x[0-9a-f]+|\boffset \d+|\bat \d+")


@dataclass(frozen=True)
class Opinion:
    """What the checkers say of one file."""

    is_part10: bool
    """dcmftest"""
    dump_ends_well: bool
    """dcmdump"""
    dump_complaints: Counter[str] = field(default_factory=Counter)
    """dcmdump, warnings and errors"""
    errors: Counter[str] = field(default_factory=Counter)
    """dciodvfy"""
    copies: bool = False
    """gdcmconv --raw"""
    strict: str = ""
    """pydicom with warnings as errors, pixels decoded: what stopped it"""


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs a checker and takes its output, whatever bytes a header has put into it."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TIMEOUT_SECONDS,
        check=False,
    )


def complaint(line: str, file: Path) -> str:
    """Returns a line without what differs between a file and its copy."""
    line = line.replace(str(file), "FILE")
    return ADDRESS.sub("AT", UID_TEXT.sub("UID", line)).strip()


def dump(file: Path) -> tuple[bool, Counter[str]]:
    """Asks dcmdump whether it gets through, and what it warns of."""
    result = run("dcmdump", file)
    lines = [line for line in result.stderr.splitlines() if line[:2] in ("W:", "E:")]
    return result.returncode == 0, Counter(complaint(line, file) for line in lines)


def dciodvfy(file: Path) -> Counter[str]:
    """Asks dciodvfy for errors."""
    result = run("dciodvfy", file)
    lines = (result.stdout + result.stderr).splitlines()
    return Counter(complaint(line, file) for line in lines if line.startswith("Error"))


def copies(file: Path) -> bool:
    """Asks GDCM to read all and write it again."""
    with tempfile.TemporaryDirectory() as folder:
        return run("gdcmconv", "--raw", file, Path(folder) / "copy.dcm").returncode == 0


def strict(file: Path) -> str:
    """Reads all values and decodes the pixels with every warning an error; "" is well."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            instance = pydicom.dcmread(file)
            for element in instance.iterall():
                _ = element.value
            if "PixelData" in instance:
                _ = instance.pixel_array
        except Exception as error:  # whatever it is, it is what stopped it
            text = str(error).splitlines()
            return f"{type(error).__name__}: {text[0] if text else ''}"
    return ""


def opinion(file: Path) -> Opinion:
    """Asks all checkers."""
    ends_well, complaints = dump(file)
    return Opinion(
        is_part10=run("dcmftest", file).stdout.startswith("yes"),
        dump_ends_well=ends_well,
        dump_complaints=complaints,
        errors=dciodvfy(file),
        copies=copies(file),
        strict=strict(file),
    )


@lru_cache(maxsize=None)
def opinion_of_reference(path: str) -> Opinion:
    """Asks all checkers once for all cases of one original."""
    return opinion(Path(path))


def objections(ours: Opinion, reference: Opinion) -> list[str]:
    """Returns what is said against the output and was not said against the original."""
    found = []
    if not ours.is_part10:
        found.append("dcmftest: not a Part 10 file")
    if not ours.dump_ends_well:
        found.append("dcmdump: does not get through")
    found += [f"dcmdump: {line}" for line in ours.dump_complaints - reference.dump_complaints]
    found += [f"dciodvfy: {line}" for line in ours.errors - reference.errors]
    if reference.copies and not ours.copies:
        found.append("gdcmconv: does not copy it")
    if ours.strict and not reference.strict:
        found.append(f"pydicom: {ours.strict}")
    return found


def read(path: str | Path) -> Dataset:
    """Reads a file leniently, Part 10 or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(path, force=True)


def meta_of(syntax: str) -> FileMetaDataset:
    """Returns file meta information for an original that has none."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = UID(syntax)
    return meta
