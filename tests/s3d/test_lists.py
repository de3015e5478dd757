#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: ListObjects, ListObjectsV2."""
from s3dtest import *

ODD = ["a", "a/b", "a//b", "a/b/", "/lead", "//", "x y+z%41&=?#", "\u00e9", "\uffff", "\U0001f600",
       ".", "..", "./x", "a/../b", "q\n\t\r", "<&>\"'", "\x01\x7f", "k" * 1024, "n" * 300 + "/m",
       "*", "~", "a-", "a-/x", "trail ", " lead"]


def put_all(s, b, keys):
    c = s.client()
    for k in keys:
        c.put_object(Bucket=b, Key=k, Body=b"")


@test
def odd_keys(s, b):
    c = s.client()
    for k in ODD:
        c.put_object(Bucket=b, Key=k, Body=k.encode())
    for k in ODD:
        equal(c.get_object(Bucket=b, Key=k)["Body"].read(), k.encode(), repr(k))
        equal(c.head_object(Bucket=b, Key=k)["ContentLength"], len(k.encode()))
    want = sorted(ODD, key=lambda k: k.encode())
    equal([o["Key"] for o in c.list_objects_v2(Bucket=b)["Contents"]], want)
    equal([o["Key"] for o in c.list_objects(Bucket=b)["Contents"]], want)
    for size in (1, 2, 7):
        pages = c.get_paginator("list_objects_v2").paginate(Bucket=b,
                                                            PaginationConfig={"PageSize": size})
        equal([o["Key"] for p in pages for o in p["Contents"]], want)
    for k in ODD:
        c.delete_object(Bucket=b, Key=k)
    equal(c.list_objects_v2(Bucket=b)["KeyCount"], 0)


@test
def any_byte(s, b):
    keys = [bytes([c]) + b"x" for c in range(1, 256)] + [b"\xff\xfe/\xff", b"n\0ul", b"\xc3"]
    for k in keys:
        equal(s.request("PUT", f"/{b}/{quote(k)}", body=k).status, 200, repr(k))
    for k in keys:
        equal(s.request("GET", f"/{b}/{quote(k)}").body, k, repr(k))
    a = s.request("GET", f"/{b}?list-type=2&encoding-type=url")
    got = [urllib.parse.unquote_to_bytes(t.replace("+", "%20")) for t in a.texts("Contents", "Key")]
    equal(got, sorted(keys))
    # Without encoding-type, as with AWS, the answer cannot be XML 1.0.
    try:
        s.request("GET", f"/{b}?list-type=2&prefix=%01").xml
        raise AssertionError("a control character was hidden")
    except xml.etree.ElementTree.ParseError:
        pass
    with Server("--strict-utf8") as strict:
        strict.client().create_bucket(Bucket="utf8")
        refused(strict.request("PUT", "/utf8/%FF", body=b""), 400, "InvalidURI")
        equal(strict.request("PUT", "/utf8/%C3%A9", body=b"").status, 200)


@test
def url_encoding_form(s, b):
    put_all(s, b, ["a b+c/d(e)*~'.txt", "\u00e9"])
    a = s.request("GET", f"/{b}?list-type=2&encoding-type=url&prefix=a%20b&delimiter=%2B&"
                         "start-after=a%20a")
    equal(a.texts("CommonPrefixes", "Prefix"), ["a+b%2B"])
    equal((a.text("Prefix"), a.text("Delimiter"), a.text("StartAfter"), a.text("EncodingType")),
          ("a+b", "%2B", "a+a", "url"))
    a = s.request("GET", f"/{b}?list-type=2&encoding-type=url")
    equal(a.texts("Contents", "Key"), ["a+b%2Bc/d%28e%29*%7E%27.txt", "%C3%A9"])
    refused(s.request("GET", f"/{b}?list-type=2&encoding-type=rot13"), 400, "InvalidArgument")


@test
def key_length(s, b):
    equal(s.request("PUT", f"/{b}/" + "k" * 1024, body=b"").status, 200)
    refused(s.request("PUT", f"/{b}/" + "k" * 1025, body=b""), 400, "KeyTooLongError")
    equal(s.request("PUT", f"/{b}/" + "%C3%A9" * 512, body=b"").status, 200)
    refused(s.request("PUT", f"/{b}/" + "%C3%A9" * 513, body=b""), 400, "KeyTooLongError")


@test
def bad_uris(s, b):
    for path in (f"/{b}/%", f"/{b}/%4", f"/{b}/%zz", f"/{b}/k?a=%g1"):
        refused(s.request("GET", path, sign=False), 400, "InvalidURI")


@test
def prefixes_and_delimiters(s, b):
    keys = ["a/1", "a/2", "a/b/3", "b", "c/", "c/1", "d-", "d-/1", "d/1"]
    put_all(s, b, keys)

    def page(**args):
        r = s.client().list_objects_v2(Bucket=b, **args)
        return ([o["Key"] for o in r.get("Contents", [])],
                [p["Prefix"] for p in r.get("CommonPrefixes", [])], r["KeyCount"],
                r["IsTruncated"])

    equal(page(Delimiter="/"), (["b", "d-"], ["a/", "c/", "d-/", "d/"], 6, False))
    equal(page(Delimiter="/", Prefix="a/"), (["a/1", "a/2"], ["a/b/"], 3, False))
    equal(page(Delimiter="/", Prefix="a"), ([], ["a/"], 1, False))
    equal(page(Delimiter="/", Prefix="c/"), (["c/", "c/1"], [], 2, False))
    equal(page(Prefix="d"), (["d-", "d-/1", "d/1"], [], 3, False))
    equal(page(Delimiter="-/"), (["a/1", "a/2", "a/b/3", "b", "c/", "c/1", "d-", "d/1"], ["d-/"],
                                 9, False))
    equal(page(Prefix="zz"), ([], [], 0, False))
    equal(page(MaxKeys=0), ([], [], 0, False))
    # Common prefixes count towards max-keys, and a page may end at one.
    equal(page(Delimiter="/", MaxKeys=1), ([], ["a/"], 1, True))
    for size in range(1, 8):
        seen, token = [], {}
        while True:
            r = s.client().list_objects_v2(Bucket=b, Delimiter="/", MaxKeys=size, **token)
            assert r["KeyCount"] <= size
            part = ([o["Key"] for o in r.get("Contents", [])] +
                    [p["Prefix"] for p in r.get("CommonPrefixes", [])])
            seen += sorted(part, key=str.encode)
            if not r["IsTruncated"]:
                break
            token = {"ContinuationToken": r["NextContinuationToken"]}
        equal(seen, ["a/", "b", "c/", "d-", "d-/", "d/"], f"pages of {size}")


