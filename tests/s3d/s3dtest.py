# SPDX-License-Identifier: Apache-2.0
"""What the tests of s3d share: the server, requests signed by botocore but sent as they are, and a
small runner. A test file registers functions with @test and ends with main()."""
import base64
import hashlib
import http.client
import inspect
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import xml.etree.ElementTree

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

HERE = os.path.dirname(os.path.abspath(__file__))
KEY, SECRET = "testkey", "testsecret"
MIB = 1 << 20
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"

_tests = []


def binary():
    build = os.environ.get("BUILD_DIR", os.path.join(HERE, "../../build"))
    return os.environ.get("S3D", os.path.join(build, "tests/s3d/s3d"))


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = response.read()

    @property
    def xml(self):
        return xml.etree.ElementTree.fromstring(self.body)

    @property
    def code(self):
        """S3's error code, "" when the body is none."""
        try:
            return self.xml.findtext("Code") or ""
        except xml.etree.ElementTree.ParseError:
            return ""

    def text(self, name):
        return self.xml.findtext(NS + name)

    def texts(self, *path):
        return [e.text for e in self.xml.findall("/".join(NS + p for p in path))]


class Server:
    def __init__(self, *options, folder=None, keys=True):
        self.own = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="s3d.")
        self.options = list(options)
        self.keys = ["--access-key", KEY, "--secret-key", SECRET] if keys else []
        self.process = None
        self.start()

    def start(self):
        port_file = os.path.join(self.folder, "port")
        if os.path.exists(port_file):
            os.unlink(port_file)
        self.process = subprocess.Popen(
            [binary(), "--dir", self.folder, "--port-file", port_file] + self.keys + self.options,
            stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not os.path.exists(port_file):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"s3d did not start (status {self.process.returncode})")
            time.sleep(0.01)
        with open(port_file, encoding="ascii") as f:
            self.port = int(f.read())
        self.tls = "--tls" in self.options
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def stop(self, how=signal.SIGTERM):
        if self.process:
            self.process.send_signal(how)
            status = self.process.wait(60)
            self.process = None
            if how == signal.SIGTERM and status != 0:
                raise AssertionError(f"s3d ended with status {status}")

    def close(self):
        try:
            self.stop()
        finally:
            if self.own:
                shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def client(self, style="path", key=KEY, secret=SECRET, token=None, region="us-east-1", **conf):
        return boto3.client(
            "s3", endpoint_url=self.url, region_name=region, aws_access_key_id=key,
            aws_secret_access_key=secret, aws_session_token=token,
            config=botocore.config.Config(s3={"addressing_style": style},
                                          retries={"max_attempts": 0}, **conf))

    def connection(self, timeout=30):
        if self.tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout,
                                               context=context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def sign(self, method, path, headers=None, body=b"", key=KEY, secret=SECRET, token=None,
             region="us-east-1", host=None):
        """Headers for that very path and query. x-amz-content-sha256 may be given."""
        request = botocore.awsrequest.AWSRequest(
            method, f"http://{host or f'127.0.0.1:{self.port}'}{path}", headers=dict(headers or {}),
            data=body)
        if "x-amz-content-sha256" in request.headers:
            request.context["payload_signing_enabled"] = True
        credentials = botocore.credentials.Credentials(key, secret, token)
        auth = Auth(credentials, "s3", region)
        auth.add_auth(request)
        signed = dict(request.headers)
        if host:
            signed["Host"] = host
        return signed

    def request(self, method, path, headers=None, body=b"", sign=True, conn=None, **how):
        """path: already encoded, with its query."""
        if sign:
            headers = self.sign(method, path, headers, body, **how)
        c = conn or self.connection()
        c.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            for one in value if isinstance(value, list) else [value]:
                c.putheader(name, one)
        if body or method in ("PUT", "POST"):
            c.putheader("Content-Length", str(len(body)))
        c.endheaders(body or None)
        answer = Answer(c.getresponse())
        if not conn:
            c.close()
        return answer

    def control(self, method, path, body=b""):
        answer = self.request(method, "/_s3d/" + path, body=body, sign=False)
        assert answer.status == 200, answer.body
        return answer.body.decode()

    def faults(self, *rules):
        self.control("POST", "faults", "\n".join(rules).encode())

    def clear_faults(self):
        self.control("DELETE", "faults")

    def counters(self):
        lines = self.control("GET", "counters").splitlines()
        return {name: int(value) for name, value in (line.split() for line in lines)}

    def reset(self):
        self.control("POST", "reset")


