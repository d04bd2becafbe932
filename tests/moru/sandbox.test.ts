import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect } from 'vitest'
import { cannotNetwork, made, test } from './fixture.ts'

describe.skipIf(cannotNetwork)('a sandbox, by Moru’s client', () => {
  test('is created, used and killed with two environment variables', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    expect(sandbox.sandboxId).toMatch(/^[a-z0-9]+$/)
    const result = await sandbox.commands.run('whoami; echo "$MORU_SANDBOX/$MORU_SANDBOX_ID"')
    expect(result.stdout).toBe(`user\ntrue/${sandbox.sandboxId}\n`)
    expect(await sandbox.isRunning()).toBe(true)
    await sandbox.kill()
    expect(await sandbox.isRunning()).toBe(false)
  })

  test('keeps what it was created with', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create({
      metadata: { team: 'research' },
      envs: { STAGE: 'test' },
      timeoutMs: 120_000,
      allowInternetAccess: false,
    })
    made.push(sandbox)
    expect((await sandbox.commands.run('echo $STAGE')).stdout).toBe('test\n')
    const info = await sandbox.getInfo()
    expect(info).toMatchObject({
      sandboxId: sandbox.sandboxId,
      metadata: { team: 'research' },
      state: 'running',
    })
    expect(+info.endAt - +info.startedAt).toBe(120_000)
    await sandbox.setTimeout(600_000)
    expect(+(await sandbox.getInfo()).endAt).toBeGreaterThan(+info.endAt)
    const paginator = moru.client.Sandbox.list({ query: { metadata: { team: 'research' } } })
    expect((await paginator.nextItems()).map(({ sandboxId }) => sandboxId)).toEqual([sandbox.sandboxId])
    expect(paginator.hasNext).toBe(false)
    await expect(sandbox.commands.run('curl -s -m 5 http://example.com')).rejects.toMatchObject({
      exitCode: 6,
    })
  })

  test('is paused and connected to again, with what ran in it', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    const counting = await sandbox.commands.run(
      'i=0; while :; do i=$((i+1)); echo $i >/tmp/i; sleep 0.05; done',
      {
        background: true,
        timeoutMs: 0,
      },
    )
    await sandbox.files.write('/home/user/kept', 'yes')
    expect(await sandbox.betaPause()).toBe(true)
    expect(await sandbox.betaPause()).toBe(false)
    expect(await sandbox.isRunning()).toBe(false)
    const [paused] = await moru.client.Sandbox.list({ query: { state: ['paused'] } }).nextItems()
    expect(paused?.sandboxId).toBe(sandbox.sandboxId)
    await sandbox.connect()
    expect(await sandbox.files.read('/home/user/kept')).toBe('yes')
    const before = Number(await sandbox.files.read('/tmp/i'))
    await sleep(300)
    expect(Number(await sandbox.files.read('/tmp/i'))).toBeGreaterThan(before)
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(counting.pid)
  })

  test('is resumed by betaCreate’s autoPause after its time, and not killed', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.betaCreate({ autoPause: true, timeoutMs: 2000 })
    made.push(sandbox)
    for (let tries = 0; (await sandbox.getInfo()).state !== 'paused'; tries++) {
      expect(tries).toBeLessThan(100)
      await sleep(100)
    }
    const again = await moru.client.Sandbox.connect(sandbox.sandboxId)
    expect((await again.commands.run('echo back')).stdout).toBe('back\n')
  })

  test('runs commands in every way that the client knows', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    const told: string[] = []
    const result = await sandbox.commands.run('echo out; echo err >&2', {
      onStdout: (text) => void told.push(text),
      onStderr: (text) => void told.push(text),
      cwd: '/tmp',
    })
    expect({ ...result }).toMatchObject({ exitCode: 0, stdout: 'out\n', stderr: 'err\n' })
    expect(told.sort()).toEqual(['err\n', 'out\n'])
    await expect(sandbox.commands.run('exit 3')).rejects.toMatchObject({ exitCode: 3 })
    expect((await sandbox.commands.run('id -un', { user: 'root' })).stdout).toBe('root\n')
    const cat = await sandbox.commands.run('read line; echo "got $line"', {
      background: true,
      timeoutMs: 0,
      stdin: true,
    })
    await sandbox.commands.sendStdin(cat.pid, 'a line\n')
    expect((await cat.wait()).stdout).toBe('got a line\n')
    const sleeper = await sandbox.commands.run('sleep 600', { background: true, timeoutMs: 0 })
    const connected = await sandbox.commands.connect(sleeper.pid)
    expect(await sandbox.commands.kill(sleeper.pid)).toBe(true)
    await expect(connected.wait()).rejects.toThrow()
    expect(await sandbox.commands.kill(99_999)).toBe(false)
  })

  test('has terminals', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    let screen = ''
    const terminal = await sandbox.pty.create({
      cols: 80,
      rows: 24,
      timeoutMs: 0,
      onData: (data) => {
        screen += Buffer.from(data).toString()
      },
    })
    await sandbox.pty.resize(terminal.pid, { cols: 100, rows: 30 })
    await sandbox.pty.sendInput(terminal.pid, Buffer.from('echo "size: $(stty size)"; exit 4\n'))
    await expect(terminal.wait()).rejects.toMatchObject({ exitCode: 4 })
    expect(screen).toContain('size: 30 100')
  })

  test('has files that only its token opens', async ({ moru }) => {
    const { Sandbox } = moru.client
    const [sandbox, other] = [await Sandbox.create(), await Sandbox.create()]
    made.push(sandbox, other)
    const { files } = sandbox
    expect(await files.write('notes/a.txt', 'ä')).toMatchObject({ path: '/home/user/notes/a.txt' })
    await files.write([
      { path: 'b.txt', data: 'b' },
      { path: 'c.bin', data: new Blob([Buffer.from([0, 255])]) },
    ])
    expect(await files.read('notes/a.txt')).toBe('ä')
    expect([...(await files.read('c.bin', { format: 'bytes' }))]).toEqual([0, 255])
    expect((await files.list('.')).map(({ name }) => name)).toEqual(
      expect.arrayContaining(['b.txt', 'c.bin', 'notes']),
    )
    expect(await files.exists('nothing')).toBe(false)
    expect(await files.makeDir('notes')).toBe(false)
    expect(await files.rename('b.txt', 'd/e.txt')).toMatchObject({ path: '/home/user/d/e.txt' })
    expect(await files.getInfo('d/e.txt')).toMatchObject({
      size: 1,
      owner: 'user',
      permissions: '-rw-r--r--',
    })
    await files.remove('d')
    await expect(files.read('d/e.txt')).rejects.toMatchObject({ name: 'NotFoundError' })
    await other.files.write('mine', 'other')
    await expect(files.read('mine')).rejects.toThrow()
  })

  test('tells what is written while it is watched', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    await sandbox.files.makeDir('watched')
    const seen = Promise.withResolvers<string>()
    const watch = await sandbox.files.watchDir('watched', ({ name }) => seen.resolve(name), {
      recursive: true,
    })
    await sandbox.files.write('watched/new.txt', '1')
    expect(await seen.promise).toBe('new.txt')
    await watch.stop()
  })

  test('has links to its files', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    const form = new FormData()
    form.append('file', new Blob(['by link']), 'linked.txt')
    const upload = await sandbox.uploadUrl('linked.txt', { useSignatureExpiration: 60_000 })
    expect((await fetch(upload, { method: 'POST', body: form })).status).toBe(200)
    const download = await fetch(await sandbox.downloadUrl('linked.txt', { useSignatureExpiration: 60_000 }))
    expect(await download.text()).toBe('by link')
    const forged = (await sandbox.downloadUrl('linked.txt')).replace(/signature=v1_./, 'signature=v1_~')
    expect((await fetch(forged)).status).toBe(401)
  })

  test('is measured', async ({ moru }) => {
    const sandbox = await moru.client.Sandbox.create()
    made.push(sandbox)
    const samples = await sandbox.getMetrics()
    expect(samples.length).toBeGreaterThan(0)
    expect(samples[0]).toMatchObject({ cpuCount: expect.any(Number), memTotal: expect.any(Number) })
    expect(samples[0]!.memUsed).toBeGreaterThan(0)
  })

  test('refuses what is not so, with the errors that callers catch', async ({ moru }) => {
    const { Sandbox } = moru.client
    await expect(Sandbox.connect('iaaaaaaaaaaaaaaaaaaaa')).rejects.toMatchObject({ name: 'NotFoundError' })
    expect(await Sandbox.kill('iaaaaaaaaaaaaaaaaaaaa')).toBe(false)
    await expect(Sandbox.create({ apiKey: 'wrong' })).rejects.toMatchObject({ name: 'AuthenticationError' })
    await expect(Sandbox.create('no-such-template')).rejects.toThrow(/no-such-template/)
    const sandbox = await Sandbox.create()
    made.push(sandbox)
    await expect(sandbox.commands.run('true', { cwd: '/no/such' })).rejects.toThrow(/\/no\/such/)
    await expect(sandbox.files.list('/no/such')).rejects.toMatchObject({ name: 'NotFoundError' })
  })
})
