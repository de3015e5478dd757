#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""s3d: signatures of headers, presigned URLs and aws-chunked bodies; anonymous requests; clocks."""
import binascii
import datetime
import hmac
import tempfile

from s3dtest import *

EMPTY = sha256(b"")


@test
def refusals(s, b):
    path = f"/{b}?list-type=2"
    refused(s.request("GET", path, sign=False), 403, "AccessDenied")
    a = refused(s.request("GET", path, key="nobody"), 403, "InvalidAccessKeyId")
    equal(a.xml.findtext("AWSAccessKeyId"), "nobody")
    a = refused(s.request("GET", path, secret="wrong"), 403, "SignatureDoesNotMatch")
    assert a.xml.findtext("CanonicalRequest").startswith("GET\n/" + b)
    assert a.xml.findtext("StringToSign").startswith("AWS4-HMAC-SHA256\n")
    refused(s.request("GET", path, token="token"), 400, "InvalidToken")
    refused(s.request("HEAD", "/" + b, secret="wrong"), 403)

    def bare(headers, status, code):
        refused(s.request("GET", path, headers, sign=False), status, code)

    good = s.sign("GET", path)
    bare({**good, "Authorization": "AWS testkey:sig"}, 400, "InvalidRequest")
    bare({**good, "Authorization": "Basic dGVzdA=="}, 400, "InvalidArgument")
    for broken in ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=x", "AWS4-HMAC-SHA256 ,,,",
                   good["Authorization"].replace("/s3/", "/ec2/"),
                   good["Authorization"].replace("aws4_request", "aws4"),
                   good["Authorization"].replace("SignedHeaders", "Signed"),
                   good["Authorization"] + "Z" * 100,
                   "AWS4-HMAC-SHA256 Credential=" + "/" * 3000):
        bare({**good, "Authorization": broken}, 400, "AuthorizationHeaderMalformed")
    bare({k: v for k, v in good.items() if k.lower() != "x-amz-date"}, 403, "AccessDenied")
    bare({k: v for k, v in good.items() if k.lower() != "x-amz-content-sha256"}, 400,
         "InvalidRequest")
    bare({**good, "X-Amz-Content-SHA256": "nonsense"}, 400, "InvalidArgument")
    bare({**good, "X-Amz-Content-SHA256": sha256(b"x")}, 403, "SignatureDoesNotMatch")
    bare({**good, "x-amz-meta-late": "1"}, 403, "AccessDenied")
    bare({**good, "Authorization": good["Authorization"].replace("host;", "")}, 400,
         "MissingSecurityHeader")
    bare({**good, "Authorization": good["Authorization"].replace("host;", "host;nothere;")}, 403,
         "SignatureDoesNotMatch")
    # The signature is of this method, path and query.
    for method, other in (("GET", f"/{b}?list-type=2&prefix=a"), ("HEAD", f"/{b}"),
                          ("GET", f"/{b}/k"), ("GET", "/")):
        equal(s.request(method, other, good, sign=False).status, 403)
    equal(s.request("GET", path, good, sign=False).status, 200)
    equal(s.counters()["auth_failures"] > 10, True)


@test
def odd_headers(s, b):
    """Values are trimmed and runs of spaces folded; repeated headers are joined."""
    a = s.request("PUT", f"/{b}/k", {"x-amz-meta-a": "  a   b  c ", "x-amz-meta-b": ""}, b"x")
    equal(a.status, 200)
    equal(s.request("GET", f"/{b}/k?x=1&a=%20b%2B&X=&a=A&%C3%A9=~").status, 200)
    equal(s.request("GET", f"/{b}/k", {"x-amz-date": now()}).status, 200)


def now(seconds=0):
    t = datetime.datetime.utcnow() + datetime.timedelta(seconds=seconds)
    return t.strftime("%Y%m%dT%H%M%SZ")


