#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: buckets, addressing styles, and what a restart keeps."""
import signal

from s3dtest import *


@test
def create_head_delete(s):
    c = s.client()
    name = bucket_name()
    fails(404, "404", c.head_bucket, Bucket=name)
    equal(c.create_bucket(Bucket=name)["Location"], "/" + name)
    fails(409, "BucketAlreadyOwnedByYou", c.create_bucket, Bucket=name)
    headers = c.head_bucket(Bucket=name)["ResponseMetadata"]["HTTPHeaders"]
    equal(headers["x-amz-bucket-region"], "us-east-1")
    equal(c.get_bucket_location(Bucket=name)["LocationConstraint"], None)
    c.put_object(Bucket=name, Key="k", Body=b"x")
    fails(409, "BucketNotEmpty", c.delete_bucket, Bucket=name)
    c.delete_object(Bucket=name, Key="k")
    c.delete_bucket(Bucket=name)
    fails(404, "NoSuchBucket", c.delete_bucket, Bucket=name)
    fails(404, "NoSuchBucket", c.list_objects_v2, Bucket=name)
    fails(404, "NoSuchBucket", c.get_object, Bucket=name, Key="k")
    fails(404, "NoSuchBucket", c.put_object, Bucket=name, Key="k", Body=b"x")


@test
def names(s):
    for bad in ("ab", "a" * 64, "Upper", "under_score", "-a-", "a-", "a..b", "10.0.0.1", "a%2Fb"):
        refused(s.request("PUT", "/" + bad), 400, "InvalidBucketName")
    for good in ("abc", "a" * 63, "a.b-c", "10.0.0.1a"):
        equal(s.request("PUT", "/" + good).status, 200)
        equal(s.request("DELETE", "/" + good).status, 204)


@test
def list_buckets(s):
    c = s.client()
    names = [f"page-{i:02}" for i in range(7)]
    for name in names:
        c.create_bucket(Bucket=name)
    everything = [b["Name"] for b in c.list_buckets()["Buckets"]]
    equal(sorted(everything), everything)
    assert set(names) <= set(everything)
    got, token, pages = [], "", 0
    while token is not None:
        a = s.request("GET", f"/?max-buckets=3&prefix=page-{token}")
        got += a.texts("Buckets", "Bucket", "Name")
        equal(set(a.texts("Buckets", "Bucket", "BucketRegion")), {"us-east-1"})
        token = a.text("ContinuationToken")
        token = token and "&continuation-token=" + quote_query(token)
        pages += 1
    equal((got, pages), (names, 3))
    refused(s.request("GET", "/?max-buckets=0"), 400, "InvalidArgument")
    refused(s.request("GET", "/?max-buckets=10001"), 400, "InvalidArgument")
    for name in names:
        c.delete_bucket(Bucket=name)


@test
def virtual_host_style(s, b):
    key = "a//b c"
    s.client().put_object(Bucket=b, Key=key, Body=b"body")
    for host in (f"{b}.localhost:{s.port}", f"{b}.s3.localhost", f"{b}.s3.us-east-1.localhost",
                 f"{b}.s3.us-east-1.amazonaws.com", f"{b}.s3.amazonaws.com"):
        equal(s.request("GET", "/" + quote(key), host=host).body, b"body", host)
        a = s.request("GET", "/?list-type=2", host=host)
        equal(a.texts("Contents", "Key"), [key])
    for host in ("localhost", f"s3.localhost:{s.port}", "s3.us-east-1.amazonaws.com"):
        equal(s.request("GET", f"/{b}/" + quote(key), host=host).body, b"body", host)
    # A key that looks like a control URL or like a bucket.
    equal(s.request("PUT", "/_s3d/counters", body=b"v", host=f"{b}.localhost").status, 200)
    equal(s.request("GET", "/_s3d/counters", host=f"{b}.localhost").body, b"v")
    other = bucket_name()
    equal(s.request("PUT", "/", host=f"{other}.localhost").status, 200)
    equal(s.request("HEAD", "/" + other).status, 200)
    equal(s.request("DELETE", "/", host=f"{other}.localhost").status, 204)


