import { randomBytes } from 'node:crypto'
import { Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { missing, run, SshWorld, until } from './world.ts'

const reason = missing()
if (reason) console.error(`tests/ssh is skipped: ${reason}`)

describe.skipIf(reason)('commands and shells of the OpenSSH client', () => {
  let world: SshWorld
  beforeAll(async () => {
    world = await SshWorld.make()
  })
  afterAll(() => world?.[Symbol.asyncDispose]())

  test.for([
    ['exit 0', 0],
    ['exit 3', 3],
    ['exit 255', 255],
    ['kill -9 $$', 255],
    ['kill -TERM $$', 255],
    ['kill -BUS $$', 135],
    ['no-such-program', 127],
  ] as const)('"%s" ends with %i', async ([line, code]) => {
    expect((await world.ssh([line])).code).toBe(code)
  })

  test('runs as the user, in its home, by its login shell', async () => {
    const { stdout } = await world.ssh(['id -un; pwd; echo $SHELL; echo "$0"'])
    expect(stdout.toString()).toBe('agent\n/home/agent\n/bin/bash\n/bin/bash\n')
  })

  test('a word with quotes arrives as ssh sends it', async () => {
    const { stdout } = await world.ssh([`printf '%s|' "a b" 'c"d' \\$HOME ü`])
    expect(stdout.toString()).toBe('a b|c"d|$HOME|ü|')
  })

  test('stdout and stderr stay apart', async () => {
    const { stdout, stderr } = await world.ssh(['echo out; echo err >&2'])
    expect([stdout.toString(), stderr]).toEqual(['out\n', 'err\n'])
  })

  test('10 MiB go in and out unchanged', async () => {
    const input = randomBytes(10 * 1024 * 1024)
    const { stdout, code } = await world.ssh(['cat'], { input })
    expect(code).toBe(0)
    expect(stdout.equals(input)).toBe(true)
  })

  test('megabytes on stdout and stderr in turn arrive once', async () => {
    const line = 'for i in 1 2 3 4; do head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; done'
    const { stdout, stderr } = await world.ssh([line])
    expect([stdout.length, stderr.length]).toEqual([12_000_000, 12_000_000])
  })

  test('the end of input reaches the program, and its output goes on', async () => {
    const { stdout, code } = await world.ssh(['cat >/dev/null; echo after; exit 5'], { input: 'x' })
    expect([stdout.toString(), code]).toEqual(['after\n', 5])
  })

  test('a program that takes no input ends all the same', async () => {
    const { code } = await world.ssh(['exit 6'], { input: Buffer.alloc(8 * 1024 * 1024) })
    expect(code).toBe(6)
  })

  test('without a command there is a login shell', async () => {
    const input = 'shopt -q login_shell && echo login\nexit 4\n'
    const { stdout, code } = await world.ssh(['-T'], { input })
    expect([stdout.toString(), code]).toEqual(['login\n', 4])
  })

  test('variables are passed on, but for those of the server', async () => {
    const env = { LC_MINE: 'sé"x', CAISSON_SANDBOX: 'other' }
    const { stdout } = await world.sshWith(
      ['-o', 'SendEnv=LC_MINE CAISSON_SANDBOX', '-o', 'SetEnv=SPACED="a b"'],
      ['echo "$LC_MINE|$SPACED|$CAISSON_SANDBOX"'],
      { env },
    )
    expect(stdout.toString()).toBe(`sé"x|a b|${world.sandbox.id}\n`)
  })

  test('the environment of the sandbox is the same as for other commands', async () => {
    const { stdout } = await world.ssh(['env | grep -vE "^(_|SHLVL|CAISSON_EXECUTION)=" | sort'])
    const direct = await world.sandbox.exec([
      'bash',
      '-c',
      'env | grep -vE "^(_|SHLVL|CAISSON_EXECUTION)=" | sort',
    ])
    expect(stdout.toString()).toBe(direct.stdout)
  })

  test('a terminal has the size and type of the client, and follows its size', async () => {
    // script(1) has no size option everywhere; Python's pty is the terminal of the client.
    const program = `
import fcntl, os, pty, struct, sys, termios, time, signal
def size(fd, rows, cols): fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))
pid, fd = pty.fork()
if pid == 0:
    size(0, 31, 97)
    os.environ['TERM'] = 'vt220'
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b''
resized = False
while True:
    try: data = os.read(fd, 4096)
    except OSError: break
    if not data: break
    seen += data
    if b'ready' in seen and not resized:
        resized = True
        size(fd, 50, 120)
        os.kill(pid, signal.SIGWINCH)
os.waitpid(pid, 0)
sys.stdout.buffer.write(seen)
`
    const line =
      "trap 'stty size; exit 0' WINCH; stty size; echo $TERM; tty; echo ready; while :; do sleep 0.05; done"
    const { stdout } = await run('python3', [
      '-c',
      program,
      'ssh',
      '-t',
      '-p',
      `${world.port}`,
      ...world.options(),
      '-l',
      'work',
      '127.0.0.1',
      line,
    ])
    const lines = stdout.toString().split('\r\n')
    expect(lines).toEqual(expect.arrayContaining(['31 97', 'vt220', 'ready', '50 120']))
    expect(stdout.toString()).toMatch(/\/dev\/pts\/\d+/)
  })

  test('two sessions share one connection', async () => {
    const shared = ['-o', `ControlPath=${world.path('control')}`]
    let stop = () => {}
    const master = world.sshWith([...shared, '-M', '-N'], [], {
      onSpawn: (child) => {
        stop = () => child.kill()
      },
    })
    await until(async () => (await world.sshWith([...shared, '-O', 'check'], [])).code === 0)
    const both = await Promise.all(
      ['sleep 0.2; echo one', 'echo two'].map((line) => world.sshWith(shared, [line])),
    )
    stop()
    await master
    expect(both.map(({ stdout }) => stdout.toString())).toEqual(['one\n', 'two\n'])
  })

  test('what ssh starts is in the history', async () => {
    await world.ssh(['echo in the history'])
    const { executions } = await world.server.client().call('listExecutions', { id: 'work', tag: 'ssh' })
    expect(executions[0]).toMatchObject({ kind: 'command', tag: 'ssh', exitCode: 0 })
    expect(executions[0]?.argv.at(-1)).toBe('echo in the history')
  })

  test('a client that goes away hangs up on its command', async () => {
    let stop = () => {}
    const going = world.ssh(['echo $$ > /tmp/pid; exec sleep 1000'], {
      onSpawn: (child) => {
        stop = () => child.kill('SIGKILL')
      },
    })
    const pid = async () => (await world.sandbox.exec(['cat', '/tmp/pid'])).stdout.trim()
    await until(async () => /^\d+$/.test(await pid()))
    stop()
    await going
    const inside = await pid()
    await until(
      async () =>
        (await world.sandbox.exec(['sh', '-c', `kill -0 ${inside}`], { user: 'root' })).exitCode !== 0,
    )
    const { executions } = await world.server.client().call('listExecutions', { id: 'work', tag: 'ssh' })
    expect(executions[0]).toMatchObject({ state: 'ended', signal: 'SIGHUP' })
  })

  test('what does not hear the hang-up is killed', async () => {
    const marker = 'trap "" HUP; sleep 986'
    let stop = () => {}
    const going = world.ssh([`${marker}; true`], {
      onSpawn: (child) => {
        stop = () => child.kill('SIGKILL')
      },
    })
    const found = async () => {
      const { executions } = await world.server.client().call('listExecutions', { id: 'work', tag: 'ssh' })
      return executions.find(({ argv }) => argv.at(-1)?.startsWith(marker))
    }
    await until(async () => (await found())?.state === 'running')
    await until(async () => (await world.sandbox.exec(['pgrep', '-fx', 'sleep 986'])).exitCode === 0)
    stop()
    await going
    await until(async () => (await found())?.state === 'ended')
    expect(await found()).toMatchObject({ signal: 'SIGKILL' })
    expect((await world.sandbox.exec(['pgrep', '-fx', 'sleep 986'])).exitCode).toBe(1)
  })

  test('a shell in a terminal that is closed takes its jobs with it, but for those it was to leave', async () => {
    let stop = () => {}
    const input = 'sleep 985 &\nnohup sleep 984 >/dev/null 2>&1 &\necho both-$((1+1))\nsleep 983\n'
    const going = world.sshWith(['-tt'], [], {
      input: Buffer.from(input),
      open: true,
      onSpawn: (child) => {
        stop = () => child.kill('SIGKILL')
      },
    })
    const runs = async (seconds: number) =>
      (await world.sandbox.exec(['pgrep', '-fx', `sleep ${seconds}`])).exitCode === 0
    await until(async () => (await runs(985)) && (await runs(984)) && (await runs(983)))
    stop()
    await going
    await until(async () => !(await runs(985)) && !(await runs(983)))
    expect(await runs(984)).toBe(true)
    await world.sandbox.exec(['pkill', '-fx', 'sleep 984'])
  })

  test('what a shell was told to leave alone outlives the client', async () => {
    const { stdout } = await world.ssh(['nohup sleep 1000 >/dev/null 2>&1 & echo $!'])
    const alive = await world.sandbox.exec(['kill', '-0', stdout.toString().trim()])
    expect(alive.exitCode).toBe(0)
    await world.sandbox.exec(['kill', stdout.toString().trim()])
  })

  test('an ending that a code can not tell is told on stderr', async () => {
    const going = world.ssh(['sleep 987'])
    const client = world.server.client()
    const running = async () => {
      const { executions } = await client.call('listExecutions', { id: 'work', tag: 'ssh', state: 'running' })
      return executions.find(({ argv }) => argv.at(-1) === 'sleep 987')
    }
    await until(async () => (await running()) !== undefined)
    await client.call('killExecution', { execution: (await running())!.id, signal: 'SIGKILL', scope: 'tree' })
    const { code, stderr } = await going
    expect(code).toBe(255)
    expect(stderr).toContain('caisson: A kill was asked for')
  })

  test('the end of the sandbox ends its sessions, and says so', async () => {
    const client = world.server.client()
    const sandbox = await Sandbox.create({ client })
    const going = world.ssh(['sleep 982'], { user: sandbox.id })
    const started = async () => (await client.call('listExecutions', { id: sandbox.id })).total === 1
    await until(started)
    await client.call('deleteSandbox', { id: sandbox.id })
    const { code, stderr } = await going
    expect(code).toBe(255)
    expect(stderr).toMatch(/^caisson: .*\n/)
    expect((await world.ssh(['true'], { user: sandbox.id })).stderr).toContain('has ended')
  })

  test('memory that ran out is told', async () => {
    const client = world.server.client()
    const sandbox = await Sandbox.create({ resources: { memory: '64Mi' }, client })
    const { code, stderr } = await world.ssh(['exec python3 -c "x = bytearray(500_000_000)"'], {
      user: sandbox.id,
    })
    expect(code).toBe(255)
    expect(stderr).toContain('caisson: The kernel killed it: the sandbox was at its memory limit.')
    await client.call('deleteSandbox', { id: sandbox.id })
  })

  test('a program waits for a slow client: nothing is lost, and little is kept', async () => {
    const line = `${world.command} -l work 127.0.0.1 'head -c 200000000 /dev/zero; exit 3'`
    const { stdout } = await run('bash', ['-c', `${line} | (sleep 1; wc -c); echo "\${PIPESTATUS[0]}"`])
    expect(stdout.toString()).toBe('200000000\n3\n')
    const { executions } = await world.server
      .client()
      .call('listExecutions', { id: 'work', tag: 'ssh', limit: 1 })
    expect(executions[0]).toMatchObject({ outputBytes: 200_000_000, outputTruncated: true })
    expect(executions[0]!.outputStart).toBeGreaterThan(100_000_000)
  })
})
