#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# limit: 300
"""s3d under garbage: whatever arrives, it neither dies nor hangs. Uses the build with sanitizers
when there is one ($BUILD_DIR-asan). ROUNDS and SEED may be set."""
import s3dtest
from s3dtest import *

ROUNDS = int(os.environ.get("ROUNDS", "1500"))
BYTES = b"GET / HTTP/1.1\r\nHost: %&?=;<>\"'/:\0\xff\x80"
METHODS = ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "FOO"]
PARAMS = ["uploads", "uploadId=x", "partNumber=1", "partNumber=99999999999", "versions", "location",
          "versioning", "delete", "list-type=2", "max-keys=3", "max-keys=-1", "prefix=%00",
          "delimiter=%2F", "marker=%FF", "start-after=a", "continuation-token=a2E=", "attributes",
          "continuation-token=cGE=", "encoding-type=url", "key-marker=k", "version-id-marker=null",
          "upload-id-marker=000000000000ff", "restore", "versionId=null", "versionId=" + "A" * 32,
          "response-expires=%0d%0aX: y", "X-Amz-Algorithm=AWS4-HMAC-SHA256", "&&&==&%41=%42", "acl"]
HEADERS = [("Range", "bytes=0-"), ("Range", "bytes=-" + "9" * 30), ("Range", "bytes=1-0"),
           ("If-Match", "*"), ("If-Match", '"'), ("If-None-Match", "*"), ("If-Modified-Since", "x"),
           ("x-amz-copy-source", "/"), ("x-amz-copy-source", "%"), ("x-amz-copy-source", "a/b?c"),
           ("x-amz-copy-source-range", "bytes=0-0"), ("x-amz-meta-" + "n" * 600, "v"),
           ("x-amz-meta-a", "v" * 3000), ("x-amz-checksum-crc32", "AAAAAA=="),
           ("x-amz-checksum-sha256", "!"), ("x-amz-checksum-algorithm", "SHA1"),
           ("x-amz-trailer", "x-amz-checksum-crc32"), ("x-amz-checksum-mode", "ENABLED"),
           ("x-amz-decoded-content-length", "10"), ("x-amz-metadata-directive", "REPLACE"),
           ("x-amz-object-attributes", "ETag,ObjectParts,,"), ("Content-MD5", "AAAA"),
           ("x-amz-storage-class", "GLACIER"), ("x-amz-mp-object-size", "x"),
           ("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
           ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
           ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("Content-Type", "\xff\x01"),
           ("Content-Encoding", "aws-chunked," * 50)]
BODIES = [b"", b"x", b"<", b"<Delete>", b"<a/>" * 100, b"<a>" * 1000, b"<Delete><Object><Key>",
          b"<Delete><Object><Key>k</Key></Object></Delete>", b"&#0;", b"<a>&#x110000;</a>",
          b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>"
          b"</CompleteMultipartUpload>", b"<a b='c' d>", b"<!DOCTYPE x>", b"<![CDATA[", b"<!--",
          b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
          b"0\r\n\r\n", b"ffffffffffffffff\r\n", b"a\r\n0123456789\r\n0\r\nx:y\r\n\r\n",
          b"<" + b"n" * 100 + b">", b"<a>" + b"t" * 9000 + b"</a>", b"op=x action=hang\n"]


def garbage(n):
    return bytes(random.choice(BYTES) if random.random() < 0.8 else random.getrandbits(8)
                 for _ in range(n))


def raw(s, data, half_close=True):
    """Sends bytes and reads whatever comes until the server closes; or goes away at once."""
    c = socket.create_connection(("127.0.0.1", s.port), timeout=60)
    try:
        c.sendall(data)
        if half_close:
            c.shutdown(socket.SHUT_WR)
            while c.recv(65536):
                pass
    except OSError:
        pass
    finally:
        c.close()


def mutate(data):
    data = bytearray(data)
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(data) + 1)
        what = random.random()
        if what < 0.4 and at < len(data):
            data[at] = random.getrandbits(8)
        elif what < 0.7:
            data[at:at] = garbage(random.randint(1, 20))
        elif what < 0.9:
            del data[at:at + random.randint(1, 10)]
        else:
            del data[at:]
    return bytes(data)


def alive(s):
    equal(s.process.poll(), None, "exit status")
    equal(s.request("GET", "/").status, 200)


