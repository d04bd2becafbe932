import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { NetworkAsked } from '@caisson/protocol/resources'
import { type DecodedPacket, decode, encode, type Packet, type RecordType } from 'dns-packet'
import { compilePolicy } from '../../core/network/policy.ts'
import { parseNetwork, permitRanges } from '../../core/network/rules.ts'
import type { NetworkRecord, Observation, Pin, Policy } from '../../core/network/types.ts'
import type { Subject } from '../subject.ts'
import { MessageStream } from './message-stream.ts'

/** A sandbox with rules that remembers what it is told. */
export class FakeSubject implements Subject {
  readonly id = 'sbx_test'
  policy: Policy
  readonly seen: Observation[] = []
  readonly pins: Pin[][] = []
  onPin: (pins: Pin[]) => Promise<void> = async () => {}

  constructor(asked: NetworkAsked) {
    this.policy = policyOf(asked)
  }

  observe(what: Observation): void {
    this.seen.push(what)
  }

  async pin(pins: Pin[]): Promise<void> {
    await this.onPin(pins)
    this.pins.push(pins)
  }
}

export function policyOf(asked: NetworkAsked, permit: string[] = []): Policy {
  const record = parseNetwork(asked, { permit }) as NetworkRecord
  return compilePolicy(record, { permit: permitRanges(permit), host: [] })
}

export type Reply = DecodedPacket & { rcode: string }

export function question(name: string, type: RecordType, more: Partial<Packet> = {}): Buffer {
  return encode({ type: 'query', id: 4711, flags: 0x0100, questions: [{ name, type, class: 'IN' }], ...more })
}

/** Sends a message from a loopback address. @returns null when nothing came within the time */
export async function sendUdp(
  message: Buffer,
  port: number,
  { from = '127.0.0.1', to = '127.0.0.1', patience = 10_000 } = {},
): Promise<Buffer | null> {
  const socket = createSocket(from.includes(':') ? 'udp6' : 'udp4')
  try {
    socket.bind(0, from)
    await once(socket, 'listening')
    const answer = once(socket, 'message', { signal: AbortSignal.timeout(patience) })
    socket.send(message, port, to)
    return (await answer.catch(() => [null]))[0]
  } finally {
    socket.close()
  }
}

export async function askUdp(port: number, message: Buffer): Promise<Reply> {
  const answer = await sendUdp(message, port)
  if (answer === null) throw new Error('no answer')
  return decode(answer) as Reply
}

/** Sends messages over one connection, and reads as many answers, or until it is closed. */
export async function askTcp(port: number, ...messages: Buffer[]): Promise<Reply[]> {
  const socket = connect(port, '127.0.0.1')
  try {
    for (const message of messages) socket.write(MessageStream.frame(message))
    const stream = new MessageStream()
    const answers: Reply[] = []
    for await (const data of socket) {
      answers.push(...stream.push(data).map((answer) => decode(answer) as Reply))
      if (answers.length >= messages.length) break
    }
    return answers
  } finally {
    socket.destroy()
  }
}

export function dataOf(reply: Reply): unknown[] {
  return (reply.answers ?? []).map((answer) => (answer as { data: unknown }).data)
}
