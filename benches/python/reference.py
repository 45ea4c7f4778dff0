"""The plain way to join: index both sides by member name, then pydicom, one instance at a time.

    reference.py METADATA IMAGES OUT LIMIT

Writes the first LIMIT instances; prints one line of JSON. The index is made of all members, and
its share of the time is that of the instances written.
"""

import json
import os
import sys
import tarfile
import time

from pydicom.dataset import Dataset


def index(folder):
    places = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with tarfile.open(path) as archive:
            for member in archive:
                if member.isfile():
                    uid = os.path.basename(member.name).rsplit(".", 1)[0]
                    places[uid] = (path, member.offset_data, member.size)
    return places


def read(files, place):
    path, offset, size = place
    if path not in files:
        files[path] = open(path, "rb")
    files[path].seek(offset)
    return files[path].read(size)


def main(metadata, images, out, limit):
    began = time.perf_counter()
    headers, payloads = index(metadata), index(images)
    indexed = time.perf_counter()
    pairs = [uid for uid in headers if uid in payloads]
    files, done, written, failed = {}, 0, 0, 0
    for uid in pairs[:limit]:
        try:
            dataset = Dataset.from_json(read(files, headers[uid]).decode())
            dataset.PixelData = read(files, payloads[uid])
            path = os.path.join(out, uid + ".dcm")
            dataset.save_as(path, implicit_vr=False, little_endian=True)
            written += os.path.getsize(path)
            done += 1
        except Exception:
            failed += 1
    joined = time.perf_counter()
    seconds = (joined - indexed) + (indexed - began) * min(limit, len(pairs)) / max(len(pairs), 1)
    row = {"seconds": seconds, "instances": done, "bytes": written, "failed": failed}
    print(json.dumps(row | {"index_seconds": indexed - began, "members": len(headers)}))


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
