import { fields } from '@caisson/protocol/frame-codec'
import { Field, FrameType, LIMITS } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import { connectGuest } from './connect.ts'
import {
  collect,
  greeted,
  NONCE,
  ScriptedAgent,
  SILENT,
  type Started,
  settle,
  started,
} from './scripted-agent.test-kit.ts'

const LOST = { code: 'agent_lost' }

/** A bulk payload with an offset that no safe integer is. */
function hugeOffset(): Uint8Array {
  const payload = new Uint8Array(9)
  payload.fill(0xff, 0, 8)
  return payload
}

describe('greeting', () => {
  const breaches: Record<string, (agent: ScriptedAgent) => void> = {
    'another generation': (agent) => agent.hello(fields().u64(Field.GENERATION, 2).bytes(Field.NONCE, NONCE)),
    'no generation': (agent) => agent.hello(fields().bytes(Field.NONCE, NONCE)),
    'no nonce': (agent) => agent.hello(fields().u64(Field.GENERATION, 1)),
    'a short nonce': (agent) =>
      agent.hello(fields().u64(Field.GENERATION, 1).bytes(Field.NONCE, NONCE.subarray(1))),
    'another frame first': (agent) => agent.send(FrameType.OK, 0),
    'a field beyond the payload': (agent) =>
      agent.send(FrameType.HELLO, 0, Uint8Array.of(1, 255, 255, 255, 255)),
    'a frame that is too large': (agent) => agent.raw(Uint8Array.of(1, 0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0)),
    'a header with reserved bytes set': (agent) =>
      agent.raw(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0)),
    'an end of the connection': (agent) => agent.host.destroy(),
  }
  for (const [name, breach] of Object.entries(breaches))
    test(`${name} is agent_lost`, async () => {
      const agent = new ScriptedAgent()
      const connecting = connectGuest(agent.host, { sandbox: 'sbx_1' })
      breach(agent)
      await expect(connecting).rejects.toMatchObject({ ...LOST, details: { sandbox: 'sbx_1' } })
      expect(agent.host.destroyed).toBe(true)
    })

  test('silence is agent_lost after the time that was given', async () => {
    const agent = new ScriptedAgent()
    await expect(connectGuest(agent.host, { sandbox: 'sbx_1', helloMs: 5 })).rejects.toMatchObject(LOST)
    expect(agent.host.destroyed).toBe(true)
  })

  test('an abort closes the channel', async () => {
    const agent = new ScriptedAgent()
    const abort = new AbortController()
    const connecting = connectGuest(agent.host, { sandbox: 'sbx_1', signal: abort.signal })
    abort.abort()
    await expect(connecting).rejects.toMatchObject({ code: 'aborted' })
    expect(agent.host.destroyed).toBe(true)
  })
})

