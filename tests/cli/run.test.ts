import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { DRIVER, runCli, type TestServer, temporaryDirectory, test } from '../fixture.ts'

const json = (text: string) => JSON.parse(text)

async function living(server: TestServer): Promise<number> {
  return json((await server.cli(['list', '--json'])).stdout).total
}

describe('caisson run', () => {
  test('prints what the command prints and ends with its exit code', async ({ server }) => {
    const { code, stdout, stderr } = await server.cli([
      'run',
      '--',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 3',
    ])
    expect({ code, stdout, stderr }).toEqual({ code: 3, stdout: 'out\n', stderr: 'err\n' })
    expect(await living(server)).toBe(0)
  })

  test('takes the command without -- as well, and its options as its own', async ({ server }) => {
    expect((await server.cli(['run', 'sh', '-c', 'echo "$0" "$1"', '--json', '--memory'])).stdout).toBe(
      '--json --memory\n',
    )
  })

  test.for([[['cloud', 'sandbox', 'run']], [['sandbox', 'run']], [['sb', 'run']]])(
    'is also %s',
    async ([prefix], { server }) => {
      expect((await server.cli([...prefix!, '--', 'echo', 'hi'])).stdout).toBe('hi\n')
    },
  )

  test('passes exit codes as shells do', async ({ server }) => {
    const codes = await Promise.all([
      server.cli(['run', '--', 'sh', '-c', 'kill -TERM $$']),
      server.cli(['run', '--timeout', '100ms', '--', 'sleep', '60']),
      server.cli(['run', '--', 'no-such-program']),
      server.cli(['run', '--', '/etc/passwd']),
      server.cli(['run', '--snapshot', 'no-such', '--', 'true']),
      server.cli(['run', '--no-such-option', '--', 'true']),
      server.cli(['run']),
    ])
    expect(codes.map(({ code }) => code)).toEqual([143, 124, 127, expect.any(Number), 125, 2, 2])
    expect([126, 127]).toContain(codes[3]!.code)
    expect(codes[1]!.stderr).toContain('timeout')
    expect(codes[4]!.stderr).toContain('"no-such" does not exist')
  })

  test.runIf(DRIVER === 'oci')('ends with 137 and says why when memory runs out', async ({ server }) => {
    const { code, stderr } = await server.cli([
      ...['run', '--memory', '64Mi', '--'],
      ...['python3', '-c', 'x = bytearray(512 << 20)'],
    ])
    expect(code).toBe(137)
    expect(stderr).toMatch(/memory/)
  })

  test('sets environment, directory and files', async ({ server }) => {
    await using folder = await temporaryDirectory()
    await writeFile(`${folder.path}/in.txt`, 'from here')
    const { stdout } = await server.cli(
      [
        ...['run', '--env', 'A=1=2', '--env', 'PASSED', '--cwd', '/tmp'],
        ...['--file', `/tmp/there.txt:${folder.path}/in.txt`, '--', 'sh', '-c'],
        'echo "$A $PASSED $(pwd) $(cat there.txt)"',
      ],
      { env: { PASSED: 'on' } },
    )
    expect(stdout).toBe('1=2 on /tmp from here\n')
  })

  test('refuses what the server does not have, with the reason', async ({ server }) => {
    const refused: [string[], string][] = [
      [['--snapshot', 'x'], 'does not exist'],
      [['--dependency', 'jq; true'], 'names no Debian package'],
      [['--package', '../x'], 'names no npm package'],
      [['--scope', 'x'], 'not supported'],
    ]
    for (const [option, reason] of refused) {
      const { code, stderr } = await server.cli(['run', ...option, '--', 'true'])
      expect(code).toBe(125)
      expect(stderr).toContain(reason)
    }
  })

  test('--json prints one document with the result', async ({ server }) => {
    const { code, stdout } = await server.cli([
      'run',
      '--json',
      '--',
      'sh',
      '-c',
      'echo o; echo e >&2; exit 4',
    ])
    expect(code).toBe(4)
    expect(json(stdout)).toMatchObject({
      stdout: 'o\n',
      stderr: 'e\n',
      exitCode: 4,
      ending: 'exited',
      outputTruncated: false,
      resources: { pids: expect.any(Number) },
    })
  })

  test('--json gives bytes that are no text as base64 too', async ({ server }) => {
    const { stdout } = await server.cli(['run', '--json', '--', 'printf', '\\377'])
    expect(json(stdout).stdoutBase64).toBe(Buffer.from([255]).toString('base64'))
  })

  test('--json gives errors as JSON on stderr', async ({ server }) => {
    const missing = await server.cli(['run', '--json', '--', 'no-such-program'])
    expect(missing.stdout).toBe('')
    expect(json(missing.stderr).error.code).toBe('command_not_found')
    const usage = await server.cli(['run', '--json', '--no-such-option', '--', 'true'])
    expect(json(usage.stderr).error.code).toBe('usage')
  })

  test('--quiet prints nothing, --timestamps the time before each line', async ({ server }) => {
    expect(await server.cli(['run', '--quiet', '--', 'sh', '-c', 'echo a; exit 2'])).toMatchObject({
      code: 2,
      stdout: '',
    })
    const { stdout } = await server.cli(['run', '--timestamps', '--', 'printf', 'a\\nb'])
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z a\n\d{4}-\d\d-\d\dT[\d:.]+Z b$/)
  })
})

