import { constants } from 'node:os'
import { fields, parseBulk, parseFields } from '@caisson/protocol/frame-codec'
import { Field, Flag, FrameType, LIMITS } from '@caisson/protocol/frames'
import { describe, expect, test } from 'vitest'
import type { FileStat } from './guest.ts'
import { collect, greeted, NONCE, SILENT, settle, started } from './scripted-agent.test-kit.ts'

const { errno } = constants
const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
const exit = (code: number) =>
  fields().u64(Field.EXIT_CODE, code).u64(Field.CPU_USEC, 12).u64(Field.MAX_RSS, 34)
const stat = () =>
  fields()
    .u64(Field.FILE_TYPE, 0o100000)
    .u64(Field.SIZE, 3)
    .u64(Field.MODE, 0o644)
    .u64(Field.UID, 0)
    .u64(Field.GID, 0)

describe('executions', () => {
  test('the greeting tells the nonce and what is held', async () => {
    const { guest } = await greeted()
    expect([guest.nonce, guest.held]).toEqual([Buffer.from(NONCE).toString('hex'), []])
  })

  test('a start carries everything that was asked for', async () => {
    const { agent, guest } = await greeted()
    const request = {
      id: 'e',
      argv: ['a', 'b c'],
      env: { X: '1' },
      cwd: '/w',
      user: 'u',
      tty: { cols: 80, rows: 24 },
      stdin: true,
    }
    void guest.start(request, SILENT).catch(() => {})
    const sent = parseFields((await agent.next(FrameType.START)).payload)
    expect([sent.string(Field.ID), sent.strings(Field.ARG), sent.strings(Field.ENV)]).toEqual([
      'e',
      ['a', 'b c'],
      ['X=1'],
    ])
    expect([sent.string(Field.CWD), sent.string(Field.USER), sent.u64(Field.STDIN)]).toEqual(['/w', 'u', 1])
    expect([sent.u64(Field.TTY_COLS), sent.u64(Field.TTY_ROWS)]).toEqual([80, 24])
  })

  test('an ending tells its code, its usage and the total of the output', async () => {
    const { agent, execution, stream } = await started()
    agent.bulk(FrameType.OUTPUT, stream, 0, 'abc')
    agent.send(FrameType.EXIT, stream, exit(255))
    agent.send(FrameType.OUTPUT_CLOSED, stream, fields().u64(Field.OFFSET, 3))
    expect(await execution.exited).toEqual({ code: 255, cpuUsec: 12, maxRssBytes: 34 })
    expect(await execution.outputClosed).toBe(3)
  })

  test('an ending by a signal tells its name', async () => {
    for (const [number, name] of [
      [9, 'SIGKILL'],
      [6, 'SIGABRT'],
      [34, 'SIGRTMIN'],
      [37, 'SIGRTMIN+3'],
    ] as const) {
      const { agent, execution, stream } = await started()
      agent.send(FrameType.EXIT, stream, fields().u64(Field.SIGNAL, number))
      expect(await execution.exited).toMatchObject({ signal: name })
    }
  })

  test('only what the sink has kept is acknowledged, a quarter of the window at a time', async () => {
    const kept: PromiseWithResolvers<void>[] = []
    const { agent, stream } = await started({
      write: () => {
        kept.push(Promise.withResolvers())
        return kept.at(-1)?.promise
      },
    })
    agent.bulk(FrameType.OUTPUT, stream, 0, chunk)
    agent.bulk(FrameType.OUTPUT, stream, chunk.length, chunk)
    await settle()
    expect([kept.length, agent.count(FrameType.ACK)]).toEqual([1, 0])
    kept[0]?.resolve()
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBe(chunk.length)
  })

  test('beyond the pace nothing is acknowledged, and without one all is', async () => {
    const { agent, execution, stream } = await started()
    execution.pace(10)
    agent.bulk(FrameType.OUTPUT, stream, 0, chunk)
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBe(10)
    agent.bulk(FrameType.OUTPUT, stream, chunk.length, 'more')
    await settle()
    expect(agent.count(FrameType.ACK)).toBe(0)
    execution.pace(null)
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBe(chunk.length + 4)
  })

  test('a little output is acknowledged when it is quiet', async () => {
    const { agent, stream } = await started()
    agent.bulk(FrameType.OUTPUT, stream, 0, 'hi')
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBe(2)
  })

  test('the ending waits for the sink', async () => {
    const kept = Promise.withResolvers<void>()
    const { agent, execution, stream } = await started({ write: () => kept.promise })
    agent.bulk(FrameType.OUTPUT, stream, 0, 'abc')
    agent.send(FrameType.EXIT, stream, exit(0))
    let ended = false
    void execution.exited.then(() => {
      ended = true
    })
    await settle()
    expect(ended).toBe(false)
    kept.resolve()
    await execution.exited
  })

  test('small pieces are joined while the sink is busy, those of different streams are not', async () => {
    const writes: [number, string, string][] = []
    const first = Promise.withResolvers<void>()
    const { agent, execution, stream } = await started({
      write: (offset, name, data) => {
        writes.push([offset, name, String(Buffer.from(data))])
        return first.promise
      },
    })
    for (const [offset, text] of [...'abcdef'].entries())
      agent.bulk(FrameType.OUTPUT, stream, offset, text, offset < 4 ? 0 : Flag.STDERR)
    agent.send(FrameType.EXIT, stream, exit(0))
    await settle()
    first.resolve()
    await execution.exited
    expect(writes).toEqual([
      [0, 'stdout', 'a'],
      [1, 'stdout', 'bcd'],
      [4, 'stderr', 'ef'],
    ])
  })

  test('alternating streams byte by byte do not fill memory, and nothing is lost', async () => {
    const kept = Promise.withResolvers<void>()
    let text = ''
    const { agent, execution, stream } = await started({
      write: (_offset, _stream, data) => {
        text += Buffer.from(data)
        return kept.promise
      },
    })
    for (let offset = 0; offset < 5000; offset++)
      agent.bulk(FrameType.OUTPUT, stream, offset, String(offset % 10), offset % 2 === 0 ? 0 : Flag.STDERR)
    agent.send(FrameType.EXIT, stream, exit(0))
    await settle()
    expect(agent.host.isPaused()).toBe(true)
    kept.resolve()
    await execution.exited
    expect(text).toBe('0123456789'.repeat(500))
    expect(agent.host.isPaused()).toBe(false)
  })

  test('a sink that fails ends the following, not the connection', async () => {
    const { agent, guest, execution, stream } = await started({
      write: () => Promise.reject(new Error('full')),
    })
    agent.bulk(FrameType.OUTPUT, stream, 0, 'abc')
    await expect(execution.exited).rejects.toThrow('full')
    agent.bulk(FrameType.OUTPUT, stream, 3, 'def')
    const asking = guest.files.stat('/', {})
    agent.send(FrameType.OK, (await agent.next(FrameType.FILE_STAT)).stream, stat())
    expect(await asking).toMatchObject({ type: 'file' })
  })

  test('stdin stays within the window', async () => {
    const { agent, execution, stream } = await started()
    const writing = execution.writeStdin(new Uint8Array(LIMITS.WINDOW + 10))
    execution.closeStdin()
    for (let offset = 0; offset < LIMITS.WINDOW; offset += chunk.length)
      expect(parseBulk((await agent.next(FrameType.STDIN)).payload).offset).toBe(offset)
    await settle()
    expect([agent.count(FrameType.STDIN), agent.count(FrameType.STDIN_CLOSE)]).toEqual([0, 0])
    agent.send(FrameType.ACK, stream, new Uint8Array(8).fill(1, 1, 2))
    const rest = parseBulk((await agent.next(FrameType.STDIN)).payload)
    expect([rest.offset, rest.bytes.length]).toEqual([LIMITS.WINDOW, 10])
    await writing
    await agent.next(FrameType.STDIN_CLOSE)
  })

  test('what does not fit the window is not cut into crumbs', async () => {
    const { agent, execution, stream } = await started()
    await execution.writeStdin(new Uint8Array(LIMITS.WINDOW - 100))
    const more = execution.writeStdin(new Uint8Array(20_000))
    await settle()
    expect(agent.take().map(({ payload }) => parseBulk(payload).bytes.length)).toHaveLength(4)
    const acknowledged = Buffer.alloc(8)
    acknowledged.writeBigUInt64LE(BigInt(chunk.length))
    agent.send(FrameType.ACK, stream, acknowledged)
    await more
    expect(parseBulk((await agent.next(FrameType.STDIN)).payload).bytes.length).toBe(20_000)
  })

  test('an aborted write to stdin stops waiting', async () => {
    const { execution } = await started()
    const abort = new AbortController()
    const writing = execution.writeStdin(new Uint8Array(LIMITS.WINDOW + 1), abort.signal)
    await settle()
    abort.abort()
    await expect(writing).rejects.toMatchObject({ code: 'aborted' })
  })

  test('stdin of an execution that has ended is execution_ended', async () => {
    const { agent, execution, stream } = await started()
    const waiting = execution.writeStdin(new Uint8Array(LIMITS.WINDOW + 1))
    waiting.catch(() => {})
    agent.send(FrameType.EXIT, stream, exit(0))
    await execution.exited
    await expect(waiting).rejects.toMatchObject({ code: 'execution_ended' })
    await expect(execution.writeStdin(chunk)).rejects.toMatchObject({ code: 'execution_ended' })
  })

  test('signals are answered in order', async () => {
    const { agent, execution, stream } = await started()
    const first = execution.signal('SIGTERM', 'tree')
    const second = execution.signal('SIGKILL', 'leader')
    const sent = parseFields((await agent.next(FrameType.SIGNAL)).payload)
    expect([sent.u64(Field.SIGNAL), sent.u64(Field.SCOPE)]).toEqual([15, 2])
    agent.send(FrameType.OK, stream)
    agent.error(stream, errno.ESRCH, 'signal')
    await first
    await expect(second).rejects.toMatchObject({ code: 'execution_ended' })
    await expect(execution.signal('SIGNOTHING', 'leader')).rejects.toMatchObject({ code: 'invalid_request' })
  })

  test('a program that cannot start says why', async () => {
    const cases = [
      [errno.ENOENT, 'exec nope', 'command_not_found'],
      [errno.EACCES, 'exec /etc/passwd', 'command_not_found'],
      [errno.ENOENT, 'cwd /nowhere', 'cannot_start'],
      [errno.ENOENT, 'user nobody-here', 'cannot_start'],
      [errno.EAGAIN, 'start: too many executions are held', 'too_many'],
      [errno.EAGAIN, 'start: fork', 'cannot_start'],
    ] as const
    for (const [number, message, code] of cases) {
      const { agent, guest } = await greeted()
      const starting = guest.start({ id: 'e', argv: ['nope'], env: {}, stdin: false }, SILENT)
      agent.error((await agent.next(FrameType.START)).stream, number, message)
      await expect(starting).rejects.toMatchObject({ code })
    }
  })

  test('a command that does not fit a frame is refused here', async () => {
    const { guest } = await greeted()
    const starting = guest.start(
      { id: 'e', argv: ['x'.repeat(LIMITS.MAX_PAYLOAD)], env: {}, stdin: false },
      SILENT,
    )
    await expect(starting).rejects.toMatchObject({ code: 'payload_too_large' })
  })

  test('an aborted start kills what may have started and forgets it', async () => {
    const { agent, guest } = await greeted()
    const abort = new AbortController()
    const starting = guest.start({ id: 'e', argv: ['true'], env: {}, stdin: false }, SILENT, abort.signal)
    const { stream } = await agent.next(FrameType.START)
    abort.abort()
    await expect(starting).rejects.toMatchObject({ code: 'aborted' })
    const signal = parseFields((await agent.next(FrameType.SIGNAL)).payload)
    expect([signal.u64(Field.SIGNAL), signal.u64(Field.SCOPE)]).toEqual([9, 2])
    expect((await agent.next(FrameType.FORGET)).stream).toBe(stream)
    // What was under way then is no breach.
    agent.send(FrameType.STARTED, stream, fields().u64(Field.PID, 9))
    agent.send(FrameType.OK, stream)
    await settle()
    expect(agent.host.destroyed).toBe(false)
  })

  test('attach takes output that begins later than asked, and none that begins earlier', async () => {
    for (const [offset, ok] of [
      [12, true],
      [9, false],
    ] as const) {
      const { agent, guest } = await greeted()
      const seen: number[] = []
      const attaching = guest.attach('e', 10, { write: (at) => void seen.push(at) })
      const { stream, payload } = await agent.next(FrameType.ATTACH)
      expect(parseFields(payload).u64(Field.OFFSET)).toBe(10)
      agent.send(FrameType.STARTED, stream, fields().u64(Field.PID, 7).u64(Field.OFFSET, 5))
      const execution = await attaching
      agent.bulk(FrameType.OUTPUT, stream, offset, 'abc')
      if (!ok) {
        await guest.closed
        continue
      }
      await settle()
      expect(seen).toEqual([offset])
      // Stdin goes on where the last connection stopped.
      await execution.writeStdin(Uint8Array.of(1))
      expect(parseBulk((await agent.next(FrameType.STDIN)).payload).offset).toBe(5)
    }
  })

  test('attaching to what is not held is execution_not_found', async () => {
    const { agent, guest } = await greeted()
    const attaching = guest.attach('e', 0, SILENT)
    agent.error((await agent.next(FrameType.ATTACH)).stream, errno.ENOENT, 'attach e')
    await expect(attaching).rejects.toMatchObject({
      code: 'execution_not_found',
      details: { execution: 'e' },
    })
  })

  test('a broken connection fails everything that waits', async () => {
    const { guest, execution } = await started()
    const waiting = [
      execution.exited,
      execution.outputClosed,
      execution.signal('SIGTERM', 'group'),
      execution.writeStdin(new Uint8Array(LIMITS.WINDOW + 1)),
      guest.start({ id: 'f', argv: ['true'], env: {}, stdin: false }, SILENT),
      guest.attach('g', 0, SILENT),
      guest.files.stat('/', {}),
      guest.files.list('/', {}),
      guest.files.read('/', {}),
      guest.files.write('/', chunk, {}),
    ]
    const settled = Promise.allSettled(waiting)
    await settle()
    guest.close()
    for (const one of await settled)
      expect(one).toMatchObject({ status: 'rejected', reason: { code: 'agent_lost' } })
    await guest.closed
    await expect(
      guest.start({ id: 'h', argv: ['true'], env: {}, stdin: false }, SILENT),
    ).rejects.toMatchObject({
      code: 'agent_lost',
    })
  })
})

