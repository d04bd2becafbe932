import { ExecFailed, type OutputChunk, run, Sandbox } from 'caisson'
import { beforeEach, describe, expect } from 'vitest'
import { DRIVER, test } from '../fixture.ts'

let sandbox: Sandbox
beforeEach<{ server: import('../fixture.ts').TestServer }>(async ({ server }) => {
  sandbox = await Sandbox.create({ client: server.client() })
  return () => sandbox.delete()
})

describe('the result of a command', () => {
  test('has both streams apart and together, and the exit code', async () => {
    const result = await sandbox.sh('echo out; echo err >&2; sleep 0.05; echo more; exit 3')
    expect(result).toMatchObject({ stdout: 'out\nmore\n', stderr: 'err\n', exitCode: 3, ending: 'exited' })
    expect(result.output).toBe('out\nerr\nmore\n')
    expect(result.ok).toBe(false)
    expect(result.outputTruncated).toBe(false)
    expect(result.durationMs).toBeGreaterThan(0)
    expect(result.resources?.memoryBytes).toBeGreaterThan(0)
    expect(() => result.throwIfFailed()).toThrow(ExecFailed)
    expect(JSON.parse(JSON.stringify(result))).toMatchObject({ stdout: 'out\nmore\n', exitCode: 3 })
  })

  test('keeps bytes that are not UTF-8', async () => {
    const { stdoutBytes } = await sandbox.exec(['printf', '\\377\\000\\200'])
    expect([...stdoutBytes]).toEqual([255, 0, 128])
  })

  test('tells how it ended', async () => {
    expect(await sandbox.sh('kill -TERM $$')).toMatchObject({
      ending: 'signalled',
      signal: 'SIGTERM',
      exitCode: null,
    })
    expect(await sandbox.sh('sleep 60', { timeout: 100 })).toMatchObject({
      ending: 'execution-timeout',
      exitCode: null,
    })
    await expect(sandbox.exec(['no-such-program'])).rejects.toMatchObject({ code: 'command_not_found' })
  })

  test.runIf(DRIVER === 'oci')('tells out of memory from a kill', async ({ server }) => {
    await using small = await Sandbox.create({ client: server.client(), resources: { memory: '64Mi' } })
    const result = await small.python('x = bytearray(512 << 20)')
    expect(result).toMatchObject({ ending: 'out-of-memory', exitCode: null })
    expect(result.oomKills).toBeGreaterThan(0)
  })

  test('takes directory, environment and script as they are', async () => {
    const result = await sandbox.exec('pwd; echo "$A"', { cwd: '/tmp', env: { A: 'a "b" $c' } })
    expect(result.stdout).toBe('/tmp\na "b" $c\n')
    expect((await sandbox.exec(['echo', '-n', '$A', 'a b'])).stdout).toBe('$A a b')
    expect((await sandbox.python('import sys; print(sys.version_info.major)')).stdout).toBe('3\n')
  })
})

describe('output', () => {
  test('comes while the command runs, with characters whole', async () => {
    const texts: string[] = []
    const ended = Promise.withResolvers<void>()
    const running = sandbox.sh(
      "printf '\\303'; sleep 0.2; printf '\\244 done\\n'; cat >/dev/null; echo end >&2",
      {
        stdin: (async function* () {
          await ended.promise
          yield ''
        })(),
        onStdout: (text) => {
          texts.push(text)
          if (text.includes('done')) ended.resolve()
        },
        onStderr: (text) => void texts.push(text),
      },
    )
    expect((await running).exitCode).toBe(0)
    expect(texts.join('')).toBe('ä done\nend\n')
  })

  test('waits for a slow reader', async () => {
    let read = 0
    let under = 0
    const result = await sandbox.exec(['head', '-c', '3000000', '/dev/zero'], {
      onOutput: async ({ data }) => {
        expect(++under).toBe(1)
        await new Promise((resolve) => setImmediate(resolve))
        under--
        read += data.length
      },
    })
    expect(read).toBe(3_000_000)
    expect(result.stdoutBytes.length).toBe(3_000_000)
  })

  test('beyond maxBuffer reaches the callbacks only, and the result says so', async () => {
    let read = 0
    const result = await sandbox.exec(['head', '-c', '200000', '/dev/zero'], {
      maxBuffer: 1000,
      onOutput: ({ data }) => {
        read += data.length
      },
    })
    expect(read).toBe(200_000)
    expect(result.stdoutBytes.length).toBe(1000)
    expect(result.outputTruncated).toBe(true)
    expect(result.execution.outputTruncated).toBe(false)
  })

  test('beyond outputLimit is dropped by the server, and the result says so', async () => {
    const result = await sandbox.exec(['head', '-c', '200000', '/dev/zero'], { outputLimit: 5000 })
    expect(result.stdoutBytes.length).toBe(5000)
    expect(result).toMatchObject({ outputTruncated: true, exitCode: 0 })
  })

  test('is read again from any offset, byte for byte', async () => {
    const { execution, output } = await sandbox.sh('seq 1 2000; seq 1 500 >&2')
    for (const offset of [0, 1, 4000, output.length]) {
      const again = await sandbox.attach(execution.id, { offset })
      expect((await again.wait()).output).toBe(output.slice(offset))
    }
  })
})