describe('a breach of the protocol ends the connection', () => {
  const breaches: Record<string, (s: Started) => void> = {
    'a second greeting': ({ agent }) => agent.hello(),
    'a frame for a stream that was never opened': ({ agent }) => agent.send(FrameType.OK, 999),
    'an unknown type': ({ agent, stream }) => agent.send(99 as FrameType, stream),
    'output with a gap': ({ agent, stream }) => {
      agent.bulk(FrameType.OUTPUT, stream, 0, 'ab')
      agent.bulk(FrameType.OUTPUT, stream, 3, 'c')
    },
    'output twice': ({ agent, stream }) => {
      agent.bulk(FrameType.OUTPUT, stream, 0, 'ab')
      agent.bulk(FrameType.OUTPUT, stream, 0, 'ab')
    },
    'output without bytes': ({ agent, stream }) => agent.bulk(FrameType.OUTPUT, stream, 0, ''),
    'output without an offset': ({ agent, stream }) =>
      agent.send(FrameType.OUTPUT, stream, new Uint8Array(3)),
    'an offset that is no safe integer': ({ agent, stream }) =>
      agent.send(FrameType.OUTPUT, stream, hugeOffset()),
    'an offset whose end is no safe integer': ({ agent, stream }) =>
      agent.bulk(FrameType.OUTPUT, stream, Number.MAX_SAFE_INTEGER, 'a'),
    'an acknowledgement of what was not sent': ({ agent, stream }) =>
      agent.send(FrameType.ACK, stream, new Uint8Array(8).fill(1, 0, 1)),
    'an exit with code and signal': ({ agent, stream }) =>
      agent.send(FrameType.EXIT, stream, fields().u64(Field.EXIT_CODE, 0).u64(Field.SIGNAL, 9)),
    'an exit with neither': ({ agent, stream }) => agent.send(FrameType.EXIT, stream),
    'an exit code above 255': ({ agent, stream }) =>
      agent.send(FrameType.EXIT, stream, fields().u64(Field.EXIT_CODE, 256)),
    'a signal that Linux does not have': ({ agent, stream }) =>
      agent.send(FrameType.EXIT, stream, fields().u64(Field.SIGNAL, 65)),
    'a number of four bytes': ({ agent, stream }) =>
      agent.send(FrameType.EXIT, stream, fields().bytes(Field.EXIT_CODE, new Uint8Array(4))),
    'two exits': ({ agent, stream }) => {
      agent.send(FrameType.EXIT, stream, fields().u64(Field.EXIT_CODE, 0))
      agent.send(FrameType.EXIT, stream, fields().u64(Field.EXIT_CODE, 0))
    },
    'a wrong total': ({ agent, stream }) => {
      agent.bulk(FrameType.OUTPUT, stream, 0, 'ab')
      agent.send(FrameType.OUTPUT_CLOSED, stream, fields().u64(Field.OFFSET, 3))
    },
    'a close without a total': ({ agent, stream }) => agent.send(FrameType.OUTPUT_CLOSED, stream),
    'output after the total': ({ agent, stream }) => {
      agent.send(FrameType.OUTPUT_CLOSED, stream, fields().u64(Field.OFFSET, 0))
      agent.send(FrameType.OUTPUT_CLOSED, stream, fields().u64(Field.OFFSET, 0))
    },
    'a second start': ({ agent, stream }) =>
      agent.send(FrameType.STARTED, stream, fields().u64(Field.PID, 8)),
    'an answer to no question': ({ agent, stream }) => agent.send(FrameType.OK, stream),
    'file data for an execution': ({ agent, stream }) => agent.bulk(FrameType.DATA, stream, 0, 'a'),
  }
  for (const [name, breach] of Object.entries(breaches))
    test(name, async () => {
      const setup = await started()
      breach(setup)
      await setup.guest.closed
      expect(setup.agent.host.destroyed).toBe(true)
      await expect(setup.guest.files.stat('/', {})).rejects.toMatchObject(LOST)
    })

  test('more output than the window', async () => {
    // This sink never keeps anything, so nothing is ever acknowledged.
    const { agent, guest, stream } = await started({ write: () => new Promise(() => {}) })
    const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
    for (let at = 0; at < LIMITS.WINDOW; at += chunk.length) agent.bulk(FrameType.OUTPUT, stream, at, chunk)
    await settle()
    expect(agent.host.destroyed).toBe(false)
    agent.bulk(FrameType.OUTPUT, stream, LIMITS.WINDOW, 'x')
    await guest.closed
  })

  for (const [name, pid] of [
    ['process 0', 0],
    ['a process beyond Linux', 2 ** 31],
  ] as const)
    test(`a start as ${name}`, async () => {
      const { agent, guest } = await greeted()
      const starting = guest.start({ id: 'e', argv: ['true'], env: {}, stdin: false }, SILENT)
      agent.send(FrameType.STARTED, (await agent.next(FrameType.START)).stream, fields().u64(Field.PID, pid))
      await expect(starting).rejects.toMatchObject(LOST)
    })

  test('output before the start', async () => {
    const { agent, guest } = await greeted()
    const starting = guest.start({ id: 'e', argv: ['true'], env: {}, stdin: false }, SILENT)
    agent.bulk(FrameType.OUTPUT, (await agent.next(FrameType.START)).stream, 0, 'a')
    await expect(starting).rejects.toMatchObject(LOST)
  })

  test('a flood for a stream that is over', async () => {
    const { agent, guest, execution, stream } = await started()
    execution.forget()
    const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
    for (let at = 0; at < LIMITS.WINDOW; at += chunk.length) agent.bulk(FrameType.OUTPUT, stream, at, chunk)
    await settle()
    // A window of it can have been under way.
    expect(agent.host.destroyed).toBe(false)
    for (let frame = 0; frame < 10_000; frame++) agent.send(FrameType.OK, stream)
    await guest.closed
  })
})

