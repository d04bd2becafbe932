/** A resident process of one network namespace: does what lines of JSON ask for, and answers each with one. */
import { createSocket, type Socket as Datagrams } from 'node:dgram'
import { connect, createServer, isIPv6, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export interface Asked {
  id: number
  does: 'serve' | 'serve-datagrams' | 'connect' | 'say' | 'close' | 'datagrams' | 'ask'
  address?: string
  port?: number
  from?: string
  handle?: number
  text?: string
  /** Milliseconds after which silence is the answer. */
  patience?: number
}
export type Answered = { id: number; value: string | number }

const sockets = new Map<number, Socket | Datagrams>()
let handles = 0
const keep = (socket: Socket | Datagrams): number => {
  sockets.set(++handles, socket)
  return handles
}
const codeOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error)

/** Echoes; the first line of a connection says where it comes from. */
function serveStreams(address: string, port: number): Promise<string> {
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy())
    socket.write(`from ${socket.remoteAddress}\n`)
    socket.pipe(socket)
  })
  return new Promise((resolve) => {
    server.on('error', (error) => resolve(codeOf(error)))
    server.listen(port, address, () => resolve('ok'))
  })
}

function serveDatagrams(address: string, port: number): Promise<string> {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  socket.on('message', (message, from) =>
    socket.send(`from ${from.address} ${message}`, from.port, from.address),
  )
  return new Promise((resolve) => {
    socket.on('error', (error) => resolve(codeOf(error)))
    socket.bind(port, address, () => resolve('ok'))
  })
}

/** The next bytes of a stream, or how it ended. */
function next(socket: Socket, patience: number): Promise<string> {
  return new Promise((resolve) => {
    const done = (what: string): void => {
      clearTimeout(timer)
      socket.removeAllListeners('data').removeAllListeners('error').removeAllListeners('close')
      socket.on('error', () => {})
      resolve(what)
    }
    const timer = setTimeout(done, patience, 'silence')
    socket.on('data', (data) => done(data.toString().trim()))
    socket.on('error', (error) => done(codeOf(error)))
    socket.on('close', () => done('closed'))
  })
}

async function open(asked: Asked): Promise<string | number> {
  const socket = connect({
    host: asked.address ?? '',
    port: asked.port ?? 0,
    ...(asked.from && { localAddress: asked.from }),
    noDelay: true,
  })
  const first = await next(socket, asked.patience ?? 5000)
  if (!first.startsWith('from ')) {
    socket.destroy()
    return first
  }
  return asked.text === 'who' ? first : keep(socket)
}

function datagrams(asked: Asked): Promise<number> {
  const socket = createSocket(isIPv6(asked.address ?? '') ? 'udp6' : 'udp4')
  const opened = new Promise<number>((resolve) => {
    socket.on('connect', () => resolve(keep(socket)))
  })
  socket.bind(0, asked.from, () => socket.connect(asked.port ?? 0, asked.address))
  return opened
}

function askDatagram(socket: Datagrams, text: string, patience: number): Promise<string> {
  return new Promise((resolve) => {
    const done = (what: string): void => {
      clearTimeout(timer)
      socket.removeAllListeners('message').removeAllListeners('error')
      socket.on('error', () => {})
      resolve(what)
    }
    const timer = setTimeout(done, patience, 'silence')
    socket.removeAllListeners('error')
    socket.on('message', (message) => done(message.toString()))
    socket.on('error', (error) => done(codeOf(error)))
    socket.send(text)
  })
}

async function obey(asked: Asked): Promise<string | number> {
  const socket = sockets.get(asked.handle ?? 0)
  const patience = asked.patience ?? 5000
  if (asked.does === 'connect') return open(asked)
  if (asked.does === 'datagrams') return datagrams(asked)
  if (asked.does === 'serve') return serveStreams(asked.address ?? '', asked.port ?? 0)
  if (asked.does === 'serve-datagrams') return serveDatagrams(asked.address ?? '', asked.port ?? 0)
  if (!socket) return 'no such handle'
  if (asked.does === 'ask') return askDatagram(socket as Datagrams, asked.text ?? '', patience)
  if (asked.does === 'close') {
    if ('destroy' in socket) socket.destroy()
    else socket.close()
    return 'ok'
  }
  const answer = next(socket as Socket, patience)
  ;(socket as Socket).write(`${asked.text}\n`)
  return answer
}

const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const asked = JSON.parse(line) as Asked
  const value = await obey(asked).catch(codeOf)
  process.stdout.write(`${JSON.stringify({ id: asked.id, value } satisfies Answered)}\n`)
})
lines.on('close', () => process.exit(0))
