"""Where the real files come from: three packages of the Python registry."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from cases import EXPLICIT_LITTLE, NATIVE_SYNTAXES

NOT_DICOM = (".py", ".pyc", ".json", ".txt", ".md", ".icc", ".dump", ".gz")

# Fifty files that differ in their Instance Number alone, without pixels: one of them will do.
ALIKE = "TINY_ALPHA/PT000000/"
ONE_OF_ALIKE = "IM000000"

# Ends in the middle of a sequence: checkers see less of the file than pydicom's header has.
CUT_SHORT = ("pydicom/test_files/rtplan_truncated.dcm",)

# Media Storage Directory Storage: the SOP Class of a DICOMDIR.
DIRECTORY = "1.2.840.10008.1.3.10"

# wsidicom-data's names of transfer syntaxes, and what a file of them says of colour.
SYNTAXES = {
    "Explicit_VR_Big_Endian": "1.2.840.10008.1.2.2",
    "Explicit_VR_Little_Endian": "1.2.840.10008.1.2.1",
    "Implicit_VR_Little_Endian": "1.2.840.10008.1.2",
    "JPEG-LS_Lossless_Image_Compression": "1.2.840.10008.1.2.4.80",
    "JPEG-LS_Lossy_(Near-Lossless)_Image_Compression": "1.2.840.10008.1.2.4.81",
    "JPEG_2000_Image_Compression": "1.2.840.10008.1.2.4.91",
    "JPEG_2000_Image_Compression_(Lossless_Only)": "1.2.840.10008.1.2.4.90",
    "JPEG_Baseline_(Process_1)": "1.2.840.10008.1.2.4.50",
    "JPEG_Extended_(Process_2_and_4)": "1.2.840.10008.1.2.4.51",
    "JPEG_Lossless,_Non-Hierarchical_(Process_14)": "1.2.840.10008.1.2.4.57",
    "RLE_Lossless": "1.2.840.10008.1.2.5",
}
LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81",
         "1.2.840.10008.1.2.4.91")
YBR = {"1.2.840.10008.1.2.4.90": "YBR_RCT", "1.2.840.10008.1.2.4.91": "YBR_ICT"}
TILE_SIDE = 240


def package(name: str) -> Path:
    """Returns the folder of an installed package, without running its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"package {name} is not installed: run `cargo xtask tools`")
    return Path(spec.submodule_search_locations[0])


def dicom_files() -> Iterator[tuple[str, Path]]:
    """Yields name and path of all files that could be DICOM."""
    roots = {"pydicom": package("pydicom") / "data", "pydicom-data": package("data_store") / "data"}
    for label, root in roots.items():
        for path in sorted(root.rglob("*")):
            name = f"{label}/{path.relative_to(root)}"
            if not path.is_file() or path.suffix in NOT_DICOM or "__pycache__" in name:
                continue
            if ALIKE in name and path.name != ONE_OF_ALIKE:
                continue
            yield name, path


def codestream_files() -> Iterator[tuple[str, Path]]:
    """Yields name and path of the bare codestreams and raw pixels of wsidicom-data."""
    root = package("wsidicom_data") / "data" / "encoded"
    for path in sorted(root.iterdir()):
        yield f"wsidicom-data/{path.name}", path


def read(path: Path) -> Dataset | str:
    """Returns the instance of a file, or why there is none in it."""
    try:
        instance = pydicom.dcmread(path)
    except InvalidDicomError:
        instance = pydicom.dcmread(path, force=True)
        if "SOPClassUID" not in instance:
            return "not a Part 10 file, and no data set is found without one's header"
    meta = getattr(instance, "file_meta", None)
    if meta is not None and meta.get("MediaStorageSOPClassUID") == DIRECTORY:
        return "a DICOMDIR, which is no instance"
    if meta is None or "TransferSyntaxUID" not in meta:
        implicit, little = instance.original_encoding
        instance.file_meta = meta or FileMetaDataset()
        instance.file_meta.TransferSyntaxUID = UID(
            "1.2.840.10008.1.2" if implicit else EXPLICIT_LITTLE if little else NATIVE_SYNTAXES[3]
        )
    return instance


def instance_of_codestream(path: Path, frames: int) -> tuple[Dataset, bytes]:
    """Returns an instance around a bare codestream, and the codestream."""
    body = path.read_bytes()
    syntax_name, channels, bits_text = path.stem.rsplit("-", 2)
    syntax, bits = SYNTAXES[syntax_name], int(bits_text)
    instance = Dataset()
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = UID(syntax)
    instance.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    instance.Modality = "OT"
    instance.ConversionType = "WSD"
    instance.SamplesPerPixel = 1 if channels == "GRAYSCALE" else 3
    instance.PhotometricInterpretation = {
        "GRAYSCALE": "MONOCHROME2",
        "RGB": "RGB",
        "YBR": YBR.get(syntax, "YBR_FULL"),
    }[channels]
    if instance.SamplesPerPixel == 3:
        instance.PlanarConfiguration = 0
    if frames > 1:
        instance.NumberOfFrames = frames
    instance.Rows = instance.Columns = TILE_SIDE
    instance.BitsAllocated = 8 if bits == 8 else 16
    instance.BitsStored, instance.HighBit, instance.PixelRepresentation = bits, bits - 1, 0
    if syntax in LOSSY:
        instance.LossyImageCompression = "01"
    instance.PixelData = body if syntax in NATIVE_SYNTAXES else encapsulate([body] * frames)
    instance["PixelData"].VR = "OW" if bits > 8 else "OB"
    if syntax not in NATIVE_SYNTAXES:
        instance["PixelData"].is_undefined_length = True
    return instance, body
