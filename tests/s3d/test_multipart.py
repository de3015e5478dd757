#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: multipart uploads, their listings, checksums and conditions; GetObjectAttributes."""
import binascii

from s3dtest import *

PART = 5 * MIB


def create(s, b, key, **headers):
    a = s.request("POST", f"/{b}/{key}?uploads", {k.replace("_", "-"): v
                                                  for k, v in headers.items()})
    equal(a.status, 200)
    return a.text("UploadId")


def upload(s, b, key, uid, number, body, **headers):
    return s.request("PUT", f"/{b}/{key}?partNumber={number}&uploadId={uid}",
                     {k.replace("_", "-"): v for k, v in headers.items()}, body)


def complete_xml(parts):
    return ("<CompleteMultipartUpload>" + "".join(
        f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag>{more}</Part>"
        for n, etag, more in ((p + ("",))[:3] for p in parts)) + "</CompleteMultipartUpload>")


def complete(s, b, key, uid, parts, **headers):
    return s.request("POST", f"/{b}/{key}?uploadId={uid}", {k.replace("_", "-"): v
                                                            for k, v in headers.items()},
                     complete_xml(parts).encode())


def etag_of(bodies):
    return f'"{md5(b"".join(hashlib.md5(x).digest() for x in bodies))}-{len(bodies)}"'


@test
def round_trip(s, b):
    bodies = [random.randbytes(PART), random.randbytes(PART + 3), b"end"]
    uid = create(s, b, "k", x_amz_meta_m="1", Content_Type="text/x",
                 x_amz_storage_class="STANDARD_IA")
    parts = []
    for n, body in zip((7, 2, 10000), (bodies[1], bodies[0], bodies[2])):
        a = upload(s, b, "k", uid, n, body)
        equal((a.status, a.headers["etag"]), (200, f'"{md5(body)}"'))
        parts.append((n, a.headers["etag"]))
    refused(s.request("GET", f"/{b}/k"), 404, "NoSuchKey")
    parts.sort()
    a = complete(s, b, "k", uid, parts)
    equal((a.status, a.text("ETag"), a.text("Key"), a.text("ChecksumType")),
          (200, etag_of(bodies), "k", "FULL_OBJECT"))
    whole = b"".join(bodies)
    a = s.request("GET", f"/{b}/k", {"x-amz-checksum-mode": "ENABLED"})
    assert a.body == whole
    equal((a.headers["etag"], a.headers["x-amz-meta-m"], a.headers["content-type"],
           a.headers["x-amz-storage-class"]), (etag_of(bodies), "1", "text/x", "STANDARD_IA"))
    # The combined CRC64NVME is that of all bytes.
    once = s.request("PUT", f"/{b}/once", {}, whole).headers["x-amz-checksum-crc64nvme"]
    equal(a.headers["x-amz-checksum-crc64nvme"], once)
    # Ranges across parts.
    for first, last in ((0, 0), (PART - 1, PART), (PART - 10, 2 * PART + 4), (2 * PART + 2, 2 * PART + 5),
                        (len(whole) - 1, len(whole) - 1), (PART, 2 * PART + 2)):
        a = s.request("GET", f"/{b}/k", {"Range": f"bytes={first}-{last}"})
        assert a.status == 206 and a.body == whole[first:last + 1], (first, last)
    # Part numbers on reading count the parts there are.
    for n, body in enumerate(bodies, 1):
        a = s.request("GET", f"/{b}/k?partNumber={n}", {"x-amz-checksum-mode": "ENABLED"})
        assert a.body == body
        equal((a.status, a.headers["x-amz-mp-parts-count"], "x-amz-checksum-crc64nvme" in a.headers),
              (206, "3", True))
        a = s.request("HEAD", f"/{b}/k?partNumber={n}")
        equal((a.status, a.headers["content-length"]), (206, str(len(body))))
    refused(s.request("GET", f"/{b}/k?partNumber=4"), 416, "InvalidPartNumber")
    refused(s.request("GET", f"/{b}/k?partNumber=0"), 400, "InvalidArgument")
    refused(s.request("GET", f"/{b}/k?partNumber=1", {"Range": "bytes=0-1"}), 400,
            "InvalidRequest")
    equal(s.request("GET", f"/{b}/once?partNumber=1").body, whole)
    refused(s.request("GET", f"/{b}/once?partNumber=2"), 416, "InvalidPartNumber")
    # A copy is one piece with the MD5 of all as its ETag.
    a = s.request("PUT", f"/{b}/copy", {"x-amz-copy-source": f"/{b}/k"})
    equal((a.text("ETag"), a.text("ChecksumCRC64NVME")), (f'"{md5(whole)}"', once))
    assert s.request("GET", f"/{b}/copy").body == whole


