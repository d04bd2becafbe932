"""Makes a tree with everything that a copy may lose, or prints a digest of one: content and metadata."""

import hashlib
import os
import socket
import stat
import sys

SMALL_FILES = 50_000


def make(root):
    os.makedirs(f"{root}/dir/.hidden/.deeper", mode=0o700)
    write(f"{root}/dir/file", b"content")
    os.link(f"{root}/dir/file", f"{root}/dir/hard link")
    os.symlink("file", f"{root}/dir/symbolic")
    os.symlink("/nowhere", f"{root}/dir/dangling")
    os.symlink("loop", f"{root}/dir/loop")
    write(f"{root}/dir/.hidden/.deeper/.file", b"hidden")
    write(f"{root}/dir/néw\nline \udcff", b"a name of bytes")
    with open(f"{root}/dir/sparse", "wb") as sparse:
        sparse.truncate(1 << 30)
        sparse.seek(1 << 29)
        sparse.write(b"in the middle")
    os.setxattr(f"{root}/dir/file", "user.colour", b"\0green")
    os.setxattr(f"{root}/dir", "user.on-a-directory", b"yes")
    os.chmod(f"{root}/dir/file", 0o4751)
    os.utime(f"{root}/dir/file", ns=(1_000_000_001, 1_234_567_890_123_456_789))
    os.mkfifo(f"{root}/dir/fifo", 0o640)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{root}/dir/socket")
    for number in range(SMALL_FILES):
        if number % 1000 == 0:
            os.makedirs(f"{root}/many/{number // 1000}")
        write(f"{root}/many/{number // 1000}/{number}", b"%d" % number)
    os.sync()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def digest(root):
    digest = hashlib.sha256()
    inodes = {}
    for path in walk(root):
        about = os.lstat(path)
        linked = inodes.setdefault((about.st_dev, about.st_ino), len(inodes))
        kind = stat.S_ISDIR(about.st_mode)
        facts = [
            os.fsencode(path),
            about.st_mode,
            about.st_uid,
            about.st_gid,
            about.st_mtime_ns,
            about.st_rdev,
            0 if kind else about.st_nlink,
            0 if kind else linked,
            0 if kind else about.st_size,
        ]
        attributes = os.listxattr(path, follow_symlinks=False)
        facts += sorted((name, os.getxattr(path, name, follow_symlinks=False)) for name in attributes)
        if stat.S_ISLNK(about.st_mode):
            facts.append(os.readlink(os.fsencode(path)))
        if stat.S_ISREG(about.st_mode):
            facts.append(content(path))
        digest.update(repr(facts).encode())
    return digest.hexdigest()


def walk(root):
    yield root
    for entry in sorted(os.listdir(root)):
        path = f"{root}/{entry}"
        if os.path.isdir(path) and not os.path.islink(path):
            yield from walk(path)
        else:
            yield path


def content(path):
    """The data and where the holes are."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        at = 0
        while at < end:
            try:
                at = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            hole = os.lseek(file.fileno(), at, os.SEEK_HOLE)
            digest.update(b"%d %d" % (at, hole))
            digest.update(os.pread(file.fileno(), hole - at, at))
            at = hole
    return digest.hexdigest()


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    print(digest(sys.argv[2]))
