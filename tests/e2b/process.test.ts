import type { CommandHandle, Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { CLIENTS } from './clients.ts'
import { cannotNetwork, type E2b, test } from './fixture.ts'

type Client = typeof Sandbox

/** A sandbox for one test. */
async function open(Client: Client, { options }: E2b): Promise<AsyncDisposable & { sandbox: Sandbox }> {
  const sandbox = await Client.create({ ...options, timeoutMs: 120_000 })
  return { sandbox, [Symbol.asyncDispose]: async () => void (await Client.kill(sandbox.sandboxId, options)) }
}

/** The name of what a promise fails with, and its message. */
async function failure(
  promise: Promise<unknown>,
): Promise<{ name: string; message: string; exitCode?: number }> {
  const error = await promise.then(
    (value) => Promise.reject(new Error(`nothing failed: ${JSON.stringify(value)}`)),
    (reason) => reason,
  )
  return { name: error.constructor.name, message: error.message, exitCode: error.exitCode }
}

/** Tries again until a value satisfies. */
async function until<T>(look: () => Promise<T> | T, satisfies: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look()
    if (satisfies(value)) return value
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe.skipIf(cannotNetwork).each(Object.entries(CLIENTS))('commands of %s', (name, Client) => {
  test('output, exit codes and how a command ended', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    expect(await commands.run('echo out; echo err >&2')).toMatchObject({
      exitCode: 0,
      stdout: 'out\n',
      stderr: 'err\n',
    })
    expect((await commands.run('true')).error || undefined).toBeUndefined()
    expect(await failure(commands.run('echo before; exit 3'))).toEqual({
      name: 'CommandExitError',
      message: 'exit status 3',
      exitCode: 3,
    })
    expect(await failure(commands.run('kill -9 $$'))).toEqual({
      name: 'CommandExitError',
      message: 'signal: killed',
      exitCode: -1,
    })
    expect(await failure(commands.run('kill -SEGV $$'))).toMatchObject({
      message: 'signal: segmentation fault',
    })
    expect((await commands.run("printf 'é€😀'")).stdout).toBe('é€😀')
    expect((await commands.run('echo to-nobody </dev/stdin; cat')).stdout).toBe('to-nobody\n')
  })

  test('environment, directory and user', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands, sandboxId } = opened.sandbox
    const prefix = name === 'Moru' ? 'MORU' : 'E2B'
    const said = await commands.run(
      `echo $${prefix}_SANDBOX $${prefix}_SANDBOX_ID $${prefix}_TEMPLATE_ID $USER $HOME $LOGNAME $OWN; pwd; id -un`,
      {
        envs: { OWN: 'mine' },
      },
    )
    expect(said.stdout).toBe(`true ${sandboxId} base user /home/user user mine\n/home/user\nuser\n`)
    expect((await commands.run('pwd', { cwd: '/usr/share' })).stdout).toBe('/usr/share\n')
    expect((await commands.run('id -un; pwd', { user: 'root' })).stdout).toBe('root\n/root\n')
    expect((await commands.run('sudo id -un')).stdout).toBe('root\n')
    expect(await failure(commands.run('true', { cwd: '/not/there' }))).toMatchObject({
      name: 'InvalidArgumentError',
      message: expect.stringContaining("cwd '/not/there' does not exist"),
    })
    expect(await failure(commands.run('true', { user: 'nobody-here' }))).toMatchObject({
      name: 'AuthenticationError',
      message: expect.stringContaining('nobody-here'),
    })
    expect(await failure(commands.run('true', { envs: { 'NO NAME': 'x' } }))).toMatchObject({
      name: 'InvalidArgumentError',
    })
  })

  test('relative directories begin at the home', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    await commands.run('mkdir -p ~/deep/er')
    expect((await commands.run('pwd', { cwd: 'deep/er' })).stdout).toBe('/home/user/deep/er\n')
    expect((await commands.run('pwd', { cwd: '~/deep' })).stdout).toBe('/home/user/deep\n')
    expect((await commands.run('pwd', { cwd: '~' })).stdout).toBe('/home/user\n')
  })

  test('output as it comes, in the background, with a list and a kill', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    const seen: string[] = []
    const handle = (await commands.run('echo one; sleep 300 & echo two >&2; wait', {
      background: true,
      cwd: '/tmp',
      onStdout: (text) => void seen.push(`out ${text}`),
      onStderr: (text) => void seen.push(`err ${text}`),
    })) as CommandHandle
    await until(
      () => seen.length,
      (length) => length === 2,
    )
    expect(seen.toSorted()).toEqual(['err two\n', 'out one\n'])
    const [running, ...others] = await commands.list()
    expect(others).toEqual([])
    expect(running).toMatchObject({ pid: handle.pid, cmd: '/bin/bash', cwd: '/tmp' })
    expect(running?.args.slice(0, 2)).toEqual(['-l', '-c'])
    expect(await handle.kill()).toBe(true)
    expect(await failure(handle.wait())).toMatchObject({ message: 'signal: killed', exitCode: -1 })
    expect(await commands.kill(handle.pid)).toBe(false)
    expect(await commands.list()).toEqual([])
    // What it had started has gone with it.
    expect(await failure(commands.run('pgrep -x sleep'))).toMatchObject({ exitCode: 1 })
  })

  test('input', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    let seen = ''
    const handle = (await commands.run('cat', {
      background: true,
      stdin: true,
      onStdout: (text) => {
        seen += text
      },
    })) as CommandHandle
    await commands.sendStdin(handle.pid, 'first\n')
    await commands.sendStdin(handle.pid, 'second\nthird é\n')
    await until(
      () => seen,
      (text) => text === 'first\nsecond\nthird é\n',
    )
    if (name === 'e2b 2.51') {
      await commands.closeStdin(handle.pid)
      expect(await handle.wait()).toMatchObject({ exitCode: 0, stdout: seen })
    } else expect(await handle.kill()).toBe(true)
    const deaf = (await commands.run('sleep 300', { background: true })) as CommandHandle
    await expect(commands.sendStdin(deaf.pid, 'x')).rejects.toThrow(/not open/)
    expect(await deaf.kill()).toBe(true)
    await failure(deaf.wait())
    expect(await failure(commands.sendStdin(handle.pid, 'late'))).toMatchObject({ name: 'NotFoundError' })
    expect(await failure(commands.sendStdin(99_999, 'nobody'))).toMatchObject({ name: 'NotFoundError' })
  })

  test('several connections to one command, and its end afterwards', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    const first = (await commands.run('read line; echo "got $line"; exit 4', {
      background: true,
      stdin: true,
    })) as CommandHandle
    const others = await Promise.all([commands.connect(first.pid), commands.connect(first.pid)])
    await first.disconnect()
    expect((await commands.list()).map(({ pid }) => pid)).toEqual([first.pid])
    await commands.sendStdin(first.pid, 'it\n')
    for (const other of others) {
      expect(await failure(other.wait())).toMatchObject({ exitCode: 4 })
      expect(other.stdout).toBe('got it\n')
    }
    const late = await commands.connect(first.pid)
    expect(await failure(late.wait())).toMatchObject({ exitCode: 4 })
    expect(late.stdout).toBe('')
    expect(await failure(commands.connect(99_999))).toMatchObject({ name: 'NotFoundError' })
  })

  test('a command that outlasts its time is ended', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    expect(await failure(commands.run('sleep 300', { timeoutMs: 700 }))).toMatchObject({
      name: 'TimeoutError',
    })
    await until(
      () => commands.list(),
      (list) => list.length === 0,
    )
    const untimed = (await commands.run('sleep 300', { timeoutMs: 0, background: true })) as CommandHandle
    expect(await untimed.kill()).toBe(true)
    await failure(untimed.wait())
  })

  test('nothing is lost when the reader is slow, or the output is large', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { commands } = opened.sandbox
    const { stdout } = await commands.run('seq 1 1500000', { timeoutMs: 0 })
    expect(stdout.length).toBe(10_888_896)
    expect(stdout.endsWith('\n1500000\n')).toBe(true)
  })

  test('the end of a sandbox tells those who wait', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { sandbox } = opened
    expect(await sandbox.isRunning()).toBe(true)
    const waiting = failure(sandbox.commands.run('echo begun; sleep 300', { timeoutMs: 0 }))
    await until(
      () => sandbox.commands.list(),
      (list) => list.length === 1,
    )
    expect(await Client.kill(sandbox.sandboxId, e2b.options)).toBe(true)
    // Moru's client does not ask whether the sandbox is still there.
    expect((await waiting).name).toBe(name === 'Moru' ? 'SandboxError' : 'TimeoutError')
    expect(await sandbox.isRunning()).toBe(false)
    expect((await failure(sandbox.commands.run('true'))).name).toBe(
      name === 'Moru' ? 'NotFoundError' : 'SandboxNotFoundError',
    )
    expect((await failure(sandbox.commands.list())).name).toBe('TimeoutError')
  })
})
