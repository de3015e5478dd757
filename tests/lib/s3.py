#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bucket as boto3 sees it: the second opinion of the mounted tests.

    s3.py mb BUCKET | rb BUCKET | keys [PREFIX] | put KEY FILE [ALGORITHM [PARTSIZE...]] | get KEY FILE | rm KEY... | empty
          tree FOLDER [PREFIX]    compares every key and byte with the files below FOLDER
          fill N [PREFIX] [SIZE]  makes N objects, sixteen at a time
          head KEY                size, ETag, content type and user metadata, a line each
          uploads                 unfinished multipart uploads, a line each
The bucket is $BUCKET, the endpoint $S3_ENDPOINT.
"""
import concurrent.futures
import os
import sys

import boto3
import botocore.config


def client():
    return boto3.client(
        "s3", endpoint_url=os.environ["S3_ENDPOINT"],
        config=botocore.config.Config(s3={"addressing_style": "path"}, max_pool_connections=16,
                                      retries={"max_attempts": 3}))


S3 = client()
BUCKET = os.environ.get("BUCKET", "")


def objects(prefix=""):
    for page in S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
        yield from page.get("Contents", [])


def tree(folder, prefix=""):
    """Files below folder == objects below prefix that are no directory markers. The content of a
    symbolic link's object is its target."""
    want = {}
    for base, folders, names in os.walk(folder):
        for name in names + folders:
            path = os.path.join(base, name)
            if not os.path.islink(path) and not os.path.isfile(path):
                continue
            want[prefix + os.path.relpath(path, folder)] = path
    got = {o["Key"]: o["Size"] for o in objects(prefix) if not o["Key"].endswith("/")}
    bad = [f"only in the folder: {k}" for k in sorted(set(want) - set(got))]
    bad += [f"only in the bucket: {k}" for k in sorted(set(got) - set(want))]

    def compare(key):
        body = S3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        if os.path.islink(want[key]):
            content = os.fsencode(os.readlink(want[key]))
        else:
            with open(want[key], "rb") as f:
                content = f.read()
        return None if content == body else f"differs: {key}"

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        bad += [b for b in pool.map(compare, sorted(set(want) & set(got))) if b]
    print("\n".join(bad[:20]) if bad else f"{len(want)} files equal")
    return 1 if bad or not want else 0


def put_parts(key, content, algorithm, sizes):
    """Parts of these sizes, the last again and again."""
    name = "Checksum" + algorithm
    upload = S3.create_multipart_upload(Bucket=BUCKET, Key=key, ChecksumAlgorithm=algorithm)["UploadId"]
    parts, at = [], 0
    while at < len(content):
        size = sizes[min(len(parts), len(sizes) - 1)]
        number = len(parts) + 1
        r = S3.upload_part(Bucket=BUCKET, Key=key, UploadId=upload, PartNumber=number,
                           Body=content[at:at + size], ChecksumAlgorithm=algorithm)
        parts.append({"PartNumber": number, "ETag": r["ETag"], name: r[name]})
        at += size
    S3.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})


def main(argv):
    if len(argv) < 2:
        sys.exit(__doc__)
    command, args = argv[1], argv[2:]
    if command == "mb":
        S3.create_bucket(Bucket=args[0])
    elif command == "rb":
        S3.delete_bucket(Bucket=args[0])
    elif command == "keys":
        for o in objects(*args):
            # The stand-in of a bucket's root comes with the first attributes; asked for by name only.
            if args or o["Key"] != ".pailfs-root":
                print(o["Key"])
    elif command == "put":
        with open(args[1], "rb") as f:
            # Bytes, not the file: a retry must begin at its start.
            checksum = {"ChecksumAlgorithm": args[2]} if len(args) > 2 else {}
            if len(args) > 3:
                put_parts(args[0], f.read(), args[2], [int(size) for size in args[3:]])
            else:
                S3.put_object(Bucket=BUCKET, Key=args[0], Body=f.read(), **checksum)
    elif command == "get":
        S3.download_file(BUCKET, args[0], args[1])
    elif command == "rm":
        for key in args:
            S3.delete_object(Bucket=BUCKET, Key=key)
    elif command == "empty":
        for o in list(objects()):
            S3.delete_object(Bucket=BUCKET, Key=o["Key"])
    elif command == "tree":
        return tree(*args)
    elif command == "fill":
        count, prefix = int(args[0]), args[1] if len(args) > 1 else ""
        size = int(args[2]) if len(args) > 2 else 3
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: S3.put_object(Bucket=BUCKET, Key=f"{prefix}f{i:06}",
                                                  Body=b"x" * size), range(count)))
    elif command == "head":
        r = S3.head_object(Bucket=BUCKET, Key=args[0])
        print(f"size {r['ContentLength']}\netag {r['ETag']}\ntype {r.get('ContentType', '')}")
        for name, value in sorted(r["Metadata"].items()):
            print(f"meta {name} {value}")
    elif command == "uploads":
        for u in S3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
            print(u["Key"], u["UploadId"])
    else:
        sys.exit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
