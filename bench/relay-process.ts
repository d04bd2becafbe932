/**
 * The bare peer of every transfer: `relay-process.ts relay <http.sock> <back.sock>` answers GET with what it reads from
 * a unix socket and passes a PUT's body on to it; `relay-process.ts back <back.sock> <file> <times>` stands behind it, sends
 * the file so many times, or takes all, with `/keep` into a file, and answers with its number of bytes. Two processes, as server and agent are.
 * `relay-process.ts echo` is a WebSocket echo on loopback; it prints its port. `relay-process.ts terminal <back.sock>` passes a
 * WebSocket's bytes on to a unix socket, behind which terminal.c stands, and what comes from there back.
 */
import { closeSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'
import { type WebSocket, WebSocketServer } from 'ws'

const PIECE = 256 * 1024

function relay(listen: string, back: string): void {
  const server = createHttpServer({ highWaterMark: PIECE }, (request, response) => {
    const upstream = connect(back)
    upstream.write(request.method === 'GET' ? 'G' : request.url === '/keep' ? 'K' : 'P')
    const done =
      request.method === 'GET'
        ? pipeline(upstream, response)
        : pipeline(request, upstream, { end: true }).then(() => pipeline(upstream, response))
    done.catch(() => response.destroy())
  })
  server.listen(listen, () => process.stdout.write('ready\n'))
}

function back(listen: string, file: string, times: number): void {
  const fd = openSync(file, 'r')
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.once('data', (first) => {
      if (first[0] === 0x47) void send(socket, fd, times)
      else void take(socket, first, first[0] === 0x4b ? `${listen}.kept` : undefined)
    })
  })
  server.listen(listen, () => process.stdout.write('ready\n'))
}

async function send(socket: Socket, fd: number, times: number): Promise<void> {
  const piece = Buffer.allocUnsafe(PIECE)
  for (let i = 0; i < times; i++) {
    for (let at = 0; ; ) {
      const length = readSync(fd, piece, 0, PIECE, at)
      if (length === 0) break
      at += length
      // The buffer is used again, so the bytes must have gone.
      await new Promise<void>((resolve) => socket.write(piece.subarray(0, length), () => resolve()))
    }
  }
  socket.end()
}

async function take(socket: Socket, first: Buffer, file: string | undefined): Promise<void> {
  const fd = file === undefined ? undefined : openSync(file, 'w')
  const keep = (data: Uint8Array) => {
    if (fd !== undefined) writeSync(fd, data)
    return data.length
  }
  let bytes = keep(first.subarray(1))
  for await (const data of socket.iterator({ destroyOnReturn: false })) bytes += keep(data)
  socket.end(`${bytes}`)
  if (fd !== undefined) closeSync(fd)
  if (file !== undefined) rmSync(file)
}

function serve(connected: (ws: WebSocket) => void): void {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false })
  server.on('connection', (ws, request) => {
    request.socket.setNoDelay(true)
    connected(ws)
  })
  server.on('listening', () => process.stdout.write(`${(server.address() as { port: number }).port}\n`))
}

function echo(ws: WebSocket): void {
  ws.on('message', (data, binary) => ws.send(data, { binary }))
}

function terminal(ws: WebSocket, back: string): void {
  const upstream = connect(back)
  ws.on('message', (data) => upstream.write(data as Buffer))
  upstream.on('data', (data) => ws.send(data))
}

const [mode = '', first = '', second = '', times = '1'] = process.argv.slice(2)
if (mode === 'relay') relay(first, second)
else if (mode === 'back') back(first, second, Number(times))
else if (mode === 'terminal') serve((ws) => terminal(ws, first))
else serve(echo)