@test
def regions():
    options = ("--region", "us-east-1", "--region", "eu-west-1", "--region", "ap-south-1")
    with Server(*options) as s:
        c = s.client()
        where = {"LocationConstraint": "eu-west-1"}
        c.create_bucket(Bucket="abroad", CreateBucketConfiguration=where)
        c.create_bucket(Bucket="home")
        equal(s.client(region="eu-west-1").get_bucket_location(Bucket="abroad")
              ["LocationConstraint"], "eu-west-1")
        # Signed for the endpoint's region: a redirect that tells the bucket's.
        a = refused(s.request("GET", "/abroad?list-type=2"), 301, "PermanentRedirect")
        equal(a.headers["x-amz-bucket-region"], "eu-west-1")
        a = refused(s.request("HEAD", "/abroad"), 301)
        equal((a.headers["x-amz-bucket-region"], a.body), ("eu-west-1", b""))
        # Signed for a third one.
        a = refused(s.request("GET", "/abroad/k", region="ap-south-1"), 400,
                    "AuthorizationHeaderMalformed")
        equal(a.xml.findtext("Region"), "eu-west-1")
        equal(a.headers["x-amz-bucket-region"], "eu-west-1")
        a = refused(s.request("PUT", "/home/k", region="eu-west-1", body=b"x"), 400,
                    "AuthorizationHeaderMalformed")
        equal(a.xml.findtext("Region"), "us-east-1")
        # The right one.
        equal(s.request("PUT", "/abroad/k", region="eu-west-1", body=b"x").status, 200)
        host = "abroad.s3.eu-west-1.localhost"
        equal(s.request("GET", "/k", region="eu-west-1", host=host).body, b"x")
        refused(s.request("GET", "/k", region="us-east-1", host=host), 400,
                "AuthorizationHeaderMalformed")
        host = "home.s3.eu-west-1.localhost"
        a = refused(s.request("GET", "/?list-type=2", region="eu-west-1", host=host), 301,
                    "PermanentRedirect")
        equal(a.headers["x-amz-bucket-region"], "us-east-1")
        # boto3 follows both kinds by itself.
        equal(c.list_objects_v2(Bucket="abroad")["KeyCount"], 1)
        equal(s.client(region="ap-south-1").get_object(Bucket="abroad", Key="k")["Body"].read(),
              b"x")
        # Constraints.
        for constraint, region, want in (
                ("us-east-1", "us-east-1", (400, "InvalidLocationConstraint")),
                ("mars-1", "us-east-1", (400, "InvalidLocationConstraint")),
                ("eu-west-1", "ap-south-1", (400, "IllegalLocationConstraintException")),
                (None, "ap-south-1", (400, "IllegalLocationConstraintException")),
                ("ap-south-1", "ap-south-1", (200, ""))):
            xml = ("<CreateBucketConfiguration><LocationConstraint>" + constraint +
                   "</LocationConstraint></CreateBucketConfiguration>") if constraint else ""
            refused(s.request("PUT", "/new-one", body=xml.encode(), region=region), *want)
        a = refused(s.request("GET", "/", region="mars-1"), 400, "AuthorizationHeaderMalformed")
        equal(a.xml.findtext("Region"), "us-east-1")


@test
def restart_keeps_everything():
    with Server() as s:
        c = s.client()
        big = random.randbytes(6 * MIB)
        c.create_bucket(Bucket="kept")
        c.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        c.put_object(Bucket="kept", Key="a//b\n", Body=b"1", Metadata={"m": "v"},
                     ContentType="text/x", StorageClass="STANDARD_IA")
        c.put_object(Bucket="kept", Key="a//b\n", Body=b"2")
        c.put_object(Bucket="kept", Key="gone", Body=b"3")
        c.delete_object(Bucket="kept", Key="gone")
        u = c.create_multipart_upload(Bucket="kept", Key="up", Metadata={"u": "w"})["UploadId"]
        p1 = c.upload_part(Bucket="kept", Key="up", UploadId=u, PartNumber=1, Body=big)
        u2 = c.create_multipart_upload(Bucket="kept", Key="up2")["UploadId"]
        c.abort_multipart_upload(Bucket="kept", Key="up2", UploadId=u2)
        c.create_bucket(Bucket="dropped")
        c.delete_bucket(Bucket="dropped")
        before = c.list_object_versions(Bucket="kept")
        for how in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM):
            s.stop(how)
            # A torn record at the end, as a kill leaves it.
            with open(s.folder + "/journal", "ab") as f:
                f.write(b"\x40\0\0\0torn")
            s.start()
            c = s.client()
            after = c.list_object_versions(Bucket="kept")
            for part in ("Versions", "DeleteMarkers"):
                equal(after[part], before[part])
        equal([x["Name"] for x in c.list_buckets()["Buckets"]], ["kept"])
        old = [v for v in after["Versions"] if not v["IsLatest"] and v["Key"] == "a//b\n"][0]
        got = c.get_object(Bucket="kept", Key="a//b\n", VersionId=old["VersionId"])
        equal((got["Body"].read(), got["Metadata"], got["ContentType"], got["StorageClass"]),
              (b"1", {"m": "v"}, "text/x", "STANDARD_IA"))
        equal(len(c.list_multipart_uploads(Bucket="kept")["Uploads"]), 1)
        p2 = c.upload_part(Bucket="kept", Key="up", UploadId=u, PartNumber=2, Body=b"end")
        c.complete_multipart_upload(Bucket="kept", Key="up", UploadId=u, MultipartUpload={
            "Parts": [{"PartNumber": i + 1, "ETag": p["ETag"]} for i, p in enumerate((p1, p2))]})
        s.stop()
        s.start()
        got = s.client().get_object(Bucket="kept", Key="up")
        equal((got["Body"].read(), got["Metadata"]), (big + b"end", {"u": "w"}))


