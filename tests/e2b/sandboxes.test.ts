import { Sandbox as Moru } from '@moru-ai/core'
import { E2B, Sandbox, SandboxError, SandboxNotFoundError } from 'e2b'
import { Sandbox as Sandbox245 } from 'e2b-2.45'
import { describe, expect } from 'vitest'
import { cannotNetwork, type E2b, test } from './fixture.ts'

/** Seconds from now to a date. */
const left = (date: Date) => Math.round((date.getTime() - Date.now()) / 1000)
const GONE = `i${'a'.repeat(20)}`
// biome-ignore lint/suspicious/noTemplateCurlyInString: the server puts the port in.
const MASK = 'localhost:${PORT}'

/** A request as no client sends it. */
async function send(e2b: E2b, method: string, path: string, body?: unknown) {
  const answer = await fetch(`${e2b.url}${path}`, {
    method,
    headers: { 'x-api-key': e2b.apiKey, 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, json: text === '' ? null : JSON.parse(text), headers: answer.headers }
}

describe.skipIf(cannotNetwork)('sandboxes of E2B’s client', { timeout: 60_000 }, () => {
  test('a sandbox without options', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    expect(sandbox.sandboxId).toMatch(/^i[a-z2-7]{20}$/)
    const info = await sandbox.getInfo()
    expect(info).toMatchObject({
      sandboxId: sandbox.sandboxId,
      templateId: 'base',
      name: 'base',
      state: 'running',
      metadata: {},
      allowInternetAccess: true,
      envdVersion: '0.6.13',
      lifecycle: { onTimeout: 'kill', autoResume: false },
      network: { allowPublicTraffic: true },
      sandboxDomain: e2b.options.domain,
      volumeMounts: [],
    })
    expect(left(info.endAt)).toBeGreaterThan(270)
    expect(left(info.endAt)).toBeLessThanOrEqual(300)
    expect(info.cpuCount).toBeGreaterThan(0)
    expect(info.memoryMB).toBeGreaterThan(0)
    expect(sandbox.getHost(3000)).toBe(`3000-${sandbox.sandboxId}.${e2b.options.domain}`)
    expect(await sandbox.kill()).toBe(true)
    expect(await sandbox.kill()).toBe(false)
    await expect(sandbox.getInfo()).rejects.toThrow(SandboxNotFoundError)
  })

  test('a sandbox with all options', async ({ e2b }) => {
    const sandbox = await Sandbox.create('base', {
      ...e2b.options,
      timeoutMs: 7_200_000,
      metadata: { user: 'ada', 'a key': 'a b&c=d' },
      envs: { GREETING: 'hello' },
      allowInternetAccess: true,
      network: {
        allowOut: ['1.1.1.1', '*.example.com'],
        denyOut: ({ allTraffic }) => [allTraffic],
        allowPublicTraffic: false,
        maskRequestHost: MASK,
      },
      lifecycle: { onTimeout: 'pause', autoResume: true },
    })
    const info = await sandbox.getInfo()
    expect(info.metadata).toEqual({ user: 'ada', 'a key': 'a b&c=d' })
    expect(left(info.endAt)).toBeGreaterThan(7100)
    expect(info.lifecycle).toEqual({ onTimeout: 'pause', autoResume: true })
    expect(info.network).toMatchObject({
      allowOut: ['*.example.com', '1.1.1.1'],
      denyOut: ['0.0.0.0/0'],
      allowPublicTraffic: false,
      maskRequestHost: MASK,
    })
    const { stdout } = await sandbox.commands.run('echo $GREETING')
    expect(stdout).toBe('hello\n')
    await sandbox.kill()
  })

  test('a client of its own, and one that finds a sandbox of our SDK', async ({ e2b }) => {
    const { Sandbox: Bound } = new E2B(e2b.options)
    const made = await e2b.server
      .client()
      .call('createSandbox', { runtime: 'e2b-base:latest', metadata: { by: 'us' } })
    const theirs = made.id.replace('sbx_', 'i')
    const info = await Bound.getInfo(theirs)
    expect(info).toMatchObject({ sandboxId: theirs, metadata: { by: 'us' }, allowInternetAccess: false })
    // One without an end has a date that never comes.
    expect(info.endAt.getUTCFullYear()).toBe(9999)
    const connected = await Bound.connect(theirs)
    expect((await connected.commands.run('echo here')).stdout).toBe('here\n')
    expect((await connected.getInfo()).endAt.getUTCFullYear()).toBe(9999)
    expect(await Bound.kill(theirs)).toBe(true)
  })

  test('connect makes its end later, and never sooner', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options, timeoutMs: 100_000 })
    const again = await Sandbox.connect(sandbox.sandboxId, { ...e2b.options, timeoutMs: 10_000 })
    expect(again.sandboxId).toBe(sandbox.sandboxId)
    expect(left((await again.getInfo()).endAt)).toBeGreaterThan(80)
    await again.connect({ timeoutMs: 1_000_000 })
    expect(left((await again.getInfo()).endAt)).toBeGreaterThan(900)
    const { status, json } = await send(e2b, 'POST', `/v2/sandboxes/${sandbox.sandboxId}/connect`, {})
    expect(status).toBe(200)
    expect(json).toMatchObject({
      sandboxID: sandbox.sandboxId,
      domain: e2b.options.domain,
      clientID: 'caisson',
    })
    expect(json.envdAccessToken).toBeTypeOf('string')
    expect(json.trafficAccessToken).toBeTypeOf('string')
    await sandbox.kill()
    await expect(Sandbox.connect(sandbox.sandboxId, e2b.options)).rejects.toThrow(SandboxNotFoundError)
  })

  test('the timeout is set from now on, shorter too, and 0 or less is now', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options, timeoutMs: 600_000 })
    await sandbox.setTimeout(100_000)
    expect(left((await sandbox.getInfo()).endAt)).toBeLessThanOrEqual(100)
    const refresh = (duration?: number) =>
      send(
        e2b,
        'POST',
        `/sandboxes/${sandbox.sandboxId}/refreshes`,
        duration === undefined ? undefined : { duration },
      )
    expect((await refresh()).status).toBe(204)
    expect(left((await sandbox.getInfo()).endAt)).toBeGreaterThan(80)
    expect((await refresh(1000)).status).toBe(204)
    expect(left((await sandbox.getInfo()).endAt)).toBeGreaterThan(900)
    expect((await send(e2b, 'POST', `/sandboxes/${sandbox.sandboxId}/timeout`, { timeout: -5 })).status).toBe(
      204,
    )
    await expect
      .poll(() => Sandbox.getInfo(sandbox.sandboxId, e2b.options).catch((error) => error.name), {
        timeout: 20_000,
      })
      .toBe('SandboxNotFoundError')
    await expect(Sandbox.setTimeout(sandbox.sandboxId, 1000, e2b.options)).rejects.toThrow(
      SandboxNotFoundError,
    )
  })

  test('pause keeps processes, and connect resumes', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    const sleep = await sandbox.commands.run('sleep 1000', { background: true })
    expect(await sandbox.pause()).toBe(true)
    expect(await sandbox.pause()).toBe(false)
    expect(await sandbox.isRunning()).toBe(false)
    expect((await sandbox.getInfo()).state).toBe('paused')
    const { status } = await send(e2b, 'POST', `/v2/sandboxes/${sandbox.sandboxId}/connect`, { timeout: 50 })
    expect(status).toBe(201)
    const { state, endAt } = await sandbox.getInfo()
    expect(state).toBe('running')
    expect(left(endAt)).toBeLessThanOrEqual(50)
    // The instance goes on with the token that it had.
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).toContain(sleep.pid)
    await sandbox.kill()
    await expect(Sandbox.pause(sandbox.sandboxId, e2b.options)).rejects.toThrow(SandboxNotFoundError)
  })

  test('a pause without memory, and a resume without it, keep files alone', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    await sandbox.commands.run('sleep 1000', { background: true })
    await sandbox.files.write('kept', 'yes')
    expect(await sandbox.pause({ keepMemory: false })).toBe(true)
    await sandbox.connect()
    expect(await sandbox.commands.list()).toEqual([])
    expect(await sandbox.files.read('kept')).toBe('yes')
    await sandbox.commands.run('sleep 1000', { background: true })
    await sandbox.pause()
    await sandbox.connect({ onResume: 'reboot' })
    expect(await sandbox.commands.list()).toEqual([])
    expect(await sandbox.files.read('kept')).toBe('yes')
    await sandbox.kill()
  })

  test('at its end it pauses where that was asked for, and a request resumes it', async ({ e2b }) => {
    const lifecycle = { onTimeout: 'pause', autoResume: true } as const
    const sandbox = await Sandbox.create({ ...e2b.options, lifecycle })
    await sandbox.setTimeout(1000)
    await expect.poll(async () => (await sandbox.getInfo()).state, { timeout: 20_000 }).toBe('paused')
    expect((await sandbox.commands.run('echo awake')).stdout).toBe('awake\n')
    expect((await sandbox.getInfo()).state).toBe('running')
    await sandbox.kill()
    const onTimeout = { action: 'pause', keepMemory: false } as const
    const shallow = await Sandbox.create({ ...e2b.options, lifecycle: { onTimeout } })
    const details = await e2b.server
      .client()
      .call('getSandbox', { id: shallow.sandboxId.replace(/^i/, 'sbx_') })
    expect(details).toMatchObject({ pauseDepth: 'filesystem', onTimeout: 'pause', resumeOnRequest: false })
    await shallow.kill()
  })

  test('the older endpoint for resuming', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    const resume = (body: object) => send(e2b, 'POST', `/sandboxes/${sandbox.sandboxId}/resume`, body)
    expect((await resume({})).status).toBe(409)
    await sandbox.pause()
    expect((await resume({ autoPause: true })).status).toBe(400)
    expect((await resume({ timeout: 40, autoPause: false })).status).toBe(201)
    expect(left((await sandbox.getInfo()).endAt)).toBeLessThanOrEqual(40)
    await sandbox.kill()
    expect((await resume({})).status).toBe(404)
  })

  test('a fork has the processes or at least the files, and a life of its own', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options, metadata: { kept: 'yes' } })
    await sandbox.files.write('note', 'before')
    const { pid } = await sandbox.commands.run('exec sleep 1000', { background: true })
    const { memoryPause } = await e2b.server.client().call('getServer', {})
    const forks = await Sandbox.fork(sandbox.sandboxId, { ...e2b.options, count: 2, timeoutMs: 120_000 })
    expect(forks).toHaveLength(2)
    for (const fork of forks) {
      if (fork instanceof Error) throw fork
      expect(fork.sandboxId).not.toBe(sandbox.sandboxId)
      expect(await fork.files.read('note')).toBe('before')
      const { stdout } = await fork.commands.run('pgrep -x sleep || true')
      expect(stdout.trim()).toBe(memoryPause === 'disk' ? String(pid) : '')
      await fork.files.write('note', fork.sandboxId)
      const { endAt, metadata } = await fork.getInfo()
      expect(left(endAt)).toBeLessThanOrEqual(120)
      expect(metadata).toEqual({ kept: 'yes' })
      await fork.kill()
    }
    expect(await sandbox.files.read('note')).toBe('before')
    await sandbox.pause()
    await expect(sandbox.fork()).rejects.toThrow('409')
    await sandbox.kill()
    await expect(Sandbox.fork(sandbox.sandboxId, e2b.options)).rejects.toThrow(SandboxNotFoundError)
  })

  test('what is asked at the same time is done once', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    await sandbox.pause()
    const connected = await Promise.all(
      Array.from({ length: 5 }, () => Sandbox.connect(sandbox.sandboxId, e2b.options)),
    )
    for (const each of connected) expect((await each.commands.run('echo here')).stdout).toBe('here\n')
    const killed = await Promise.all(Array.from({ length: 5 }, () => sandbox.kill()))
    expect(killed).toContain(true)
    expect(await sandbox.kill()).toBe(false)
  })

  test('a client that leaves before the answer leaves no sandbox', async ({ e2b }) => {
    const metadata = { left: 'yes' }
    const signal = AbortSignal.timeout(5)
    await expect(Sandbox.create({ ...e2b.options, metadata, signal })).rejects.toThrow()
    const list = () => Sandbox.list({ ...e2b.options, query: { metadata } }).nextItems()
    await expect.poll(list, { timeout: 20_000 }).toEqual([])
  })

  test('metrics', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    const metrics = await sandbox.getMetrics()
    const { cpuCount, memoryMB } = await sandbox.getInfo()
    expect(metrics.at(-1)).toMatchObject({ cpuCount, memTotal: memoryMB * 2 ** 20 })
    expect(metrics.at(-1)?.memUsed).toBeGreaterThan(0)
    expect(await sandbox.getMetrics({ start: new Date(1000), end: new Date(2000) })).toEqual([])
    const { json } = await send(e2b, 'GET', `/sandboxes/metrics?sandbox_ids=${sandbox.sandboxId},${GONE}`)
    expect(Object.keys(json.sandboxes)).toEqual([sandbox.sandboxId])
    await sandbox.kill()
    await expect(Sandbox.getMetrics(sandbox.sandboxId, e2b.options)).rejects.toThrow(SandboxNotFoundError)
  })

  test('logs tell what happened to it', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    await sandbox.pause()
    const read = async (query: string) =>
      (await send(e2b, 'GET', `/v2/sandboxes/${sandbox.sandboxId}/logs${query}`)).json.logs
    const events = (await read('')).map(({ fields }: { fields: { event: string } }) => fields.event)
    expect(events[0]).toBe('create')
    expect(events).toContain('pause')
    const backward = await read('?direction=backward&limit=1')
    expect(backward).toHaveLength(1)
    expect(backward[0].fields.event).toBe(events.at(-1))
    expect(await read('?search=pause&level=info')).toHaveLength(
      events.filter((type: string) => type === 'pause').length,
    )
    expect(await read('?level=error')).toEqual([])
    expect(await read(`?cursor=${Date.now() + 60_000}`)).toEqual([])
    const { json } = await send(e2b, 'GET', `/sandboxes/${sandbox.sandboxId}/logs?limit=1`)
    expect(json.logs).toEqual([{ timestamp: expect.any(String), line: expect.stringContaining('create') }])
    await sandbox.kill()
  })
})

