import { constants } from 'node:os'
import { fields, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { Field, type Frame, FrameType, LIMITS } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import type { Guest, TreeEntry } from './guest.ts'
import { greeted, type ScriptedAgent, settle } from './scripted-agent.test-kit.ts'

const { errno } = constants
const LOST = { code: 'agent_lost' }

const file = (path: string, text = 'x'): TreeEntry => ({
  ...{ path, type: 'file', size: text.length, data: Buffer.from(text) },
})

describe('writing a tree', () => {
  interface Writing {
    agent: ScriptedAgent
    guest: Guest
    stream: number
    writing: ReturnType<Guest['files']['writeTree']>
  }

  async function writing(entries: AsyncIterable<TreeEntry> | Iterable<TreeEntry>): Promise<Writing> {
    const { agent, guest } = await greeted()
    const asking = guest.files.writeTree('/d', entries, { user: 'u' })
    asking.catch(() => {})
    const { stream } = await agent.next(FrameType.TREE_WRITE)
    agent.send(FrameType.OK, stream)
    return { agent, guest, stream, writing: asking }
  }

  const ack = (agent: ScriptedAgent, stream: number, offset: number) => {
    const payload = Buffer.alloc(8)
    payload.writeBigUInt64LE(BigInt(offset))
    agent.send(FrameType.ACK, stream, payload)
  }

  /** Plays an agent that keeps everything, and tells what came. */
  async function keepAll(agent: ScriptedAgent, stream: number): Promise<Frame[]> {
    const frames: Frame[] = []
    let kept = 0
    for (;;) {
      const frame = await agent.nextOfAny()
      frames.push(frame)
      if (frame.type === FrameType.END) return frames
      if (frame.type === FrameType.DATA) expect(parseBulk(frame.payload).offset).toBe(kept)
      kept += frame.payload.length - (frame.type === FrameType.DATA ? 8 : 0)
      ack(agent, stream, kept)
    }
  }

  test('entries carry everything that was given', async () => {
    const entries: TreeEntry[] = [
      { path: 'd', type: 'directory', mode: 0o40750 },
      { path: 'l', type: 'symlink', link: '../x' },
      { path: 'f', type: 'file', size: 3, data: Buffer.from('abc'), mode: 0o4755, mtimeMs: 1.5 },
    ]
    const { agent, stream, writing: asking } = await writing(entries)
    const frames = await keepAll(agent, stream)
    agent.send(FrameType.OK, stream, fields().u64(Field.COUNT, 3).string(Field.CREATED, '/d/d'))
    expect(await asking).toEqual({ entries: 3, bytes: 3, created: ['/d/d'] })
    const [dir, link, plain, data] = frames.map(({ payload }) => payload) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    expect([parseFields(dir).u64(Field.FILE_TYPE), parseFields(dir).u64(Field.MODE)]).toEqual([
      0o040000, 0o750,
    ])
    expect([parseFields(link).u64(Field.FILE_TYPE), parseFields(link).string(Field.LINK)]).toEqual([
      0o120000,
      '../x',
    ])
    expect([parseFields(plain).u64(Field.MODE), parseFields(plain).u64(Field.SIZE)]).toEqual([0o755, 3])
    expect(parseFields(plain).i64(Field.MTIME_NS)).toBe(1_500_000n)
    expect(String(Buffer.from(parseBulk(data).bytes))).toBe('abc')
  })

  test('a thousand small files are a handful of writes', async () => {
    const entries = Array.from({ length: 1000 }, (_, index) => file(`f${index}`, 'x'.repeat(2000)))
    const { agent, stream, writing: asking } = await writing(entries)
    const frames = await keepAll(agent, stream)
    agent.send(FrameType.OK, stream)
    expect(await asking).toMatchObject({ entries: 1000, bytes: 2_000_000 })
    expect(frames).toHaveLength(2001)
    expect(agent.chunks).toBeLessThan(100)
  })

  test('what is packed leaves while the source takes its time', async () => {
    const more = Promise.withResolvers<void>()
    const source = async function* () {
      yield file('first')
      await more.promise
    }
    const { agent, stream, writing: asking } = await writing(source())
    await agent.next(FrameType.DATA)
    more.resolve()
    await agent.next(FrameType.END)
    agent.send(FrameType.OK, stream)
    expect((await asking).entries).toBe(1)
  })

  test('no more than a window is unacknowledged', async () => {
    const entries = Array.from({ length: 500 }, (_, index) => file(`f${index}`, 'x'.repeat(1000)))
    const { agent, guest } = await writing(entries)
    await settle()
    const sent = agent.take()
    const bulk = sent.reduce(
      (sum, { type, payload }) => sum + payload.length - (type === FrameType.DATA ? 8 : 0),
      0,
    )
    expect(bulk).toBeLessThanOrEqual(LIMITS.WINDOW)
    expect(bulk).toBeGreaterThan(LIMITS.WINDOW - 2000)
    guest.close()
  })

  test('a failure names the entry and counts those before it', async () => {
    const { agent, stream, writing: asking } = await writing([file('a'), file('b'), file('c')])
    await agent.next(FrameType.END)
    const answer = fields().u64(Field.ERRNO, errno.EXDEV).string(Field.MESSAGE, 'open')
    agent.send(FrameType.ERROR, stream, answer.u64(Field.COUNT, 1).string(Field.NAME, 'b'))
    await expect(asking).rejects.toMatchObject({
      details: { path: 'b', user: 'u' },
      cause: { entry: 'b', entries: 1 },
    })
  })

  test('a refusal before any entry does not read the source', async () => {
    const { agent, guest } = await greeted()
    let read = false
    const source = async function* () {
      read = true
      yield file('a')
    }
    const asking = guest.files.writeTree('/d', source(), {})
    agent.error((await agent.next(FrameType.TREE_WRITE)).stream, errno.ENOENT, 'open')
    await expect(asking).rejects.toMatchObject({ code: 'file_not_found', details: { path: '/d' } })
    expect(read).toBe(false)
  })

  const wrong: Record<string, TreeEntry> = {
    'contents that are too short': { path: 'e', type: 'file', size: 5, data: Buffer.from('abc') },
    'contents that are too long': { path: 'e', type: 'file', size: 2, data: Buffer.from('abc') },
    'a name with NUL': file('e\0'),
    'an empty name': file(''),
    'a name that is too long': file('é'.repeat(2048)),
    'a link with NUL': { path: 'e', type: 'symlink', link: 'a\0' },
  }
  for (const [name, bad] of Object.entries(wrong))
    test(`${name} is cancelled`, async () => {
      const { agent, stream, writing: asking } = await writing([file('before'), bad])
      await expect(asking).rejects.toMatchObject({
        code: 'file_failed',
        details: { path: bad.path },
        cause: { entry: bad.path, entries: 1 },
      })
      expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
      await settle()
      expect(agent.host.destroyed).toBe(false)
    })

  test('a source that fails cancels', async () => {
    const source = async function* () {
      yield file('a')
      throw new Error('source broke')
    }
    const { agent, writing: asking } = await writing(source())
    await expect(asking).rejects.toThrow('source broke')
    await agent.next(FrameType.CANCEL)
  })

  test('an abort cancels', async () => {
    const { agent, guest } = await greeted()
    const abort = new AbortController()
    const never = { type: 'file', path: 'a', size: 1, data: stalled() } as const
    const asking = guest.files.writeTree(null, [never], {}, abort.signal)
    agent.send(FrameType.OK, (await agent.next(FrameType.TREE_WRITE)).stream)
    await agent.next(FrameType.ENTRY)
    abort.abort()
    await expect(asking).rejects.toMatchObject({ code: 'aborted' })
    await agent.next(FrameType.CANCEL)
  })

  const breaches: Record<string, (w: Writing) => void> = {
    'an acknowledgement of what was not sent': ({ agent, stream }) => ack(agent, stream, 1e6),
    'an acknowledgement that takes back': ({ agent, stream }) => {
      ack(agent, stream, 2)
      ack(agent, stream, 1)
    },
    'success before the end': ({ agent, stream }) => agent.send(FrameType.OK, stream),
    'a failure after more entries than there are': ({ agent, stream }) =>
      agent.send(FrameType.ERROR, stream, fields().u64(Field.ERRNO, 5).u64(Field.COUNT, 9)),
    data: ({ agent, stream }) => agent.bulk(FrameType.DATA, stream, 0, 'a'),
  }
  for (const [name, breach] of Object.entries(breaches))
    test(`${name} ends the connection`, async () => {
      const setup = await writing([{ path: 'a', type: 'file', size: 1, data: stalled() }])
      await setup.agent.next(FrameType.ENTRY)
      breach(setup)
      await expect(setup.writing).rejects.toMatchObject(LOST)
    })
})

async function* stalled(): AsyncGenerator<Uint8Array> {
  await new Promise(() => {})
}