@test
def boto_transfers(s, b):
    from boto3.s3.transfer import TransferConfig
    c = s.client()
    body = random.randbytes(12 * MIB + 5)
    config = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART, max_concurrency=4)
    import io
    c.upload_fileobj(io.BytesIO(body), b, "k", Config=config)
    out = io.BytesIO()
    c.download_fileobj(b, "k", out, Config=config)
    assert out.getvalue() == body
    c.copy({"Bucket": b, "Key": "k"}, b, "k2", Config=config)
    assert c.get_object(Bucket=b, Key="k2")["Body"].read() == body
    assert c.head_object(Bucket=b, Key="k2")["ETag"].endswith('-3"')


@test
def complete_twice(s, b):
    uid = create(s, b, "k")
    etag = upload(s, b, "k", uid, 1, b"body").headers["etag"]
    first = complete(s, b, "k", uid, [(1, etag)])
    again = complete(s, b, "k", uid, [(1, etag)])
    equal((first.status, again.status, again.text("ETag")), (200, 200, first.text("ETag")))
    refused(upload(s, b, "k", uid, 2, b"x"), 404, "NoSuchUpload")
    refused(complete(s, b, "other", uid, [(1, etag)]), 404, "NoSuchUpload")
    refused(s.request("DELETE", f"/{b}/k?uploadId={uid}"), 404, "NoSuchUpload")


@test
def refused_completions(s, b):
    uid = create(s, b, "k")
    e = {n: upload(s, b, "k", uid, n, bytes([n]) * (PART if n < 3 else 10)).headers["etag"]
         for n in (1, 2, 3, 4)}
    a = refused(complete(s, b, "k", uid, [(1, e[1]), (3, e[3]), (4, e[4])]), 400, "EntityTooSmall")
    equal((a.xml.findtext("PartNumber"), a.xml.findtext("ProposedSize"),
           a.xml.findtext("MinSizeAllowed")), ("3", "10", str(PART)))
    refused(complete(s, b, "k", uid, [(2, e[2]), (1, e[1])]), 400, "InvalidPartOrder")
    refused(complete(s, b, "k", uid, [(1, e[1]), (1, e[1])]), 400, "InvalidPartOrder")
    refused(complete(s, b, "k", uid, [(1, e[1]), (5, e[1])]), 400, "InvalidPart")
    a = refused(complete(s, b, "k", uid, [(1, e[2])]), 400, "InvalidPart")
    equal((a.xml.findtext("PartNumber"), a.xml.findtext("UploadId")), ("1", uid))
    refused(complete(s, b, "k", uid, []), 400, "MalformedXML")
    refused(complete(s, b, "k", uid, [(0, e[1])]), 400, "MalformedXML")
    refused(s.request("POST", f"/{b}/k?uploadId={uid}", {}, b"<CompleteMultipartUpload>"), 400,
            "MalformedXML")
    refused(complete(s, b, "k", "nonsense", [(1, e[1])]), 404, "NoSuchUpload")
    refused(complete(s, b, "k", uid, [(1, e[1])], x_amz_mp_object_size="1"), 400, "InvalidRequest")
    refused(s.request("GET", f"/{b}/k"), 404, "NoSuchKey")
    for number in ("0", "10001", "x", "-1", ""):
        refused(upload(s, b, "k", uid, number, b"x"), 400, "InvalidArgument")
    # Unquoted ETags are fine, as is a subset of the parts.
    a = complete(s, b, "k", uid, [(2, e[2].strip('"')), (4, e[4])],
                 x_amz_mp_object_size=str(PART + 10))
    equal(a.status, 200)
    equal(s.request("HEAD", f"/{b}/k").headers["content-length"], str(PART + 10))


@test
def part_replaced(s, b):
    uid = create(s, b, "k")
    old = upload(s, b, "k", uid, 1, b"old").headers["etag"]
    new = upload(s, b, "k", uid, 1, b"new").headers["etag"]
    refused(complete(s, b, "k", uid, [(1, old)]), 400, "InvalidPart")
    equal(complete(s, b, "k", uid, [(1, new)]).status, 200)
    equal(s.request("GET", f"/{b}/k").body, b"new")


