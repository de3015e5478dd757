#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: fault rules, delays and caps, counters and the request log."""
import http.client

from s3dtest import *

BODY = bytes(range(256)) * 4096  # 1 MiB


def prepared(s, b):
    s.clear_faults()
    s.client().put_object(Bucket=b, Key="k", Body=BODY)


def broken(function, *kinds):
    """The call must fail at the transport."""
    try:
        function()
    except kinds or (http.client.HTTPException, OSError) as e:
        return e
    raise AssertionError("it succeeded")


@test
def rules(s, b):
    prepared(s, b)
    for bad in ("op=GetObject", "action=explode", "action=delay", "action=delay:x", "nonsense",
                "action=status", "action=status:99", "count=0 action=hang", "every=0 action=hang",
                "action=hang:5", "action=status:503:SlowDown\nbad", "when=later action=hang",
                "key=%zz action=hang", "action=wrong-length:0", "op=GetObjet action=hang"):
        a = s.request("POST", "/_s3d/faults", body=bad.encode(), sign=False)
        equal(a.status, 400, bad)
        assert b"line " in a.body
    equal(s.control("GET", "faults"), "")
    s.faults("# a comment", "", "  op=GetObject   action=status:500:InternalError  # and why",
             "action=delay:0")
    rows = s.control("GET", "faults").splitlines()
    equal((len(rows), rows[0].split(" #")[0].strip()),
          (2, "op=GetObject   action=status:500:InternalError"))
    s.clear_faults()
    equal(s.control("GET", "faults"), "")


@test
def statuses(s, b):
    prepared(s, b)

    def codes(n, key="k"):
        return [s.request("GET", f"/{b}/{key}", {"Range": "bytes=0-0"}).status for _ in range(n)]

    s.faults("op=GetObject count=2 action=status:503:SlowDown")
    a = refused(s.request("GET", f"/{b}/k"), 503, "SlowDown")
    equal(codes(2), [503, 206])
    s.clear_faults()
    s.faults("op=GetObject every=3 action=status:500:InternalError")
    equal(codes(7), [206, 206, 500, 206, 206, 500, 206])
    s.clear_faults()
    s.faults("op=GetObject after=2 action=status:403:AccessDenied")
    equal(codes(4), [206, 206, 403, 403])
    s.clear_faults()
    s.faults("op=GetObject after=1 every=2 count=2 action=status:404:NoSuchKey")
    equal(codes(7), [206, 206, 404, 206, 404, 206, 206])
    s.clear_faults()
    s.faults(f"bucket={b} key=a%20b action=status:409:ConditionalRequestConflict")
    refused(s.request("PUT", f"/{b}/a%20bc", body=b"x"), 409, "ConditionalRequestConflict")
    equal(s.request("PUT", f"/{b}/a", body=b"x").status, 200)
    refused(s.request("GET", f"/{b}/a%20bc"), 409)
    s.clear_faults()
    s.faults("op=HeadObject action=status:503:SlowDown")
    a = refused(s.request("HEAD", f"/{b}/k"), 503)
    equal(a.body, b"")
    # The first rule that is due wins; the next request gets the next.
    s.clear_faults()
    s.faults("op=GetObject count=1 action=status:500:A", "op=GetObject count=1 action=status:501:B")
    equal(codes(3), [500, 501, 206])
    # A count is taken by one request only, however many come at once.
    s.clear_faults()
    s.faults("op=GetObject count=5 action=status:500:A")
    answers = in_parallel(20, lambda i: s.request("GET", f"/{b}/k").status)
    equal(sorted(answers), [200] * 15 + [500] * 5)
    # Unsigned requests too: the fault comes first.
    s.faults("op=GetObject count=1 action=status:500:A")
    equal(s.request("GET", f"/{b}/k", sign=False).status, 500)
    equal(s.request("GET", f"/{b}/k", sign=False).status, 403)


@test
def before_or_after(s, b):
    prepared(s, b)
    put = lambda key, **h: s.request("PUT", f"/{b}/{key}", {k.replace("_", "-"): v
                                                            for k, v in h.items()}, b"x")
    s.faults("op=PutObject count=1 action=status:500:InternalError")
    equal(put("before").status, 500)
    refused(s.request("GET", f"/{b}/before"), 404)
    s.faults("op=PutObject count=1 when=after action=status:500:InternalError")
    equal(put("after").status, 500)
    equal(s.request("GET", f"/{b}/after").body, b"x")
    # The answer gets lost: a conditional PUT that is repeated finds its own object.
    s.faults("op=PutObject count=1 action=lost-answer")
    broken(lambda: put("lost", If_None_Match="*"))
    equal(put("lost", If_None_Match="*").status, 412)
    equal(s.request("GET", f"/{b}/lost").body, b"x")


