import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { encodeFrame, fields, parseBulk } from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType, LIMITS } from '../../packages/protocol/src/frames.ts'
import {
  Agent,
  AgentError,
  BUILDS,
  collect,
  feed,
  isRoot,
  processesWith,
  run,
  type Start,
  until,
} from './harness.ts'

test('the agent is built', () => expect(BUILDS).not.toEqual([]))

const errno = { ENOENT: 2, ESRCH: 3, E2BIG: 7, EACCES: 13, ENOTDIR: 20, EINVAL: 22 }

describe.each(BUILDS)('executions ($name)', ({ binary }) => {
  const open = async () => {
    const agent = await Agent.start(binary)
    const client = await agent.connect()
    const hello = await client.expect(0, FrameType.HELLO)
    return { agent, client, hello, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() }
  }

  test('every exit code comes through', async () => {
    await using o = await open()
    const codes = Array.from({ length: 256 }, (_, code) => code)
    const results = await Promise.all(
      codes.map((code) => run(o.client, { argv: ['sh', '-c', `exit ${code}`] })),
    )
    expect(results.map((r) => r.exitCode)).toEqual(codes)
    expect(results.every((r) => r.signal === undefined)).toBe(true)
  })

  test('every deadly signal comes through, and is not an exit code', async () => {
    await using o = await open()
    const harmless = new Set([17, 18, 19, 20, 21, 22, 23, 28])
    const deadly = Array.from({ length: 31 }, (_, i) => i + 1).filter((n) => !harmless.has(n))
    for (const signal of deadly) {
      const { stream } = o.client.start({ argv: ['sleep', '1000'] })
      await o.client.expect(stream, FrameType.STARTED)
      o.client.signal(stream, signal, 0)
      await o.client.expect(stream, FrameType.OK)
      const result = await collect(o.client, stream)
      expect([result.signal, result.exitCode]).toEqual([signal, undefined])
      o.client.forget(stream)
    }
  })

  test('stdout and stderr are told apart and keep their order', async () => {
    await using o = await open()
    const result = await run(o.client, { argv: ['sh', '-c', 'echo out; sleep 0.1; echo err >&2'] })
    expect(result.stdout.toString()).toBe('out\n')
    expect(result.stderr.toString()).toBe('err\n')
    expect(result.output.toString()).toBe('out\nerr\n')
  })

  test('alternating single bytes of both streams neither mix nor vanish', async () => {
    await using o = await open()
    const script = `import os
for i in range(20000): os.write(1 + i % 2, bytes([i % 256]))`
    const result = await run(o.client, { argv: ['python3', '-c', script] })
    const bytes = Array.from({ length: 20000 }, (_, i) => i % 256)
    expect(result.stdout.equals(Buffer.from(bytes.filter((_, i) => i % 2 === 0)))).toBe(true)
    expect(result.stderr.equals(Buffer.from(bytes.filter((_, i) => i % 2 === 1)))).toBe(true)
  })

  test('a program gets its arguments, environment and directory, and nothing else', async () => {
    await using o = await open()
    const result = await run(o.client, {
      argv: [
        'sh',
        '-c',
        'printf "%s|" "$@"; pwd; ls /proc/self/fd | tr "\\n" " "; cat /proc/self/stat',
        'x',
        '',
        'a b',
        'ü',
      ],
      cwd: '/usr',
      env: { HOME: '/tmp' },
    })
    const [first, second] = result.stdout.toString().split('\n')
    expect(first).toBe('|a b|ü|/usr')
    // 3 is the directory that ls itself has open.
    expect(second!.startsWith('0 1 2 3 ')).toBe(true)
    const env = await run(o.client, {
      argv: ['env'],
      env: { A: 'b=c', CAISSON_EXECUTION: 'forged' },
      id: 'marker',
    })
    const lines = env.stdout.toString().trim().split('\n')
    expect(lines).toContain('A=b=c')
    expect(lines.filter((l) => l.startsWith('CAISSON_EXECUTION'))).toEqual(['CAISSON_EXECUTION=marker'])
    expect(lines.map((l) => l.split('=')[0]).sort()).toEqual(
      ['A', 'CAISSON_EXECUTION', 'HOME', 'LOGNAME', 'PATH', 'SHELL', 'USER'].sort(),
    )
  })

  test('a program starts with default signals, none blocked, and a raised oom score', async () => {
    await using o = await open()
    const result = await run(o.client, { argv: ['cat', '/proc/self/status', '/proc/self/oom_score_adj'] })
    const text = result.stdout.toString()
    expect(/SigIgn:\s+0+\n/.test(text) && /SigBlk:\s+0+\n/.test(text)).toBe(true)
    expect(text.trim().endsWith('500')).toBe(true)
  })

  test.each([
    [{ argv: ['/nonexistent'] }, errno.ENOENT, 'exec /nonexistent'],
    [{ argv: ['no-such-program'] }, errno.ENOENT, 'exec no-such-program'],
    [{ argv: ['/etc/passwd'] }, errno.EACCES, 'exec /etc/passwd'],
    [{ argv: ['/'] }, errno.EACCES, 'exec /'],
    [{ argv: ['true'], cwd: '/nonexistent' }, errno.ENOENT, 'cwd /nonexistent'],
    [{ argv: ['true'], cwd: '/etc/passwd' }, errno.ENOTDIR, 'cwd /etc/passwd'],
    [{ argv: ['true'], cwd: '/proc/self/fd/7' }, errno.ENOENT, 'cwd /proc/self/fd/7'],
    [{ argv: ['true'], user: 'no-such-user' }, errno.ENOENT, 'user no-such-user'],
    [{ argv: ['true'], user: '4294967295' }, errno.ENOENT, 'user 4294967295'],
    [{ argv: ['true'], user: ':0' }, errno.EINVAL, 'user :0'],
    [{ argv: [] }, errno.EINVAL, 'start: invalid arguments'],
    [{ argv: ['a\0b'] }, errno.EINVAL, 'start: invalid arguments'],
    [{ argv: ['true'], env: { 'A\0': '' } }, errno.EINVAL, 'start: invalid arguments'],
    [{ argv: ['true'], id: 'x'.repeat(LIMITS.MAX_ID + 1) }, errno.EINVAL, 'start: invalid arguments'],
    [{ argv: Array(LIMITS.MAX_STRINGS + 1).fill('') }, errno.E2BIG, 'start: invalid arguments'],
  ] as [Start, number, string][])(
    'a program that cannot start is an error, never an exit code: %j',
    async (start, number, message) => {
      await using o = await open()
      const error = await run(o.client, start).catch((e) => e)
      expect(error).toBeInstanceOf(AgentError)
      expect([error.errno, error.message]).toEqual([number, message])
      // The entry is gone: its id may be used again.
      const again = await run(o.client, { argv: ['true'], id: start.id?.slice(0, 9) ?? 'again' })
      expect(again.exitCode).toBe(0)
    },
  )

  test('stdin reaches the program unaltered, five megabytes of it', async () => {
    await using o = await open()
    const sent = Buffer.from(crypto.getRandomValues(new Uint8Array(65536)))
    const pieces = 80
    const { stream } = o.client.start({ argv: ['cat'], stdin: true })
    await o.client.expect(stream, FrameType.STARTED)
    let written = 0
    let acknowledged = 0
    let offset = 0
    const received: Uint8Array[] = []
    let closed = false
    while (!closed) {
      while (written < pieces && (written + 1) * sent.length - acknowledged <= LIMITS.WINDOW)
        o.client.bulk(FrameType.STDIN, stream, written++ * sent.length, sent)
      if (written === pieces) o.client.send(FrameType.STDIN_CLOSE, stream)
      const frame = await o.client.next(stream)
      if (frame.type === FrameType.ACK) acknowledged = parseBulk(frame.payload).offset
      else if (frame.type === FrameType.OUTPUT) {
        const bulk = parseBulk(frame.payload)
        received.push(bulk.bytes)
        offset += bulk.bytes.length
        o.client.ack(stream, offset)
      } else closed = frame.type === FrameType.OUTPUT_CLOSED
    }
    expect(Buffer.concat(received).equals(Buffer.concat(Array(pieces).fill(sent)))).toBe(true)
    expect(acknowledged).toBe(pieces * sent.length)
  })

  test('stdin that nobody reads is dropped and acknowledged', async () => {
    await using o = await open()
    const { stream } = o.client.start({ argv: ['sh', '-c', 'exec 0<&-; sleep 1000'], stdin: true })
    await o.client.expect(stream, FrameType.STARTED)
    await until(() => processesWith('sleep\0' + '1000').length > 0)
    o.client.bulk(FrameType.STDIN, stream, 0, Buffer.alloc(1000))
    expect(parseBulk((await o.client.next(stream)).payload).offset).toBe(1000)
    o.client.signal(stream, 9, 1)
  })

  test('stdin is /dev/null unless it is asked for', async () => {
    await using o = await open()
    const result = await run(o.client, { argv: ['sh', '-c', 'readlink /proc/self/fd/0; cat'] })
    expect(result.stdout.toString()).toBe('/dev/null\n')
  })

  test('EXIT and OUTPUT_CLOSED are independent of one another', async () => {
    await using o = await open()
    const late = o.client.start({ argv: ['sh', '-c', 'sleep 1000 & echo $!'] })
    await o.client.expect(late.stream, FrameType.STARTED)
    const pid = Number(Buffer.from(parseBulk((await o.client.next(late.stream)).payload).bytes))
    expect((await o.client.expect(late.stream, FrameType.EXIT)).u64(Field.EXIT_CODE)).toBe(0)
    process.kill(pid, 'SIGKILL')
    await o.client.expect(late.stream, FrameType.OUTPUT_CLOSED)
    const early = o.client.start({ argv: ['sh', '-c', 'exec >&- 2>&-; read x; exit 5'], stdin: true })
    await o.client.expect(early.stream, FrameType.STARTED)
    await o.client.expect(early.stream, FrameType.OUTPUT_CLOSED)
    o.client.send(FrameType.STDIN_CLOSE, early.stream)
    expect((await o.client.expect(early.stream, FrameType.EXIT)).u64(Field.EXIT_CODE)).toBe(5)
  })

  test('a daemon that holds the output lives on after FORGET', async () => {
    await using o = await open()
    const path = `${o.agent.directory}/still-here`
    const flood = `dd if=/dev/zero bs=64k count=16 status=none && echo yes >${path}`
    const { stream } = o.client.start({
      argv: ['sh', '-c', `mkfifo ${path}.go; (read go <${path}.go; ${flood}) &`],
    })
    await o.client.expect(stream, FrameType.STARTED)
    await o.client.expect(stream, FrameType.EXIT)
    o.client.forget(stream)
    await run(o.client, { argv: ['sh', '-c', `echo go >${path}.go`] })
    await until(() => {
      try {
        return readFileSync(path, 'utf8') === 'yes\n'
      } catch {
        return false
      }
    })
  })

  test('an end is kept over reconnections until it is forgotten', async () => {
    await using o = await open()
    const { stream, id } = o.client.start({ argv: ['sh', '-c', 'echo kept; exit 7'] })
    await collect(o.client, stream)
    o.client.close()
    for (let i = 0; i < 3; i++) {
      const next = await o.agent.connect()
      const hello = await next.expect(0, FrameType.HELLO)
      expect(hello.strings(Field.EXECUTION)).toEqual([id])
      expect(hello.bytes(Field.NONCE)).toEqual(o.hello.bytes(Field.NONCE))
      const again = next.attach(id, 5)
      await next.expect(again, FrameType.STARTED)
      expect((await next.expect(again, FrameType.EXIT)).u64(Field.EXIT_CODE)).toBe(7)
      expect((await next.expect(again, FrameType.OUTPUT_CLOSED)).u64(Field.OFFSET)).toBe(5)
      if (i === 2) next.forget(again)
      if (i === 2) await run(next, { argv: ['true'] })
      next.close()
    }
    const last = await o.agent.connect()
    expect((await last.expect(0, FrameType.HELLO)).strings(Field.EXECUTION)).toEqual([])
    const gone = await last.next(last.attach(id, 0))
    expect(gone.type).toBe(FrameType.ERROR)
  })

  test('starting an id that is held attaches to it, from the beginning of what is held', async () => {
    await using o = await open()
    const first = o.client.start({ argv: ['sh', '-c', 'echo once; read x; echo twice'], stdin: true })
    await o.client.expect(first.stream, FrameType.STARTED)
    await o.client.next(first.stream)
    const second = o.client.start({ argv: ['false'], id: first.id })
    await o.client.expect(second.stream, FrameType.STARTED)
    feed(o.client, second.stream, Buffer.from('\n'))
    const parts: string[] = []
    for (;;) {
      const frame = await o.client.next(second.stream)
      if (frame.type === FrameType.OUTPUT) parts.push(Buffer.from(parseBulk(frame.payload).bytes).toString())
      if (frame.type === FrameType.OUTPUT_CLOSED) break
    }
    expect(parts.join('')).toBe('once\ntwice\n')
    expect(o.client.waiting(first.stream)).toEqual([])
  })

  test('a thousand short programs leave no descriptors and no zombies', async () => {
    await using o = await open()
    const fds = () => readdirSync(`/proc/${o.agent.pid}/fd`).length
    await run(o.client, { argv: ['true'] })
    const before = fds()
    for (let i = 0; i < 20; i++)
      await Promise.all(Array.from({ length: 50 }, () => run(o.client, { argv: ['true'] })))
    await run(o.client, { argv: ['true'] })
    expect(fds()).toBe(before)
    expect(readFileSync(`/proc/${o.agent.pid}/task/${o.agent.pid}/children`, 'utf8')).toBe('')
  })

  test('as many executions are held as the limit says, and all fit one greeting', async () => {
    await using o = await open()
    const ids = Array.from({ length: LIMITS.MAX_EXECUTIONS }, (_, i) => String(i).padEnd(LIMITS.MAX_ID, '-'))
    for (let at = 0; at < ids.length; at += 64) {
      const streams = ids.slice(at, at + 64).map((id) => o.client.start({ id, argv: ['true'] }).stream)
      await Promise.all(streams.map((stream) => collect(o.client, stream)))
    }
    const tooMany = await run(o.client, { argv: ['true'] }).catch((e) => e)
    expect(tooMany.errno).toBe(11)
    const next = await o.agent.connect()
    const held = (await next.expect(0, FrameType.HELLO)).strings(Field.EXECUTION)
    expect(held.sort()).toEqual(ids.sort())
    for (const id of ids.slice(0, 10)) next.forget(next.attach(id, 0))
    expect((await run(next, { argv: ['true'] })).exitCode).toBe(0)
  })

  test.runIf(isRoot)('users are looked up with their groups and their home', async () => {
    await using o = await open()
    const script = ['sh', '-c', 'id -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL']
    const as = async (user: string) =>
      (await run(o.client, { argv: script, user, cwd: '/' })).stdout.toString().trim().split('\n')
    expect(await as('root')).toEqual(['0', '0', '0', '/root root root /bin/bash'])
    expect(await as('nobody')).toEqual([
      '65534',
      '65534',
      '65534',
      '/nonexistent nobody nobody /usr/sbin/nologin',
    ])
    expect(await as('daemon:mail')).toEqual(['1', '8', '8', '/usr/sbin daemon daemon /usr/sbin/nologin'])
    expect(await as('1')).toEqual(['1', '1', '1', '/usr/sbin daemon daemon /usr/sbin/nologin'])
    expect(await as('54321')).toEqual(['54321', '54321', '54321', '/ 54321 54321 /bin/sh'])
    expect(await as('54321:12')).toEqual(['54321', '12', '12', '/ 54321 54321 /bin/sh'])
    const where = await run(o.client, { argv: ['pwd'], user: 'nobody' })
    expect(where.stdout.toString()).toBe('/\n')
  })

  test('SIGTERM ends the agent and everything it started, the escaped included', async () => {
    await using o = await open()
    const tag = `caisson-test-${process.pid}`
    const { stream } = o.client.start({
      argv: ['sh', '-c', `setsid sh -c 'setsid sleep 1000 ${tag} & sleep 1000 ${tag}' & sleep 1000`],
    })
    await o.client.expect(stream, FrameType.STARTED)
    const started = o.client.start({ argv: ['python3', '-c', 'import time; time.sleep(1000)', tag] })
    await o.client.expect(started.stream, FrameType.STARTED)
    expect(await o.agent.stop()).toBe(0)
    expect(processesWith(tag)).toEqual([])
  })

  test('a request that is not known is refused, and the connection lives', async () => {
    await using o = await open()
    const stream = o.client.newStream()
    o.client.raw(encodeFrame(200 as FrameType, stream, fields().encode()))
    expect((await o.client.expect(stream, FrameType.ERROR)).u64(Field.ERRNO)).toBe(38)
    o.client.signal(stream, 9, 0)
    expect((await o.client.expect(stream, FrameType.ERROR)).u64(Field.ERRNO)).toBe(errno.ESRCH)
    for (const type of [FrameType.FORGET, FrameType.ACK, FrameType.STDIN, FrameType.DATA, FrameType.CANCEL])
      o.client.send(type, stream)
    expect((await run(o.client, { argv: ['true'] })).exitCode).toBe(0)
  })
})
