import { constants } from 'node:os'
import type { Duplex } from 'node:stream'
import { fields, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { Field, FrameType, LIMITS } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import type { Guest } from './guest.ts'
import { collect, greeted, type ScriptedAgent, settle } from './scripted-agent.test-kit.ts'

const { errno } = constants
const chunk = new Uint8Array(LIMITS.MAX_CHUNK)

interface Dialled {
  agent: ScriptedAgent
  guest: Guest
  stream: number
  socket: Duplex
}

async function dialled(): Promise<Dialled> {
  const { agent, guest } = await greeted()
  const dialling = guest.dial(80)
  const { stream } = await agent.next(FrameType.DIAL)
  agent.send(FrameType.OK, stream)
  return { agent, guest, stream, socket: await dialling }
}

const ack = (agent: ScriptedAgent, stream: number, offset: number) => {
  const payload = Buffer.alloc(8)
  payload.writeBigUInt64LE(BigInt(offset))
  agent.send(FrameType.ACK, stream, payload)
}

/** The error that a connection ends with. */
function failure(socket: Duplex): Promise<Error> {
  return new Promise((resolve) => socket.once('error', resolve))
}

describe('connections to ports', () => {
  test('the port is asked for, and what refuses is port_closed', async () => {
    const { agent, guest } = await greeted()
    const dialling = guest.dial(8080)
    const { stream, payload } = await agent.next(FrameType.DIAL)
    expect(parseFields(payload).u64(Field.PORT)).toBe(8080)
    agent.error(stream, errno.ECONNREFUSED, 'connect')
    await expect(dialling).rejects.toMatchObject({
      code: 'port_closed',
      details: { sandbox: 'sbx_1', port: 8080, reason: 'connect: connection refused' },
    })
  })

  test('bytes go both ways, and each side ends by itself', async () => {
    const { agent, guest, stream, socket } = await dialled()
    socket.write('ping')
    const sent = parseBulk((await agent.next(FrameType.DATA)).payload)
    expect([sent.offset, String(Buffer.from(sent.bytes))]).toEqual([0, 'ping'])
    socket.end('!')
    expect(parseBulk((await agent.next(FrameType.DATA)).payload).offset).toBe(4)
    await agent.next(FrameType.END)
    agent.bulk(FrameType.DATA, stream, 0, 'pong')
    agent.send(FrameType.END, stream)
    expect(Buffer.concat(await collect<Buffer>(socket)).toString()).toBe('pong')
    // The acknowledgement of the last bytes may come late.
    ack(agent, stream, 5)
    await settle()
    expect([agent.count(FrameType.CANCEL), agent.host.destroyed]).toEqual([0, false])
    guest.close()
  })

  test('the host may go on after the other end has ended', async () => {
    const { agent, stream, socket } = await dialled()
    agent.send(FrameType.END, stream)
    expect(await collect(socket.iterator({ destroyOnReturn: false }))).toEqual([])
    socket.end('late')
    expect(String(Buffer.from(parseBulk((await agent.next(FrameType.DATA)).payload).bytes))).toBe('late')
    await agent.next(FrameType.END)
  })

  test('what is sent stays within the window', async () => {
    const { agent, guest, stream, socket } = await dialled()
    let written = false
    socket.write(new Uint8Array(LIMITS.WINDOW + 10), () => {
      written = true
    })
    await settle()
    expect([agent.count(FrameType.DATA), written]).toEqual([4, false])
    ack(agent, stream, 1000)
    await settle()
    expect([agent.count(FrameType.DATA), written]).toEqual([5, true])
    guest.close()
  })

  test('what is not read is not acknowledged', async () => {
    const { agent, guest, stream, socket } = await dialled()
    for (let at = 0; at < LIMITS.WINDOW; at += chunk.length) agent.bulk(FrameType.DATA, stream, at, chunk)
    await settle()
    expect(agent.count(FrameType.ACK)).toBe(0)
    let read = 0
    socket.on('data', (data: Buffer) => {
      read += data.length
    })
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBeGreaterThanOrEqual(chunk.length)
    await settle()
    expect(read).toBe(LIMITS.WINDOW)
    guest.close()
  })

  test('a reset of the other end destroys it', async () => {
    const { agent, stream, socket } = await dialled()
    const failed = failure(socket)
    agent.error(stream, errno.ECONNRESET, 'read')
    expect(String(await failed)).toMatch(/port 80 broke: read: connection reset/)
    await settle()
    expect([socket.destroyed, agent.count(FrameType.CANCEL), agent.host.destroyed]).toEqual([true, 0, false])
  })

  test('a lost agent destroys it, with a write that waits', async () => {
    const { guest, socket } = await dialled()
    socket.write(new Uint8Array(2 * LIMITS.WINDOW))
    await settle()
    const failed = failure(socket)
    guest.close()
    expect(await failed).toMatchObject({ code: 'agent_lost' })
  })

  test('destroying it cancels', async () => {
    const { agent, stream, socket } = await dialled()
    socket.destroy()
    expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
    agent.bulk(FrameType.DATA, stream, 0, 'late')
    await settle()
    expect(agent.host.destroyed).toBe(false)
  })

  test('an abort cancels the dialling and nothing later', async () => {
    const { agent, guest } = await greeted()
    const abort = new AbortController()
    const dialling = guest.dial(80, abort.signal)
    const { stream } = await agent.next(FrameType.DIAL)
    abort.abort()
    await expect(dialling).rejects.toMatchObject({ code: 'aborted' })
    expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
    const later = new AbortController()
    const second = guest.dial(80, later.signal)
    agent.send(FrameType.OK, (await agent.next(FrameType.DIAL)).stream)
    const socket = await second
    later.abort()
    await settle()
    expect(socket.destroyed).toBe(false)
    guest.close()
  })

  test('connections leave room for other requests', async () => {
    const { agent, guest } = await greeted()
    const dialling = Array.from({ length: LIMITS.MAX_REQUESTS }, () =>
      guest.dial(80).catch((error) => error.code),
    )
    await settle()
    const taken = agent.count(FrameType.DIAL)
    expect(taken).toBeLessThan(LIMITS.MAX_REQUESTS)
    expect(await Promise.all(dialling.slice(taken))).toEqual(
      Array.from({ length: LIMITS.MAX_REQUESTS - taken }, () => 'too_many'),
    )
    void guest.files.stat('/', {}).catch(() => {})
    await agent.next(FrameType.FILE_STAT)
    guest.close()
  })

  const breaches: Record<string, (d: Dialled) => void> = {
    'data that jumps': ({ agent, stream }) => agent.bulk(FrameType.DATA, stream, 1, 'a'),
    'data without bytes': ({ agent, stream }) => agent.bulk(FrameType.DATA, stream, 0, ''),
    'data after the end': ({ agent, stream }) => {
      agent.send(FrameType.END, stream)
      agent.bulk(FrameType.DATA, stream, 0, 'a')
    },
    'two ends': ({ agent, stream }) => {
      agent.send(FrameType.END, stream)
      agent.send(FrameType.END, stream)
    },
    'a second answer': ({ agent, stream }) => agent.send(FrameType.OK, stream),
    'an acknowledgement of what was not sent': ({ agent, stream }) => ack(agent, stream, 1),
    'more than the window': ({ agent, stream }) => {
      for (let at = 0; at <= LIMITS.WINDOW; at += chunk.length) agent.bulk(FrameType.DATA, stream, at, chunk)
    },
    'an entry': ({ agent, stream }) => agent.send(FrameType.ENTRY, stream, fields()),
  }
  for (const [name, breach] of Object.entries(breaches))
    test(`${name} ends the connection to the agent`, async () => {
      const setup = await dialled()
      const failed = failure(setup.socket)
      breach(setup)
      expect(await failed).toMatchObject({ code: 'agent_lost' })
      await setup.guest.closed
    })

  test('data before the answer ends the connection to the agent', async () => {
    const { agent, guest } = await greeted()
    const dialling = guest.dial(80)
    agent.bulk(FrameType.DATA, (await agent.next(FrameType.DIAL)).stream, 0, 'a')
    await expect(dialling).rejects.toMatchObject({ code: 'agent_lost' })
  })
})
