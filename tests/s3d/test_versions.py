#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: versioning, delete markers, ListObjectVersions."""
from s3dtest import *


def enable(s, b, status="Enabled"):
    s.client().put_bucket_versioning(Bucket=b, VersioningConfiguration={"Status": status})


def listed(s, b, **args):
    r = s.client().list_object_versions(Bucket=b, **args)
    rows = [(v["Key"], v["VersionId"], v["IsLatest"]) for v in r.get("Versions", [])]
    marks = [(v["Key"], v["VersionId"], v["IsLatest"]) for v in r.get("DeleteMarkers", [])]
    return rows, marks


@test
def states(s, b):
    c = s.client()
    equal("Status" in c.get_bucket_versioning(Bucket=b), False)
    equal("x-amz-version-id" in s.request("PUT", f"/{b}/k", {}, b"0").headers, False)
    equal(listed(s, b), ([("k", "null", True)], []))
    for status in ("Enabled", "Suspended", "Enabled"):
        enable(s, b, status)
        equal(c.get_bucket_versioning(Bucket=b)["Status"], status)
    for bad in (b"", b"<VersioningConfiguration/>", b"<X><Status>Enabled</Status></X>",
                b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"):
        refused(s.request("PUT", f"/{b}?versioning", {}, bad), 400, "MalformedXML")


@test
def enabled(s, b):
    c = s.client()
    c.put_object(Bucket=b, Key="k", Body=b"0")
    enable(s, b)
    v1 = c.put_object(Bucket=b, Key="k", Body=b"1")["VersionId"]
    v2 = c.put_object(Bucket=b, Key="k", Body=b"2")["VersionId"]
    equal(len({v1, v2, "null"}), 3)
    for version, body in (("null", b"0"), (v1, b"1"), (v2, b"2")):
        got = c.get_object(Bucket=b, Key="k", VersionId=version)
        equal((got["Body"].read(), got["VersionId"]), (body, version))
        equal(c.head_object(Bucket=b, Key="k", VersionId=version)["ETag"], f'"{md5(body)}"')
    equal(c.get_object(Bucket=b, Key="k")["VersionId"], v2)
    equal(listed(s, b), ([("k", v2, True), ("k", v1, False), ("k", "null", False)], []))
    # A delete adds a marker.
    r = c.delete_object(Bucket=b, Key="k")
    equal((r["DeleteMarker"], r["VersionId"] not in (v1, v2, "null")), (True, True))
    mark = r["VersionId"]
    a = refused(s.request("GET", f"/{b}/k"), 404, "NoSuchKey")
    equal((a.headers["x-amz-delete-marker"], a.headers["x-amz-version-id"]), ("true", mark))
    a = refused(s.request("HEAD", f"/{b}/k"), 404)
    equal(a.headers["x-amz-delete-marker"], "true")
    a = refused(s.request("GET", f"/{b}/k?versionId={mark}"), 405, "MethodNotAllowed")
    equal((a.headers["allow"], a.headers["x-amz-delete-marker"], "last-modified" in a.headers),
          ("DELETE", "true", True))
    equal(c.list_objects_v2(Bucket=b)["KeyCount"], 0)
    equal(listed(s, b)[1], [("k", mark, True)])
    refused(s.request("PUT", f"/{b}/c", {"x-amz-copy-source": f"/{b}/k"}), 404, "NoSuchKey")
    refused(s.request("PUT", f"/{b}/c", {"x-amz-copy-source": f"/{b}/k?versionId={mark}"}), 400,
            "InvalidRequest")
    fails(409, "BucketNotEmpty", c.delete_bucket, Bucket=b)
    # Removing the marker brings the object back.
    r = c.delete_object(Bucket=b, Key="k", VersionId=mark)
    equal((r["DeleteMarker"], r["VersionId"]), (True, mark))
    equal(c.get_object(Bucket=b, Key="k")["Body"].read(), b"2")
    # Removing the latest version, the one before is current.
    r = c.delete_object(Bucket=b, Key="k", VersionId=v2)
    equal(("DeleteMarker" in r, r["VersionId"]), (False, v2))
    equal(c.get_object(Bucket=b, Key="k")["Body"].read(), b"1")
    # An old one copied over itself is a new version.
    r = c.copy_object(Bucket=b, Key="k", CopySource=f"{b}/k?versionId=null")
    equal((r["CopySourceVersionId"], r["VersionId"] != v1), ("null", True))
    equal(c.get_object(Bucket=b, Key="k")["Body"].read(), b"0")
    # Ids that are none.
    refused(s.request("GET", f"/{b}/k?versionId=garbage"), 400, "InvalidArgument")
    refused(s.request("DELETE", f"/{b}/k?versionId=garbage"), 400, "InvalidArgument")
    refused(s.request("GET", f"/{b}/k?versionId={'A' * 32}"), 404, "NoSuchVersion")
    equal(s.request("DELETE", f"/{b}/k?versionId={'A' * 32}").status, 204)
    refused(s.request("GET", f"/{b}/none?versionId={v1}"), 404, "NoSuchVersion")


@test
def suspended(s, b):
    c = s.client()
    enable(s, b)
    v1 = c.put_object(Bucket=b, Key="k", Body=b"1")["VersionId"]
    enable(s, b, "Suspended")
    equal(c.put_object(Bucket=b, Key="k", Body=b"2")["VersionId"], "null")
    equal(c.put_object(Bucket=b, Key="k", Body=b"3")["VersionId"], "null")
    equal(listed(s, b), ([("k", "null", True), ("k", v1, False)], []))
    r = c.delete_object(Bucket=b, Key="k")
    equal((r["DeleteMarker"], r["VersionId"]), (True, "null"))
    equal(listed(s, b), ([("k", v1, False)], [("k", "null", True)]))
    c.delete_object(Bucket=b, Key="k", VersionId="null")
    equal(c.get_object(Bucket=b, Key="k")["Body"].read(), b"1")


@test
def conditions(s, b):
    enable(s, b)
    put = lambda body, **h: s.request("PUT", f"/{b}/k", h, body)
    first = put(b"1", **{"If-None-Match": "*"})
    equal(first.status, 200)
    equal(put(b"2", **{"If-None-Match": "*"}).status, 412)
    s.request("DELETE", f"/{b}/k")
    # A delete marker counts as no object.
    equal(put(b"2", **{"If-Match": first.headers["etag"]}).status, 404)
    equal(put(b"2", **{"If-None-Match": "*"}).status, 200)
    equal(s.request("DELETE", f"/{b}/k", {"If-Match": '"x"'}).status, 412)
    answers = in_parallel(32, lambda i: s.request("PUT", f"/{b}/n", {"If-None-Match": "*"},
                                                  str(i).encode()).status)
    equal(sorted(answers), [200] + [412] * 31)
    equal(len(listed(s, b, Prefix="n")[0]), 1)


@test
def batch(s, b):
    c = s.client()
    enable(s, b)
    ids = [c.put_object(Bucket=b, Key="k", Body=bytes([i]))["VersionId"] for i in range(3)]
    r = c.delete_objects(Bucket=b, Delete={"Objects": [
        {"Key": "k", "VersionId": ids[0]}, {"Key": "none"}, {"Key": "k", "VersionId": "garbage"}]})
    deleted = {d["Key"]: d for d in r["Deleted"]}
    equal((deleted["k"]["VersionId"], "DeleteMarker" in deleted["k"],
           deleted["none"]["DeleteMarker"]), (ids[0], False, True))
    equal([(e["Key"], e["Code"]) for e in r["Errors"]], [("k", "NoSuchVersion")])
    equal(listed(s, b, Prefix="k")[0], [("k", ids[2], True), ("k", ids[1], False)])
    r = c.delete_objects(Bucket=b, Delete={"Objects": [
        {"Key": "none", "VersionId": deleted["none"]["DeleteMarkerVersionId"]}]})
    equal((r["Deleted"][0]["DeleteMarker"], listed(s, b)[1]), (True, []))


@test
def multipart(s, b):
    c = s.client()
    enable(s, b)
    one = c.put_object(Bucket=b, Key="k", Body=b"1")["VersionId"]
    u = c.create_multipart_upload(Bucket=b, Key="k")["UploadId"]
    etag = c.upload_part(Bucket=b, Key="k", UploadId=u, PartNumber=1, Body=b"2")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    r = c.complete_multipart_upload(Bucket=b, Key="k", UploadId=u, MultipartUpload=parts)
    again = c.complete_multipart_upload(Bucket=b, Key="k", UploadId=u, MultipartUpload=parts)
    equal((r["VersionId"] != one, again["VersionId"]), (True, r["VersionId"]))
    equal([v[1] for v in listed(s, b)[0]], [r["VersionId"], one])


@test
def pages(s, b):
    c = s.client()
    enable(s, b)
    want = []
    for key in ("a", "d/1", "d/2", "e f", "g"):
        ids = [c.put_object(Bucket=b, Key=key, Body=b"")["VersionId"] for _ in range(3)]
        if key == "g":
            ids.append(c.delete_object(Bucket=b, Key=key)["VersionId"])
        want += [(key, i) for i in reversed(ids)]

    def walk(size, **args):
        out, markers, n = [], "", 0
        query = "".join(f"&{k}={quote_query(v)}" for k, v in args.items())
        while markers is not None:
            a = s.request("GET", f"/{b}?versions&max-keys={size}{query}{markers}")
            for e in a.xml:
                if e.tag in (NS + "Version", NS + "DeleteMarker"):
                    out.append((e.findtext(NS + "Key"), e.findtext(NS + "VersionId")))
                elif e.tag == NS + "CommonPrefixes":
                    out.append(e.findtext(NS + "Prefix"))
            markers = None
            if a.text("IsTruncated") == "true":
                markers = "&key-marker=" + quote_query(a.text("NextKeyMarker"))
                if a.text("NextVersionIdMarker"):
                    markers += "&version-id-marker=" + a.text("NextVersionIdMarker")
            n += 1
        return out, n

    for size in (1, 2, 3, 4, 5, 16, 1000):
        equal(walk(size), (want, -(-16 // size)), f"pages of {size}")
    rolled = want[:3] + ["d/"] + want[9:]
    for size in (1, 2, 3):
        got, _ = walk(size, delimiter="/")
        equal(sorted(map(str, got)), sorted(map(str, rolled)), f"pages of {size}")
    equal(walk(1000, prefix="d/")[0], want[3:9])
    refused(s.request("GET", f"/{b}?versions&version-id-marker=x"), 400, "InvalidArgument")
    # boto3's paginator, deleting as it goes.
    for page in c.get_paginator("list_object_versions").paginate(
            Bucket=b, PaginationConfig={"PageSize": 3}):
        rows = page.get("Versions", []) + page.get("DeleteMarkers", [])
        c.delete_objects(Bucket=b, Delete={"Objects": [
            {"Key": v["Key"], "VersionId": v["VersionId"]} for v in rows]})
    equal(listed(s, b), ([], []))
    c.delete_bucket(Bucket=b)


main()