describe('hostile files', () => {
  const stat = () =>
    fields()
      .u64(Field.FILE_TYPE, 0o100000)
      .u64(Field.SIZE, 3)
      .u64(Field.MODE, 0o644)
      .u64(Field.UID, 0)
      .u64(Field.GID, 0)

  for (const name of ['', '.', '..', 'a/b', '/etc/passwd', 'a\0b', 'x'.repeat(256)])
    test(`an entry named ${JSON.stringify(name.slice(0, 12))} ends the connection`, async () => {
      const { agent, guest } = await greeted()
      const listing = guest.files.list('/', {})
      agent.send(
        FrameType.ENTRY,
        (await agent.next(FrameType.FILE_LIST)).stream,
        stat().string(Field.NAME, name),
      )
      await expect(listing).rejects.toMatchObject(LOST)
    })

  test('a name that is not UTF-8 is shown with replacement characters', async () => {
    const { agent, guest } = await greeted()
    const listing = guest.files.list('/', {})
    const { stream } = await agent.next(FrameType.FILE_LIST)
    agent.send(FrameType.ENTRY, stream, stat().bytes(Field.NAME, Uint8Array.of(0x61, 0xff, 0x62)))
    agent.send(FrameType.END, stream)
    expect((await listing).map((entry) => entry.name)).toEqual(['a\ufffdb'])
  })

  test('a listing without end is given up', async () => {
    const { agent, guest } = await greeted()
    const listing = guest.files.list('/', {})
    const { stream } = await agent.next(FrameType.FILE_LIST)
    const failed = expect(listing).rejects.toMatchObject({ code: 'file_failed' })
    for (let entry = 0; entry <= 100_000; entry++)
      agent.send(FrameType.ENTRY, stream, stat().string(Field.NAME, `${entry}`))
    await failed
    await agent.next(FrameType.CANCEL)
    expect(agent.host.destroyed).toBe(false)
  })

  const badStats: Record<string, () => ReturnType<typeof stat>> = {
    'no size': () => fields().u64(Field.FILE_TYPE, 0o100000),
    'a mode with more than permissions': () => stat().u64(Field.MODE, 0o100644),
    'a uid above 32 bits': () => stat().u64(Field.UID, 2 ** 32),
    'an owner that is too long': () => stat().string(Field.OWNER, 'x'.repeat(300)),
    'a link that is too long': () => stat().string(Field.LINK, 'x'.repeat(LIMITS.MAX_PATH + 1)),
  }
  for (const [name, bad] of Object.entries(badStats))
    test(`a stat with ${name} ends the connection`, async () => {
      const { agent, guest } = await greeted()
      const asking = guest.files.stat('/', {})
      agent.send(FrameType.OK, (await agent.next(FrameType.FILE_STAT)).stream, bad())
      await expect(asking).rejects.toMatchObject(LOST)
    })

  test('file data with a gap, or beyond the window, ends the connection', async () => {
    for (const offsets of [[1], [0, 2], [0, 1, 3]]) {
      const { agent, guest } = await greeted()
      const reading = guest.files.read('/f', {})
      const { stream } = await agent.next(FrameType.FILE_READ)
      agent.send(FrameType.OK, stream, stat())
      const { data } = await reading
      for (const offset of offsets) agent.bulk(FrameType.DATA, stream, offset, 'a')
      await expect(collect(data)).rejects.toMatchObject(LOST)
    }
    const { agent, guest } = await greeted()
    const reading = guest.files.read('/f', {})
    const { stream } = await agent.next(FrameType.FILE_READ)
    agent.send(FrameType.OK, stream, stat())
    await reading
    const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
    for (let at = 0; at <= LIMITS.WINDOW; at += chunk.length) agent.bulk(FrameType.DATA, stream, at, chunk)
    await guest.closed
  })

  test('the text of an error has no control characters and a bounded length', async () => {
    const { agent, guest } = await greeted()
    const asking = guest.files.stat('/x', {}).catch((error: Error) => error)
    agent.error((await agent.next(FrameType.FILE_STAT)).stream, 5, `\u001b[2J\n${'x'.repeat(100_000)}`)
    const error = await asking
    expect(error).toMatchObject({ code: 'file_failed' })
    expect(String(error)).not.toMatch(/[\u0000-\u001f]/)
    expect(String(error).length).toBeLessThan(600)
  })
})
