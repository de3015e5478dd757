#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# servers: s3d
"""Random requests signed by us and by botocore: headers and presigned URLs, keys of every kind.
Needs no server. SEED=N makes other requests."""
import datetime
import os
import random
import subprocess
import sys
from unittest import mock
from urllib.parse import quote, urlsplit

import botocore.auth
import botocore.awsrequest
import botocore.credentials

COUNT = 400
SIGN = os.path.join(os.environ.get("BUILD_DIR", "build/tests"), "tests/client/sign")
SEED = int(os.environ.get("SEED", "20130524"))
R = random.Random(SEED)

# Everything that has a meaning somewhere in a URL or a signature, and some letters.
SPECIAL = "/.%?#&=+ ~-_*'()!@:;,$[]{}|\\^`\"<>\t\n\r\x01\x7f\0"


def character():
    kind = R.randrange(6)
    if kind < 2:
        return R.choice("abcXYZ019")
    if kind < 4:
        return R.choice(SPECIAL)
    if kind == 4:
        return chr(R.randrange(0x80, 0x800))
    code = R.randrange(0x800, 0x110000 - 0x800)  # no surrogates
    return chr(code if code < 0xD800 else code + 0x800)


def text(longest, without=""):
    chars = (character() for _ in range(R.randrange(longest + 1)))
    return "".join(c for c in chars if c not in without)


def word(longest):
    return "".join(R.choice("abcdefghijklmnopqrstuvwxyz0123456789")
                   for _ in range(R.randrange(1, longest + 1)))


def encode(s):
    return quote(s, safe="-_.~")


def pairs(items):
    return "&".join(encode(n) if v is None else f"{encode(n)}={encode(v)}" for n, v in items)


def random_query():
    # names may come twice; NUL cannot be part of a parameter
    items = [(text(6, "\0") or "n", text(8, "\0") if R.randrange(4) else None)
             for _ in range(R.randrange(6))]
    if items and not R.randrange(3):
        items.append((items[0][0], text(4, "\0")))
    R.shuffle(items)
    return items


def random_headers():
    headers = []
    for _ in range(R.randrange(5)):
        name = R.choice(["x-amz-meta-", "X-Amz-Meta-", "x-amz-", "Content-"]) + word(6)
        value = "".join(R.choice("ab \t  ,;\"=\u00e9\u20ac") for _ in range(R.randrange(12)))
        headers.append((name, value))
    if headers and not R.randrange(3):
        headers.append((headers[0][0].upper(), "again"))
    return headers


class FixedTime(datetime.datetime):
    """botocore asks for the time in one of two ways, by version."""
    fixed = None

    @classmethod
    def utcnow(cls):
        return cls.fixed

    @classmethod
    def now(cls, tz=None):
        return cls.fixed.replace(tzinfo=tz)


def sign_by_botocore(case):
    host = R.choice(["bucket.s3.amazonaws.com", "localhost:9000", "h.example"])
    scheme = R.choice(["http", "https"])
    url = f"{scheme}://{host}/" + quote(case["key"], safe="/~")
    query = pairs(case["query"])
    request = botocore.awsrequest.AWSRequest(
        method=case["method"], url=url + ("?" + query if query else ""), data=case["body"])
    for name, value in case["headers"]:
        request.headers[name] = value
    if R.randrange(2):
        request.headers["Host"] = host
    keys = botocore.credentials.Credentials(case["id"], case["secret"], case["token"] or None)
    if case["expires"]:
        auth = botocore.auth.S3SigV4QueryAuth(keys, "s3", case["region"], case["expires"])
    else:
        auth = botocore.auth.S3SigV4Auth(keys, "s3", case["region"])
    FixedTime.fixed = case["time"]
    patches = [mock.patch.object(botocore.auth.datetime, "datetime", FixedTime)] \
        if hasattr(botocore.auth, "datetime") else []
    if hasattr(botocore.auth, "get_current_datetime"):
        patches = [mock.patch.object(botocore.auth, "get_current_datetime",
                                     lambda remove_tzinfo=True: case["time"])]
    for p in patches:
        p.start()
    try:
        auth.add_auth(request)
    finally:
        for p in patches:
            p.stop()
    headers = [(n, v) for n, v in request.headers.items() if n.lower() != "authorization"]
    if "host" not in [n.lower() for n, _ in headers]:
        headers.append(("Host", host))
    if len({n.lower() for n, _ in headers}) == len(headers):
        R.shuffle(headers)  # the order of equal names is part of what is signed
    if case["expires"]:
        return headers, "UNSIGNED-PAYLOAD", urlsplit(request.url).query
    return headers, request.headers["X-Amz-Content-SHA256"], request.headers["Authorization"]


def new_case():
    expires = R.choice([0, 0, 1, 604800, R.randrange(1, 604801)])
    case = {
        "method": R.choice(["GET", "PUT", "POST", "DELETE", "HEAD"]),
        "key": text(40),
        "query": random_query(),
        "headers": random_headers(),
        "body": R.choice([b"", b"body", R.randbytes(3)]),
        "region": R.choice(["us-east-1", "eu-west-3", "x"]),
        "time": datetime.datetime(2000, 1, 1) + datetime.timedelta(
            seconds=R.randrange(0, 3000000000)),
        "id": "AKIA" + word(16).upper(),
        "secret": "".join(R.choice("abc/+=XYZ129") for _ in range(40)),
        "token": "".join(R.choice("abc/+=XYZ129") for _ in range(R.choice([0, 300]))),
        "expires": expires,
    }
    if expires:
        # botocore takes the query apart into a dictionary there, in which a name is once and a
        # missing value is an empty one; body parameters would move into it.
        case["query"] = list(dict((n, v or "") for n, v in case["query"]).items())
        case["body"] = b""
    return case


def line_of(case, headers, payload_hash):
    fields = [case["method"], encode(case["key"]), pairs(case["query"]), pairs(headers),
              payload_hash, case["region"], "s3", case["time"].strftime("%Y%m%dT%H%M%SZ"),
              encode(case["id"]), encode(case["secret"]), encode(case["token"]),
              str(case["expires"])]
    return "\t".join(f or "-" for f in fields)


def main():
    print(f"seed {SEED}, botocore {botocore.__version__}")
    lines, expected, cases = [], [], []
    for _ in range(COUNT):
        case = new_case()
        headers, payload_hash, result = sign_by_botocore(case)
        lines.append(line_of(case, headers, payload_hash))
        expected.append(result)
        cases.append(case)
    done = subprocess.run([SIGN], input="\n".join(lines) + "\n", text=True, check=True,
                          stdout=subprocess.PIPE)
    got = done.stdout.splitlines()
    assert len(got) == COUNT, len(got)
    wrong = 0
    for case, line, ours, theirs in zip(cases, lines, got, expected):
        if case["expires"]:
            # The parameters' order in the URL is free.
            ours, theirs = sorted(ours.split("&")), sorted(theirs.split("&"))
        if ours != theirs:
            wrong += 1
            if wrong <= 3:
                print(f"differs: {case}\n  line {line}\n  ours   {ours}\n  theirs {theirs}")
    presigned = sum(1 for c in cases if c["expires"])
    print(f"{COUNT - presigned} signed, {presigned} presigned, {wrong} differ")
    assert presigned > COUNT // 4 and COUNT - presigned > COUNT // 4
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
