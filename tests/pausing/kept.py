"""Holds one of everything that a program can hold, and tells again and again what of it is still right."""
import ctypes, fcntl, hashlib, mmap, os, pty, select, socket, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
os.chdir(os.environ["HOME"])
checks = {}


def kept(make):
    """Makes the thing now; what it returns tells later, as often as wanted, whether it is as it was."""
    checks[make.__name__] = make()


@kept
def memory():
    blob = bytearray(os.urandom(1 << 20)) * int(sys.argv[1])
    known = hashlib.sha256(blob).digest()
    return lambda: hashlib.sha256(blob).digest() == known


@kept
def open_file():
    file = open("open", "w+")

    def check():
        file.write("more")
        file.flush()
        return os.fstat(file.fileno()).st_size == file.tell()

    return check


@kept
def deleted_file():
    file = open("deleted", "w+b")
    file.write(b"d" * 3_000_000)
    file.flush()
    os.unlink("deleted")
    return lambda: os.pread(file.fileno(), 4_000_000, 0) == b"d" * 3_000_000


@kept
def deleted_name():
    file = open("one", "w+b", buffering=0)
    file.write(b"two names")
    os.link("one", "two")
    os.unlink("one")
    return lambda: os.pread(file.fileno(), 99, 0) == b"two names" and not os.path.exists("one")


@kept
def pipe():
    read, write = os.pipe()
    os.write(write, b"queued")

    def check():
        said = os.read(read, 99)
        os.write(write, said)
        return said == b"queued"

    return check


def talk(near, far):
    near.send(b"in flight")

    def check():
        said = far.recv(99)
        near.send(said)
        return said == b"in flight"

    return check


@kept
def socket_pair():
    return talk(*socket.socketpair())


@kept
def unix_connection():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind("socket")
    listener.listen()
    near = socket.socket(socket.AF_UNIX)
    near.connect("socket")
    check = talk(near, listener.accept()[0])

    def both():
        with socket.socket(socket.AF_UNIX) as another:
            another.connect("socket")
            listener.accept()[0].close()
        return check()

    return both


def tcp(address):
    listener = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    near = socket.create_connection(listener.getsockname()[:2])
    check = talk(near, listener.accept()[0])

    def both():
        with socket.create_connection(listener.getsockname()[:2]):
            listener.accept()[0].close()
        return check()

    return both


@kept
def tcp_connection():
    return tcp("127.0.0.1")


@kept
def tcp_connection_v6():
    return tcp("::1")


@kept
def udp():
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    end.connect(end.getsockname())

    def check():
        end.send(b"to myself")
        return end.recv(99) == b"to myself"

    return check


@kept
def memory_file():
    file = os.memfd_create("kept")
    os.write(file, b"in no file")
    return lambda: os.pread(file, 99, 0) == b"in no file"


@kept
def event_counter():
    counter = os.eventfd(5)

    def check():
        value = os.eventfd_read(counter)
        os.eventfd_write(counter, value)
        return value == 5

    return check


@kept
def epoll():
    read, write = os.pipe()
    queue = select.epoll()
    queue.register(read, select.EPOLLIN)

    def check():
        os.write(write, b".")
        ready = queue.poll(5)
        os.read(read, 1)
        return [fd for fd, _ in ready] == [read] and queue.poll(0) == []

    return check


@kept
def watched_directory():
    os.mkdir("watched")
    queue = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(queue, b"watched", 0x100)
    serial = iter(range(10**9))

    def check():
        open(f"watched/{next(serial)}", "w").close()
        return len(os.read(queue, 4096)) > 0

    return check


@kept
def shared_memory():
    file = open("/dev/shm/kept", "w+b")
    file.truncate(4096)
    area = mmap.mmap(file.fileno(), 4096)
    area[:6] = b"shared"
    return lambda: open("/dev/shm/kept", "rb").read(6) == b"shared" == area[:6]


@kept
def lock():
    file = open("lock", "w")
    fcntl.flock(file, fcntl.LOCK_EX)

    def check():
        try:
            with open("lock") as other:
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return file is not None
        return False

    return check


@kept
def threads():
    turns = [0] * 4

    def run(index):
        while True:
            time.sleep(0.01)
            turns[index] += 1

    for index in range(len(turns)):
        threading.Thread(target=run, args=[index], daemon=True).start()

    def check():
        before = list(turns)
        time.sleep(0.2)
        return all(now > then for now, then in zip(turns, before))

    return check


@kept
def child():
    echo = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def check():
        echo.stdin.write(b"said")
        return echo.stdout.read(99) == b"said"

    return check


@kept
def terminal():
    outer, inner = pty.openpty()

    def check():
        os.write(outer, b"typed\n")
        said = os.read(inner, 99)
        os.read(outer, 99)
        return said == b"typed\n" and os.isatty(inner)

    return check


@kept
def zombie():
    pid = os.fork()
    if pid == 0:
        os._exit(7)

    def check():
        ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return ended.si_status == 7

    return check


@kept
def process_descriptor():
    sleeper = subprocess.Popen(["sleep", "infinity"])
    descriptor = os.pidfd_open(sleeper.pid)
    return lambda: select.select([descriptor], [], [], 0)[0] == [] and sleeper.poll() is None


@kept
def clock():
    last = [time.monotonic()]

    def check():
        before, last[0] = last[0], time.monotonic()
        return last[0] >= before

    return check


def verdict(name):
    try:
        return None if checks[name]() else name
    except Exception as error:
        return f"{name}: {error!r}"


while True:
    wrong = [said for said in map(verdict, checks) if said is not None]
    print(", ".join(wrong) or "all right", flush=True)
    time.sleep(0.1)
