"""DICOM JSON to a Part 10 file in memory with pydicom: header.py DOCUMENT SECONDS."""

import io
import json
import sys
import time

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian


def convert(text):
    dataset = Dataset.from_json(text)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.tell()


with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
long, documents = float(sys.argv[2]), 0
file_bytes = convert(text)
began = time.perf_counter()
while time.perf_counter() - began < long:
    convert(text)
    documents += 1
seconds = time.perf_counter() - began
size = len(text.encode()) * documents
print(json.dumps({"seconds": seconds, "instances": documents, "bytes": size, "file_bytes": file_bytes}))
