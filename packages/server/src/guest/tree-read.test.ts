import { constants } from 'node:os'
import { type FieldBuilder, fields, parseBulk } from '@caisson/protocol/frame-codec'
import { Field, FrameType, LIMITS } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import type { Guest, TreeReading } from './guest.ts'
import { collect, greeted, type ScriptedAgent, settle } from './scripted-agent.test-kit.ts'

const { errno } = constants
const LOST = { code: 'agent_lost' }

function entry(name: string, size = 0, type = 0o100000): FieldBuilder {
  return fields()
    .u64(Field.FILE_TYPE, type)
    .u64(Field.SIZE, size)
    .u64(Field.MODE, 0o644)
    .u64(Field.UID, 0)
    .u64(Field.GID, 0)
    .string(Field.NAME, name)
}

const directory = (name: string) => entry(name, 0, 0o040000)
interface Reading {
  agent: ScriptedAgent
  guest: Guest
  stream: number
  reading: TreeReading
}

async function reading(content = true): Promise<Reading> {
  const { agent, guest } = await greeted()
  const asking = guest.files.readTree('/d', { content })
  const { stream } = await agent.next(FrameType.TREE_READ)
  agent.send(FrameType.OK, stream, directory(''))
  return { agent, guest, stream, reading: await asking }
}

async function texts({ entries }: TreeReading): Promise<[string, string | null][]> {
  const all: [string, string | null][] = []
  for await (const { path, data } of entries)
    all.push([path, data === null ? null : Buffer.concat(await collect(data)).toString()])
  return all
}