def manual(s, method, path, amz_date, headers=None, body=b"", payload=None, token=None):
    """Signed by hand for any date."""
    payload = payload or sha256(body)
    path, _, query = path.partition("?")
    all_headers = {"host": f"127.0.0.1:{s.port}", "x-amz-date": amz_date,
                   "x-amz-content-sha256": payload, **(headers or {})}
    if token:
        all_headers["x-amz-security-token"] = token
    names = sorted(all_headers)
    canonical = "\n".join([method, path, query] + [f"{n}:{all_headers[n]}" for n in names] +
                          ["", ";".join(names), payload])
    scope = f"{amz_date[:8]}/us-east-1/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{amz_date}\n{scope}\n{sha256(canonical.encode())}"
    signature = hmac.new(signing_key(amz_date), to_sign.encode(), hashlib.sha256).hexdigest()
    all_headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, "
                                    f"SignedHeaders={';'.join(names)}, Signature={signature}")
    all_headers["Host"] = all_headers.pop("host")
    return all_headers, signature


def signing_key(amz_date):
    key = ("AWS4" + SECRET).encode()
    for part in (amz_date[:8], "us-east-1", "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


@test
def clocks(s, b):
    def at(server, seconds):
        headers, _ = manual(server, "GET", f"/{b}", now(seconds))
        return server.request("GET", f"/{b}", headers, sign=False)

    equal(at(s, 0).status, 200)
    equal((at(s, 800).status, at(s, -800).status), (200, 200))
    for seconds in (1000, -1000, 10**7):
        a = refused(at(s, seconds), 403, "RequestTimeTooSkewed")
        equal(a.xml.findtext("MaxAllowedSkewMilliseconds"), "900000")
    with Server("--clock-offset", "-7200") as behind:
        a = refused(behind.request("GET", "/"), 403, "RequestTimeTooSkewed")
        date = datetime.datetime.strptime(a.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")
        assert abs((datetime.datetime.utcnow() - date).total_seconds() - 7200) < 60
        headers, _ = manual(behind, "GET", "/", now(-7200))
        equal(behind.request("GET", "/", headers, sign=False).status, 200)


@test
def session_tokens():
    with Server("--access-key", "ASIA", "--secret-key", SECRET, "--session-token", "tok/+=") as s:
        equal(s.request("GET", "/", key="ASIA", token="tok/+=").status, 200)
        refused(s.request("GET", "/", key="ASIA", token="other"), 400, "InvalidToken")
        refused(s.request("GET", "/", key="ASIA"), 400, "InvalidToken")
        equal(s.request("GET", "/").status, 200)
        c = s.client(key="ASIA", token="tok/+=", signature_version="s3v4")
        c.create_bucket(Bucket="tokens")
        c.put_object(Bucket="tokens", Key="k", Body=b"x")
        url = c.generate_presigned_url("get_object", {"Bucket": "tokens", "Key": "k"})
        equal(s.request("GET", url[len(s.url):], sign=False).body, b"x")


@test
def default_keys():
    with Server(keys=False) as s:
        equal(s.request("GET", "/", key="s3dtestkey", secret="s3dtestsecret").status, 200)


@test
def anonymous():
    with Server("--anonymous-read", "public") as s:
        c = s.client()
        for name in ("public", "private"):
            c.create_bucket(Bucket=name)
            c.put_object(Bucket=name, Key="k", Body=b"x")
        equal(s.request("GET", "/public/k", sign=False).body, b"x")
        equal(s.request("HEAD", "/public/k", sign=False).status, 200)
        equal(s.request("GET", "/public?list-type=2", sign=False).texts("Contents", "Key"), ["k"])
        refused(s.request("PUT", "/public/k", body=b"y", sign=False), 403, "AccessDenied")
        refused(s.request("DELETE", "/public/k", sign=False), 403, "AccessDenied")
        refused(s.request("GET", "/private/k", sign=False), 403, "AccessDenied")
        refused(s.request("GET", "/", sign=False), 403, "AccessDenied")
        refused(s.request("GET", "/public/k?response-expires=1", sign=False), 400,
                "InvalidRequest")


@test
def presigned(s, b):
    c = s.client(signature_version="s3v4")
    key = "a b/+\u00e9"

    def url(method, **params):
        expires = params.pop("expires", 100)
        full = c.generate_presigned_url(method, {"Bucket": b, "Key": key, **params},
                                        ExpiresIn=expires)
        return full[len(s.url):]

    put = url("put_object")
    equal(s.request("PUT", put, body=b"presigned", sign=False).status, 200)
    get = url("get_object", ResponseContentType="x/y")
    a = s.request("GET", get, sign=False)
    equal((a.body, a.headers["content-type"]), (b"presigned", "x/y"))
    equal(s.request("GET", get, {"Range": "bytes=0-2"}, sign=False).body, b"pre")
    refused(s.request("HEAD", get, sign=False), 403)
    refused(s.request("GET", get.replace("x%2Fy", "x%2Fz"), sign=False), 403,
            "SignatureDoesNotMatch")
    refused(s.request("GET", get, {"x-amz-checksum-mode": "ENABLED"}, sign=False), 403,
            "AccessDenied")
    refused(s.request("GET", get, s.sign("GET", get), sign=False), 400, "InvalidArgument")
    for drop in ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
                 "X-Amz-Signature"):
        cut = "&".join(p for p in get.split("&") if drop + "=" not in p)
        refused(s.request("GET", cut, sign=False), 400, "AuthorizationQueryParametersError")
    for old, new in (("X-Amz-Expires=100", "X-Amz-Expires=604801"),
                     ("X-Amz-Expires=100", "X-Amz-Expires=x"),
                     ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), ("us-east-1", "mars-1%2Fx")):
        refused(s.request("GET", get.replace(old, new), sign=False), 400,
                "AuthorizationQueryParametersError")
    with Server("--clock-offset", "200", folder=None) as later:
        later.client().create_bucket(Bucket=b)
        late = later.client(signature_version="s3v4").generate_presigned_url(
            "get_object", {"Bucket": b, "Key": key}, ExpiresIn=100)[len(later.url):]
        a = refused(later.request("GET", late, sign=False), 403, "AccessDenied")
        assert "expired" in a.xml.findtext("Message")
        late = later.client(signature_version="s3v4").generate_presigned_url(
            "get_object", {"Bucket": b, "Key": key}, ExpiresIn=300)[len(later.url):]
        refused(later.request("GET", late, sign=False), 404, "NoSuchKey")


