"""The check finds what is wrong: good outputs pass, and each way of spoiling one is found."""

from __future__ import annotations

import json
import struct
import tempfile
import unittest
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

import sources
import split
import verdicts
from cases import Case, uid_of

NATIVE = "MR_small.dcm"
COMPRESSED = "MR_small_jp2klossless.dcm"
DELIMITER = split.DELIMITER

Spoil = Callable[[Dataset], None]
SpoilBytes = Callable[[bytes], bytes]


def nothing(_: Dataset) -> None:
    """Leaves an output as it is."""


def same(body: bytes) -> bytes:
    """Leaves a file as it is."""
    return body


class CheckTest(unittest.TestCase):
    """Judges outputs that pydicom wrote, good and spoiled."""

    def setUp(self) -> None:
        """Makes a folder, and quiet."""
        warnings.simplefilter("ignore")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def judge(self, name: str, spoil: Spoil = nothing, spoil_bytes: SpoilBytes = same) -> list[str]:
        """Returns the faults of an output that was spoiled in one way."""
        path = sources.package("pydicom") / "data" / "test_files" / name
        instance = pydicom.dcmread(path)
        syntax = str(instance.file_meta.TransferSyntaxUID)
        uid = uid_of(name, "test")
        case = Case(name, "test", syntax, uid, str(path), syntax, True)
        header = self.folder / "header.json"
        header.write_text(split.header_of(instance, uid))

        output = Dataset.from_json(json.loads(header.read_text()))
        output.file_meta = pydicom.dataset.FileMetaDataset()
        output.file_meta.TransferSyntaxUID = instance.file_meta.TransferSyntaxUID
        output.add_new(0x7FE00010, instance["PixelData"].VR, instance.PixelData)
        output["PixelData"].is_undefined_length = name == COMPRESSED
        spoil(output)
        file = self.folder / "output.dcm"
        output.save_as(file, enforce_file_format=True)
        file.write_bytes(spoil_bytes(file.read_bytes()))
        return verdicts.judge(case, file, header, None, None).faults

    def assert_found(self, faults: list[str], *texts: str) -> None:
        """Asserts that all of the texts are among the faults."""
        for text in texts:
            self.assertTrue(any(text in fault for fault in faults), f"{text} is not in {faults}")

    def test_good_outputs_pass(self) -> None:
        self.assertEqual(self.judge(NATIVE), [])
        self.assertEqual(self.judge(COMPRESSED), [])

    def test_one_row_short(self) -> None:
        def spoil(output: Dataset) -> None:
            output.PixelData = output.PixelData[: -2 * output.Columns]

        self.assert_found(self.judge(NATIVE, spoil), "dciodvfy", "pydicom", "other bytes of pixels")

    def test_other_pixel(self) -> None:
        def spoil(output: Dataset) -> None:
            output.PixelData = b"\x01" + output.PixelData[1:]

        self.assert_found(self.judge(NATIVE, spoil), "other pixels", "other bytes of pixels")

    def test_odd_fragment(self) -> None:
        def spoil(output: Dataset) -> None:
            frame = next(generate_frames(output.PixelData, number_of_frames=1)) + b"\0"
            item = b"\xfe\xff\x00\xe0"
            output.PixelData = item + bytes(4) + item + struct.pack("<I", len(frame)) + frame

        self.assert_found(self.judge(COMPRESSED, spoil), "dcmdump", "gdcmconv")

    def test_no_delimiter(self) -> None:
        def spoil(body: bytes) -> bytes:
            at = body.rindex(DELIMITER)
            return body[:at] + body[at + len(DELIMITER) :]

        faults = self.judge(COMPRESSED, spoil_bytes=spoil)
        self.assert_found(faults, "dcmdump: does not get through")

    def test_double_encapsulation(self) -> None:
        def spoil(output: Dataset) -> None:
            output.PixelData = encapsulate([output.PixelData + DELIMITER])

        self.assert_found(self.judge(COMPRESSED, spoil), "gdcmconv", "other bytes of frames")

    def test_other_transfer_syntax(self) -> None:
        def spoil(output: Dataset) -> None:
            output.file_meta.TransferSyntaxUID = JPEGLSLossless

        self.assert_found(self.judge(COMPRESSED, spoil), "transfer syntax", "cannot be decoded")

    def test_compressed_bytes_as_native(self) -> None:
        def spoil(output: Dataset) -> None:
            output.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            output["PixelData"].is_undefined_length = False

        self.assert_found(self.judge(COMPRESSED, spoil), "transfer syntax", "dciodvfy")

    def test_elements(self) -> None:
        def spoil(output: Dataset) -> None:
            output.PatientID += "x"
            output.SliceThickness = None
            del output.Modality
            output.PatientComments = "invented"

        self.assert_found(
            self.judge(NATIVE, spoil),
            "00100020: other value",
            "00180050: 0 values for 1",
            "00080060: missing",
            "00104000: invented",
            "differs from pydicom's",
        )

    def test_file_meta_of_another_instance(self) -> None:
        def spoil(body: bytes) -> bytes:
            uid = uid_of(NATIVE, "test").encode()
            return body.replace(uid, uid[:-1] + (b"1" if uid[-1:] != b"1" else b"2"), 1)

        self.assert_found(self.judge(NATIVE, spoil_bytes=spoil), "(0002,0003)", "dciodvfy")

    def test_no_file_meta(self) -> None:
        def spoil(body: bytes) -> bytes:
            return body[144 + int.from_bytes(body[140:144], "little") :]

        self.assert_found(self.judge(NATIVE, spoil_bytes=spoil), "dcmftest: not a Part 10 file")

    def test_lost_case(self) -> None:
        case = Case("a", "native", "1.2", "1.2.3", "", "1.2", True)
        nowhere = self.folder / "nowhere.dcm"
        verdict = verdicts.judge(case, nowhere, nowhere, None, None)
        self.assert_found(verdict.faults, "neither published nor accounted for")

    def test_documented_rejections_must_happen_for_their_reason(self) -> None:
        case = Case("a", "native", "1.2", "1.2.3", "", "1.2", True)
        nowhere = self.folder / "nowhere.dcm"
        expected = verdicts.Expected("payload_length", "why", published=False)
        found = verdicts.judge(case, nowhere, nowhere, expected, ("payload_length", ""))
        self.assertEqual((found.faults, found.rejection), ([], "payload_length"))
        found = verdicts.judge(case, nowhere, nowhere, expected, ("frame_count", ""))
        self.assert_found(found.faults, "documented as payload_length")


if __name__ == "__main__":
    unittest.main()
