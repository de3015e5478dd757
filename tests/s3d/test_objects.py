#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: PutObject, GetObject, HeadObject, CopyObject, DeleteObject(s) and their conditions."""
import binascii
import email.utils

from s3dtest import *


def put(s, b, key, body=b"x", **headers):
    return s.request("PUT", f"/{b}/{key}", {k.replace("_", "-"): v for k, v in headers.items()},
                     body)


def get(s, b, key, method="GET", **headers):
    return s.request(method, f"/{b}/{key}", {k.replace("_", "-"): v for k, v in headers.items()})


@test
def round_trip(s, b):
    for size in (0, 1, 65536, 65537, 3 * MIB + 1):
        body = random.randbytes(size)
        a = put(s, b, "k", body)
        equal((a.status, a.headers["etag"], a.body), (200, f'"{md5(body)}"', b""))
        a = get(s, b, "k")
        equal((a.status, a.headers["etag"], a.headers["content-length"], a.headers["accept-ranges"],
               a.headers["content-type"]),
              (200, f'"{md5(body)}"', str(size), "bytes", "binary/octet-stream"))
        assert a.body == body
        a = get(s, b, "k", "HEAD")
        equal((a.status, a.headers["content-length"], a.body), (200, str(size), b""))
        for name in ("x-amz-request-id", "x-amz-id-2", "date", "server", "last-modified"):
            assert name in a.headers, name


@test
def missing(s, b):
    refused(get(s, b, "none"), 404, "NoSuchKey")
    a = refused(get(s, b, "none", "HEAD"), 404)
    equal(a.body, b"")
    equal(s.request("DELETE", f"/{b}/none").status, 204)


@test
def kept_headers(s, b):
    kept = {"Content-Type": "text/x; a=b", "Cache-Control": "max-age=1", "Content-Language": "de",
            "Content-Disposition": 'attachment; filename="a b"', "Content-Encoding": "gzip",
            "Expires": "Thu, 01 Dec 2094 16:00:00 GMT", "x-amz-meta-one": "1",
            "x-amz-meta-Two": "a  b", "x-amz-storage-class": "STANDARD_IA"}
    put(s, b, "k", b"x", **kept)
    a = get(s, b, "k", "HEAD")
    for name, value in kept.items():
        equal(a.headers[name.lower()], value, name)
    query = urllib.parse.urlencode({"response-content-type": "image/x",
                                    "response-cache-control": "no-cache",
                                    "response-content-encoding": "br",
                                    "response-content-disposition": "inline",
                                    "response-content-language": "fr",
                                    "response-expires": "never"}, quote_via=urllib.parse.quote)
    a = s.request("GET", f"/{b}/k?{query}")
    equal([a.headers[n] for n in ("content-type", "cache-control", "content-encoding",
                                  "content-disposition", "content-language", "expires")],
          ["image/x", "no-cache", "br", "inline", "fr", "never"])
    put(s, b, "k", b"x", x_amz_meta_a=["1", "2"][0])
    a = get(s, b, "k", "HEAD")
    equal((a.headers["content-type"], a.headers["x-amz-meta-a"], "x-amz-meta-one" in a.headers),
          ("binary/octet-stream", "1", False))
    refused(put(s, b, "k", b"x", x_amz_storage_class="LEAD"), 400, "InvalidStorageClass")


@test
def metadata_limit(s, b):
    equal(put(s, b, "k", b"x", x_amz_meta_a="v" * 2047).status, 200)
    refused(put(s, b, "k", b"x", x_amz_meta_a="v" * 2048), 400, "MetadataTooLarge")
    refused(put(s, b, "k", b"x", x_amz_meta_a="v" * 1024, x_amz_meta_b="v" * 1023), 400,
            "MetadataTooLarge")
    equal(len(get(s, b, "k", "HEAD").headers["x-amz-meta-a"]), 2047)
    refused(put(s, b, "k", b"x", Content_Type="t" * 5000), 400, "RequestHeaderSectionTooLarge")


