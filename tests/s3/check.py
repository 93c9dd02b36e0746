"""Use a devnet's gateway as people do: with boto3, and a plain HTTP client.

Usage: check.py CESS DEVNET_FOLDER
"""

import base64
import concurrent.futures
import hashlib
import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
from botocore.client import Config
from botocore.exceptions import ClientError

CESS, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
PART = 8 << 20


def client():
    gateway = json.loads((FOLDER / "devnet.json").read_text())["gateway"]
    return boto3.client(
        "s3",
        endpoint_url=gateway["url"],
        aws_access_key_id=gateway["access_key_id"],
        aws_secret_access_key=gateway["secret_access_key"],
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}, max_pool_connections=32),
    )


def cess(*line):
    return subprocess.run([CESS, "--devnet", str(FOLDER), *line], check=True, stdout=subprocess.PIPE).stdout


def content(seed, length):
    return hashlib.shake_256(str(seed).encode()).digest(length)


def code(call, *arguments, **named):
    try:
        call(*arguments, **named)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


def many_small_files(s3):
    files = {f"tree/{index % 7}/file-{index:04}": content(index, 100 + 13 * index % 5000) for index in range(300)}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda item: s3.put_object(Bucket="check", Key=item[0], Body=item[1]), files.items()))
        read = pool.map(lambda key: (key, s3.get_object(Bucket="check", Key=key)["Body"].read()), files)
        assert dict(read) == files
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="check", PaginationConfig={"PageSize": 70})
    listed = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    assert listed == sorted(files), "every key once, in order"
    folded = s3.list_objects_v2(Bucket="check", Prefix="tree/", Delimiter="/")
    assert [entry["Prefix"] for entry in folded["CommonPrefixes"]] == [f"tree/{index}/" for index in range(7)]


def upload_through_a_kill(s3):
    parts = [content(f"part {number}", PART) for number in range(1, 8)] + [content("last", 12345)]
    upload = s3.create_multipart_upload(Bucket="check", Key="large")["UploadId"]
    tags = {}
    for number in (8, 3, 1, 2):
        tags[number] = s3.upload_part(Bucket="check", Key="large", UploadId=upload, PartNumber=number, Body=parts[number - 1])
    cess("devnet", "kill", "gateway-0")
    cess("devnet", "start", "gateway-0")
    there = s3.list_parts(Bucket="check", Key="large", UploadId=upload)["Parts"]
    assert [part["PartNumber"] for part in there] == [1, 2, 3, 8], "nothing that was acknowledged is lost"
    for number in (5, 4, 7, 6):
        tags[number] = s3.upload_part(Bucket="check", Key="large", UploadId=upload, PartNumber=number, Body=parts[number - 1])
    named = [{"PartNumber": number, "ETag": tags[number]["ETag"]} for number in sorted(tags)]
    done = s3.complete_multipart_upload(Bucket="check", Key="large", UploadId=upload, MultipartUpload={"Parts": named})
    assert done["ETag"].endswith('-8"')
    whole = b"".join(parts)
    assert s3.get_object(Bucket="check", Key="large")["Body"].read() == whole
    ranged = s3.get_object(Bucket="check", Key="large", Range=f"bytes={PART - 5}-{PART + 5}")
    assert ranged["Body"].read() == whole[PART - 5 : PART + 6]


def versions_and_conditions(s3):
    s3.put_bucket_versioning(Bucket="check", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="check", Key="versioned", Body=b"one")
    s3.put_object(Bucket="check", Key="versioned", Body=b"two")
    s3.delete_object(Bucket="check", Key="versioned")
    assert code(s3.get_object, Bucket="check", Key="versioned") == "NoSuchKey"
    old = s3.get_object(Bucket="check", Key="versioned", VersionId=first["VersionId"])
    assert old["Body"].read() == b"one"
    s3.put_object(Bucket="check", Key="once", Body=b"1", IfNoneMatch="*")
    assert code(s3.put_object, Bucket="check", Key="once", Body=b"2", IfNoneMatch="*") == "PreconditionFailed"


def parts_have_checksums_of_their_own(s3):
    parts = [content("first", PART), content("second", 1000)]
    upload = s3.create_multipart_upload(Bucket="check", Key="summed", ChecksumAlgorithm="SHA256")["UploadId"]
    named = []
    for number, part in enumerate(parts, 1):
        place = {"Bucket": "check", "Key": "summed", "UploadId": upload, "PartNumber": number}
        done = s3.upload_part(**place, Body=part, ChecksumAlgorithm="SHA256")
        named.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumSHA256": done["ChecksumSHA256"]})
    s3.complete_multipart_upload(Bucket="check", Key="summed", UploadId=upload, MultipartUpload={"Parts": named})
    wanted = ["ETag", "Checksum", "ObjectParts", "ObjectSize"]
    attributes = s3.get_object_attributes(Bucket="check", Key="summed", ObjectAttributes=wanted)
    assert attributes["ObjectSize"] == PART + 1000 and attributes["ObjectParts"]["TotalPartsCount"] == 2
    for number, part in enumerate(parts, 1):
        one = s3.get_object(Bucket="check", Key="summed", PartNumber=number, ChecksumMode="ENABLED")
        assert one["Body"].read() == part
        assert one["ChecksumSHA256"] == base64.b64encode(hashlib.sha256(part).digest()).decode()


def what_is_read_again_comes_from_the_cache(s3):
    def hits():
        cache = json.loads(cess("--json", "gateway", "status"))["cache"]
        return cache["memory_hits"] + cache["disk_hits"]

    first = s3.get_object(Bucket="check", Key="large")["Body"].read()
    before = hits()
    assert s3.get_object(Bucket="check", Key="large")["Body"].read() == first
    assert hits() - before >= len(first) // (65536 + 16), "all of it was kept"


def a_bucket_goes_and_comes_again(s3):
    for round in range(3):
        s3.create_bucket(Bucket="again")
        s3.put_object(Bucket="again", Key="key", Body=b"%d" % round)
        assert s3.get_object(Bucket="again", Key="key")["Body"].read() == b"%d" % round
        s3.delete_object(Bucket="again", Key="key")
        s3.delete_bucket(Bucket="again")
        assert code(s3.get_object, Bucket="again", Key="key") == "NoSuchBucket"


def without_a_key(s3):
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "check", "Key": "tree/0/file-0000"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == content(0, 100)
    bare = url.split("?")[0]
    try:
        urllib.request.urlopen(bare)
        raise AssertionError("nobody may read without a key")
    except urllib.error.HTTPError as error:
        assert error.code == 403
    s3.put_object_acl(Bucket="check", Key="tree/0/file-0000", ACL="public-read")
    request = urllib.request.Request(bare, headers={"Range": "bytes=0-9"})
    assert urllib.request.urlopen(request).read() == content(0, 100)[:10]


def main():
    s3 = client()
    s3.create_bucket(Bucket="check")
    checks = (
        many_small_files,
        upload_through_a_kill,
        parts_have_checksums_of_their_own,
        what_is_read_again_comes_from_the_cache,
        a_bucket_goes_and_comes_again,
        versions_and_conditions,
        without_a_key,
    )
    for check in checks:
        check(s3)
        print(f"ok {check.__name__}")


main()