describe.skipIf(cannotNetwork)('sandboxes of other clients', { timeout: 60_000 }, () => {
  test('E2B’s before version 2 of the endpoints', async ({ e2b }) => {
    const sandbox = await Sandbox245.create({
      ...e2b.options,
      timeoutMs: 60_000,
      secure: false,
      metadata: { a: 'b' },
    })
    expect((await sandbox.getInfo()).metadata).toEqual({ a: 'b' })
    // Whatever was asked for, it is secured.
    const { status } = await fetch(`${e2b.url}/files?path=x`, {
      headers: { 'e2b-sandbox-id': sandbox.sandboxId, 'e2b-sandbox-port': '49983' },
    })
    expect(status).toBe(401)
    expect(await sandbox.pause()).toBe(true)
    expect(await sandbox.pause()).toBe(false)
    const again = await Sandbox245.connect(sandbox.sandboxId, { ...e2b.options, timeoutMs: 30_000 })
    expect(left((await again.getInfo()).endAt)).toBeLessThanOrEqual(30)
    await again.setTimeout(90_000)
    expect(left((await again.getInfo()).endAt)).toBeGreaterThan(60)
    expect(await Sandbox245.betaPause(again.sandboxId, e2b.options)).toBe(true)
    expect(await Sandbox245.getFullInfo(again.sandboxId, e2b.options)).toMatchObject({ state: 'paused' })
    expect(await again.kill()).toBe(true)
    expect(await again.kill()).toBe(false)
  })

  test('Moru’s', async ({ e2b }) => {
    const sandbox = await Moru.create({ ...e2b.options, metadata: { a: 'b' }, envs: { GREETING: 'hello' } })
    const info = await Moru.getInfo(sandbox.sandboxId, e2b.options)
    expect(info).toMatchObject({
      sandboxId: sandbox.sandboxId,
      templateId: 'base',
      metadata: { a: 'b' },
      state: 'running',
    })
    expect(left(info.endAt)).toBeGreaterThan(270)
    expect((await sandbox.commands.run('echo $GREETING')).stdout).toBe('hello\n')
    expect(await Moru.getFullInfo(sandbox.sandboxId, e2b.options)).toMatchObject({
      ...{ name: 'base', envdVersion: '0.6.13', sandboxDomain: e2b.options.domain },
      envdAccessToken: undefined,
    })
    expect(await Moru.betaPause(sandbox.sandboxId, e2b.options)).toBe(true)
    expect(await Moru.betaPause(sandbox.sandboxId, e2b.options)).toBe(false)
    const again = await Moru.connect(sandbox.sandboxId, e2b.options)
    expect(await again.isRunning()).toBe(true)
    await Moru.setTimeout(sandbox.sandboxId, 30_000, e2b.options)
    expect(left((await Moru.getInfo(sandbox.sandboxId, e2b.options)).endAt)).toBeLessThanOrEqual(30)
    expect((await Moru.getMetrics(sandbox.sandboxId, e2b.options)).length).toBeGreaterThan(0)
    expect(await Moru.kill(sandbox.sandboxId, e2b.options)).toBe(true)
    expect(await Moru.kill(sandbox.sandboxId, e2b.options)).toBe(false)
  })

  test('Moru’s that pauses at its end', async ({ e2b }) => {
    const sandbox = await Moru.betaCreate({ ...e2b.options, autoPause: true, timeoutMs: 1000 })
    const state = async () => (await Moru.getInfo(sandbox.sandboxId, e2b.options)).state
    await expect.poll(state, { timeout: 20_000 }).toBe('paused')
    const again = await Moru.connect(sandbox.sandboxId, e2b.options)
    expect((await again.commands.run('echo again')).stdout).toBe('again\n')
    await Moru.kill(sandbox.sandboxId, e2b.options)
  })

  test('a volume of Moru’s is mounted, and E2B’s by name', async ({ e2b }) => {
    const us = e2b.server.client()
    const volume = await us.call('createVolume', { name: 'shared' })
    const one = await Moru.create({ ...e2b.options, volumeId: volume.id, volumeMountPath: '/workspace/data' })
    const two = await Sandbox.create({ ...e2b.options, volumeMounts: { '/mnt/data': 'shared' } })
    await one.commands.run('echo from one > /workspace/data/note', { user: 'root' })
    expect((await two.commands.run('cat /mnt/data/note')).stdout).toBe('from one\n')
    expect((await two.getInfo()).volumeMounts).toEqual([{ name: 'shared', path: '/mnt/data' }])
    await two.kill()
    await one.kill()
    const refused = Sandbox.create({ ...e2b.options, volumeMounts: { '/mnt/data': 'absent' } })
    await expect(refused).rejects.toThrow(SandboxError)
  })
})