@test
def conditions(s, b):
    def prepared(body=b"new"):
        uid = create(s, b, "k")
        return uid, [(1, upload(s, b, "k", uid, 1, body).headers["etag"])]

    uid, parts = prepared(b"1")
    refused(complete(s, b, "k", uid, parts, If_Match='"x"'), 404, "NoSuchKey")
    equal(complete(s, b, "k", uid, parts, If_None_Match="*").status, 200)
    etag = s.request("HEAD", f"/{b}/k").headers["etag"]
    uid, parts = prepared(b"2")
    refused(complete(s, b, "k", uid, parts, If_None_Match="*"), 412, "PreconditionFailed")
    refused(complete(s, b, "k", uid, parts, If_Match='"x"'), 412, "PreconditionFailed")
    refused(complete(s, b, "k", uid, parts, If_None_Match='"x"'), 501, "NotImplemented")
    equal(s.request("GET", f"/{b}/k").body, b"1")
    equal(complete(s, b, "k", uid, parts, If_Match=etag).status, 200)
    equal(s.request("GET", f"/{b}/k").body, b"2")
    s.request("DELETE", f"/{b}/k")
    ready = [prepared(str(i).encode()) for i in range(20)]
    answers = in_parallel(20, lambda i: complete(s, b, "k", *ready[i], If_None_Match="*").status)
    equal(sorted(answers), [200] + [412] * 19)
    equal(s.request("GET", f"/{b}/k").body, str(answers.index(200)).encode())


@test
def abort(s, b):
    uid = create(s, b, "k")
    upload(s, b, "k", uid, 1, b"x")
    equal(s.request("DELETE", f"/{b}/k?uploadId={uid}").status, 204)
    for a in (s.request("DELETE", f"/{b}/k?uploadId={uid}"), upload(s, b, "k", uid, 1, b"x"),
              s.request("GET", f"/{b}/k?uploadId={uid}"), complete(s, b, "k", uid, [(1, "x")])):
        refused(a, 404, "NoSuchUpload")
    # Uploads do not keep a bucket.
    name = bucket_name()
    s.client().create_bucket(Bucket=name)
    create(s, name, "k")
    s.client().delete_bucket(Bucket=name)


@test
def part_copies(s, b):
    source = random.randbytes(PART + 100)
    s.request("PUT", f"/{b}/src", {}, source)
    s.request("PUT", f"/{b}/small", {}, source[:PART])
    uid = create(s, b, "k")

    def copy(number, key="src", **headers):
        return s.request("PUT", f"/{b}/k?partNumber={number}&uploadId={uid}",
                         {"x-amz-copy-source": f"/{b}/{key}",
                          **{k.replace("_", "-"): v for k, v in headers.items()}})

    a = copy(1)
    equal((a.status, a.text("ETag")), (200, f'"{md5(source)}"'))
    e1 = a.text("ETag")
    a = copy(2, x_amz_copy_source_range="bytes=10-29")
    equal(a.text("ETag"), f'"{md5(source[10:30])}"')
    e2 = a.text("ETag")
    for bad in ("bytes=10-", "bytes=-5", "bytes=5-4", "10-20", f"bytes=0-{PART + 100}", "bytes=0-1x"):
        refused(copy(3, x_amz_copy_source_range=bad), 400, "InvalidArgument")
    refused(copy(3, "small", x_amz_copy_source_range="bytes=0-1"), 400, "InvalidRequest")
    refused(copy(3, "none"), 404, "NoSuchKey")
    refused(copy(3, x_amz_copy_source_if_match='"x"'), 412, "PreconditionFailed")
    refused(copy(10001), 400, "InvalidArgument")
    s.request("DELETE", f"/{b}/src")
    equal(complete(s, b, "k", uid, [(1, e1), (2, e2)]).status, 200)
    assert s.request("GET", f"/{b}/k").body == source + source[10:30]
    # Part of a multipart object, across its parts.
    uid = create(s, b, "k")
    a = copy(1, "k", x_amz_copy_source_range=f"bytes={PART + 90}-{PART + 109}")
    equal(complete(s, b, "k", uid, [(1, a.text("ETag"))]).status, 200)
    assert s.request("GET", f"/{b}/k").body == source[PART + 90:] + source[10:20]