@test
def files_go_with_their_objects():
    with Server() as s:
        c = s.client()
        c.create_bucket(Bucket="files")

        def count():
            return sum(len(files) for _, _, files in os.walk(s.folder + "/data"))

        for i in range(10):
            c.put_object(Bucket="files", Key=str(i), Body=b"x")
        c.put_object(Bucket="files", Key="0", Body=b"y")
        c.copy_object(Bucket="files", Key="copy", CopySource="files/1")
        equal(count(), 10)
        c.delete_object(Bucket="files", Key="1")
        equal(count(), 10)
        equal(c.get_object(Bucket="files", Key="copy")["Body"].read(), b"x")
        c.delete_object(Bucket="files", Key="copy")
        equal(count(), 9)
        u = c.create_multipart_upload(Bucket="files", Key="u")["UploadId"]
        for _ in range(3):
            c.upload_part(Bucket="files", Key="u", UploadId=u, PartNumber=1, Body=b"p")
        equal(count(), 10)
        c.abort_multipart_upload(Bucket="files", Key="u", UploadId=u)
        refused(s.request("PUT", "/files/bad", headers={"Content-MD5": md5_base64(b"other")},
                          body=b"x"), 400, "BadDigest")
        equal(count(), 9)
        # What a kill left behind is removed at the next start.
        s.stop()
        with open(s.folder + "/data/00/ffff00", "wb") as f:
            f.write(b"orphan")
        s.start()
        equal(count(), 9)


@test
def one_process_a_folder(s):
    p = subprocess.run([binary(), "--dir", s.folder], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, timeout=60, check=False)
    equal((p.returncode, b"in use" in p.stdout), (1, True))


@test
def command_line():
    for args in ([], ["--dir"], ["--dir", "/tmp/x", "--port", "70000"], ["--nonsense"],
                 ["--dir", "/tmp/x", "--secret-key", "x"], ["--dir", "/tmp/x", "--rate", "fast"],
                 ["--dir", "/tmp/x", "--access-key", "a"], ["--dir", "/tmp/x", "more"]):
        p = subprocess.run([binary()] + args, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           timeout=60, check=False)
        equal((p.returncode, bool(p.stderr)), (2, True), str(args))
    p = subprocess.run([binary(), "--help"], stdout=subprocess.PIPE, timeout=60, check=True)
    assert b"not\nmade for production" in p.stdout


@test
def sub_resources_are_not_mistaken(s, b):
    s.client().put_object(Bucket=b, Key="k", Body=b"x")
    for method, path in (("GET", f"/{b}?acl"), ("PUT", f"/{b}?policy"), ("DELETE", f"/{b}?cors"),
                         ("PUT", f"/{b}/k?tagging"), ("DELETE", f"/{b}/k?tagging"),
                         ("PUT", f"/{b}/k?acl"), ("GET", f"/{b}/k?torrent")):
        refused(s.request(method, path), 501, "NotImplemented")
    equal(s.request("GET", f"/{b}/k").body, b"x")
    refused(s.request("PATCH", f"/{b}/k"), 405, "MethodNotAllowed")
    refused(s.request("POST", "/"), 405, "MethodNotAllowed")


main()
