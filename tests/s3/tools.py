"""Use a devnet's gateway with the command lines that people have: aws, s3cmd, rclone and curl.

Usage: tools.py DEVNET_FOLDER BINARIES
"""

import filecmp
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FOLDER, BINARIES = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
GATEWAY = json.loads((FOLDER / "devnet.json").read_text())["gateway"]
URL, KEY, SECRET = GATEWAY["url"], GATEWAY["access_key_id"], GATEWAY["secret_access_key"]
FILES = 300
LARGE = 40 << 20


def content(seed, length):
    return hashlib.shake_256(str(seed).encode()).digest(length)


def run(*line, **environment):
    # What is set for other services is not for this one.
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    done = subprocess.run(
        [str(part) for part in line], env=own | environment, capture_output=True, text=True, timeout=600
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, line))} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def aws(*line):
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
    return run(BINARIES / "aws", "--endpoint-url", URL, *line, **keys)


def tree(folder):
    for index in range(FILES):
        path = folder / f"{index % 7}" / f"file {index:04} é+&.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(index, 17 * index % 9000))
    (folder / "large.bin").write_bytes(content("large", LARGE))


def same(one, other):
    left, right = ({path.relative_to(root) for path in root.rglob("*") if path.is_file()} for root in (one, other))
    assert left == right, f"{len(left)} files here, {len(right)} there: {sorted(left ^ right)[:5]}"
    _, different, unread = filecmp.cmpfiles(one, other, left, shallow=False)
    assert not different and not unread, (different, unread)


def with_aws(here, back):
    aws("s3", "mb", "s3://aws-tree")
    aws("s3", "sync", here, "s3://aws-tree/tree")
    aws("s3", "sync", "s3://aws-tree/tree", back)
    same(here, back)
    assert aws("s3", "sync", here, "s3://aws-tree/tree").strip() == "", "the second time there is nothing to do"
    (here / "0" / "new.txt").write_bytes(b"new")
    (here / "large.bin").unlink()
    aws("s3", "sync", "--delete", here, "s3://aws-tree/tree")
    listed = aws("s3", "ls", "--recursive", "s3://aws-tree/tree/").strip().splitlines()
    assert len(listed) == FILES + 1, len(listed)
    url = aws("s3", "presign", "s3://aws-tree/tree/0/new.txt").strip()
    assert run("curl", "--fail", "--silent", url) == "new"
    aws("s3", "rb", "--force", "s3://aws-tree")


def with_s3cmd(here, back):
    host = URL.split("://")[1]
    options = ["--no-ssl", "--region=us-east-1", f"--host={host}", f"--host-bucket={host}", f"--access_key={KEY}", f"--secret_key={SECRET}"]

    def s3cmd(*line):
        return run(BINARIES / "s3cmd", "--config=/dev/null", *options, *line)

    s3cmd("mb", "s3://s3cmd-tree")
    s3cmd("put", "--multipart-chunk-size-mb=5", here / "large.bin", "s3://s3cmd-tree/large.bin")
    s3cmd("sync", f"{here}/1/", "s3://s3cmd-tree/1/")
    s3cmd("get", "s3://s3cmd-tree/large.bin", back / "large.bin")
    (back / "1").mkdir()
    s3cmd("sync", "s3://s3cmd-tree/1/", f"{back}/1/")
    same(here / "1", back / "1")
    assert filecmp.cmp(here / "large.bin", back / "large.bin", shallow=False)
    s3cmd("del", "--recursive", "--force", "s3://s3cmd-tree/")
    s3cmd("rb", "s3://s3cmd-tree")


def with_rclone(here, back):
    remote = {
        "RCLONE_CONFIG_CESS_TYPE": "s3",
        "RCLONE_CONFIG_CESS_PROVIDER": "Other",
        "RCLONE_CONFIG_CESS_ENDPOINT": URL,
        "RCLONE_CONFIG_CESS_ACCESS_KEY_ID": KEY,
        "RCLONE_CONFIG_CESS_SECRET_ACCESS_KEY": SECRET,
    }

    def rclone(*line):
        return run("rclone", "--config", "/dev/null", "--transfers", "16", *line, **remote)

    rclone("mkdir", "cess:rclone-tree")
    rclone("sync", here, "cess:rclone-tree/tree")
    rclone("check", here, "cess:rclone-tree/tree")
    rclone("copy", "cess:rclone-tree/tree", back)
    same(here, back)
    rclone("moveto", "cess:rclone-tree/tree/large.bin", "cess:rclone-tree/moved.bin")
    assert rclone("lsf", "cess:rclone-tree").split() == ["moved.bin", "tree/"]
    rclone("purge", "cess:rclone-tree")


def main():
    checks = [with_aws, with_s3cmd]
    if shutil.which("rclone"):
        checks.append(with_rclone)
    else:
        print("rclone is not installed (apt-get install rclone): what it would check is left out")
    for check in checks:
        with tempfile.TemporaryDirectory() as folder:
            here, back = pathlib.Path(folder) / "here", pathlib.Path(folder) / "back"
            back.mkdir()
            tree(here)
            check(here, back)
        print(f"ok {check.__name__}", flush=True)


main()