@test
def list_parts(s, b):
    uid = create(s, b, "k")
    for n in (1, 2, 5, 9, 10000):
        upload(s, b, "k", uid, n, b"x" * n)
    got, marker, pages = [], "", 0
    while marker is not None:
        a = s.request("GET", f"/{b}/k?max-parts=2&uploadId={uid}{marker}")
        got += list(zip(a.texts("Part", "PartNumber"), a.texts("Part", "Size")))
        more = a.text("IsTruncated") == "true"
        marker = f"&part-number-marker={a.text('NextPartNumberMarker')}" if more else None
        pages += 1
    equal((got, pages), ([(str(n), str(n)) for n in (1, 2, 5, 9, 10000)], 3))
    r = s.client().list_parts(Bucket=b, Key="k", UploadId=uid)
    equal([p["ETag"] for p in r["Parts"]][0], f'"{md5(b"x")}"')
    refused(s.request("GET", f"/{b}/k?uploadId=x"), 404, "NoSuchUpload")
    refused(s.request("GET", f"/{b}/k?uploadId={uid}&max-parts=x"), 400, "InvalidArgument")


@test
def list_uploads(s, b):
    ids = [(k, create(s, b, quote(k))) for k in ("a/1", "b", "b", "b", "c d", "a/2", "e")]
    want = sorted(ids, key=lambda x: x[0])  # stable: then by initiation
    c = s.client()

    def walk(size, **args):
        out, markers = [], {}
        while True:
            r = c.list_multipart_uploads(Bucket=b, MaxUploads=size, **markers, **args)
            out += [p["Prefix"] for p in r.get("CommonPrefixes", [])]
            out += [(u["Key"], u["UploadId"]) for u in r.get("Uploads", [])]
            if not r["IsTruncated"]:
                return out
            markers = {"KeyMarker": r["NextKeyMarker"]}
            if r.get("NextUploadIdMarker"):
                markers["UploadIdMarker"] = r["NextUploadIdMarker"]

    for size in (1, 2, 3, 1000):
        equal(walk(size), want, f"pages of {size}")
        equal(walk(size, Delimiter="/"), ["a/"] + want[2:], f"pages of {size}")
    equal(walk(10, Prefix="b"), want[2:5])
    # key-marker alone is behind all uploads of that key.
    r = c.list_multipart_uploads(Bucket=b, KeyMarker="b")
    equal([u["Key"] for u in r["Uploads"]], ["c d", "e"])
    # An upload that is gone is still a place to continue from.
    c.abort_multipart_upload(Bucket=b, Key="b", UploadId=want[3][1])
    r = c.list_multipart_uploads(Bucket=b, KeyMarker="b", UploadIdMarker=want[3][1])
    equal([u["UploadId"] for u in r["Uploads"]], [x[1] for x in want[4:]])


def crc32(data):
    return base64.b64encode(binascii.crc32(data).to_bytes(4, "big")).decode()