def chunked(s, b, chunks, payload, trailer=b"", decoded=None, tamper=None, headers=None,
            trailer_signature=None, ending=b"\r\n"):
    date = now()
    data = b"".join(chunks)
    if payload.endswith("-TRAILER"):
        headers = {**(headers or {}), "x-amz-trailer": "x-amz-checksum-crc32"}
    extra = {"x-amz-decoded-content-length": str(len(data) if decoded is None else decoded),
             "content-encoding": "aws-chunked", **(headers or {})}
    signed, previous = manual(s, "PUT", f"/{b}/k", date, extra, payload=payload)
    scope = f"{date[:8]}/us-east-1/s3/aws4_request"
    key, body = signing_key(date), b""
    for i, chunk in enumerate(list(chunks) + [b""]):
        text = "\n".join(["AWS4-HMAC-SHA256-PAYLOAD", date, scope, previous, EMPTY, sha256(chunk)])
        previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        line = f"{len(chunk):x}"
        if payload.startswith("STREAMING-AWS4"):
            line += ";chunk-signature=" + ("0" * 64 if tamper == i else previous)
        body += line.encode() + b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    if trailer:
        body += trailer + b"\r\n"
        if payload.startswith("STREAMING-AWS4"):
            text = "\n".join(["AWS4-HMAC-SHA256-TRAILER", date, scope, previous,
                              sha256(trailer + b"\n")])
            previous = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
            body += f"x-amz-trailer-signature:{trailer_signature or previous}\r\n".encode()
    return s.request("PUT", f"/{b}/k", signed, body + ending, sign=False)


