"""Dumps real pixel data for payload_real.rs, and checks what it made of them.

`payload_real.py dump FOLDER`, then `payload_real.py check FOLDER`.

For each image: `N.value`, the value of Pixel Data as `ds.PixelData` holds it; `N.frame.K`, its frames
by pydicom (bare codestreams, with their padding); and a line in `images.tsv`, in the order of
`COLUMNS`. An empty cell is an attribute that the header does not have. `N.head` and `N.tail` are a
small data set before and behind the pixel data, as pydicom writes it in Explicit VR Little Endian;
`N.whole` is the same with native pixels in their place: what the assembled data set must equal.

The check reads each `N.dcm` with pydicom, warnings being errors, and compares its frames.
Needs pydicom, pydicom-data and wsidicom-data; their absence is an error.
"""

import importlib.util
import io
import sys
import warnings
from pathlib import Path

import data_store
import pydicom
from pydicom.encaps import generate_frames, parse_fragments

COLUMNS = [
    "NumberOfFrames",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PlanarConfiguration",
    "PhotometricInterpretation",
    "LossyImageCompression",
]


def data_sets():
    """Yields each DICOM file of the packages that has pixels, once by its value and geometry."""
    seen = set()
    for package in (pydicom, data_store):
        for path in sorted(Path(package.__file__).parent.rglob("*")):
            if not path.is_file():
                continue
            try:
                ds = pydicom.dcmread(path)
                if not ds.get("PixelData") or "Rows" not in ds or "TransferSyntaxUID" not in ds.file_meta:
                    continue
            except Exception:  # Not a DICOM file, or one that is broken on purpose.
                continue
            key = (ds.PixelData, *(str(ds.get(keyword)) for keyword in COLUMNS))
            if key not in seen:
                seen.add(key)
                yield path.name, ds


def codestreams():
    """Yields the bare codestreams of wsidicom-data with the header that belongs to them."""
    # For its files alone: its code needs packages that are not needed here.
    package = importlib.util.find_spec("wsidicom_data").submodule_search_locations[0]
    folder = Path(package) / "data" / "encoded"
    syntaxes = {uid.name.replace(" ", "_").replace(":", ""): uid for uid in pydicom.uid.AllTransferSyntaxes}
    names = {
        "JPEG_Baseline_(Process_1)": pydicom.uid.JPEGBaseline8Bit,
        "JPEG_Extended_(Process_2_and_4)": pydicom.uid.JPEGExtended12Bit,
        "JPEG_Lossless,_Non-Hierarchical_(Process_14)": pydicom.uid.JPEGLossless,
    }
    for path in sorted(folder.iterdir()):
        syntax, photometric, bits = path.stem.rsplit("-", 2)
        uid = names.get(syntax) or syntaxes[syntax]
        ds = pydicom.Dataset()
        ds.Rows = ds.Columns = 240
        ds.SamplesPerPixel = 1 if photometric == "GRAYSCALE" else 3
        ds.BitsStored = int(bits)
        ds.BitsAllocated = 8 if ds.BitsStored == 8 else 16
        ds.PixelRepresentation = 0
        ds.PhotometricInterpretation = "MONOCHROME2" if ds.SamplesPerPixel == 1 else "RGB"
        if ds.SamplesPerPixel == 3:
            ds.PlanarConfiguration = 0
        yield path.name, ds, uid, path.read_bytes()


def data_set(ds):
    """Returns a data set with the Image Pixel Module of `ds`, and what names the instance."""
    small = pydicom.Dataset()
    small.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    small.SOPInstanceUID = "2.25.7"
    for keyword in COLUMNS:
        try:
            if ds.get(keyword) is not None:
                setattr(small, keyword, ds.get(keyword))
        except ValueError:  # badVR.dcm: a Number of Frames that is no number.
            pass
    return small


def encoded(ds):
    buffer = io.BytesIO()
    ds.save_as(buffer, implicit_vr=False, little_endian=True)
    return buffer.getvalue()


def dump_data_set(folder, number, ds, syntax, value):
    small = data_set(ds)
    (folder / f"{number}.head").write_bytes(encoded(small))
    tail = pydicom.Dataset()
    tail.DataSetTrailingPadding = bytes(8)
    (folder / f"{number}.tail").write_bytes(encoded(tail))
    if not syntax.is_encapsulated and syntax.is_little_endian:
        small.PixelData = value
        small.DataSetTrailingPadding = bytes(8)
        (folder / f"{number}.whole").write_bytes(encoded(small))


def dump(folder, lines, name, ds, syntax, fragments, value, frames):
    number = len(lines)
    dump_data_set(folder, number, ds, syntax, value)
    (folder / f"{number}.value").write_bytes(value)
    for at, frame in enumerate(frames):
        (folder / f"{number}.frame.{at}").write_bytes(frame)
    cells = [name, str(syntax), str(fragments), str(len(frames))]
    for keyword in COLUMNS:
        cell = ds.get(keyword)
        cells.append("" if cell is None else str(cell))
    # The raw images of wsidicom-data are bytes.
    cells.append(ds["PixelData"].VR if "PixelData" in ds else "OB")
    lines.append("\t".join(cells))


def check(folder):
    warnings.simplefilter("error")
    files = sorted(folder.glob("*.dcm"))
    for path in files:
        ds = pydicom.dcmread(path)
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert ds.DataSetTrailingPadding == bytes(8)
        if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
            continue
        count = int(ds.get("NumberOfFrames") or 1)
        frames = list(generate_frames(ds.PixelData, number_of_frames=count))
        for at, frame in enumerate(frames):
            expected = path.with_suffix(f".frame.{at}").read_bytes()
            padding = b"\x00\xff"
            assert frame.rstrip(padding) in expected and len(frame) % 2 == 0, (path, at)
    print(len(files))


def dump_all(folder):
    warnings.simplefilter("ignore")
    lines = []
    for name, ds in data_sets():
        syntax = ds.file_meta.TransferSyntaxUID
        value, frames, fragments = ds.PixelData, [], 0
        if syntax.is_encapsulated:
            count = int(ds.get("NumberOfFrames") or 1)
            frames = list(generate_frames(value, number_of_frames=count))
            # Without the offset table's item.
            fragments = parse_fragments(value)[0] - 1
        dump(folder, lines, name, ds, syntax, fragments, value, frames)
    for name, ds, syntax, value in codestreams():
        frames = [value] if syntax.is_encapsulated else []
        dump(folder, lines, name, ds, syntax, 0, value, frames)
    (folder / "images.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    {"dump": dump_all, "check": check}[sys.argv[1]](Path(sys.argv[2]))