describe('stdin', () => {
  const size = 3_000_000
  const bytes = Buffer.alloc(size, 'abcdefghij')
  const sum = `${size}`

  test.each([
    ['a short text', 'hello', '5'],
    ['bytes', bytes, sum],
    ['a long text', bytes.toString(), sum],
    ['a blob', new Blob([bytes]), sum],
    ['a stream', new Blob([bytes]).stream(), sum],
  ])('takes %s', async (_, stdin, expected) => {
    const result = await sandbox.exec(['wc', '-c'], { stdin })
    expect(result.stdout.trim()).toBe(expected)
  })

  test('comes back as it went in', async () => {
    const { stdoutBytes } = await sandbox.exec(['cat'], { stdin: bytes })
    expect(Buffer.from(stdoutBytes).equals(bytes)).toBe(true)
  })

  test('may be more than the program reads', async () => {
    async function* endless() {
      for (;;) yield Buffer.alloc(65_536)
    }
    const result = await sandbox.exec(['head', '-c', '10'], { stdin: endless() })
    expect(result).toMatchObject({ exitCode: 0 })
  })

  test('that fails ends the command with its own error', async () => {
    async function* broken() {
      yield 'a'
      throw new RangeError('the source broke')
    }
    await expect(sandbox.exec(['cat'], { stdin: broken() })).rejects.toThrow('the source broke')
    const [last] = await sandbox.executions({ limit: 1 })
    expect(last?.state).toBe('ended')
  })

  test('is empty unless given', async () => {
    expect(await sandbox.exec(['cat'])).toMatchObject({ exitCode: 0, stdout: '' })
  })
})

describe('aborting', () => {
  test('ends the command and all its children', async () => {
    const stop = new AbortController()
    const running = sandbox.sh('sleep 86399 & sleep 86399', {
      signal: stop.signal,
      onStarted: () => stop.abort(),
    })
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
    const [last] = await sandbox.executions({ limit: 1 })
    const execution = await sandbox.attach(last!.id)
    expect((await execution.wait()).ending).not.toBe('exited')
    expect((await sandbox.sh('ps -eo args | grep -c "[s]leep 86399"')).stdout.trim()).toBe('0')
  })

  test('before the start starts nothing', async () => {
    await expect(sandbox.exec(['true'], { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'aborted',
    })
    expect(await sandbox.executions()).toEqual([])
  })
})

describe('an execution', () => {
  test('goes on by itself, takes input and signals', async () => {
    const execution = await sandbox.start(['cat'], { stdin: true })
    const chunks = execution[Symbol.asyncIterator]()
    await execution.stdin.write('ping\n')
    const first = (await chunks.next()).value as OutputChunk
    expect(Buffer.from(first.data).toString()).toBe('ping\n')
    await execution.kill('SIGTERM')
    expect(await execution.wait()).toMatchObject({ signal: 'SIGTERM', stdout: 'ping\n' })
    await execution.kill()
  })

  test('with a terminal knows its size and its changes', async () => {
    const shell = await sandbox.start(['sh', '-c', 'stty size; read line; stty size'], {
      tty: { cols: 91, rows: 23 },
      stdin: true,
    })
    let text = ''
    for await (const { data } of shell.terminal()) {
      const before = text
      text += Buffer.from(data).toString()
      if (!before.includes('23 91') && text.includes('23 91')) {
        await shell.resize({ cols: 132, rows: 50 })
        await shell.stdin.write('\n')
      }
    }
    expect(text).toContain('50 132')
    expect((await shell.wait()).exitCode).toBe(0)
  })
})

describe('run', () => {
  test('gives the result and leaves no sandbox', async ({ server }) => {
    const client = server.client()
    const result = await run(['sh', '-c', 'echo hi; exit 5'], { client, sandbox: { env: { A: '1' } } })
    expect(result).toMatchObject({ stdout: 'hi\n', exitCode: 5 })
    expect(result.resources?.pids).toBeGreaterThan(0)
    const id = result.execution.sandboxId
    expect((await client.call('getSandbox', { id })).mode).toBe('oneshot')
    await expect
      .poll(async () => (await client.call('getSandbox', { id })).status, { timeout: 20_000 })
      .toBe('terminated')
  })

  test('that is aborted deletes its sandbox', async ({ server }) => {
    const client = server.client()
    const stop = new AbortController()
    let id = ''
    const running = run(['sleep', '86399'], {
      client,
      signal: stop.signal,
      onStarted: (execution) => {
        id = execution.sandboxId
        stop.abort()
      },
    })
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
    await expect
      .poll(async () => (await client.call('getSandbox', { id })).status, { timeout: 20_000 })
      .toBe('terminated')
  })
})
