"""Whether an output holds what went in: elements, pixels, file meta information, bytes."""

from __future__ import annotations

import io
import json
import math
import warnings
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames

from cases import EXPLICIT_BIG, Case, is_native

Json = dict[str, Any]

CHARSET = "00080005"
# Written by us: not a part of the header that went in.
PIXEL_KEYS = ("7FE00001", "7FE00002", "7FE00010")
# Group 2 is rebuilt, groups below 8 are commands, element 0 is a group's length.
FIRST_GROUP = "0008"
DECIMAL_TOLERANCE = 1e-13

# What a source may call the pixels and their bytes do not say, and what they do say.
RELABELLED = {
    ("1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.90"): "5/3 wavelet, not called lossy",
    ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"): "predictor 1",
    ("1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.50"): "SOF0, a baseline frame",
}

NOTE_CHARSET = "character set switched to ISO_IR 192"
NOTE_DECIMAL = "decimal string rounded to 16 characters"
NOTE_RELABELLED = "transfer syntax named after the bytes"


def kept(header: Json) -> Json:
    """Returns the elements that must be in the output."""
    return {
        key: element
        for key, element in header.items()
        if key not in PIXEL_KEYS and key[:4] >= FIRST_GROUP and not key.endswith("0000")
    }


def values_of(element: Json) -> list[Any]:
    """Returns an element's values; an empty value and none are the same."""
    values = element.get("Value", [])
    if element.get("vr") != "SQ" and all(value in (None, "", {}) for value in values):
        return []
    return values


def elements(ours: Json, given: Json, at: str = "") -> tuple[list[str], set[str]]:
    """Returns where two data sets differ, and which documented changes explain the rest."""
    ours, given = kept(ours), kept(given)
    faults = [f"{at}{key}: missing" for key in given.keys() - ours.keys()]
    notes: set[str] = set()
    for key in sorted(ours.keys() - given.keys()):
        if key == CHARSET and values_of(ours[key]) == ["ISO_IR 192"]:
            notes.add(NOTE_CHARSET)
        else:
            faults.append(f"{at}{key}: invented")
    for key in sorted(ours.keys() & given.keys()):
        more, why = one_element(key, ours[key], given[key], at)
        faults += more
        notes |= why
    return faults, notes


def one_element(key: str, ours: Json, given: Json, at: str) -> tuple[list[str], set[str]]:
    """Compares one element."""
    place = f"{at}{key}"
    if ours.get("vr") != given.get("vr"):
        return [f"{place}: VR {ours.get('vr')} for {given.get('vr')}"], set()
    if (ours.get("InlineBinary") or "") != (given.get("InlineBinary") or ""):
        return [f"{place}: other bytes"], set()
    our_values, given_values = values_of(ours), values_of(given)
    if key == CHARSET and our_values != given_values and our_values == ["ISO_IR 192"]:
        return [], {NOTE_CHARSET}
    if len(our_values) != len(given_values):
        return [f"{place}: {len(our_values)} values for {len(given_values)}"], set()
    faults: list[str] = []
    notes: set[str] = set()
    for index, (our, their) in enumerate(zip(our_values, given_values, strict=True)):
        if isinstance(our, dict) and ours["vr"] == "SQ":
            more, why = elements(our, their or {}, f"{place}[{index}].")
            faults += more
            notes |= why
        elif our != their:
            if ours["vr"] == "DS" and math.isclose(our, their, rel_tol=DECIMAL_TOLERANCE):
                notes.add(NOTE_DECIMAL)
            else:
                faults.append(f"{place}: other value")
    return faults, notes


def header_faults(ours: Dataset, header: Json) -> tuple[list[str], set[str]]:
    """Compares the output's elements with the header that went in."""
    return elements(json.loads(json.dumps(ours.to_json_dict())), header)


def meta_faults(ours: Dataset, case: Case) -> tuple[list[str], set[str]]:
    """Compares file meta information with the data set and with what the case expects."""
    meta = getattr(ours, "file_meta", None)
    if meta is None:
        return ["no file meta information"], set()
    faults = []
    if meta.get("MediaStorageSOPInstanceUID") != case.uid or ours.SOPInstanceUID != case.uid:
        faults.append("(0002,0003) or (0008,0018) is not the case's UID")
    if meta.get("MediaStorageSOPClassUID") != ours.get("SOPClassUID"):
        faults.append("(0002,0002) is not (0008,0016)")
    if meta.get("FileMetaInformationVersion") != b"\x00\x01":
        faults.append("(0002,0001) is not 00 01")
    if "ImplementationClassUID" not in meta:
        faults.append("no (0002,0012)")
    syntax = str(meta.get("TransferSyntaxUID"))
    if syntax == case.output_syntax:
        return faults, set()
    if (case.output_syntax, syntax) in RELABELLED:
        return faults, {NOTE_RELABELLED}
    return [*faults, f"transfer syntax {syntax} for {case.output_syntax}"], set()


