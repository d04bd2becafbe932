"""Tries the network from inside a sandbox: reads {name: expression} from its argument, answers {name: outcome}, all at
once. An outcome is what the expression gave, the name of an errno, "timeout" when nothing came for 4 s, or what failed.
"""
import concurrent.futures, errno, json, os, socket, struct, subprocess, sys, time

PATIENCE = 4


def family(address):
    return socket.AF_INET6 if ':' in address else socket.AF_INET


def tcp(address, port, send=None):
    """Connects; with bytes, says whether they came back."""
    with socket.socket(family(address), socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE)
        s.connect((address, port))
        if send is None:
            return 'ok'
        s.sendall(send)
        return 'ok' if s.recv(65536) == send else 'other bytes'


def hears(address, port):
    """What a server says unasked."""
    with socket.create_connection((address, port), PATIENCE) as s:
        return s.recv(100).decode().strip()


def udp(address, port, data=b'hello', count=1):
    with socket.socket(family(address), socket.SOCK_DGRAM) as s:
        s.settimeout(PATIENCE)
        s.connect((address, port))
        for _ in range(count):
            s.send(data)
        return 'ok' if s.recv(65536) == data else 'other bytes'


def ping(address):
    done = subprocess.run(['ping', '-n', '-c1', '-W2', address], capture_output=True, text=True)
    if done.returncode == 0:
        return 'ok'
    said = done.stdout + done.stderr
    for word in ('unreachable', 'not permitted', 'filtered', 'prohibited'):
        if word in said:
            return word
    return 'timeout' if '100% packet loss' in said else said.strip()[-200:]


def resolve(name, kind=socket.AF_UNSPEC):
    found = socket.getaddrinfo(name, None, kind, socket.SOCK_STREAM)
    return ' '.join(sorted({one[4][0] for one in found}))


def query(name, server='198.19.255.254', kind=1, tcp=False, wait=PATIENCE):
    """The answer's code and its number of records; raw, past the C library."""
    labels = b''.join(bytes([len(p)]) + p.encode('latin1') for p in name.split('.') if p) + b'\0'
    ask = struct.pack('>HHHHHH', 7, 0x100, 1, 0, 0, 0) + labels + struct.pack('>HH', kind, 1)
    if tcp:
        with socket.create_connection((server, 53), wait) as s:
            s.sendall(struct.pack('>H', len(ask)) + ask)
            said = s.recv(65536)[2:]
    else:
        with socket.socket(family(server), socket.SOCK_DGRAM) as s:
            s.settimeout(wait)
            s.connect((server, 53))
            s.send(ask)
            said = s.recv(65536)
    _, flags, _, answers = struct.unpack('>HHHH', said[:8])
    code = {0: 'ok', 1: 'FORMERR', 2: 'SERVFAIL', 3: 'NXDOMAIN', 4: 'NOTIMP', 5: 'REFUSED'}[flags & 15]
    return '%s %d' % (code, answers)


def talk(address, port, data, wait=PATIENCE):
    """Sends bytes; what comes until the end or silence."""
    with socket.create_connection((address, port), wait) as s:
        s.sendall(data)
        s.settimeout(1.5)
        heard = b''
        try:
            while chunk := s.recv(65536):
                heard += chunk
        except TimeoutError:
            pass
        return heard.decode('latin1')


def curl(*arguments):
    """What curl prints, or its exit code and message."""
    command = ['curl', '-sS', '-m', str(PATIENCE), '--cacert', '/tmp/ca.pem', *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout if done.returncode == 0 else 'curl %d %s' % (done.returncode, done.stderr.strip())


def reached(*arguments):
    """ok when curl got an answer of a server of the made-up internet, "403" or so when a door answered."""
    said = curl('-w', '\n%{http_code}', *arguments)
    body, _, code = said.rpartition('\n')
    if said.startswith('curl '):
        return ' '.join(said.split()[:2])
    return 'ok' if code == '200' and body.startswith('{"address"') else code


def raw_socket(protocol):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, protocol).close()
    return 'ok'


def opened(kind, type, protocol=0, connect=None):
    with socket.socket(kind, type, protocol) as s:
        s.settimeout(PATIENCE)
        if connect is not None:
            s.connect(connect)
        return 'ok'


def outcome(expression):
    began = time.monotonic()
    try:
        value = eval(expression)
    except TimeoutError:
        value = 'timeout'
    except socket.gaierror as error:
        value = 'no address' if error.errno in (-2, -5, -3) else str(error)
    except OSError as error:
        value = errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        value = 'broken probe: %r' % error
    return [value if isinstance(value, str) else 'ok', time.monotonic() - began]


if __name__ == '__main__':
    tries = json.loads(sys.argv[1])
    with concurrent.futures.ThreadPoolExecutor(max_workers=32) as pool:
        done = dict(zip(tries, pool.map(outcome, tries.values())))
    json.dump(done, sys.stdout)