@test
def version_one(s, b):
    put_all(s, b, ["a/1", "a/2", "b", "c/1", "d"])
    c = s.client()
    seen, marker = [], ""
    while True:
        r = c.list_objects(Bucket=b, Delimiter="/", MaxKeys=1, Marker=marker)
        seen += [o["Key"] for o in r.get("Contents", [])]
        seen += [p["Prefix"] for p in r.get("CommonPrefixes", [])]
        if not r["IsTruncated"]:
            break
        marker = r["NextMarker"]
    equal(seen, ["a/", "b", "c/", "d"])
    r = c.list_objects(Bucket=b, MaxKeys=2)
    equal(("NextMarker" in r, r["IsTruncated"], r["Contents"][0]["Owner"]["ID"]),
          (False, True, "s3d"))
    equal([o["Key"] for o in c.list_objects(Bucket=b, Marker="a/2")["Contents"]],
          ["b", "c/1", "d"])


@test
def start_after(s, b):
    put_all(s, b, ["a/1", "a/2", "a/3", "b"])

    def page(server, after):
        r = server.client().list_objects_v2(Bucket=b, Delimiter="/", StartAfter=after)
        return ([p["Prefix"] for p in r.get("CommonPrefixes", [])] +
                [o["Key"] for o in r.get("Contents", [])])

    equal(page(s, "a"), ["a/", "b"])
    equal(page(s, "a/1"), ["a/", "b"])
    equal(page(s, "a/3"), ["b"])
    equal(page(s, "a/"), ["b"])
    equal(page(s, "zz"), [])
    r = s.client().list_objects_v2(Bucket=b, StartAfter="a/1", Prefix="a/", FetchOwner=True)
    equal(([o["Key"] for o in r["Contents"]], r["StartAfter"], r["Contents"][0]["Owner"]["ID"]),
          (["a/2", "a/3"], "a/1", "s3d"))
    equal("Owner" in s.client().list_objects_v2(Bucket=b)["Contents"][0], False)
    # A token wins over start-after.
    first = s.client().list_objects_v2(Bucket=b, MaxKeys=1)
    r = s.client().list_objects_v2(Bucket=b, StartAfter="a/3",
                                   ContinuationToken=first["NextContinuationToken"])
    equal([o["Key"] for o in r["Contents"]], ["a/2", "a/3", "b"])
    with Server("--start-after-hides") as hiding:
        hiding.client().create_bucket(Bucket=b)
        put_all(hiding, b, ["a/1", "a/2", "a/3", "b"])
        equal(page(hiding, "a/1"), ["b"])


@test
def limits(s, b):
    conn = s.connection()
    for i in range(1005):
        equal(s.request("PUT", f"/{b}/{i:04}", body=b"", conn=conn).status, 200)
    r = s.client().list_objects_v2(Bucket=b, MaxKeys=5000)
    equal((r["KeyCount"], r["MaxKeys"], r["IsTruncated"]), (1000, 1000, True))
    r = s.client().list_objects_v2(Bucket=b, ContinuationToken=r["NextContinuationToken"])
    equal((r["KeyCount"], r["IsTruncated"]), (5, False))
    equal(s.client().list_objects_v2(Bucket=b, MaxKeys=1005 - 5, Prefix="0")["IsTruncated"], False)
    for bad in ("-1", "x", "99999999999999999999"):
        refused(s.request("GET", f"/{b}?list-type=2&max-keys={bad}"), 400, "InvalidArgument")
    for bad in ("garbage", "a2V5%2A", ""):
        refused(s.request("GET", f"/{b}?list-type=2&continuation-token={bad}"), 400,
                "InvalidArgument")
    contents = s.client().list_objects_v2(Bucket=b, MaxKeys=1)["Contents"][0]
    equal((contents["ETag"], contents["Size"], contents["StorageClass"],
           contents["LastModified"].microsecond), (f'"{md5(b"")}"', 0, "STANDARD", 0))


@test
def deleting_while_listing(s, b):
    conn = s.connection()
    for i in range(300):
        s.request("PUT", f"/{b}/{i:04}", body=b"", conn=conn)
    c, seen, token = s.client(), [], {}
    while True:
        r = c.list_objects_v2(Bucket=b, MaxKeys=50, **token)
        keys = [o["Key"] for o in r["Contents"]]
        seen += keys
        c.delete_objects(Bucket=b, Delete={"Objects": [{"Key": k} for k in keys]})
        if not r["IsTruncated"]:
            break
        token = {"ContinuationToken": r["NextContinuationToken"]}
    equal(seen, [f"{i:04}" for i in range(300)])
    equal(c.list_objects_v2(Bucket=b)["KeyCount"], 0)


main()