@test
def ranges(s, b):
    body = bytes(range(100))
    put(s, b, "k", body)
    for header, want in (("bytes=0-0", (0, 0)), ("bytes=10-19", (10, 19)), ("bytes=90-", (90, 99)),
                         ("bytes=-10", (90, 99)), ("bytes=-1000", (0, 99)),
                         ("bytes=50-1000", (50, 99)), ("bytes=0-", (0, 99))):
        a = get(s, b, "k", Range=header)
        first, last = want
        equal((a.status, a.body, a.headers["content-range"]),
              (206, body[first:last + 1], f"bytes {first}-{last}/100"), header)
        a = get(s, b, "k", "HEAD", Range=header)
        equal((a.status, a.headers["content-length"]), (206, str(last - first + 1)))
    for header in ("bytes=100-", "bytes=100-200", "bytes=-0"):
        a = refused(get(s, b, "k", Range=header), 416, "InvalidRange")
        equal((a.headers["content-range"], a.xml.findtext("ActualObjectSize")),
              ("bytes */100", "100"))
    # Not understood: the whole object.
    for header in ("bytes=5-4", "bytes=-", "bytes=a-b", "chars=0-1", "bytes=0-1,5-6", "bytes 0-1"):
        equal((get(s, b, "k", Range=header).status, len(get(s, b, "k", Range=header).body)),
              (200, 100), header)
    put(s, b, "empty", b"")
    for header in ("bytes=0-0", "bytes=-1", "bytes=0-"):
        refused(get(s, b, "empty", Range=header), 416, "InvalidRange")


@test
def read_conditions(s, b):
    etag = put(s, b, "k").headers["etag"]
    modified = get(s, b, "k").headers["last-modified"]
    stamp = email.utils.parsedate_to_datetime(modified).timestamp()
    before = email.utils.formatdate(stamp - 10, usegmt=True)
    after = email.utils.formatdate(stamp + 10, usegmt=True)
    cases = [
        ({"If-Match": etag}, 200), ({"If-Match": etag.strip('"')}, 200), ({"If-Match": "*"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-None-Match": etag}, 304), ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": "W/" + etag}, 304), ({"If-None-Match": '"other"'}, 200),
        ({"If-Modified-Since": before}, 200), ({"If-Modified-Since": modified}, 304),
        ({"If-Modified-Since": "yesterday"}, 200),
        ({"If-Unmodified-Since": before}, 412), ({"If-Unmodified-Since": modified}, 200),
        ({"If-Unmodified-Since": after}, 200),
        # Precedence: an ETag condition that holds outweighs the date, one that fails too.
        ({"If-Match": etag, "If-Unmodified-Since": before}, 200),
        ({"If-None-Match": etag, "If-Modified-Since": before}, 304),
        ({"If-None-Match": '"other"', "If-Modified-Since": modified}, 200),
        ({"If-Match": '"other"', "If-None-Match": etag}, 412),
    ]
    for headers, want in cases:
        for method in ("GET", "HEAD"):
            a = s.request(method, f"/{b}/k", headers)
            equal(a.status, want, f"{method} {headers}")
            if want == 304:
                equal((a.body, a.headers["etag"]), (b"", etag))
        if want == 412:
            equal(s.request("GET", f"/{b}/k", headers).code, "PreconditionFailed")
    a = get(s, b, "k", Range="bytes=0-0", If_Match=etag)
    equal(a.status, 206)
    equal(get(s, b, "none", If_Match=etag).status, 404)


@test
def write_conditions(s, b):
    equal(put(s, b, "k", b"1", If_None_Match="*").status, 200)
    a = refused(put(s, b, "k", b"2", If_None_Match="*"), 412, "PreconditionFailed")
    equal(a.xml.findtext("Condition"), "If-None-Match")
    etag = get(s, b, "k").headers["etag"]
    equal(get(s, b, "k").body, b"1")
    refused(put(s, b, "k", b"2", If_Match='"other"'), 412, "PreconditionFailed")
    equal(put(s, b, "k", b"2", If_Match=etag).status, 200)
    refused(put(s, b, "k", b"3", If_Match=etag), 412, "PreconditionFailed")
    refused(put(s, b, "none", b"3", If_Match=etag), 404, "NoSuchKey")
    refused(put(s, b, "k", b"3", If_None_Match=etag), 501, "NotImplemented")
    equal(get(s, b, "k").body, b"2")


