import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect } from 'vitest'
import { ATTACKERS, cannotRun, codeOf, test } from './world.ts'

const HOSTILE_ARGUMENTS = [
  '-c',
  '--',
  '--help',
  '-rf /',
  '',
  ' ',
  '; touch /tmp/pwned',
  '$(touch /tmp/pwned)',
  '`touch /tmp/pwned`',
  '| touch /tmp/pwned',
  '&& touch /tmp/pwned',
  '\n touch /tmp/pwned \n',
  '%s%n',
  '*',
  '../../etc/passwd',
  '"\'\\',
  '\u202e\u0000x'.replaceAll('\0', ''),
  '\x7f\x1b[2J',
  'ä🙂',
]

/** Writes so many MiB in one line, and their digest to stderr. */
const FLOOD = `import hashlib, os, sys
sha = hashlib.sha256()
for i in range(int(sys.argv[1])):
  block = bytes([65 + i % 26]) * (1 << 20)
  sha.update(block)
  sys.stdout.buffer.write(block)
sys.stdout.flush()
print(sha.hexdigest(), end='', file=sys.stderr)`

const MEMORY_GROWTH = 64 * 2 ** 20

describe.skipIf(cannotRun)('a command', () => {
  test('gets its arguments, environment and directory exactly as they were given', async ({ box }) => {
    const print =
      'import json, os, sys; print(json.dumps([sys.argv[1:], os.environ["HOSTILE"], os.getcwd()]))'
    const cwd = '/tmp/-a $(b)\n;c'
    await box.files.mkdir(cwd)
    const value = HOSTILE_ARGUMENTS.join('\n')
    const result = await box.exec(['python3', '-c', print, ...HOSTILE_ARGUMENTS], {
      cwd,
      env: { HOSTILE: value },
    })
    expect(JSON.parse(result.stdout)).toEqual([HOSTILE_ARGUMENTS, value, cwd])
    expect(await box.files.exists('/tmp/pwned')).toBe(false)
  })

  test.for(['-x', '--help', '', ' ', 'true; id', '$(id)', 'tr\nue', '../bin/none', '/etc', '/etc/passwd'])(
    'whose name is %j is a typed refusal',
    async (name, { box }) => {
      expect(await codeOf(box.exec([name]))).toMatch(/^(command_not_found|cannot_start|invalid_request)$/)
      expect(await codeOf(box.exec(['true']))).toBe('ok')
    },
  )

  test.for(['-x', 'root;id', '../root', '4294967295', '-1', '0:', ':', 'root\n', 'agent:nobody-such'])(
    'as user %j is a typed refusal',
    async (user, { box }) => {
      expect(await codeOf(box.exec(['true'], { user }))).toMatch(/^(cannot_start|invalid_request)$/)
      expect(await codeOf(box.exec(['true'], { user: 'agent' }))).toBe('ok')
    },
  )

  test('with a name, a directory or a variable that holds NUL is refused', async ({ box }) => {
    for (const call of [
      box.exec(['true\0-x']),
      box.exec(['true', 'a\0b']),
      box.exec(['true'], { cwd: '/tmp\0/x' }),
      box.exec(['true'], { env: { A: 'b\0LD_PRELOAD=x' } }),
      box.exec(['true'], { env: { 'A=B': 'c' } }),
      box.exec(['true'], { user: 'root\0' }),
    ])
      expect(await codeOf(call)).toBe('invalid_request')
  })

  test.for(ATTACKERS)('in a directory behind a descriptor stays inside, as %s', async (user, { box }) => {
    const here = 'import os; i = os.stat("/"); print(os.getcwd(), os.path.exists("/proc/1/comm"), i.st_ino)'
    const run = (cwd: string) => box.exec(['python3', '-c', here], { cwd, user })
    const inside = (await run('/')).stdout
    for (let fd = 0; fd <= 20; fd++) {
      for (const path of [
        `/proc/self/fd/${fd}`,
        `/proc/self/fd/${fd}/..`,
        `/proc/1/fd/${fd}`,
        `/dev/fd/${fd}/../..`,
      ])
        expect(await codeOf(run(path)), path).toMatch(/^(cannot_start|command_not_found)$/)
    }
    for (const path of ['/proc/1/cwd', '/proc/1/root'])
      expect(await codeOf(run(path)), path).toBe('cannot_start')
    // Its own root is the sandbox's: allowed, and nothing else.
    expect((await run('/proc/self/root')).stdout).toBe(inside)
    expect((await run('/proc/self/cwd/../../../..')).stdout).toBe(inside)
  })
})

describe.skipIf(cannotRun)('output', () => {
  test('without an end of line neither grows the server nor loses a byte', async ({ server, box }) => {
    const resident = () => {
      const [, kibibytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))!
      return Number(kibibytes) * 1024
    }
    const flood = async (mebibytes: number) => {
      const sha = createHash('sha256')
      let told = ''
      let peak = 0
      await box.exec(['python3', '-c', FLOOD, String(mebibytes)], {
        maxBuffer: 0,
        onOutput: ({ stream, data }) => {
          if (stream === 'stdout') sha.update(data)
          else told += Buffer.from(data).toString()
          peak = Math.max(peak, resident())
        },
      })
      expect(sha.digest('hex')).toBe(told)
      return peak
    }
    const small = await flood(64)
    expect((await flood(256)) - small).toBeLessThan(MEMORY_GROWTH)
  })

  test('that is not UTF-8, or is split within a character, arrives byte for byte', async ({ box }) => {
    const code = `import os, time
data = b'\\xff\\xfe\\xc3' + 'ä€🙂'.encode() * 3 + b'\\xf0\\x9f\\x99' + b'\\x00\\x80\\xed\\xa0\\x80\\xc0\\xae'
for byte in data: os.write(1, bytes([byte])); time.sleep(0.002)`
    let text = ''
    const { stdoutBytes } = await box.exec(['python3', '-c', code], {
      onStdout: (piece) => {
        text += piece
      },
    })
    const expected = Buffer.concat([
      Buffer.from([0xff, 0xfe, 0xc3]),
      Buffer.from('ä€🙂'.repeat(3)),
      Buffer.from([0xf0, 0x9f, 0x99, 0x00, 0x80, 0xed, 0xa0, 0x80, 0xc0, 0xae]),
    ])
    expect(Buffer.from(stdoutBytes)).toEqual(expected)
    expect(text).toBe(new TextDecoder().decode(expected))
  })
})