def crc_trailer(data):
    crc = base64.b64encode(binascii.crc32(data).to_bytes(4, "big"))
    return b"x-amz-checksum-crc32:" + crc


@test
def signed_chunks(s, b):
    kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
    chunks = [random.randbytes(65536), random.randbytes(8192), random.randbytes(5)]
    data = b"".join(chunks)
    a = chunked(s, b, chunks, kind, headers={"content-encoding": "aws-chunked,gzip"})
    equal((a.status, a.headers["etag"]), (200, f'"{md5(data)}"'))
    a = s.request("GET", f"/{b}/k")
    assert a.body == data
    equal(a.headers["content-encoding"], "gzip")
    chunked(s, b, chunks, kind)
    equal("content-encoding" in s.request("GET", f"/{b}/k").headers, False)
    for tamper in range(4):
        refused(chunked(s, b, chunks, kind, tamper=tamper), 403, "SignatureDoesNotMatch")
    refused(chunked(s, b, chunks, kind, decoded=1), 400, "IncompleteBody")
    refused(chunked(s, b, chunks, kind, decoded=len(data) + 1), 400, "IncompleteBody")
    refused(chunked(s, b, [b"small", b"chunks"], kind), 403, "InvalidChunkSizeError")
    refused(chunked(s, b, chunks, kind, ending=b""), 400, "IncompleteBody")
    refused(chunked(s, b, chunks, kind, ending=b"\r\nmore"), 400, "IncompleteBody")
    equal(chunked(s, b, [], kind).status, 200)
    equal(s.request("GET", f"/{b}/k").body, b"")


@test
def trailers(s, b):
    chunks = [random.randbytes(8192), b"end"]
    data = b"".join(chunks)
    for kind in ("STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                 "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"):
        a = chunked(s, b, chunks, kind, crc_trailer(data))
        equal((a.status, a.headers["x-amz-checksum-crc32"]),
              (200, crc_trailer(data).decode().split(":")[1]), kind)
        assert s.request("GET", f"/{b}/k").body == data
        refused(chunked(s, b, chunks, kind, crc_trailer(b"x")), 400, "BadDigest")
        refused(chunked(s, b, chunks, kind, b"x-amz-checksum-crc32:!"), 400, "InvalidRequest")
        refused(chunked(s, b, chunks, kind, b"x-amz-checksum-sha1:AA=="), 400,
                "MalformedTrailerError")
        refused(chunked(s, b, chunks, kind, b"no colon"), 400, "MalformedTrailerError")
    refused(chunked(s, b, chunks, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"), 400,
            "MalformedTrailerError")
    refused(chunked(s, b, chunks, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", crc_trailer(data),
                    trailer_signature="0" * 64), 403, "SignatureDoesNotMatch")
    refused(chunked(s, b, chunks, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", crc_trailer(data),
                    headers={"x-amz-sdk-checksum-algorithm": "SHA1"}), 400, "InvalidRequest")


@test
def unsigned_payload(s, b):
    a = s.request("PUT", f"/{b}/k", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, b"body")
    equal(a.status, 200)
    equal(s.request("GET", f"/{b}/k", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}).body, b"body")


@test
def tls():
    folder = tempfile.mkdtemp(prefix="s3d-tls.")
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-keyout", folder + "/key", "-out",
                        folder + "/cert"], check=True, stderr=subprocess.DEVNULL)
        with Server("--tls", folder + "/cert", folder + "/key") as s:
            body = random.randbytes(MIB)
            equal(s.request("PUT", "/tls-bucket").status, 200)
            equal(s.request("PUT", "/tls-bucket/k", {}, body).status, 200)
            assert s.request("GET", "/tls-bucket/k").body == body
    finally:
        shutil.rmtree(folder)


main()
