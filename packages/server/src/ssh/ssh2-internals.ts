import type { Socket } from 'node:net'
import type { Connection, ServerChannel, Session } from 'ssh2'

/**
 * What ssh2 1.17 has and does not offer. It writes to the socket without regard to how much waits there, and has no way
 * to say why a channel is refused. The version is pinned; this is the only file to look at when it changes.
 */
interface ConnectionInside {
  _sock: Socket
  _protocol: {
    /** Packets that wait for the end of a key exchange. */
    _queue: unknown[] | undefined
    channelOpenFail(channel: number, reason: number, description: string): void
  }
}

interface ChannelInside {
  outgoing: { state: 'open' | 'eof' | 'closing' | 'closed'; packetSize: number }
  _chunk: unknown
  _chunkcb: unknown
  _chunkErr: unknown
  _chunkcbErr: unknown
}

const inside = (client: Connection) => client as unknown as ConnectionInside
const insideChannel = (channel: ServerChannel) => channel as unknown as ChannelInside

export const socketOf = (client: Connection): Socket => inside(client)._sock

/** Whether a key exchange is under way, during which ssh2 gathers what is written without a bound. */
export const exchangesKeys = (client: Connection): boolean => inside(client)._protocol._queue !== undefined

/** Packets of no bytes would let ssh2 write for ever. */
export function takesPackets(opened: ServerChannel | Session): boolean {
  const { outgoing, _chanInfo } = opened as unknown as {
    outgoing?: { packetSize: number }
    _chanInfo?: { outgoing: { packetSize: number } }
  }
  return ((outgoing ?? _chanInfo?.outgoing)?.packetSize ?? 0) > 0
}

export const isOpen = (channel: ServerChannel): boolean => insideChannel(channel).outgoing.state === 'open'

/** Says "no more from us" and goes on receiving; `end()` would close the channel both ways. */
export function endOutput(channel: ServerChannel): void {
  ;(channel as unknown as { eof(): void }).eof()
}

/**
 * ssh2 keeps what last waited for room in the client's window, and sends it again when the other of stdout and stderr
 * has waited. To be called before a write, when nothing waits.
 */
export function forgetWritten(channel: ServerChannel): void {
  const state = insideChannel(channel)
  state._chunk = undefined
  state._chunkcb = undefined
  state._chunkErr = undefined
  state._chunkcbErr = undefined
}

/** SSH_OPEN_ADMINISTRATIVELY_PROHIBITED and SSH_OPEN_CONNECT_FAILED. */
export type OpenFailure = { reason: 1 | 2; description: string }

/** Refuses channels with a reason. */
export function explainRefusals(client: Connection): (reject: () => void, failure: OpenFailure) => void {
  const protocol = inside(client)._protocol
  const send = protocol.channelOpenFail.bind(protocol)
  let failure: OpenFailure | undefined
  protocol.channelOpenFail = (channel, reason, description) =>
    send(channel, failure?.reason ?? reason, failure?.description ?? description)
  return (reject, because) => {
    failure = because
    try {
      reject()
    } finally {
      failure = undefined
    }
  }
}