@test
def cut_bodies(s, b):
    prepared(s, b)
    for rule, want in (("cut:1000", 1000), ("cut:500000", 500000)):
        s.faults(f"op=GetObject count=1 action={rule}")
        e = broken(lambda: s.request("GET", f"/{b}/k"), http.client.IncompleteRead)
        equal((len(e.partial), e.partial == BODY[:want]), (want, True))
    s.faults("op=GetObject count=1 action=cut")
    broken(lambda: s.request("GET", f"/{b}/k"), http.client.RemoteDisconnected)
    s.faults("op=GetObject count=1 action=reset")
    broken(lambda: s.request("GET", f"/{b}/k"), ConnectionResetError)
    s.faults("op=GetObject count=1 action=reset:500000")
    broken(lambda: s.request("GET", f"/{b}/k"), ConnectionResetError)
    s.faults("op=GetObject count=1 action=wrong-length")
    broken(lambda: s.request("GET", f"/{b}/k"), http.client.IncompleteRead)
    s.faults("op=GetObject count=1 action=wrong-length:-1")
    a = s.request("GET", f"/{b}/k")
    equal((len(a.body), a.headers["content-length"]), (len(BODY) - 1, str(len(BODY) - 1)))
    s.faults("op=GetObject count=1 action=empty-body")
    a = s.request("GET", f"/{b}/k")
    equal((a.status, a.body), (200, b""))
    s.faults("op=GetObject count=1 action=corrupt-body")
    a = s.request("GET", f"/{b}/k")
    equal((len(a.body), sum(x != y for x, y in zip(a.body, BODY))), (len(BODY), 1))
    s.faults("op=ListObjectsV2 count=1 action=cut:100")
    broken(lambda: s.request("GET", f"/{b}?list-type=2"), http.client.IncompleteRead)
    equal(s.request("GET", f"/{b}/k").body, BODY)


@test
def cut_uploads(s, b):
    prepared(s, b)
    for action in ("cut:1000", "reset:1000", "cut", "reset", "cut:500000"):
        s.faults(f"op=PutObject count=1 action={action}")
        broken(lambda: s.request("PUT", f"/{b}/up", body=BODY))
        refused(s.request("GET", f"/{b}/up"), 404)
    log = s.control("GET", "log?n=2").splitlines()
    assert "op=PutObject status=0" in log[0] and "fault=cut" in log[0], log


