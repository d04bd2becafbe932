import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect } from 'vitest'
import { DRIVER, type TestServer, test } from '../fixture.ts'

const root = resolve(import.meta.dirname, '../..')

/** Without isolation, a shell is the caller's own, and may be root's. */
const PROMPT = DRIVER === 'local' && process.getuid?.() === 0 ? '#' : '$'

/**
 * A person at a terminal, played by Python's pty: runs the CLI in a terminal of 30 rows and 100 columns; when the
 * first text of a step appears, types its second; gives all that the terminal showed, and the exit code.
 */
const PERSON = `
import fcntl, json, os, pty, struct, sys, termios
steps = json.loads(sys.argv[1])
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 30, 100, 0, 0))
seen = b''
while True:
    try:
        data = os.read(fd, 65536)
    except OSError:
        break
    if not data:
        break
    seen += data
    if steps and steps[0][0].encode() in seen:
        os.write(fd, steps.pop(0)[1].encode())
_, status = os.waitpid(pid, 0)
print(json.dumps({'seen': seen.decode(errors='replace'), 'code': os.waitstatus_to_exitcode(status)}))
`

/** Reads lines until one is "end". */
const SHARED = 'echo ready; while read line; do echo "got $line"; [ "$line" = end ] && exit 6; done'

/** Ctrl-P Ctrl-Q. */
const LEAVE = '\u0010\u0011'

async function person(server: TestServer, args: string[], steps: [string, string][] = []) {
  const command = [`${root}/node_modules/.bin/node`, `${root}/packages/cli/src/main.ts`, ...args]
  const { stdout } = await promisify(execFile)('python3', ['-c', PERSON, JSON.stringify(steps), ...command], {
    env: { ...server.env, TERM: 'xterm' },
    timeout: 60_000,
  })
  return JSON.parse(stdout) as { seen: string; code: number }
}

describe('at a terminal', () => {
  test('a command has one, of the same size', async ({ server }) => {
    const { seen, code } = await person(server, [
      'run',
      '--',
      'sh',
      '-c',
      'test -t 0 && test -t 1 && stty size; exit 7',
    ])
    expect(seen).toContain('30 100')
    expect(code).toBe(7)
  })

  test('keys reach the program as they are pressed, Ctrl-C included', async ({ server }) => {
    const script = 'trap "echo caught; exit 5" INT; echo ready; while :; do sleep 0.05; done'
    const { seen, code } = await person(server, ['run', '--', 'sh', '-c', script], [['ready', '\u0003']])
    expect(seen).toContain('caught')
    expect(code).toBe(5)
  })

  test('exec without a command is a shell', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    const { seen, code } = await person(server, ['exec', id], [[PROMPT, 'echo $((40+2)); exit 4\n']])
    expect(seen).toContain('42')
    expect(code).toBe(4)
    await server.cli(['delete', id])
  })

  test('attach joins a terminal that runs, and leaves it running', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    const started = await server.cli(['exec', id, '-d', '-t', '--', 'sh', '-c', SHARED])
    const shared = started.stdout.trim()
    expect(
      await person(
        server,
        ['attach', '-it', shared],
        [
          ['ready', 'one\n'],
          ['got one', LEAVE],
        ],
      ),
    ).toMatchObject({ code: 0, seen: expect.stringContaining('which goes on') })
    const [typing, looking] = await Promise.all([
      person(server, ['attach', '-t', '--tail', '9', shared], [['got one', 'end\n']]),
      person(server, ['attach', '-t', shared]),
    ])
    expect(typing).toMatchObject({ code: 6, seen: expect.stringContaining('got end') })
    expect(looking).toMatchObject({ code: 6, seen: expect.stringContaining('got end') })
    expect(looking.seen).toContain('ready')
    expect(typing.seen).not.toContain('ready')
    await server.cli(['delete', id])
  })

  test('names of files do not control it, and a copy says what it was', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    await server.cli(['cp', '-', `${id}:in/\u001b]0;owned\u0007`], { input: 'x' })
    const { seen } = await person(server, ['fs', 'ls', id, 'in'])
    expect(seen).toContain('\\x1b]0;owned\\x07')
    expect(seen).not.toContain('\u001b]0;')
    const copied = await person(server, ['cp', `${id}:in/\u001b]0;owned\u0007`, '/dev/null'])
    expect(copied.seen).toContain('1 file, 1 B')
    await server.cli(['delete', id])
  })

  test('delete asks first, and takes no for an answer', async ({ server }) => {
    const id = (await server.cli(['create'])).stdout.trim()
    expect(await person(server, ['delete', id], [['[y/N]', 'n\n']])).toMatchObject({ code: 1 })
    expect((await server.cli(['get', id])).stdout).toContain('idle')
    expect(await person(server, ['delete', id], [['[y/N]', 'y\n']])).toMatchObject({ code: 0 })
    expect((await server.cli(['get', id])).stdout).toContain('terminated')
  })
})