def pixel_faults(ours: Dataset, reference: Dataset, case: Case) -> list[str]:
    """Compares pixels: as decoded where the original decodes, and as bytes where they are kept."""
    if ("PixelData" in ours) != case.has_pixels:
        return ["pixel data where none belongs, or none where it does"]
    if not case.has_pixels:
        return []
    faults = byte_faults(ours, reference, case)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wanted = reference.pixel_array
        except Exception:  # the original cannot be decoded; its bytes have been compared
            return faults
        try:
            found = ours.pixel_array
        except Exception as error:  # whatever a decoder raises
            return [*faults, f"pixels cannot be decoded: {type(error).__name__}"]
    like = wanted.dtype.newbyteorder("=")
    if found.shape != wanted.shape or found.dtype.newbyteorder("=") != like:
        return [*faults, f"pixels {found.shape} {found.dtype} for {wanted.shape} {like}"]
    return faults if np.array_equal(found, wanted) else [*faults, "other pixels"]


JP2_SIGNATURE = b"\0\0\0\x0cjP  "
J2K_START = b"\xff\x4f\xff\x51"


def without_fill(frame: bytes) -> bytes:
    """Returns a frame without padding and JP2 boxes.

    Padding is NUL, and the FF that some encoders add behind FF D9.
    """
    if frame.startswith(JP2_SIGNATURE):
        frame = frame[frame.index(J2K_START) :]
    plain = frame.rstrip(b"\0")
    filled = plain.rstrip(b"\xff")
    return filled if filled.endswith(b"\xff\xd9") else plain


def byte_faults(ours: Dataset, reference: Dataset, case: Case) -> list[str]:
    """Compares the bytes of pixel data, but for padding and what a big-endian source swaps."""
    if is_native(case.output_syntax):
        if case.syntax == EXPLICIT_BIG and is_native(reference.file_meta.TransferSyntaxUID):
            return []
        same = ours.PixelData.rstrip(b"\0") == reference.PixelData.rstrip(b"\0")
        return [] if same else ["other bytes of pixels"]
    frames = int(reference.get("NumberOfFrames") or 1)
    try:
        pairs = zip(
            generate_frames(ours.PixelData, number_of_frames=frames),
            generate_frames(reference.PixelData, number_of_frames=frames),
            strict=True,
        )
        same = all(without_fill(our) == without_fill(their) for our, their in pairs)
    except ValueError as error:
        return [f"frames: {error}"]
    return [] if same else ["other bytes of frames"]


def data_set_bytes(file: bytes) -> bytes:
    """Returns what follows the file meta information."""
    length = int.from_bytes(file[140:144], "little")
    return file[144 + length :]


def written_by_pydicom(header: Json, ours: Dataset) -> bytes | None:
    """Returns the data set as pydicom writes it from the header, or None where it cannot."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            instance = Dataset.from_json(kept(header))
            if "PixelData" in ours:
                instance.add_new(0x7FE00010, ours["PixelData"].VR, ours.PixelData)
            buffer = io.BytesIO()
            pydicom.dcmwrite(buffer, instance, implicit_vr=False, little_endian=True)
            return buffer.getvalue()
    except Exception:  # pydicom refuses: then it is no oracle
        return None


def native_bytes_fault(file: bytes, header: Json, ours: Dataset) -> list[str] | None:
    """Compares a native output with pydicom's own writing; None where that is no oracle."""
    if "PixelData" in ours and ours.get("BitsAllocated", 8) > 8 and ours["PixelData"].VR != "OW":
        return ["pixel data of more than 8 bits is not OW"]
    wanted = written_by_pydicom(header, ours)
    if wanted is None:
        return None
    found = data_set_bytes(file)
    if found == wanted:
        return []
    at = next((i for i, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), "the end")
    return [f"data set differs from pydicom's at {at}: {len(found)} bytes for {len(wanted)}"]