def sha(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@test
def checksums(s, b):
    bodies = [random.randbytes(PART), b"end"]
    whole = b"".join(bodies)
    # Composite SHA-256.
    uid = create(s, b, "k", x_amz_checksum_algorithm="SHA256")
    refused(upload(s, b, "k", uid, 1, bodies[0]), 400, "InvalidRequest")
    refused(upload(s, b, "k", uid, 1, bodies[0], x_amz_checksum_crc32=crc32(bodies[0])), 400,
            "InvalidRequest")
    refused(upload(s, b, "k", uid, 1, bodies[0], x_amz_checksum_sha256=sha(b"")), 400, "BadDigest")
    parts = []
    for n, body in enumerate(bodies, 1):
        a = upload(s, b, "k", uid, n, body, x_amz_checksum_sha256=sha(body))
        equal(a.headers["x-amz-checksum-sha256"], sha(body))
        parts.append((n, a.headers["etag"], f"<ChecksumSHA256>{sha(body)}</ChecksumSHA256>"))
    refused(complete(s, b, "k", uid, [p[:2] for p in parts]), 400, "InvalidRequest")
    wrong = [parts[0][:2] + (parts[1][2],), parts[1]]
    refused(complete(s, b, "k", uid, wrong), 400, "InvalidPart")
    composite = sha(b"".join(hashlib.sha256(x).digest() for x in bodies)) + "-2"
    refused(complete(s, b, "k", uid, parts, x_amz_checksum_sha256=sha(whole)), 400, "BadDigest")
    a = complete(s, b, "k", uid, parts, x_amz_checksum_sha256=composite)
    equal((a.text("ChecksumSHA256"), a.text("ChecksumType")), (composite, "COMPOSITE"))
    a = s.request("HEAD", f"/{b}/k", {"x-amz-checksum-mode": "ENABLED"})
    equal((a.headers["x-amz-checksum-sha256"], a.headers["x-amz-checksum-type"]),
          (composite, "COMPOSITE"))
    # CRC32 of the full object: computed from those of the parts.
    uid = create(s, b, "k", x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="FULL_OBJECT")
    parts = [(n, upload(s, b, "k", uid, n, x, x_amz_checksum_crc32=crc32(x)).headers["etag"])
             for n, x in enumerate(bodies, 1)]
    refused(complete(s, b, "k", uid, parts, x_amz_checksum_crc32=crc32(b"")), 400, "BadDigest")
    refused(complete(s, b, "k", uid, parts, x_amz_checksum_type="COMPOSITE"), 400, "InvalidRequest")
    a = complete(s, b, "k", uid, parts, x_amz_checksum_crc32=crc32(whole),
                 x_amz_checksum_type="FULL_OBJECT")
    equal((a.status, a.text("ChecksumCRC32")), (200, crc32(whole)))
    # An object that is put together of fewer parts: only who names its size is told.
    uid = create(s, b, "k")
    parts = [(n, upload(s, b, "k", uid, n, x).headers["etag"]) for n, x in enumerate(bodies, 1)]
    s.faults("op=CompleteMultipartUpload action=fewer-parts")
    refused(complete(s, b, "k", uid, parts, x_amz_mp_object_size=str(len(whole))), 400,
            "InvalidRequest")
    equal(complete(s, b, "k", uid, parts).status, 200)
    s.clear_faults()
    equal(s.request("HEAD", f"/{b}/k").headers["content-length"], str(PART))
    # CRC32C likewise, against a single upload's.
    a = s.request("PUT", f"/{b}/one", {}, whole)
    crc64 = a.headers["x-amz-checksum-crc64nvme"]
    uid = create(s, b, "k", x_amz_checksum_algorithm="CRC64NVME")
    refused(upload(s, b, "k", uid, 1, bodies[0]), 400, "InvalidRequest")
    # Not allowed together.
    for algorithm, kind in (("CRC64NVME", "COMPOSITE"), ("SHA1", "FULL_OBJECT"),
                            ("SHA256", "FULL_OBJECT"), ("MD4", None), ("CRC32", "PARTIAL")):
        headers = {"x-amz-checksum-algorithm": algorithm}
        if kind:
            headers["x-amz-checksum-type"] = kind
        refused(s.request("POST", f"/{b}/k?uploads", headers), 400, "InvalidRequest")
    refused(s.request("POST", f"/{b}/k?uploads", {"x-amz-checksum-type": "FULL_OBJECT"}), 400,
            "InvalidRequest")
    # No algorithm named: parts bring none, the object gets CRC64NVME.
    uid = create(s, b, "k")
    refused(upload(s, b, "k", uid, 1, bodies[0], x_amz_checksum_crc32=crc32(bodies[0])), 400,
            "InvalidRequest")
    parts = [(n, upload(s, b, "k", uid, n, x).headers["etag"]) for n, x in enumerate(bodies, 1)]
    equal(complete(s, b, "k", uid, parts).text("ChecksumCRC64NVME"), crc64)


@test
def attributes(s, b):
    uid = create(s, b, "k", x_amz_checksum_algorithm="CRC32", x_amz_checksum_type="COMPOSITE")
    bodies = [random.randbytes(PART), random.randbytes(PART), b"end"]
    parts = []
    for n, x in zip((1, 4, 9), bodies):
        a = upload(s, b, "k", uid, n, x, x_amz_checksum_crc32=crc32(x))
        parts.append((n, a.headers["etag"], f"<ChecksumCRC32>{crc32(x)}</ChecksumCRC32>"))
    equal(complete(s, b, "k", uid, parts).status, 200)
    c = s.client()
    everything = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]
    r = c.get_object_attributes(Bucket=b, Key="k", ObjectAttributes=everything)
    equal((r["ETag"], r["ObjectSize"], r["StorageClass"], r["ObjectParts"]["TotalPartsCount"],
           [p["Size"] for p in r["ObjectParts"]["Parts"]],
           [p["ChecksumCRC32"] for p in r["ObjectParts"]["Parts"]]),
          (etag_of(bodies).strip('"'), 2 * PART + 3, "STANDARD", 3, [len(x) for x in bodies],
           [crc32(x) for x in bodies]))
    assert r["Checksum"]["ChecksumCRC32"].endswith("-3")
    r = c.get_object_attributes(Bucket=b, Key="k", ObjectAttributes=["ObjectParts"], MaxParts=2,
                                PartNumberMarker=1)
    equal(([p["PartNumber"] for p in r["ObjectParts"]["Parts"]], r["ObjectParts"]["IsTruncated"],
           "ETag" in r), ([4, 9], False, False))
    r = c.get_object_attributes(Bucket=b, Key="k", ObjectAttributes=["ObjectParts"], MaxParts=1)
    equal((r["ObjectParts"]["IsTruncated"], r["ObjectParts"]["NextPartNumberMarker"]), (True, 1))
    refused(s.request("GET", f"/{b}/k?attributes"), 400, "InvalidArgument")
    refused(s.request("GET", f"/{b}/none?attributes", {"x-amz-object-attributes": "ETag"}), 404,
            "NoSuchKey")