describe('files', () => {
  test('errors are rows', async () => {
    const codes: Record<string, string> = {
      ENOENT: 'file_not_found',
      EACCES: 'file_denied',
      EPERM: 'file_denied',
      EEXIST: 'file_exists',
      ENOTEMPTY: 'directory_not_empty',
      ENOSPC: 'no_space',
      EDQUOT: 'no_space',
      EISDIR: 'file_wrong_type',
      ENOTDIR: 'file_wrong_type',
      EINVAL: 'file_wrong_type',
      ELOOP: 'file_wrong_type',
      EIO: 'file_failed',
      ENAMETOOLONG: 'file_failed',
    }
    const { agent, guest } = await greeted()
    for (const [name, code] of Object.entries(codes)) {
      const removing = guest.files.remove('/x', { user: 'u' })
      agent.error(
        (await agent.next(FrameType.FILE_REMOVE)).stream,
        errno[name as keyof typeof errno],
        'unlink',
      )
      await expect(removing).rejects.toMatchObject({ code, details: { path: '/x' } })
    }
  })

  test('a path with NUL never reaches the agent', async () => {
    const { guest } = await greeted()
    await expect(guest.files.stat('/a\0b', {})).rejects.toMatchObject({ code: 'file_not_found' })
  })

  test('a stat has all that is known', async () => {
    const { agent, guest } = await greeted()
    const asking = guest.files.stat('/l', { follow: true })
    const { stream, payload } = await agent.next(FrameType.FILE_STAT)
    expect(parseFields(payload).u64(Field.FOLLOW)).toBe(1)
    const answer = fields()
      .u64(Field.FILE_TYPE, 0o120000)
      .u64(Field.SIZE, 3)
      .u64(Field.MODE, 0o777)
      .u64(Field.UID, 1000)
      .u64(Field.GID, 100)
      .u64(Field.MTIME_NS, 1_700_000_000_123_456_789n)
      .string(Field.OWNER, 'agent')
      .string(Field.LINK, '/etc')
    agent.send(FrameType.OK, stream, answer)
    const expected: FileStat = {
      ...{ type: 'symlink', size: 3, mode: 0o777, uid: 1000, gid: 100 },
      ...{ owner: 'agent', group: null, mtimeMs: 1_700_000_000_123.456, link: '/etc' },
    }
    expect(await asking).toEqual(expected)
  })

  test('reading acknowledges what the reader has taken', async () => {
    const { agent, guest } = await greeted()
    const reading = guest.files.read('/f', {})
    const { stream } = await agent.next(FrameType.FILE_READ)
    agent.send(FrameType.OK, stream, stat())
    const { data } = await reading
    agent.bulk(FrameType.DATA, stream, 0, chunk)
    agent.bulk(FrameType.DATA, stream, chunk.length, chunk)
    await settle()
    const iterator = data[Symbol.asyncIterator]()
    expect((await iterator.next()).value?.length).toBe(chunk.length)
    await settle()
    expect(agent.count(FrameType.ACK)).toBe(0)
    await iterator.next()
    expect(parseBulk((await agent.next(FrameType.ACK)).payload).offset).toBe(2 * chunk.length)
    agent.send(FrameType.END, stream)
    expect((await iterator.next()).done).toBe(true)
  })

  test('leaving a read early cancels it', async () => {
    const { agent, guest } = await greeted()
    const reading = guest.files.read('/f', {})
    const { stream } = await agent.next(FrameType.FILE_READ)
    agent.send(FrameType.OK, stream, stat())
    agent.bulk(FrameType.DATA, stream, 0, 'abc')
    for await (const part of (await reading).data) {
      expect(part.length).toBe(3)
      break
    }
    expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
    agent.bulk(FrameType.DATA, stream, 3, 'late')
    await settle()
    expect(agent.host.destroyed).toBe(false)
  })

  test('a failure in the middle of a read reaches the reader', async () => {
    const { agent, guest } = await greeted()
    const reading = guest.files.read('/f', {})
    const { stream } = await agent.next(FrameType.FILE_READ)
    agent.send(FrameType.OK, stream, stat())
    agent.bulk(FrameType.DATA, stream, 0, 'abc')
    agent.error(stream, errno.EIO, 'read')
    await expect(collect((await reading).data)).rejects.toMatchObject({ code: 'file_failed' })
  })

  test('a write sends the contents and answers with the stat', async () => {
    const { agent, guest } = await greeted()
    const writing = guest.files.write('/d/f', Buffer.from('abc'), { mode: 0o600, parents: true })
    agent.send(
      FrameType.OK,
      (await agent.next(FrameType.FILE_MKDIR)).stream,
      fields().string(Field.CREATED, '/d'),
    )
    const { stream } = await agent.next(FrameType.FILE_WRITE)
    agent.send(FrameType.OK, stream)
    expect(String(Buffer.from(parseBulk((await agent.next(FrameType.DATA)).payload).bytes))).toBe('abc')
    await agent.next(FrameType.END)
    agent.send(FrameType.OK, stream, stat())
    expect(await writing).toMatchObject({ created: ['/d'], stat: { type: 'file', size: 3 } })
  })

  test('a source that fails cancels the write', async () => {
    const { agent, guest } = await greeted()
    const source = async function* () {
      yield Buffer.from('abc')
      throw new Error('source broke')
    }
    const writing = guest.files.write('/f', source(), {})
    const { stream } = await agent.next(FrameType.FILE_WRITE)
    agent.send(FrameType.OK, stream)
    await expect(writing).rejects.toThrow('source broke')
    expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
  })

  test('a refused write does not read its source', async () => {
    const { agent, guest } = await greeted()
    let read = false
    const source = async function* () {
      read = true
      yield chunk
    }
    const writing = guest.files.write('/f', source(), {})
    agent.error((await agent.next(FrameType.FILE_WRITE)).stream, errno.EACCES, 'open')
    await expect(writing).rejects.toMatchObject({
      code: 'file_denied',
      details: { path: '/f', user: 'root' },
    })
    expect(read).toBe(false)
  })

  test('a disk that is full in the middle of a write ends it', async () => {
    const { agent, guest } = await greeted()
    const writing = guest.files.write('/f', new Uint8Array(2 * LIMITS.WINDOW), {})
    const { stream } = await agent.next(FrameType.FILE_WRITE)
    agent.send(FrameType.OK, stream)
    await agent.next(FrameType.DATA)
    agent.error(stream, errno.ENOSPC, 'write')
    await expect(writing).rejects.toMatchObject({ code: 'no_space' })
  })

  test('an aborted request is cancelled', async () => {
    const { agent, guest } = await greeted()
    const abort = new AbortController()
    const listing = guest.files.list('/', {}, abort.signal)
    const { stream } = await agent.next(FrameType.FILE_LIST)
    abort.abort()
    await expect(listing).rejects.toMatchObject({ code: 'aborted' })
    expect((await agent.next(FrameType.CANCEL)).stream).toBe(stream)
    await expect(guest.files.list('/', {}, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
  })

  test('more requests at once than the agent takes are too_many', async () => {
    const { agent, guest } = await greeted()
    const asked = Array.from({ length: LIMITS.MAX_REQUESTS }, () => guest.files.stat('/', {}))
    await expect(guest.files.stat('/', {})).rejects.toMatchObject({ code: 'too_many' })
    for (const _ of asked) agent.send(FrameType.OK, (await agent.next(FrameType.FILE_STAT)).stream, stat())
    expect(await Promise.all(asked)).toHaveLength(LIMITS.MAX_REQUESTS)
    const again = guest.files.stat('/', {})
    agent.send(FrameType.OK, (await agent.next(FrameType.FILE_STAT)).stream, stat())
    await again
  })
})