@test
def random_bytes(s, b):
    for _ in range(ROUNDS // 5):
        raw(s, garbage(random.randint(1, 400)))
    alive(s)


@test
def broken_requests(s, b):
    path = f"/{b}/k"
    for _ in range(ROUNDS // 3):
        body = random.choice(BODIES)
        headers = s.sign("PUT", path, dict(random.sample(HEADERS, 2)), body)
        text = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        request = (f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n{text}"
                   f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1") + body
        raw(s, mutate(request))
    alive(s)


@test
def strange_but_signed(s, b):
    """Past the signature check, into the operations."""
    c = s.client()
    for i in range(5):
        c.put_object(Bucket=b, Key="k" * i + "/x", Body=b"x" * i)
    upload = c.create_multipart_upload(Bucket=b, Key="k")["UploadId"]
    params = PARAMS + [f"uploadId={upload}", f"uploadId={upload}&partNumber=1"]
    conn = s.connection(timeout=60)
    statuses = set()
    for _ in range(ROUNDS):
        key = random.choice(["", "/", "/k", "/k", "/%00", "//", "/" + "k" * 1024, "/%FF", "/k/x"])
        query = "&".join(random.sample(params, random.randint(0, 3)))
        headers = dict(random.sample(HEADERS, random.randint(0, 3)))
        method, body = random.choice(METHODS), random.choice(BODIES)
        path = f"/{b}{key}" + ("?" + query if query else "")
        try:
            a = s.request(method, path, headers, body, conn=conn)
            statuses.add(a.status)
            assert a.status != 500, (method, path, headers, body, a.body)
        except (http.client.HTTPException, OSError):
            conn.close()
            conn = s.connection(timeout=60)
            equal(s.process.poll(), None, f"after {method} {path} {headers} {body}")
    alive(s)
    assert {200, 400, 403, 404} <= statuses, statuses


@test
def half_requests(s, b):
    """Clients that go away in the middle."""
    path = f"/{b}/k"
    headers = s.sign("PUT", path, {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    text = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    whole = (f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{s.port}\r\n{text}"
             f"Content-Length: 100000\r\n\r\n").encode() + b"x" * 100000
    for _ in range(100):
        raw(s, whole[:random.randrange(len(whole))], random.random() < 0.9)
    poll(lambda: s.counters()["open_connections"] <= 1)
    refused(s.request("GET", path), 404, "NoSuchKey")
    equal(sum(len(f) for _, _, f in os.walk(s.folder + "/data")), len(
        s.client().list_objects_v2(Bucket=b).get("Contents", [])) + others(s, b))
    alive(s)


def others(s, b):
    """Files that the other tests' buckets hold."""
    n = 0
    for bucket in s.client().list_buckets()["Buckets"]:
        if bucket["Name"] != b:
            a = s.request("GET", f"/{bucket['Name']}?versions&encoding-type=url")
            n += sum(size != "0" for size in a.texts("Version", "Size"))
            for e in s.request("GET", f"/{bucket['Name']}?uploads&encoding-type=url").xml.findall(
                    NS + "Upload"):
                u = s.request("GET", f"/{bucket['Name']}/{e.findtext(NS + 'Key').replace('+', '%20')}"
                                     f"?encoding-type=url&uploadId="
                                     f"{e.findtext(NS + 'UploadId')}")
                n += sum(size != "0" for size in u.texts("Part", "Size"))
    return n


@test
def broken_journals():
    """A damaged journal is refused or cut, never believed."""
    with Server() as s:
        c = s.client()
        c.create_bucket(Bucket="journal")
        for i in range(5):
            c.put_object(Bucket="journal", Key=str(i), Body=b"x", Metadata={"a": "b"})
        u = c.create_multipart_upload(Bucket="journal", Key="u")["UploadId"]
        c.upload_part(Bucket="journal", Key="u", UploadId=u, PartNumber=3, Body=b"x")
        s.stop()
        with open(s.folder + "/journal", "rb") as f:
            good = f.read()
        folder = tempfile.mkdtemp(prefix="s3d-journal.")
        try:
            for _ in range(60):
                with open(folder + "/journal", "wb") as f:
                    f.write(mutate(good))
                p = subprocess.Popen([binary(), "--dir", folder], stdout=subprocess.PIPE,
                                     stderr=subprocess.PIPE)
                p.stdout.readline()
                p.terminate()
                _, err = p.communicate(timeout=60)
                assert p.returncode in (0, 1), (p.returncode, err)
        finally:
            shutil.rmtree(folder)
        s.start()
        equal(s.client().list_objects_v2(Bucket="journal")["KeyCount"], 5)


asan = os.environ.get("BUILD_DIR", "") + "-asan"
if "S3D" not in os.environ and os.path.exists(asan + "/tests/s3d/s3d"):
    os.environ["BUILD_DIR"] = asan
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=1:exitcode=99")
    os.environ.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
main()
