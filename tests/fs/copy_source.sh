#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# servers: s3d rgw rgw20
# modes: user
# Names with everything that URLs, headers and XML know: written, listed, renamed (the old name is a header of the
# copy), given attributes, removed; and the keys are the names as they stand.
. "$SOURCE_DIR/tests/lib/common.sh"
server_start
mount_fs
/usr/bin/python3 - "$MNT" <<'P' || fail "see above"
import os, sys
sys.path.insert(0, os.environ["SOURCE_DIR"] + "/tests/lib")
from s3 import BUCKET, S3, objects
os.chdir(sys.argv[1])
def keys():
    return sorted(o["Key"] for o in objects())
names = ["100%", "%41", "%2F", "a+b", "a b", " leading", "trailing ", "a?b", "a#b", "a&b=c;d", "a:b", "a\\b", "q\"'uote",
         "<xml>&amp;<xml>", "[x]", "{x}", "~t", "a|b", "^", "`", "größe ☃", "日本語", "\U0001f600", "e\u0301", "@", "!$()*,",
         "..x", "x..", "...", "-", "--help", "%", "%%", "versionId=1", "a?versionId=null", "uploads", "n" * 200]
for n in names:
    with open(n, "w") as f:
        f.write("in " + n)
assert sorted(os.listdir(".")) == sorted(names), set(os.listdir(".")) ^ set(names)
assert keys() == sorted(names), set(keys()) ^ set(names)
for n in names:
    assert S3.get_object(Bucket=BUCKET, Key=n)["Body"].read().decode() == "in " + n, n
    os.rename(n, "to " + n)
    assert open("to " + n).read() == "in " + n, n
    os.chmod("to " + n, 0o640)
os.mkdir("d%+ ?#☃")
for n in names:
    os.rename("to " + n, "d%+ ?#☃/" + n)
os.rename("d%+ ?#☃", "e&<>\"'☃")
assert sorted(os.listdir("e&<>\"'☃")) == sorted(names)
for n in names:
    assert open("e&<>\"'☃/" + n).read() == "in " + n, n
    assert os.stat("e&<>\"'☃/" + n).st_mode & 0o777 == 0o640, n
want = sorted(["e&<>\"'☃/"] + ["e&<>\"'☃/" + n for n in names])
got = [k for k in keys() if k != ".pailfs-root"]
assert got == want, set(got) ^ set(want)
for n in names:
    os.unlink("e&<>\"'☃/" + n)
os.rmdir("e&<>\"'☃")
assert [k for k in keys() if k != ".pailfs-root"] == [], keys()
P
unmount_fs
