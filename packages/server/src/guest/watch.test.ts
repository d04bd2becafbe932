import { constants } from 'node:os'
import { type FieldBuilder, fields, parseFields } from '@caisson/protocol/frame-codec'
import { Change, Field, FrameType } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import type { Guest, GuestFileChange } from './guest.ts'
import { collect, greeted, type ScriptedAgent, settle } from './scripted-agent.test-kit.ts'

const { errno } = constants
const event = (change: Change, name: string) =>
  fields().u64(Field.CHANGE, Change[change]).string(Field.NAME, name)

interface Watched {
  agent: ScriptedAgent
  guest: Guest
  stream: number
  events: AsyncIterable<GuestFileChange>
  abort: AbortController
}

async function watched(): Promise<Watched> {
  const { agent, guest } = await greeted()
  const abort = new AbortController()
  const watching = guest.files.watch('/d', { recursive: true }, abort.signal)
  const { stream, payload } = await agent.next(FrameType.FILE_WATCH)
  expect(parseFields(payload).u64(Field.RECURSIVE)).toBe(1)
  agent.send(FrameType.OK, stream)
  return { agent, guest, stream, events: await watching, abort }
}

describe('watching', () => {
  test('changes are told until the directory goes', async () => {
    const { agent, stream, events } = await watched()
    const told: FieldBuilder[] = [
      event('create', 'a/b').u64(Field.FILE_TYPE, 0o040000),
      event('rename', 'a').string(Field.TARGET, 'c d'),
      fields().u64(Field.CHANGE, Change.overflow),
      event('remove', ''),
    ]
    for (const one of told) agent.send(FrameType.EVENT, stream, one)
    agent.send(FrameType.END, stream)
    expect(await collect(events)).toEqual([
      { type: 'create', path: 'a/b', target: null, fileType: 'directory' },
      { type: 'rename', path: 'a', target: 'c d', fileType: null },
      { type: 'overflow', path: '', target: null, fileType: null },
      { type: 'remove', path: '', target: null, fileType: null },
    ])
  })

  test('leaving the iteration cancels, and so does the signal at any time', async () => {
    const left = await watched()
    left.agent.send(FrameType.EVENT, left.stream, event('write', 'f'))
    for await (const _ of left.events) break
    expect((await left.agent.next(FrameType.CANCEL)).stream).toBe(left.stream)
    const aborted = await watched()
    const collecting = collect(aborted.events)
    aborted.abort.abort()
    await expect(collecting).rejects.toMatchObject({ code: 'aborted' })
    expect((await aborted.agent.next(FrameType.CANCEL)).stream).toBe(aborted.stream)
    aborted.agent.send(FrameType.EVENT, aborted.stream, event('write', 'late'))
    await settle()
    expect(aborted.agent.host.destroyed).toBe(false)
  })

  test('a refusal, a failure and a lost agent are told', async () => {
    const { agent, guest } = await greeted()
    const refused = guest.files.watch('/none', {})
    agent.error((await agent.next(FrameType.FILE_WATCH)).stream, errno.ENOENT, 'watch')
    await expect(refused).rejects.toMatchObject({ code: 'file_not_found' })
    const failing = await watched()
    failing.agent.error(failing.stream, errno.EIO, 'read')
    await expect(collect(failing.events)).rejects.toMatchObject({ code: 'file_failed' })
    const losing = await watched()
    losing.guest.close()
    await expect(collect(losing.events)).rejects.toMatchObject({ code: 'agent_lost' })
  })

  test('whoever is slow is told that events are missing', async () => {
    const { agent, stream, events } = await watched()
    for (let index = 0; index < 10_000; index++)
      agent.send(FrameType.EVENT, stream, event('write', `${index}`))
    agent.send(FrameType.END, stream)
    await settle()
    const all = await collect(events)
    expect(all.length).toBeLessThan(5000)
    expect(all.at(-1)?.type).toBe('overflow')
    expect(all.filter(({ type }) => type === 'overflow')).toHaveLength(1)
  })

  test('events go on after an overflow', async () => {
    const { agent, stream, events } = await watched()
    for (let index = 0; index < 5000; index++) agent.send(FrameType.EVENT, stream, event('write', 'x'))
    await settle()
    const iterator = events[Symbol.asyncIterator]()
    for (let one = await iterator.next(); one.value.type !== 'overflow'; ) one = await iterator.next()
    agent.send(FrameType.EVENT, stream, event('create', 'after'))
    expect((await iterator.next()).value).toMatchObject({ type: 'create', path: 'after' })
  })

  const breaches: Record<string, (w: Watched) => void> = {
    'an unknown change': ({ agent, stream }) =>
      agent.send(FrameType.EVENT, stream, fields().u64(Field.CHANGE, 99).string(Field.NAME, 'a')),
    'no change': ({ agent, stream }) => agent.send(FrameType.EVENT, stream, fields().string(Field.NAME, 'a')),
    'no name': ({ agent, stream }) =>
      agent.send(FrameType.EVENT, stream, fields().u64(Field.CHANGE, Change.write)),
    'a name that leaves the directory': ({ agent, stream }) =>
      agent.send(FrameType.EVENT, stream, event('write', '../x')),
    'an absolute name': ({ agent, stream }) => agent.send(FrameType.EVENT, stream, event('write', '/x')),
    'a name with NUL': ({ agent, stream }) => agent.send(FrameType.EVENT, stream, event('write', 'a\0')),
    'a rename to nowhere': ({ agent, stream }) => agent.send(FrameType.EVENT, stream, event('rename', 'a')),
    'a rename out of the directory': ({ agent, stream }) =>
      agent.send(FrameType.EVENT, stream, event('rename', 'a').string(Field.TARGET, '../b')),
    'a target of something else': ({ agent, stream }) =>
      agent.send(FrameType.EVENT, stream, event('write', 'a').string(Field.TARGET, 'b')),
    'a second answer': ({ agent, stream }) => agent.send(FrameType.OK, stream),
    data: ({ agent, stream }) => agent.bulk(FrameType.DATA, stream, 0, 'a'),
  }
  for (const [name, breach] of Object.entries(breaches))
    test(`${name} ends the connection`, async () => {
      const setup = await watched()
      breach(setup)
      await expect(collect(setup.events)).rejects.toMatchObject({ code: 'agent_lost' })
      await setup.guest.closed
    })

  test('an event before the answer ends the connection', async () => {
    const { agent, guest } = await greeted()
    const watching = guest.files.watch('/d', {})
    agent.send(FrameType.EVENT, (await agent.next(FrameType.FILE_WATCH)).stream, event('write', 'a'))
    await expect(watching).rejects.toMatchObject({ code: 'agent_lost' })
  })
})
