"""Splits real DICOM files as a partner would: headers into metadata tars, pixels into image tars.

Every usable file gives one case for each way of splitting that applies to it; each case has a
SOP Instance UID of its own, so all can be joined in one run.
"""

from __future__ import annotations

import argparse
import copy
import gzip
import hashlib
import io
import json
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.uid import UID

import sources
from cases import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, Case, is_native, save, uid_of

DELIMITER = b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
PIXEL_TAGS = (0x7FE00001, 0x7FE00002, 0x7FE00010)
# A colour video of 120 frames is checked compressed; decompressed it would be most of the proof.
DECOMPRESSED_BYTES_MAX = 16 << 20
MEMBERS_PER_ARCHIVE = 60
TAR_FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)

# DICOM JSON has binary values in little-endian order; pydicom hands over those of the file.
WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

Part = tuple[str, Dataset, bytes | None]
"""A kind, the instance whose header goes with it, and the payload."""


def payloads(instance: Dataset) -> Iterator[Part]:
    """Yields the ways of splitting an instance that has pixels, or has none."""
    if "PixelData" not in instance:
        yield "header-only", instance, None
        yield "empty", instance, b""
        return
    value = instance.PixelData
    if is_native(instance.file_meta.TransferSyntaxUID):
        yield "native", instance, value
        yield "gz", instance, gzip.compress(value, 6, mtime=0)
        return
    yield "encapsulated", instance, value
    yield "encapsulated-delimited", instance, value + DELIMITER
    yield "gz", instance, gzip.compress(value, 6, mtime=0)
    frames = int(instance.get("NumberOfFrames") or 1)
    joined = list(generate_frames(value, number_of_frames=frames))
    yield "codestream" if frames == 1 else "codestreams", instance, b"".join(joined)


def decompressed(instance: Dataset) -> Dataset | str:
    """Returns the instance with native pixels, or why not."""
    native = copy.deepcopy(instance)
    try:
        native.decompress(generate_instance_uid=False)
    except Exception as error:  # a decoder can raise anything at what it is fed
        return f"no decoder reads it: {type(error).__name__}"
    if len(native.PixelData) > DECOMPRESSED_BYTES_MAX:
        return f"more than {DECOMPRESSED_BYTES_MAX >> 20} MiB when decompressed"
    return native


def header_of(instance: Dataset, uid: str) -> str:
    """Returns the header as pydicom writes it, with the case's UID and without pixels."""
    header = Dataset()
    header.update({element.tag: element for element in instance if element.tag not in PIXEL_TAGS})
    header.SOPInstanceUID = UID(uid)
    big_endian = instance.file_meta.TransferSyntaxUID == EXPLICIT_BIG
    if big_endian:
        header = copy.deepcopy(header)
        for element in header.iterall():
            if element.VR in WORD_BYTES and element.value:
                element.value = swapped(element.value, WORD_BYTES[element.VR])
    rows = header.to_json_dict()
    if big_endian:
        rows["00020010"] = {"Value": [EXPLICIT_BIG], "vr": "UI"}
    return json.dumps(rows, sort_keys=True)


def swapped(value: bytes, word_bytes: int) -> bytes:
    """Returns the bytes with each word turned round."""
    words = (value[at : at + word_bytes] for at in range(0, len(value), word_bytes))
    return b"".join(word[::-1] for word in words)


