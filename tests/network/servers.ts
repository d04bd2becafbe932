/** The servers of one made-up network, in a process of their own; told what to serve, and asked what was seen, over IPC. */
import { createSocket } from 'node:dgram'
import { createServer as createHttp, type RequestListener, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import { createServer as createTls, TLSSocket } from 'node:tls'
import type { Certificates } from './certificates.ts'
import { serveDns, setZone } from './dns-server.ts'
import { type DnsRecord, PORTS, type Seen } from './places.ts'
import { upgradeToEcho } from './websocket.ts'

/** What the test says. */
export type Order =
  | { op: 'serve'; addresses: string[]; certificates: Certificates }
  | { op: 'seen' }
  | { op: 'forget' }
  | { op: 'zone'; name: string; records: DnsRecord[] | { turns: DnsRecord[][] } }

const log: Seen[] = []
const see = (seen: Seen): void => void log.push(seen)
const plain = (address: string | undefined) => (address ?? '').replace(/^::ffff:/, '')

process.on('disconnect', () => process.exit(0))
process.on('message', (order: Order) => void obey(order).then((result) => process.send!({ result })))

async function obey(order: Order): Promise<unknown> {
  switch (order.op) {
    case 'serve':
      return serve(order.addresses, order.certificates)
    case 'seen':
      return log
    case 'forget':
      log.length = 0
      return null
    case 'zone':
      return setZone(order.name, order.records) ?? null
  }
}

async function serve(addresses: string[], certificates: Certificates): Promise<null> {
  const keys = { cert: certificates.cert, key: certificates.key }
  for (const port of PORTS.tcpEcho) await listen(createServer(noted(echo)), port)
  await listen(createServer(noted(speakFirst)), PORTS.early)
  await listen(createServer(noted(tick)), PORTS.ticks)
  await listen(createServer(noted(flood)), PORTS.flood)
  for (const port of PORTS.http) await listen(http(createHttp()), port)
  for (const port of PORTS.https)
    await listen(http(createHttps({ ...keys, ALPNProtocols: ['http/1.1'] })), port)
  await listen(createTls(keys, noted(echo)), PORTS.dot)
  for (const address of addresses) for (const port of PORTS.udpEcho) await echoDatagrams(address, port)
  await serveDns(addresses, PORTS.dns, see)
  return null
}

const listen = (server: NetServer | Server, port: number): Promise<void> =>
  new Promise((resolve, reject) => server.once('error', reject).listen(port, '::', () => resolve()))

/** A connection that is in the log, and whose errors are nobody's. */
const noted = (serveOne: (socket: Socket) => void) => (socket: Socket) => {
  socket.on('error', () => {})
  note(socket, socket instanceof TLSSocket ? 'tls' : 'tcp')
  serveOne(socket)
}

function note(socket: Socket, kind: Seen['kind'], name: string | null = null, what = ''): void {
  const { localAddress, localPort = 0, remoteAddress } = socket
  see({ address: plain(localAddress), port: localPort, kind, from: plain(remoteAddress), name, what })
}

const echo = (socket: Socket): void => void socket.pipe(socket)

function speakFirst(socket: Socket): void {
  socket.write('220 made-up ESMTP\r\n')
  socket.pipe(socket)
}

function tick(socket: Socket): void {
  let count = 0
  const timer = setInterval(() => socket.write(`${count++}\n`), 20)
  socket.on('close', () => clearInterval(timer))
  socket.resume()
}

function flood(socket: Socket): void {
  const chunk = Buffer.alloc(65_536, 'x')
  const fill = () => {
    while (socket.writable && socket.write(chunk));
  }
  socket.on('drain', fill).resume()
  fill()
}

function http<S extends Server>(server: S): S {
  server.on('request', answer)
  server.on('connect', (request, socket: Socket) => {
    note(socket, 'http', request.headers.host ?? null, `CONNECT ${request.url}`)
    socket.end('HTTP/1.1 405 Method Not Allowed\r\n\r\n')
  })
  server.on('upgrade', (request, socket: Socket) => {
    note(socket, 'http', request.headers.host ?? null, `UPGRADE ${request.url}`)
    upgradeToEcho(request, socket)
  })
  server.on('connection', (socket: Socket) => note(socket, 'tcp'))
  server.on('secureConnection', (socket: TLSSocket) => note(socket, 'tls', socket.servername || null))
  server.on('tlsClientError', () => {})
  return server
}

/** Says who was asked for what; `/bytes/<n>` sends so many, `/redirect/<url>` sends elsewhere, `/drip` a line every 20 ms. */
const answer: RequestListener = (request, response) => {
  const { socket, method, url = '', headers } = request
  note(socket, 'http', headers.host ?? null, `${method} ${url}`)
  const [, verb, ...rest] = url.split('/')
  if (verb === 'bytes') return void response.end(Buffer.alloc(Number(rest[0]), 'x'))
  if (verb === 'redirect') return void response.writeHead(302, { location: rest.join('/') }).end()
  if (verb === 'drip') return drip(response)
  let received = 0
  request.on('data', (data) => (received += data.length))
  request.on('end', () => {
    const sni = socket instanceof TLSSocket ? socket.servername || null : null
    const said = {
      address: plain(socket.localAddress),
      host: headers.host ?? null,
      sni,
      method,
      url,
      received,
    }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(said))
  })
}

function drip(response: Parameters<RequestListener>[1]): void {
  let count = 0
  const timer = setInterval(() => response.write(`${count++}\n`), 20)
  response.on('close', () => clearInterval(timer))
}

/** One socket per address, or replies would come from another address than was spoken to. */
function echoDatagrams(address: string, port: number): Promise<void> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  socket.on('error', () => {})
  socket.on('message', (data, peer) => {
    see({ address, port, kind: 'udp', from: peer.address, name: null, what: data.toString('latin1', 0, 64) })
    socket.send(data, peer.port, peer.address)
  })
  return new Promise((resolve) => socket.bind(port, address, () => resolve()))
}
