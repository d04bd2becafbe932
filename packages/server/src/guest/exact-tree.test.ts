import { constants } from 'node:os'
import { type FieldBuilder, fields, parseFields } from '@caisson/protocol/frame-codec'
import { Field, FrameType, LIMITS } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import type { ExactEntry } from './exact-tree.ts'
import { TreeFailure } from './guest.ts'
import { collect, greeted } from './scripted-agent.test-kit.ts'

const LOST = { code: 'agent_lost' }
const bytes = (text: string) => Buffer.from(text, 'latin1')

function told(name = 'a', type = 0o100000): FieldBuilder {
  const times = fields().u64(Field.FILE_TYPE, type).u64(Field.SIZE, 0).u64(Field.MTIME_NS, 5)
  return times.u64(Field.MODE, 0o4755).u64(Field.UID, 7).u64(Field.GID, 8).bytes(Field.NAME, bytes(name))
}

async function reading() {
  const { agent, guest } = await greeted()
  const asking = guest.files.readExactly('/')
  const { stream, payload } = await agent.next(FrameType.TREE_READ)
  agent.send(FrameType.OK, stream, told('', 0o040000))
  return { agent, stream, asked: parseFields(payload), tree: await asking }
}

describe('reading a tree as it is', () => {
  test('entries come with all that they have', async () => {
    const { agent, stream, asked, tree } = await reading()
    expect([asked.u64(Field.EXACT), asked.u64(Field.CONTENT)]).toEqual([1, 1])
    const id = new Uint8Array(16).fill(9)
    const attribute = bytes('user.x\0\xff\0y')
    agent.send(FrameType.ENTRY, stream, told('\xff').bytes(Field.XATTR, attribute).bytes(Field.FILE_ID, id))
    agent.send(FrameType.ENTRY, stream, told('p', 0o010000))
    agent.send(FrameType.END, stream, fields().u64(Field.SKIPPED, 3))
    const [first, second] = await collect(tree.entries)
    expect(first).toMatchObject({ path: '\xff', type: 'file', mode: 0o4755, uid: 7, gid: 8, mtimeNs: 5n })
    expect(first?.xattrs).toEqual(new Map([['user.x', '\xff\0y']]))
    expect(first?.fileId).toBe('\t'.repeat(16))
    expect(second).toMatchObject({ type: 'fifo', fileId: null, data: null })
    expect(tree.skipped).toBe(3)
  })

  const wrong: Record<string, FieldBuilder> = {
    'a device': told('a', 0o020000),
    'a socket': told('a', 0o140000),
    'no path': told(''),
    'a path that leads out': told('a/../b'),
    'an absolute path': told('/a'),
    'a path with NUL': told('a\0b'),
    'a link without a target': told('a', 0o120000),
    'an attribute without a name': told().bytes(Field.XATTR, bytes('\0x')),
    'an attribute without an end of its name': told().bytes(Field.XATTR, bytes('user.x')),
    'an attribute that is too long': told().bytes(
      Field.XATTR,
      bytes(`user.x\0${'x'.repeat(LIMITS.MAX_XATTRS)}`),
    ),
    'an identity that is too long': told().bytes(Field.FILE_ID, new Uint8Array(17)),
  }
  for (const [what, entry] of Object.entries(wrong))
    test(`${what} ends the connection`, async () => {
      const { agent, stream, tree } = await reading()
      agent.send(FrameType.ENTRY, stream, entry)
      await expect(collect(tree.entries)).rejects.toMatchObject(LOST)
    })
})

describe('writing a tree as it is', () => {
  const meta = { path: 'a', mode: 0o644, uid: 1, gid: 2, mtimeNs: -1n, xattrs: new Map<string, string>() }
  async function writing(...entries: ExactEntry[]) {
    const { agent, guest } = await greeted()
    async function* source() {
      yield* entries
    }
    const result = guest.files.writeExactly('/', source())
    result.catch(() => {})
    const { stream } = await agent.next(FrameType.TREE_WRITE)
    agent.send(FrameType.OK, stream)
    return { agent, stream, result }
  }

  test('entries leave with all that they have, and what was lost is told', async () => {
    const xattrs = new Map([['user.x', '\xff\0']])
    const { agent, stream, result } = await writing(
      { ...meta, path: '\xfe', type: 'fifo', xattrs },
      { ...meta, type: 'hardlink', target: 'b' },
    )
    const first = parseFields((await agent.next(FrameType.ENTRY)).payload)
    expect([...first.bytes(Field.NAME)!]).toEqual([0xfe])
    expect([first.u64(Field.UID), first.u64(Field.GID), first.i64(Field.MTIME_NS)]).toEqual([1, 2, -1n])
    expect(first.all(Field.XATTR).map((each) => Buffer.from(each).toString('latin1'))).toEqual([
      'user.x\0\xff\0',
    ])
    const second = parseFields((await agent.next(FrameType.ENTRY)).payload)
    expect(second.string(Field.TARGET)).toBe('b')
    agent.send(FrameType.OK, stream, fields().u64(Field.COUNT, 2).u64(Field.SKIPPED, 1))
    expect(await result).toEqual({ entries: 2, bytes: 0, lost: 1 })
  })

  const impossible: Record<string, ExactEntry> = {
    'an empty path': { ...meta, path: '', type: 'fifo' },
    'a path with NUL': { ...meta, path: 'a\0', type: 'fifo' },
    'a path that is too long': { ...meta, path: 'x'.repeat(LIMITS.MAX_PATH), type: 'fifo' },
    'a target with NUL': { ...meta, type: 'hardlink', target: '\0' },
    'an empty link': { ...meta, type: 'symlink', link: '' },
    'attributes that are too long': {
      ...meta,
      type: 'fifo',
      xattrs: new Map([['user.x', 'x'.repeat(LIMITS.MAX_XATTRS)]]),
    },
  }
  for (const [what, entry] of Object.entries(impossible))
    test(`${what} does not leave`, async () => {
      const { agent, result } = await writing(entry)
      const failure = await result.catch((error) => error)
      expect(failure).toMatchObject({ code: 'file_failed', cause: expect.any(TreeFailure) })
      await agent.next(FrameType.CANCEL)
      expect(agent.host.destroyed).toBe(false)
    })

  test('what fails is told with its entry', async () => {
    const { agent, stream, result } = await writing({ ...meta, type: 'fifo' })
    await agent.next(FrameType.ENTRY)
    const why = fields().u64(Field.ERRNO, constants.errno.EINVAL).string(Field.NAME, 'a').u64(Field.COUNT, 0)
    agent.send(FrameType.ERROR, stream, why)
    await expect(result).rejects.toMatchObject({ code: 'file_wrong_type', cause: { entry: 'a' } })
  })
})