@test
def stalls(s, b):
    prepared(s, b)
    before = s.counters()["open_connections"]
    s.faults("op=GetObject count=1 action=stall:1000", "op=GetObject count=1 action=hang",
             "op=ListObjectsV2 count=1 action=hang")
    path = f"/{b}/k"
    c = s.connection()
    c.request("GET", path, headers=s.sign("GET", path))
    response = c.getresponse()
    equal((response.getheader("Content-Length"), response.read(1000)), (str(len(BODY)), BODY[:1000]))
    c.sock.settimeout(0.3)
    broken(lambda: response.read(1), TimeoutError)
    c.close()
    for path in (f"/{b}/k", f"/{b}?list-type=2"):
        c = s.connection(timeout=0.3)
        c.request("GET", path, headers=s.sign("GET", path))
        broken(c.getresponse, TimeoutError)
        c.close()
    # The server notices that the client went away.
    poll(lambda: s.counters()["open_connections"] <= before)
    s.faults("op=PutObject count=1 action=stall:1000")
    c = s.connection(timeout=0.3)
    headers = s.sign("PUT", f"/{b}/up", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    try:
        c.request("PUT", f"/{b}/up", BODY * 16, headers)
        c.getresponse()
        raise AssertionError("an answer came")
    except TimeoutError:
        pass
    c.close()


@test
def ends_while_hanging():
    with Server() as s:
        s.faults("action=hang")
        c = s.connection()
        c.request("GET", "/")
        poll(lambda: s.counters()["faults"] == 1)
        s.stop()
        c.close()


@test
def delays(s, b):
    prepared(s, b)
    s.faults("op=GetObject count=1 action=delay:200")
    start = time.monotonic()
    equal(s.request("GET", f"/{b}/k").body, BODY)
    assert time.monotonic() - start >= 0.2
    # Others are not held up by it.
    s.faults("op=GetObject count=1 action=delay:20000")
    slow = s.connection()
    path = f"/{b}/k"
    slow.request("GET", path, headers=s.sign("GET", path))
    poll(lambda: s.counters()["faults"] > 0)
    answers = in_parallel(8, lambda i: s.request("GET", path).status)
    equal(answers, [200] * 8)
    slow.close()


@test
def first_byte_and_rate():
    with Server("--first-byte-delay", "100", "--rate", "1M") as s:
        start = time.monotonic()
        s.client().create_bucket(Bucket="slow")
        assert time.monotonic() - start >= 0.1
        start = time.monotonic()
        equal(s.request("PUT", "/slow/k", body=BODY[:500_000]).status, 200)
        assert time.monotonic() - start >= 0.4
        start = time.monotonic()
        equal(s.request("GET", "/slow/k").body, BODY[:500_000])
        assert time.monotonic() - start >= 0.4
        # The cap is for each connection.
        start = time.monotonic()
        in_parallel(4, lambda i: s.request("GET", "/slow/k"))
        equal(s.request("GET", "/slow?list-type=2").texts("Contents", "Key"), ["k"])


@test
def xml_faults(s, b):
    prepared(s, b)
    path = f"/{b}?list-type=2"
    for action in ("broken-xml", "truncated-xml"):
        s.faults(f"op=ListObjectsV2 count=1 action={action}")
        a = s.request("GET", path)
        equal(a.status, 200)
        broken(lambda: a.xml, xml.etree.ElementTree.ParseError)
    s.faults("op=ListObjectsV2 count=1 action=empty-body")
    equal(s.request("GET", path).body, b"")
    s.faults("op=CopyObject count=1 action=200-error:InternalError")
    a = s.request("PUT", f"/{b}/copy", {"x-amz-copy-source": f"/{b}/k"})
    equal((a.status, a.code), (200, "InternalError"))
    refused(s.request("GET", f"/{b}/copy"), 404)
    s.faults("op=CopyObject count=1 when=after action=200-error:SlowDown")
    a = s.request("PUT", f"/{b}/copy", {"x-amz-copy-source": f"/{b}/k"})
    equal((a.status, a.code), (200, "SlowDown"))
    equal(s.request("GET", f"/{b}/copy").status, 200)


@test
def repeated_tokens(s, b):
    c = s.client()
    for i in range(5):
        c.put_object(Bucket=b, Key=str(i), Body=b"")
        c.create_multipart_upload(Bucket=b, Key=str(i))
    one = c.list_objects_v2(Bucket=b, MaxKeys=2)
    s.faults("op=ListObjectsV2 count=1 action=repeat-token",
             "op=ListObjects count=1 action=repeat-token",
             "op=ListObjectVersions count=1 action=repeat-token",
             "op=ListMultipartUploads count=1 action=repeat-token")
    two = c.list_objects_v2(Bucket=b, MaxKeys=2, ContinuationToken=one["NextContinuationToken"])
    equal((two["NextContinuationToken"], two["IsTruncated"]), (one["NextContinuationToken"], True))
    r = c.list_objects(Bucket=b, MaxKeys=2, Marker="1", Delimiter="/")
    equal(r["NextMarker"], "1")
    equal(c.list_object_versions(Bucket=b, MaxKeys=2, KeyMarker="1")["NextKeyMarker"], "1")
    equal(c.list_multipart_uploads(Bucket=b, MaxUploads=2, KeyMarker="1")["NextKeyMarker"], "1")


@test
def wrong_checksums(s, b):
    prepared(s, b)
    mode = {"x-amz-checksum-mode": "ENABLED"}
    right = s.request("GET", f"/{b}/k", mode).headers["x-amz-checksum-crc64nvme"]
    s.faults("op=GetObject count=2 action=wrong-checksum")
    assert s.request("GET", f"/{b}/k", mode).headers["x-amz-checksum-crc64nvme"] != right
    assert "x-amz-checksum-crc64nvme" in s.request("GET", f"/{b}/k").headers
    equal(s.request("GET", f"/{b}/k", mode).headers["x-amz-checksum-crc64nvme"], right)


@test
def faults_file():
    folder = tempfile.mkdtemp(prefix="s3d-faults.")
    try:
        with open(folder + "/rules", "w", encoding="ascii") as f:
            f.write("op=ListBuckets count=1 action=status:503:SlowDown\n")
        with Server("--faults", folder + "/rules") as s:
            equal([s.request("GET", "/").status for _ in range(2)], [503, 200])
        with open(folder + "/rules", "w", encoding="ascii") as f:
            f.write("nonsense\n")
        p = subprocess.run([binary(), "--dir", folder + "/d", "--faults", folder + "/rules"],
                           stderr=subprocess.PIPE, timeout=60, check=False)
        equal((p.returncode, b"line 1" in p.stderr), (1, True))
    finally:
        shutil.rmtree(folder)


@test
def counters_and_log(s, b):
    prepared(s, b)
    s.reset()
    conn = s.connection()
    s.request("PUT", f"/{b}/a%20b%FF", body=b"12345", conn=conn)
    s.request("GET", f"/{b}/k", {"Range": "bytes=0-9"}, conn=conn)
    s.request("GET", f"/{b}/none", conn=conn)
    s.request("HEAD", f"/{b}/k", conn=conn)
    s.request("GET", f"/{b}?list-type=2", conn=conn)
    n = s.counters()
    equal({k: v for k, v in n.items() if k[0].isupper() and v},
          {"PutObject": 1, "GetObject": 2, "HeadObject": 1, "ListObjectsV2": 1})
    equal((n["requests"], n["status_200"], n["status_206"], n["status_404"], n["bytes_in"]),
          (5, 3, 1, 1, 5))
    equal(n["connections"], 2)  # that of these requests and of this query
    lines = s.control("GET", "log").splitlines()
    equal(len(lines), 5)
    words = dict(w.split("=", 1) for w in lines[0].split()[1:])
    equal((lines[0].split()[0], words["op"], words["status"], words["in"], words["bucket"],
           words["key"]), ("1", "PutObject", "200", "5", b, "a%20b%FF"))
    assert "range=bytes=0-9" in lines[1] and "out=10 " in lines[1], lines[1]
    equal(len(s.control("GET", "log?n=2").splitlines()), 2)
    s.reset()
    equal((s.control("GET", "log"), s.counters()["requests"]), ("", 0))
    equal(s.request("GET", "/_s3d/nothing", sign=False).status, 404)


@test
def settings(s, b):
    prepared(s, b)

    def settings_are(query):
        return s.request("POST", "/_s3d/settings" + query, sign=False)

    before = settings_are("").body
    equal(before, b"first-byte-delay 0\nrate 0\nopaque-etag 0\npage-keys 0\n")
    try:
        plain = s.client().put_object(Bucket=b, Key="e", Body=b"1")["ETag"]
        equal(settings_are("?first-byte-delay=40&rate=90000000&opaque-etag=1").body,
              b"first-byte-delay 40\nrate 90000000\nopaque-etag 1\npage-keys 0\n")
        assert s.client().put_object(Bucket=b, Key="e", Body=b"1")["ETag"] != plain
        s.reset()
        equal(s.request("GET", f"/{b}/e").body, b"1")
        words = dict(w.split("=", 1) for w in s.control("GET", "log").split()[1:])
        assert int(words["us"]) >= 40000, words
        equal(settings_are("?rate=x").status, 400)
        equal(settings_are("?rate=0").body, b"first-byte-delay 40\nrate 0\nopaque-etag 1\npage-keys 0\n")
        s.client().put_object(Bucket=b, Key="e2", Body=b"1")
        settings_are("?page-keys=1")
        page = s.client().list_objects_v2(Bucket=b, MaxKeys=1000)
        assert page["KeyCount"] == 1 and page["IsTruncated"], page
    finally:
        settings_are("?first-byte-delay=0&rate=0&opaque-etag=0&page-keys=0")


@test
def idle_timeout():
    with Server("--idle-timeout", "1") as s:
        c = s.connection()
        equal(s.request("GET", "/", conn=c).status, 200)
        equal(c.sock.recv(1), b"")  # closed by the server; the socket has a time limit of its own


main()
