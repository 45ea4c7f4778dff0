#!/usr/bin/env python3
"""The oracle of header_oracle.rs: pydicom, on every DICOM file that it and pydicom-data carry.

    header_oracle.py export DIR    NAME.json: what pydicom says of each file, without its pixels
                                   NAME.dcm:  the data set that pydicom writes from that JSON
    header_oracle.py compare DIR   reads each NAME.ours and checks that it says what NAME.json says

Prints one line for each file that it passes over or objects to, and a count at the end.
"""

import io
import json
import math
import pathlib
import sys
import warnings

import data_store
import pydicom

PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
TEXT_WITHOUT_CHARSET = ("AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR")


def sources():
    """The files of both packages. Not by pydicom.data, which would try to download more."""
    own = pathlib.Path(pydicom.__file__).parent / "data"
    more = pathlib.Path(data_store.__file__).parent / "data"
    folders = (own / "test_files", own / "charset_files", more)
    paths = {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    others = (".py", ".pyc", ".json", ".md", ".icc")
    return sorted(path for path in paths if path.suffix not in others)


def without_pixels(path):
    dataset = pydicom.dcmread(path, force=True)
    for tag in PIXELS:
        if tag in dataset:
            del dataset[tag]
    if not pydicom.uid.UID(dataset.get("SOPInstanceUID", "")).is_valid:
        dataset.SOPInstanceUID = "1.2.3"
    if not pydicom.uid.UID(dataset.get("SOPClassUID", "")).is_valid:
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    return dataset


def written(document):
    dataset = pydicom.Dataset.from_json(document)
    buffer = io.BytesIO()
    dataset.save_as(buffer, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return buffer.getvalue()


def character_sets():
    """A data set for each character set, with all its characters outside ASCII."""
    single = bytes(range(0xA0, 0x100))
    double = b"".join(
        bytes((lead, trail))
        for lead in range(0xB0, 0xF8)
        for trail in range(0xA1, 0xFF)
    )
    numbers = (13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166)
    terms = {f"ISO_IR {number}": single for number in numbers}
    terms |= {"GBK": double, "GB18030": double, "ISO_IR 192": "ÄЖ山😀\u0085".encode()}
    for term, characters in terms.items():
        codec = pydicom.charset.python_encoding[term]
        dataset = pydicom.Dataset()
        dataset.SpecificCharacterSet = term
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        dataset.SOPInstanceUID = "1.2.3"
        dataset.TextValue = characters.decode(codec, errors="ignore")
        yield f"charset {term}", dataset


def export(folder):
    count = 0
    for name, dataset in character_sets():
        (folder / f"{name}.json").write_text(dataset.to_json())
        (folder / f"{name}.dcm").write_bytes(written(dataset.to_json()))
    for at, path in enumerate(sources()):
        name = f"{at:03}_{path.name}"
        try:
            dataset = without_pixels(path)
            # Values that pydicom cannot convert fail here, not in what is tested.
            document = dataset.to_json(bulk_data_threshold=1 << 40)
        except Exception as error:
            print(f"passed over {name}: {type(error).__name__}")
            continue
        count += 1
        (folder / f"{name}.json").write_text(document)
        try:
            (folder / f"{name}.dcm").write_bytes(written(document))
        except Exception as error:
            print(f"not written by pydicom {name}: {type(error).__name__}: {error}")
    print(f"exported {count}")


def same_text(one, other):
    """pydicom drops trailing padding when it reads."""
    return str(one).rstrip(" \0") == str(other).rstrip(" \0")


def same_number(one, other):
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=5e-9, abs_tol=0.0)


def same_value(vr, one, other):
    if vr == "SQ":
        return not list(differences(one or {}, other or {}))
    if vr == "DS" and one is not None and other is not None:
        return same_number(float(one), float(other))
    if vr in ("FL", "FD") and one is not None and other is not None:
        return same_number(float(one), float(other))
    if vr == "PN":
        groups = {**(one or {}), **(other or {})}
        return all(same_text((one or {}).get(g, ""), (other or {}).get(g, "")) for g in groups)
    if isinstance(one, str) or isinstance(other, str):
        return same_text("" if one is None else one, "" if other is None else other)
    return one == other


def same_element(one, other):
    if one["vr"] != other["vr"]:
        # A short length field cannot hold everything (PS3.5 6.2.2).
        return other["vr"] == "UN" and "InlineBinary" in other
    # pydicom reads bytes outside the character set by Latin 1 there.
    if one["vr"] in TEXT_WITHOUT_CHARSET and not str(one.get("Value", "")).isascii():
        return True
    if "InlineBinary" in one or "InlineBinary" in other:
        return binary(one).rstrip(b"\0") == binary(other).rstrip(b"\0")
    ones, others = one.get("Value", []), other.get("Value", [])
    empty = (None, "", {})
    if one["vr"] != "SQ" and all(value in empty for value in [*ones, *others]):
        return True
    return len(ones) == len(others) and all(
        same_value(one["vr"], a, b) for a, b in zip(ones, others)
    )


def binary(element):
    import base64

    return base64.b64decode(element.get("InlineBinary", ""))


def differences(theirs, ours):
    for tag in sorted({*theirs, *ours}):
        # What we change or drop on purpose: the character set, group lengths, odd groups that
        # nobody may use.
        if tag == "00080005" or tag.endswith("0000") or tag.startswith("0001"):
            continue
        if tag not in theirs or tag not in ours or not same_element(theirs[tag], ours[tag]):
            yield tag


def compare(folder):
    objections = 0
    for path in sorted(folder.glob("*.ours")):
        document = json.loads(path.with_suffix(".json").read_text())
        data = io.BytesIO(path.read_bytes())
        try:
            dataset = pydicom.filereader.read_dataset(data, is_implicit_VR=False, is_little_endian=True)
            ours = json.loads(pydicom.Dataset(dataset).to_json(bulk_data_threshold=1 << 40))
        except Exception as error:
            print(f"{path.stem}: not read back: {type(error).__name__}: {error}")
            objections += 1
            continue
        for tag in differences(document, ours):
            print(f"{path.stem}: {tag}: {str(document.get(tag))[:120]} != {str(ours.get(tag))[:120]}")
            objections += 1
    print(f"objections {objections}")
    return objections


def main():
    warnings.simplefilter("ignore")
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if command == "export":
        export(folder)
    elif command == "compare":
        sys.exit(1 if compare(folder) else 0)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