class Splitter:
    """Collects cases and members."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.cases: list[Case] = []
        self.left_out: dict[str, str] = {}
        self.headers: list[tuple[str, bytes]] = []
        self.images: list[tuple[str, bytes]] = []
        for folder in ("references", "headers"):
            (out / folder).mkdir(parents=True)

    def add_file(self, file: str, path: Path) -> None:
        """Adds all cases of one DICOM file."""
        instance = sources.read(path)
        if isinstance(instance, str):
            self.left_out[file] = instance
            return
        syntax = instance.file_meta.TransferSyntaxUID
        reference: Path | None = path
        if syntax == DEFLATED or file in sources.CUT_SHORT:
            # The checkers cannot read it as it stands: it is judged by what pydicom makes of it.
            reference = None
            instance.file_meta.TransferSyntaxUID = UID(EXPLICIT_LITTLE)
        for kind, part, payload in payloads(instance):
            self.add(file, kind, part, payload, reference, syntax)
        if "PixelData" in instance and not is_native(instance.file_meta.TransferSyntaxUID):
            self.add_decompressed(file, instance)

    def add_decompressed(self, file: str, instance: Dataset) -> None:
        """Adds the native case of a compressed file."""
        native = decompressed(instance)
        if isinstance(native, str):
            self.left_out[f"{file} (native)"] = native
            return
        syntax = instance.file_meta.TransferSyntaxUID
        self.add(file, "native", native, native.PixelData, None, syntax)

    def add_codestream(self, file: str, path: Path) -> None:
        """Adds all cases of one bare codestream."""
        instance, body = sources.instance_of_codestream(path, 1)
        if is_native(instance.file_meta.TransferSyntaxUID):
            for kind, part, payload in payloads(instance):
                self.add(file, kind, part, payload, None)
            return
        self.add(file, "encapsulated", instance, instance.PixelData, None)
        self.add(file, "gz", instance, gzip.compress(body, 6, mtime=0), None)
        self.add(file, "codestream", instance, body, None)
        twice, _ = sources.instance_of_codestream(path, 2)
        self.add(file, "codestreams", twice, body + body, None)
        self.add_decompressed(file, instance)

    def add(
        self,
        file: str,
        kind: str,
        instance: Dataset,
        payload: bytes | None,
        reference: Path | None,
        syntax: str | None = None,
    ) -> None:
        """Adds one case; without a path, the instance itself is written as the reference."""
        uid = uid_of(file, kind)
        try:
            header = header_of(instance, uid).encode()
        except Exception as error:  # pydicom raises what its value classes raise
            self.left_out[file] = f"pydicom cannot write it as JSON: {type(error).__name__}"
            return
        own = instance.file_meta.TransferSyntaxUID
        if reference is None:
            reference = self.out / "references" / f"{uid}.dcm"
            instance.SOPInstanceUID = UID(uid)
            instance.save_as(reference, enforce_file_format=True)
        encapsulated = payload and not is_native(own)
        case = Case(
            file=file,
            kind=kind,
            syntax=str(syntax or own),
            uid=uid,
            reference=str(reference),
            output_syntax=str(own) if encapsulated else EXPLICIT_LITTLE,
            has_pixels=bool(payload),
        )
        self.cases.append(case)
        self.headers.append((f"{uid}.json", header))
        (self.out / "headers" / f"{uid}.json").write_bytes(header)
        if payload is not None:
            self.images.append((f"{uid}.j2c", payload))

    def write(self) -> None:
        """Writes the tars, the two sides in unlike orders, and the list of cases."""
        write_tars(self.out / "metadata", self.headers)
        self.images.sort(key=lambda member: hashlib.sha256(member[0].encode()).digest())
        write_tars(self.out / "images", self.images)
        save(self.cases, self.left_out, self.out / "cases.json")


def write_tars(folder: Path, members: list[tuple[str, bytes]]) -> None:
    """Writes members into tars of all common formats."""
    folder.mkdir(parents=True)
    for at, start in enumerate(range(0, len(members), MEMBERS_PER_ARCHIVE)):
        tar_format = TAR_FORMATS[at % len(TAR_FORMATS)]
        with tarfile.open(folder / f"part-{at:03}.tar", "w", format=tar_format) as tar:
            for name, body in members[start : start + MEMBERS_PER_ARCHIVE]:
                info = tarfile.TarInfo(name)
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))


def main() -> None:
    """Splits all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="a folder that is not there yet")
    out = parser.parse_args().out
    warnings.simplefilter("ignore")
    splitter = Splitter(out)
    for file, path in sources.dicom_files():
        splitter.add_file(file, path)
    for file, path in sources.codestream_files():
        splitter.add_codestream(file, path)
    splitter.write()
    print(f"{len(splitter.cases)} cases, {len(splitter.left_out)} left out")


if __name__ == "__main__":
    main()
