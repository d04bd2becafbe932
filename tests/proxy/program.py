"""A web server that does what it is asked to, for the tests of exposed ports. Usage: program.py HOST PORT"""

import asyncio
import base64
import hashlib
import json
import random
import sys
from urllib.parse import parse_qs, urlsplit

BLOCK = hashlib.shake_256(b"caisson").digest(1 << 20)
# What came over every connection, head by head.
heads = []
connections = 0
# Of /blocks, in MiB.
sent = 0
go = asyncio.Event()


async def serve(reader, writer):
    global connections
    connections += 1
    try:
        while await answer_next(reader, writer):
            pass
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def answer_next(reader, writer):
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            heads.append("partial: " + error.partial.decode("latin1"))
        return False
    text = raw.decode("latin1")
    heads.append(text)
    first, *lines = text.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = [line.split(": ", 1) for line in lines]
    given = {name.lower(): value for name, value in headers}
    url = urlsplit(target)
    query = {key: values[0] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
    path = ROUTES.get(url.path, echo)
    if path is early:
        return await early(reader, writer, given, query)
    if path in (websocket, no_websocket, noise_for_websocket):
        return await path(reader, writer, given, query)
    body, trailers = await read_body(reader, given)
    about = {"method": method, "target": target, "headers": headers, "body": body, "trailers": trailers}
    return await path(writer, about, query)


async def read_body(reader, given):
    digest, size, trailers = hashlib.sha256(), 0, []
    if given.get("transfer-encoding") == "chunked":
        while length := int((await reader.readline()).strip(), 16):
            data = await reader.readexactly(length)
            await reader.readexactly(2)
            digest.update(data)
            size += length
        while line := (await reader.readline()).strip():
            trailers.append(line.decode("latin1"))
    left = int(given.get("content-length", "0"))
    while left:
        data = await reader.read(min(left, 1 << 18))
        if not data:
            raise ConnectionError
        digest.update(data)
        size += len(data)
        left -= len(data)
    return {"size": size, "sha256": digest.hexdigest()}, trailers


async def send(writer, status, headers, body=b""):
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    writer.write(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin1") + body)
    await writer.drain()
    return True


async def send_json(writer, value, headers=()):
    body = json.dumps(value).encode()
    given = [("Content-Type", "application/json"), ("Content-Length", len(body)), *headers]
    return await send(writer, "200 Fine", given, body)


async def echo(writer, about, query):
    body = b"" if about["method"] == "HEAD" else json.dumps(about).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", len(json.dumps(about)))]
    return await send(writer, "200 Fine", headers, body)


async def log(writer, about, query):
    return await send_json(writer, {"heads": heads[:-1], "connections": connections, "sent": sent})


async def blocks(writer, about, query):
    global sent
    count = int(query["mib"])
    await send(writer, "200 OK", [("Content-Length", count << 20)])
    for _ in range(count):
        writer.write(BLOCK)
        await writer.drain()
        sent += 1
    return True


async def events(writer, about, query):
    await send(writer, "200 OK", [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")])
    for event in range(3):
        writer.write(chunk(b"data: %d\n\n" % event))
        await writer.drain()
        go.clear()
        await go.wait()
    writer.write(chunk(b""))
    return True


async def next_event(writer, about, query):
    go.set()
    return await send(writer, "204 No Content", [])


async def headers_first(writer, about, query):
    await send(writer, "200 OK", [("Content-Length", "2")])
    go.clear()
    await go.wait()
    writer.write(b"ok")
    return True


async def with_trailers(writer, about, query):
    await send(writer, "200 OK", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")])
    writer.write(chunk(b"body") + b"0\r\nX-Sum: 7\r\n\r\n")
    return True


async def cut(writer, about, query):
    framing = ("Transfer-Encoding", "chunked") if "chunked" in query else ("Content-Length", "1000")
    data = chunk(b"x" * 10) if "chunked" in query else b"x" * 10
    await send(writer, "200 OK", [framing], data)
    if "reset" in query:
        writer.transport.abort()
    return False


async def unframed(writer, about, query):
    await send(writer, "200 OK", [("Connection", "close")], b"until the end")
    return False


async def cookies(writer, about, query):
    wide = "wide=1; Path=/; Domain=localhost; HttpOnly"
    mine = "caisson_port_token=forged; Path=/"
    return await send_json(writer, {}, [("Set-Cookie", "a=1"), ("Set-Cookie", wide), ("Set-Cookie", mine)])


async def meddling(writer, about, query):
    names = ["Clear-Site-Data", "Strict-Transport-Security", "Service-Worker-Allowed", "Alt-Svc"]
    return await send_json(writer, {}, [(name, "x") for name in names])


async def status(writer, about, query):
    return await send(writer, query["line"], [("Content-Length", "0")] if "length" in query else [])


async def hang(writer, about, query):
    await asyncio.sleep(3600)


async def garbage(writer, about, query):
    writer.write(b"no HTTP at all\r\n\r\n")
    return False


async def talkative(writer, about, query):
    """An answer, and another one that nobody asked for."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    return await send(writer, "200 OK", [("Content-Length", "2")], b"ok" + poison)


NOISE = [
    b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Domain=x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\nTrailer: a\r\n\r\n",
    b"HTTP/1.1 101 Switch\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\n\x81\x01a",
]


async def noise(writer, about, query):
    """An answer that went wrong somewhere, the same for the same seed."""
    return broken_answer(writer, query)


async def noise_for_websocket(reader, writer, given, query):
    return broken_answer(writer, query)


def broken_answer(writer, query):
    chance = random.Random(int(query["seed"]))
    whole = bytearray(chance.choice(NOISE))
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(whole))
        whole[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(4))
    writer.write(whole)
    return False


async def close_quietly(writer, about, query):
    """The answer promises another, and the connection ends."""
    await send_json(writer, {})
    return False


async def early(reader, writer, given, query):
    await send(writer, "413 Too Much", [("Content-Length", "0"), ("Connection", "close")])
    return False


async def websocket(reader, writer, given, query):
    accept = hashlib.sha1((given["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    await send(
        writer, "101 Switching Protocols", [*headers, ("Sec-WebSocket-Accept", base64.b64encode(accept).decode())]
    )
    while True:
        first, second = await reader.readexactly(2)
        length = second & 127
        if length > 125:
            length = int.from_bytes(await reader.readexactly(2 if length == 126 else 8), "big")
        mask = await reader.readexactly(4)
        data = await reader.readexactly(length)
        plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        size = bytes([length]) if length < 126 else b"\x7e" + length.to_bytes(2, "big")
        writer.write(bytes([first]) + size + plain)
        await writer.drain()
        if first & 15 == 8:
            return False


async def no_websocket(reader, writer, given, query):
    await send(writer, "403 No", [("Content-Length", "2")], b"no")
    return True


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


ROUTES = {
    "/log": log,
    "/blocks": blocks,
    "/events": events,
    "/next": next_event,
    "/headers-first": headers_first,
    "/trailers": with_trailers,
    "/cut": cut,
    "/unframed": unframed,
    "/cookies": cookies,
    "/meddling": meddling,
    "/status": status,
    "/hang": hang,
    "/garbage": garbage,
    "/talkative": talkative,
    "/noise": noise,
    "/noise-for-ws": noise_for_websocket,
    "/close-quietly": close_quietly,
    "/early": early,
    "/ws": websocket,
    "/no-ws": no_websocket,
}


async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]))
    print("listening", flush=True)
    await server.serve_forever()


asyncio.run(main())