@test
def five_gibibytes():
    """Made of copies: a big object costs nothing here."""
    with Server("--opaque-etag", "--no-default-checksum") as s:
        s.client().create_bucket(Bucket="big")
        source = random.randbytes(PART + 1)
        s.request("PUT", "/big/src", {}, source)
        uid, conn, parts = create(s, "big", "k"), s.connection(), []
        for n in list(range(1, 1024)) + [10000]:
            a = s.request("PUT", f"/big/k?partNumber={n}&uploadId={uid}",
                          {"x-amz-copy-source": "/big/src"}, conn=conn)
            parts.append((n, a.text("ETag")))
        refused(complete(s, "big", "k", uid, parts + [(10001, "x")]), 400, "InvalidPart")
        a = complete(s, "big", "k", uid, parts)
        equal((a.status, a.text("ETag").endswith('-1024"')), (200, True))
        size = 1024 * (PART + 1)
        equal(s.request("HEAD", "/big/k").headers["content-length"], str(size))
        a = s.request("GET", "/big/k", {"Range": f"bytes={size - PART - 3}-{size - PART + 2}"})
        assert a.body == source[-2:] + source[:4]
        a = s.request("PUT", "/big/copy", {"x-amz-copy-source": "/big/k"})
        refused(a, 400, "InvalidRequest")
        # With one part less than 5 GiB it is fine.
        uid = create(s, "big", "m")
        parts = [(n, s.request("PUT", f"/big/m?partNumber={n}&uploadId={uid}", {
            "x-amz-copy-source": "/big/k", "x-amz-copy-source-range": f"bytes={n}-{(5 << 30) - 2}"}
            ).text("ETag")) for n in (1, 2)]
        equal(complete(s, "big", "m", uid, parts).status, 200)
        a = s.request("HEAD", "/big/m?partNumber=2")
        equal(a.headers["content-length"], str((5 << 30) - 3))


@test
def sums_of_pieces():
    """Without an MD5 the CRC of a copy is put together from those of its pieces, remembered or not."""
    with Server("--opaque-etag") as s:
        s.client().create_bucket(Bucket="sums")
        body = random.randbytes(2 * PART + 100)
        a = s.request("PUT", "/sums/whole", {}, body)
        want = a.headers["x-amz-checksum-crc64nvme"]
        for key, source in (("one", "whole"), ("two", "one"), ("three", "one"), ("four", "whole")):
            uid = create(s, "sums", key)
            parts = [(n, s.request("PUT", f"/sums/{key}?partNumber={n}&uploadId={uid}", {
                "x-amz-copy-source": f"/sums/{source}",
                "x-amz-copy-source-range": f"bytes={first}-{end - 1}"}).text("ETag"))
                for n, first, end in ((1, 0, PART + 7), (2, PART + 7, len(body)))]
            equal(complete(s, "sums", key, uid, parts).status, 200)
            a = s.request("HEAD", f"/sums/{key}", {"x-amz-checksum-mode": "ENABLED"})
            equal((key, a.headers["x-amz-checksum-crc64nvme"], a.headers["x-amz-checksum-type"]),
                  (key, want, "FULL_OBJECT"))
            a = s.request("PUT", f"/sums/{key}-32", {"x-amz-copy-source": f"/sums/{key}",
                                                     "x-amz-checksum-algorithm": "CRC32"})
            equal((a.status, a.text("ChecksumCRC32")), (200, crc32(body)))


main()