@test
def one_winner(s, b):
    for n in range(5):
        answers = in_parallel(32, lambda i: put(s, b, f"k{n}", str(i).encode() * 1000,
                                                If_None_Match="*").status)
        equal(sorted(answers), [200] + [412] * 31)
        equal(get(s, b, f"k{n}").body, str(answers.index(200)).encode() * 1000)
    etag = put(s, b, "m", b"base").headers["etag"]
    for _ in range(5):
        answers = in_parallel(32, lambda i: put(s, b, "m", os.urandom(2000), If_Match=etag))
        equal(sorted(a.status for a in answers), [200] + [412] * 31)
        etag = [a for a in answers if a.status == 200][0].headers["etag"]
        equal(get(s, b, "m").headers["etag"], etag)
    answers = in_parallel(32, lambda i: s.request("DELETE", f"/{b}/m", {"If-Match": etag}).status)
    equal(sorted(answers), [204] + [412] * 31)


@test
def whole_or_not(s, b):
    """Readers see one version or the other, whole, whatever the writers do."""
    bodies = [bytes([65 + i]) * (300_000 + i) for i in range(4)]
    put(s, b, "k", bodies[0])
    stop = threading.Event()
    bad = []

    def read():
        conn = s.connection()
        while not stop.is_set():
            a = s.request("GET", f"/{b}/k", conn=conn)
            if a.body not in bodies or a.headers["etag"] != f'"{md5(a.body)}"':
                bad.append(len(a.body))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for t in readers:
        t.start()
    for i in range(60):
        put(s, b, "k", bodies[i % 4])
    stop.set()
    for t in readers:
        t.join()
    equal(bad, [])
    # An upload that is cut off leaves the old object.
    c = s.connection()
    headers = s.sign("PUT", f"/{b}/k", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    c.putrequest("PUT", f"/{b}/k")
    for name, value in headers.items():
        if name.lower() != "host":
            c.putheader(name, value)
    c.putheader("Content-Length", "1000000")
    c.endheaders(b"half of it")
    c.close()
    equal(get(s, b, "k").body, bodies[59 % 4])


@test
def delete_conditions(s, b):
    etag = put(s, b, "k").headers["etag"]
    refused(s.request("DELETE", f"/{b}/k", {"If-Match": '"other"'}), 412, "PreconditionFailed")
    equal(s.request("DELETE", f"/{b}/k", {"If-Match": etag}).status, 204)
    refused(s.request("DELETE", f"/{b}/k", {"If-Match": "*"}), 412, "PreconditionFailed")
    put(s, b, "k")
    equal(s.request("DELETE", f"/{b}/k", {"If-Match": "*"}).status, 204)
    refused(get(s, b, "k"), 404, "NoSuchKey")


def delete_many(s, b, xml, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    if not headers:
        headers = {"Content-MD5": md5_base64(xml.encode())}
    return s.request("POST", f"/{b}?delete", headers, xml.encode())


@test
def delete_objects(s, b):
    c = s.client()
    for k in ("a", "b&<>", "c\n"):
        c.put_object(Bucket=b, Key=k, Body=b"x")
    r = c.delete_objects(Bucket=b, Delete={"Objects": [{"Key": k} for k in
                                                       ("a", "b&<>", "c\n", "none")]})
    equal((sorted(d["Key"] for d in r["Deleted"]), "Errors" in r), (["a", "b&<>", "c\n", "none"],
                                                                    False))
    etag = put(s, b, "a").headers["etag"]
    put(s, b, "b")
    a = delete_many(s, b, f"""<Delete><Quiet>true</Quiet>
        <Object><Key>a</Key><ETag>{etag.replace('"', "&quot;")}</ETag></Object>
        <Object><Key>b</Key><ETag>other</ETag></Object></Delete>""")
    equal(a.texts("Deleted", "Key"), [])
    equal((a.texts("Error", "Key"), a.texts("Error", "Code")), (["b"], ["PreconditionFailed"]))
    equal([o["Key"] for o in c.list_objects_v2(Bucket=b)["Contents"]], ["b"])
    xml = "<Delete><Object><Key>b</Key></Object></Delete>"
    refused(delete_many(s, b, xml, x_none="1"), 400, "InvalidRequest")
    refused(delete_many(s, b, xml, Content_MD5=md5_base64(b"")), 400, "BadDigest")
    crc = base64.b64encode(binascii.crc32(xml.encode()).to_bytes(4, "big")).decode()
    refused(delete_many(s, b, xml, x_amz_checksum_crc32="AAAAAA=="), 400, "BadDigest")
    equal(delete_many(s, b, xml, x_amz_checksum_crc32=crc).texts("Deleted", "Key"), ["b"])
    for bad in ("", "<Delete/>", "<Delete><Object/></Delete>", "<Remove><Object><Key>b</Key></Object>",
                "<Delete><Object><Key>b</Key></Object></Delete><x/>", "<Delete><Object><Key>&x;",
                '<!DOCTYPE Delete [<!ENTITY x "y">]><Delete><Object><Key>&x;</Key></Object></Delete>',
                "<Delete>" + "<Object><Key>k</Key></Object>" * 1001 + "</Delete>"):
        refused(delete_many(s, b, bad), 400, "MalformedXML")
    a = delete_many(s, b, "<Delete>" + "<Object><Key>k</Key></Object>" * 1000 + "</Delete>")
    equal(len(a.texts("Deleted", "Key")), 1000)
    a = delete_many(s, b, f"<Delete><Object><Key>{'k' * 1025}</Key></Object></Delete>")
    equal(a.texts("Error", "Code"), ["KeyTooLongError"])


# Of "123456789": the CRCs' published check values.
SUMS = {name: base64.b64encode(bytes.fromhex(value)).decode() for name, value in (
    ("crc32", "cbf43926"), ("crc32c", "e3069283"), ("crc64nvme", "ae8b14860a799888"))}
SUMS["sha1"] = base64.b64encode(hashlib.sha1(b"123456789").digest()).decode()
SUMS["sha256"] = base64.b64encode(hashlib.sha256(b"123456789").digest()).decode()


@test
def checksums(s, b):
    body = b"123456789"
    for name, value in SUMS.items():
        a = put(s, b, "k", body, **{"x-amz-checksum-" + name: value})
        equal((a.status, a.headers["x-amz-checksum-" + name], a.headers["x-amz-checksum-type"]),
              (200, value, "FULL_OBJECT"))
        a = get(s, b, "k", x_amz_checksum_mode="ENABLED")
        equal(a.headers["x-amz-checksum-" + name], value)
        equal("x-amz-checksum-" + name in get(s, b, "k").headers, False)
        equal("x-amz-checksum-" + name in
              get(s, b, "k", x_amz_checksum_mode="ENABLED", Range="bytes=0-1").headers, False)
        wrong = base64.b64encode(bytes(len(base64.b64decode(value)))).decode()
        refused(put(s, b, "k2", body, **{"x-amz-checksum-" + name: wrong}), 400, "BadDigest")
        for bad in ("", "AAAA", value + "=", "!" + value[1:]):
            refused(put(s, b, "k2", body, **{"x-amz-checksum-" + name: bad}), 400,
                    "InvalidRequest")
    equal(put(s, b, "k", body).headers["x-amz-checksum-crc64nvme"], SUMS["crc64nvme"])
    refused(put(s, b, "k2", body, x_amz_checksum_crc32=SUMS["crc32"],
                x_amz_checksum_sha1=SUMS["sha1"]), 400, "InvalidRequest")
    refused(put(s, b, "k2", body, x_amz_sdk_checksum_algorithm="CRC32"), 400, "InvalidRequest")
    equal(put(s, b, "k", body, x_amz_sdk_checksum_algorithm="CRC32",
              x_amz_checksum_crc32=SUMS["crc32"]).status, 200)
    equal(put(s, b, "k", body, Content_MD5=md5_base64(body)).status, 200)
    refused(put(s, b, "k2", body, Content_MD5=md5_base64(b"other")), 400, "BadDigest")
    refused(put(s, b, "k2", body, Content_MD5="garbage"), 400, "InvalidDigest")
    refused(put(s, b, "k2", body, x_amz_content_sha256=sha256(b"other")), 400,
            "XAmzContentSHA256Mismatch")
    refused(get(s, b, "k2"), 404, "NoSuchKey")
    with Server("--no-default-checksum") as plain:
        plain.client().create_bucket(Bucket=b)
        equal([h for h in put(plain, b, "k").headers if "checksum" in h], [])


@test
def copies(s, b):
    c = s.client()
    c.put_object(Bucket=b, Key="a b/+\u00e9", Body=b"body", Metadata={"m": "1"},
                 ContentType="text/x", StorageClass="STANDARD_IA")
    etag = c.head_object(Bucket=b, Key="a b/+\u00e9")["ETag"]
    source = f"/{b}/" + quote("a b/+\u00e9")

    def copy(key, **headers):
        return s.request("PUT", f"/{b}/{key}", {"x-amz-copy-source": source, **{
            k.replace("_", "-"): v for k, v in headers.items()}})

    a = copy("copy")
    equal((a.status, a.text("ETag"), a.texts("ChecksumCRC64NVME") != []), (200, etag, True))
    got = c.get_object(Bucket=b, Key="copy")
    equal((got["Body"].read(), got["Metadata"], got["ContentType"], got.get("StorageClass")),
          (b"body", {"m": "1"}, "text/x", None))
    copy("copy", x_amz_metadata_directive="REPLACE", x_amz_meta_n="2",
         x_amz_storage_class="ONEZONE_IA")
    got = c.head_object(Bucket=b, Key="copy")
    equal((got["Metadata"], got["ContentType"], got["StorageClass"]),
          ({"n": "2"}, "binary/octet-stream", "ONEZONE_IA"))
    # To itself.
    me = quote("a b/+\u00e9")
    refused(copy(me), 400, "InvalidRequest")
    refused(copy(me, x_amz_metadata_directive="COPY", x_amz_meta_z="1"), 400, "InvalidRequest")
    equal(copy(me, x_amz_metadata_directive="REPLACE", x_amz_meta_z="1").status, 200)
    equal(c.head_object(Bucket=b, Key="a b/+\u00e9")["Metadata"], {"z": "1"})
    equal(copy(me, x_amz_storage_class="GLACIER_IR").status, 200)
    # Conditions on the source.
    prefix = "x_amz_copy_source_if_"
    soon = email.utils.formatdate(time.time() + 100, usegmt=True)
    past = email.utils.formatdate(time.time() - 100, usegmt=True)
    for name, value, want in (("match", etag, 200), ("match", '"x"', 412),
                              ("none_match", etag, 412), ("none_match", '"x"', 200),
                              ("modified_since", past, 200), ("modified_since", soon, 412),
                              ("unmodified_since", soon, 200), ("unmodified_since", past, 412)):
        equal(copy("copy", **{prefix + name: value}).status, want, name)
    # And on the destination.
    refused(copy("copy", If_None_Match="*"), 412, "PreconditionFailed")
    equal(copy("new", If_None_Match="*").status, 200)
    refused(copy("new", If_Match='"x"'), 412, "PreconditionFailed")
    equal(copy("new", If_Match=etag).status, 200)
    refused(copy("none", If_Match=etag), 404, "NoSuchKey")
    # Sources that are none.
    for bad, want in (("nothing", (400, "InvalidArgument")), ("/", (400, "InvalidArgument")),
                      (f"{b}/", (400, "InvalidArgument")), (f"{b}/no", (404, "NoSuchKey")),
                      ("no-bucket/k", (404, "NoSuchBucket")), (f"{b}/%zz", (400, "InvalidArgument")),
                      (f"{b}/copy?versionId=x", (400, "InvalidArgument"))):
        refused(s.request("PUT", f"/{b}/k", {"x-amz-copy-source": bad}), *want)
    refused(copy("k", x_amz_metadata_directive="MERGE"), 400, "InvalidArgument")
    equal(c.copy_object(Bucket=b, Key="boto", CopySource={"Bucket": b, "Key": "a b/+\u00e9"})
          ["CopyObjectResult"]["ETag"], etag)
    # The copy does not hang on its source.
    c.delete_object(Bucket=b, Key="a b/+\u00e9")
    equal(c.get_object(Bucket=b, Key="boto")["Body"].read(), b"body")


@test
def archived(s, b):
    put(s, b, "k", b"cold", x_amz_storage_class="GLACIER")
    a = refused(get(s, b, "k"), 403, "InvalidObjectState")
    equal(a.xml.findtext("StorageClass"), "GLACIER")
    equal(get(s, b, "k", "HEAD").headers["x-amz-storage-class"], "GLACIER")
    refused(s.request("PUT", f"/{b}/c", {"x-amz-copy-source": f"/{b}/k"}), 403,
            "ObjectNotInActiveTierError")
    equal(s.request("POST", f"/{b}/k?restore").status, 202)
    equal(get(s, b, "k").body, b"cold")
    assert "ongoing-request" in get(s, b, "k", "HEAD").headers["x-amz-restore"]
    put(s, b, "warm")
    refused(s.request("POST", f"/{b}/warm?restore"), 403, "InvalidObjectState")


@test
def lengths(s, b):
    def raw(headers, body=b""):
        c = s.connection()
        signed = s.sign("PUT", f"/{b}/k", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
        c.putrequest("PUT", f"/{b}/k", skip_host=False)
        for name, value in {**signed, **headers}.items():
            if name.lower() != "host":
                c.putheader(name, value)
        c.endheaders(body)
        a = Answer(c.getresponse())
        c.close()
        return a

    refused(raw({"Content-Length": str((5 << 30) + 1)}), 400, "EntityTooLarge")
    refused(raw({"Transfer-Encoding": "chunked"}, b"5\r\nhello\r\n0\r\n\r\n"), 411,
            "MissingContentLength")
    # Refused before the body when the client waits to be told.
    a = raw({"Content-Length": "1000000", "Expect": "100-continue", "If-None-Match": "etag"})
    equal((a.status, a.headers.get("connection")), (501, "close"))
    refused(get(s, b, "k"), 404, "NoSuchKey")


@test
def opaque_etags():
    with Server("--opaque-etag") as s:
        c = s.client()
        c.create_bucket(Bucket="opaque")
        one = c.put_object(Bucket="opaque", Key="k", Body=b"x")["ETag"]
        two = c.put_object(Bucket="opaque", Key="k", Body=b"x")["ETag"]
        equal((len({one, two, f'"{md5(b"x")}"'}), len(one)), (3, 34))
        refused(put(s, "opaque", "k", Content_MD5=md5_base64(b"y")), 400, "BadDigest")


@test
def keep_alive(s, b):
    put(s, b, "k")
    before = s.counters()["connections"]
    c = s.connection()
    for path, status in ((f"/{b}/k", 200), (f"/{b}/none", 404), (f"/{b}?max-keys=x", 400),
                         (f"/{b}/k?versionId=x", 400), (f"/{b}/k", 200)):
        equal(s.request("GET", path, conn=c).status, status)
    equal(s.request("PUT", f"/{b}/k", {"If-None-Match": "*"}, b"x" * 100000, conn=c).status, 412)
    equal(s.request("PUT", f"/{b}/k", {"x-amz-meta-a": "1"}, b"x" * 100000, conn=c,
                    secret="wrong").status, 403)
    equal(s.request("GET", f"/{b}/k", conn=c).status, 200)
    equal(s.counters()["connections"] - before, 2)


main()