class Auth(botocore.auth.S3SigV4Auth):
    """Takes x-amz-content-sha256 as the test gave it."""

    def payload(self, request):
        return request.headers.get("X-Amz-Content-SHA256") or super().payload(request)

    def add_auth(self, request):
        given = request.headers.get("x-amz-content-sha256")
        if given:
            real = self._modify_request_before_signing

            def keep(req):
                real(req)
                del req.headers["X-Amz-Content-SHA256"]
                req.headers["X-Amz-Content-SHA256"] = given

            self._modify_request_before_signing = keep
        super().add_auth(request)


def test(function):
    _tests.append(function)
    return function


def quote(key):
    return urllib.parse.quote(key if isinstance(key, bytes) else key.encode(), safe="/-_.~")


def quote_query(value):
    return urllib.parse.quote(value, safe="-_.~")


def md5(data):
    return hashlib.md5(data).hexdigest()


def md5_base64(data):
    return base64.b64encode(hashlib.md5(data).digest()).decode()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def equal(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what or 'value'}: expected {want!r}, got {got!r}")


def fails(status, code, function, *args, **kwargs):
    """boto3 call that must be refused so."""
    try:
        function(*args, **kwargs)
    except botocore.exceptions.ClientError as e:
        got = (e.response["ResponseMetadata"]["HTTPStatusCode"], e.response["Error"]["Code"])
        equal(got, (status, code))
        return e.response
    raise AssertionError(f"succeeded, expected {status} {code}")


def refused(answer, status, code=None):
    got = (answer.status, None if code is None else answer.code)
    equal(got, (status, code), f"status, code of {answer.body!r}")
    return answer


def poll(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not become true")
        time.sleep(0.01)


def in_parallel(n, function):
    """Results of function(0..n-1), all let go at once."""
    barrier = threading.Barrier(n)
    results = [None] * n

    def one(i):
        barrier.wait()
        try:
            results[i] = function(i)
        except BaseException as e:  # handed to the caller
            results[i] = e

    threads = [threading.Thread(target=one, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


def bucket_name():
    return f"b{random.getrandbits(60):015x}"


def main(*options):
    """Runs the registered tests against one server; each gets the server and a bucket of its own,
    or less if it takes fewer arguments. $SEED=0: a random one."""
    seed = int(os.environ.get("SEED", "1")) or random.getrandbits(32)
    random.seed(seed)
    chosen = sys.argv[1:]
    passed = failed = 0
    server = Server(*options)
    try:
        for function in _tests:
            if chosen and not any(c in function.__name__ for c in chosen):
                continue
            try:
                args = []
                if len(inspect.signature(function).parameters) > 0:
                    args.append(server)
                if len(inspect.signature(function).parameters) > 1:
                    name = bucket_name()
                    server.client().create_bucket(Bucket=name)
                    args.append(name)
                function(*args)
                passed += 1
            except Exception:
                failed += 1
                print(f"FAIL {function.__name__} (SEED={seed})")
                traceback.print_exc(file=sys.stdout)
            if server.process.poll() is not None:
                print(f"FAIL s3d died with status {server.process.returncode}")
                failed += 1
                break
    finally:
        if server.process and server.process.poll() is None:
            try:
                server.close()
            except Exception as e:
                print(f"FAIL at the end: {e}")
                failed += 1
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)