describe('reading a tree', () => {
  test('entries come with their contents', async () => {
    const { agent, stream, reading: tree } = await reading()
    let offset = 0
    const send = (one: FieldBuilder) => {
      agent.send(FrameType.ENTRY, stream, one)
      offset += one.encode().length
    }
    send(directory('a'))
    send(entry('a/f', 6))
    agent.bulk(FrameType.DATA, stream, offset, 'abc')
    agent.bulk(FrameType.DATA, stream, offset + 3, 'def')
    offset += 6
    send(entry('empty'))
    agent.send(FrameType.END, stream, fields().u64(Field.SKIPPED, 2))
    expect(await texts(tree)).toEqual([
      ['a', null],
      ['a/f', 'abcdef'],
      ['empty', ''],
    ])
    expect(tree.skipped).toBe(2)
  })

  test('contents that are not read are passed over', async () => {
    const { agent, stream, reading: tree } = await reading()
    const one = entry('f', 4)
    agent.send(FrameType.ENTRY, stream, one)
    agent.bulk(FrameType.DATA, stream, one.encode().length, 'abcd')
    agent.send(FrameType.ENTRY, stream, directory('z'))
    agent.send(FrameType.END, stream)
    expect((await collect(tree.entries)).map(({ path }) => path)).toEqual(['f', 'z'])
  })

  test('contents cannot be read once the next entry was asked for', async () => {
    const { agent, stream, reading: tree } = await reading()
    let offset = 0
    for (const name of ['f', 'g']) {
      const one = entry(name, 4)
      agent.send(FrameType.ENTRY, stream, one)
      offset += one.encode().length
      agent.bulk(FrameType.DATA, stream, offset, 'abcd')
      offset += 4
    }
    agent.send(FrameType.END, stream)
    const iterator = tree.entries[Symbol.asyncIterator]()
    const first = await iterator.next()
    await iterator.next()
    await expect(collect(first.value.data)).rejects.toThrow('too late')
    await iterator.return?.()
  })

  test('what is taken is acknowledged, entries included, and no more than a window waits', async () => {
    const { agent, guest, stream, reading: tree } = await reading()
    const one = entry('f', LIMITS.WINDOW)
    const head = one.encode().length
    const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
    agent.send(FrameType.ENTRY, stream, one)
    for (let at = 0; at < 3; at++) agent.bulk(FrameType.DATA, stream, head + at * chunk.length, chunk)
    await settle()
    expect(agent.count(FrameType.ACK)).toBe(0)
    const { value } = await tree.entries[Symbol.asyncIterator]().next()
    const contents = value.data[Symbol.asyncIterator]()
    await contents.next()
    await contents.next()
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBe(head + 2 * chunk.length)
    agent.bulk(FrameType.DATA, stream, head + 3 * chunk.length, chunk)
    agent.send(FrameType.END, stream)
    await contents.next()
    expect((await contents.next()).value?.length).toBe(chunk.length)
    expect(agent.host.destroyed).toBe(false)
    guest.close()
  })

  test('leaving it cancels, even before anything was asked for', async () => {
    for (const begin of [true, false]) {
      const { agent, stream, reading: tree } = await reading()
      agent.send(FrameType.ENTRY, stream, directory('a'))
      const iterator = tree.entries[Symbol.asyncIterator]()
      if (begin) await iterator.next()
      await iterator.return?.()
      expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
      agent.send(FrameType.ENTRY, stream, directory('late'))
      await settle()
      expect(agent.host.destroyed).toBe(false)
    }
  })

  test('a failure in the middle reaches the reader, and so does a lost connection', async () => {
    const first = await reading()
    first.agent.send(FrameType.ENTRY, first.stream, directory('a'))
    first.agent.error(first.stream, errno.EIO, 'readdir')
    await expect(texts(first.reading)).rejects.toMatchObject({ code: 'file_failed' })
    const second = await reading()
    const waiting = texts(second.reading)
    second.guest.close()
    await expect(waiting).rejects.toMatchObject(LOST)
  })

  const size = entry('f', 3).encode().length
  const breaches: Record<string, (r: Reading) => void> = {
    'data without an entry': ({ agent, stream }) => agent.bulk(FrameType.DATA, stream, 0, 'a'),
    'data for a directory': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, directory('d'))
      agent.bulk(FrameType.DATA, stream, directory('d').encode().length, 'a')
    },
    'more contents than were announced': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, entry('f', 3))
      agent.bulk(FrameType.DATA, stream, size, 'abcd')
    },
    'an entry before the contents are complete': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, entry('f', 3))
      agent.bulk(FrameType.DATA, stream, size, 'ab')
      agent.send(FrameType.ENTRY, stream, entry('g'))
    },
    'an end before the contents are complete': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, entry('f', 3))
      agent.send(FrameType.END, stream)
    },
    'an offset that jumps': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, entry('f', 3))
      agent.bulk(FrameType.DATA, stream, size + 1, 'abc')
    },
    'an offset that does not count the entry': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, entry('f', 3))
      agent.bulk(FrameType.DATA, stream, 0, 'abc')
    },
    'data without bytes': ({ agent, stream }) => {
      agent.send(FrameType.ENTRY, stream, entry('f', 3))
      agent.bulk(FrameType.DATA, stream, size, '')
    },
    'a size that no safe integer is': ({ agent, stream }) =>
      agent.send(FrameType.ENTRY, stream, entry('f').bytes(Field.SIZE, new Uint8Array(8).fill(255))),
    'a second answer': ({ agent, stream }) => agent.send(FrameType.OK, stream, directory('')),
    'a second end': ({ agent, stream }) => {
      agent.send(FrameType.END, stream)
      agent.send(FrameType.END, stream)
    },
    'an event': ({ agent, stream }) => agent.send(FrameType.EVENT, stream),
    'more entries than the window': ({ agent, stream }) => {
      const one = entry('n'.repeat(200))
      const count = Math.ceil(LIMITS.WINDOW / one.encode().length) + 1
      for (let index = 0; index < count; index++) agent.send(FrameType.ENTRY, stream, one)
    },
  }
  for (const [name, breach] of Object.entries(breaches))
    test(`${name} ends the connection`, async () => {
      const setup = await reading()
      breach(setup)
      await setup.guest.closed
      expect(setup.agent.host.destroyed).toBe(true)
    })

  const names = [
    '',
    '.',
    '..',
    '/etc/passwd',
    'a//b',
    'a/',
    'a/../b',
    '../a',
    './a',
    'a\0b',
    'x'.repeat(4097),
  ]
  for (const name of names)
    test(`an entry named ${JSON.stringify(name.slice(0, 12))} ends the connection`, async () => {
      const { agent, guest, stream, reading: tree } = await reading()
      agent.send(FrameType.ENTRY, stream, entry(name))
      await expect(texts(tree)).rejects.toMatchObject(LOST)
      await guest.closed
    })

  test('an entry before the answer ends the connection', async () => {
    const { agent, guest } = await greeted()
    const asking = guest.files.readTree('/d', {})
    agent.send(FrameType.ENTRY, (await agent.next(FrameType.TREE_READ)).stream, entry('a'))
    await expect(asking).rejects.toMatchObject(LOST)
  })
})