describe('stdin', () => {
  test('is passed on when it is piped', async ({ server }) => {
    const input = 'x'.repeat(1_000_000)
    const { stdout } = await server.cli(['run', '--', 'wc', '-c'], { input })
    expect(stdout.trim()).toBe('1000000')
  })

  test('is passed on when it is a file, and not when that is not wanted', async ({ server }) => {
    await using folder = await temporaryDirectory()
    await writeFile(`${folder.path}/in.txt`, 'content')
    const from = async (...args: string[]) => {
      const fd = openSync(`${folder.path}/in.txt`, 'r')
      try {
        return (await server.cli(['run', ...args, '--', 'cat'], { stdinFd: fd })).stdout
      } finally {
        closeSync(fd)
      }
    }
    expect(await from()).toBe('content')
    expect(await from('--no-stdin')).toBe('')
  })

  test('that stays open does not hold up the end', async ({ server }) => {
    const { code, stdout } = await server.cli(['run', '--', 'echo', 'done'], { stdin: 'open' })
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'done\n' })
  })
})

describe('signals', () => {
  test('Ctrl-C reaches the command, and the sandbox is deleted', async ({ server }) => {
    const script = "trap 'echo cleaned; exit 9' INT; echo ready; while :; do sleep 0.1; done"
    const { code, stdout } = await server.cli(['run', '--', 'sh', '-c', script], {
      onSpawn: async (child) => {
        await once(child.stdout!, 'data')
        child.kill('SIGINT')
      },
    })
    expect({ code, stdout }).toEqual({ code: 130, stdout: 'ready\ncleaned\n' })
    await expect.poll(() => living(server), { timeout: 20_000 }).toBe(0)
  })

  test('a second Ctrl-C ends a command that does not listen', async ({ server }) => {
    const script = "trap '' INT TERM; echo ready; sleep 86399"
    const { code } = await server.cli(['run', '--', 'sh', '-c', script], {
      onSpawn: async (child) => {
        await once(child.stdout!, 'data')
        child.kill('SIGINT')
        // Two signals that arrive as one would be one.
        await sleep(100)
        child.kill('SIGINT')
      },
    })
    expect(code).toBe(130)
    await expect.poll(() => living(server), { timeout: 20_000 }).toBe(0)
  })

  test('a client that is killed takes its one-shot sandbox with it', async ({ server }) => {
    const { signal } = await server.cli(['run', '--', 'sh', '-c', 'echo ready; sleep 86399'], {
      onSpawn: async (child) => {
        await once(child.stdout!, 'data')
        child.kill('SIGKILL')
      },
    })
    expect(signal).toBe('SIGKILL')
    await expect.poll(() => living(server), { timeout: 20_000 }).toBe(0)
  })

  test('a reader that goes away ends it without words', async ({ server }) => {
    const { code, stderr } = await server.cli(['run', '--', 'yes'], {
      onSpawn: async (child) => {
        await once(child.stdout!, 'data')
        child.stdout!.destroy()
      },
    })
    expect({ code, stderr }).toEqual({ code: 141, stderr: '' })
    await expect.poll(() => living(server), { timeout: 20_000 }).toBe(0)
  })
})

test('a server that cannot be reached is a failure of its own', async () => {
  const { code, stderr } = await runCli(['run', '--url', 'http://127.0.0.1:9', '--', 'true'], { env: {} })
  expect(code).toBe(125)
  expect(stderr).toContain('http://127.0.0.1:9')
})
