#!/usr/bin/env python3
"""Writes table.rs, the data dictionary of PS3.6, from the one that pydicom carries.

    python -m venv venv && venv/bin/pip install pydicom==3.0.2
    venv/bin/python crates/dcmjoin-formats/src/header/dictionary/generate.py

Elements without a VR (items and delimiters, FFFE) are left out; so are keywords of repeating
groups, which name no single tag.
"""

import pathlib
import subprocess

import pydicom
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

CHOICES = {
    "OB or OW": "OB_OW",
    "US or SS": "US_SS",
    "US or OW": "US_OW",
    "US or SS or OW": "US_SS_OW",
}


def rule(vr: str) -> str:
    return CHOICES.get(vr, vr)


def hexadecimal(tag: int) -> str:
    return f"0x{tag >> 16:04X}_{tag & 0xFFFF:04X}"


def main() -> None:
    rows = sorted((tag, row[0], row[4]) for tag, row in DicomDictionary.items() if row[0] != "NONE")
    entries = [f'({hexadecimal(tag)}, {rule(vr)}, "{keyword}"),' for tag, vr, keyword in rows]
    named = sorted((keyword, at) for at, (_, _, keyword) in enumerate(rows) if keyword)
    repeaters = []
    for pattern, row in sorted(RepeatersDictionary.items()):
        mask = int("".join("0" if digit == "x" else "F" for digit in pattern), 16)
        value = int(pattern.replace("x", "0"), 16)
        repeaters.append(f"({hexadecimal(mask)}, {hexadecimal(value)}, {rule(row[0])}),")
    used = sorted({rule(vr) for _, vr, _ in rows} | {rule(row[0]) for row in RepeatersDictionary.values()})
    text = "\n".join(
        [
            "//! The data dictionary of PS3.6, with its retired elements.",
            "//!",
            f"//! Written by `generate.py` from pydicom {pydicom.__version__}; not edited by hand.",
            "",
            "use super::Rule;",
            f"use super::names::{{{', '.join(used)}}};",
            "",
            "/// Tag, VR and keyword (empty where there is none), by tag.",
            f"pub(super) static ELEMENTS: [(u32, Rule, &str); {len(entries)}] = [",
            *entries,
            "];",
            "",
            "/// The places in [`ELEMENTS`] of those with a keyword, by keyword.",
            f"pub(super) static BY_KEYWORD: [u16; {len(named)}] = [",
            ", ".join(str(at) for _, at in named) + ",",
            "];",
            "",
            "/// Repeating groups: mask, tag under the mask, VR (PS3.5 7.6).",
            f"pub(super) static REPEATING: [(u32, u32, Rule); {len(repeaters)}] = [",
            *repeaters,
            "];",
            "",
        ]
    )
    path = pathlib.Path(__file__).with_name("table.rs")
    path.write_text(text)
    subprocess.run(["rustfmt", "--edition", "2024", "--config-path", path.parents[5], path], check=True)


if __name__ == "__main__":
    main()
