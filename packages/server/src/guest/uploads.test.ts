import { constants } from 'node:os'
import { fields, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { Field, FrameType } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import { collect, greeted } from './scripted-agent.test-kit.ts'

const { errno } = constants
const PART = { resume: 'up', offset: 10, size: 16 }
const stat = (size: number) =>
  fields()
    .u64(Field.FILE_TYPE, 0o100000)
    .u64(Field.SIZE, size)
    .u64(Field.MODE, 0o600)
    .u64(Field.UID, 0)
    .u64(Field.GID, 0)
const at = (offset: number) => fields().u64(Field.OFFSET, offset)

describe('resumable uploads', () => {
  /** A part that the agent has taken up to its end. */
  async function sent() {
    const { agent, guest } = await greeted()
    const writing = guest.files.writePart('/f', Buffer.from('abc'), { ...PART, mode: 0o640 })
    writing.catch(() => {})
    const { stream, payload } = await agent.next(FrameType.FILE_WRITE)
    const asked = parseFields(payload)
    agent.send(FrameType.OK, stream, at(10))
    const data = parseBulk((await agent.next(FrameType.DATA)).payload)
    await agent.next(FrameType.END)
    return { agent, guest, stream, writing, asked, data }
  }

  test('a part goes on where it was asked to, and tells what the upload holds', async () => {
    const { agent, stream, writing, asked, data } = await sent()
    expect([asked.string(Field.RESUME), asked.u64(Field.OFFSET), asked.u64(Field.SIZE)]).toEqual([
      'up',
      10,
      16,
    ])
    expect(asked.u64(Field.MODE)).toBe(0o640)
    expect([data.offset, data.bytes.length]).toEqual([10, 3])
    agent.send(FrameType.OK, stream, at(13))
    expect(await writing).toEqual({ stat: null, offset: 13, created: [] })
  })

  test('the last part answers with the stat of the file', async () => {
    const { agent, stream, writing } = await sent()
    agent.send(FrameType.OK, stream, stat(13))
    expect(await writing).toMatchObject({ stat: { size: 13 }, offset: 13 })
  })

  for (const [name, answer] of [
    ['another amount than was sent', at(14)],
    ['nothing about what it holds', fields()],
  ] as const)
    test(`an answer with ${name} ends the connection`, async () => {
      const { agent, guest, stream, writing } = await sent()
      agent.send(FrameType.OK, stream, answer)
      await expect(writing).rejects.toMatchObject({ code: 'agent_lost' })
      await guest.closed
    })

  test('a part behind what was received is upload_offset with the amount', async () => {
    const { agent, guest } = await greeted()
    const writing = guest.files.writePart('/f', Buffer.from('abc'), PART)
    agent.error((await agent.next(FrameType.FILE_WRITE)).stream, errno.EINVAL, 'write')
    const { stream, payload } = await agent.next(FrameType.FILE_READ)
    expect(parseFields(payload).string(Field.RESUME)).toBe('up')
    agent.send(FrameType.OK, stream, stat(7))
    await expect(writing).rejects.toMatchObject({
      code: 'upload_offset',
      details: { path: '/f', offset: 7 },
    })
  })

  test('another failure stays what it is', async () => {
    const { agent, guest } = await greeted()
    const full = guest.files.writePart('/f', Buffer.from('abc'), PART)
    agent.error((await agent.next(FrameType.FILE_WRITE)).stream, errno.ENOSPC, 'write')
    await expect(full).rejects.toMatchObject({ code: 'no_space' })
    const wrong = guest.files.writePart('/f', Buffer.from('abc'), PART)
    agent.error((await agent.next(FrameType.FILE_WRITE)).stream, errno.EINVAL, 'it is a socket')
    agent.send(FrameType.OK, (await agent.next(FrameType.FILE_READ)).stream, stat(10))
    await expect(wrong).rejects.toMatchObject({ code: 'file_wrong_type' })
  })

  test('what was received can be asked for, read and removed', async () => {
    const { agent, guest } = await greeted()
    const asking = guest.files.received('/f', { resume: 'up' })
    const asked = await agent.next(FrameType.FILE_READ)
    expect(parseFields(asked.payload).u64(Field.LENGTH)).toBe(0)
    agent.send(FrameType.OK, asked.stream, stat(5))
    expect(await asking).toBe(5)
    const none = guest.files.received('/f', { resume: 'up' })
    agent.error((await agent.next(FrameType.FILE_READ)).stream, errno.ENOENT, 'open')
    expect(await none).toBe(0)
    const reading = guest.files.read('/f', { resume: 'up' })
    const { stream, payload } = await agent.next(FrameType.FILE_READ)
    expect(parseFields(payload).string(Field.RESUME)).toBe('up')
    agent.send(FrameType.OK, stream, stat(5))
    agent.bulk(FrameType.DATA, stream, 0, 'abcde')
    agent.send(FrameType.END, stream)
    expect(Buffer.concat(await collect((await reading).data)).toString()).toBe('abcde')
    const removing = guest.files.remove('/f', { resume: 'up' })
    const removal = await agent.next(FrameType.FILE_REMOVE)
    expect(parseFields(removal.payload).string(Field.RESUME)).toBe('up')
    agent.send(FrameType.OK, removal.stream)
    await removing
  })
})
