import { type FilesystemEvent, Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { CLIENTS } from './clients.ts'
import { cannotNetwork, type E2b, test } from './fixture.ts'

async function open(Client: typeof Sandbox, { options }: E2b) {
  const sandbox = await Client.create('base', { ...options, timeoutMs: 300_000 })
  return { sandbox, [Symbol.asyncDispose]: async () => void (await Client.kill(sandbox.sandboxId, options)) }
}

/** Collects what is told, and waits for more. */
class Events {
  readonly all: FilesystemEvent[] = []
  #wake: (() => void) | undefined

  readonly add = (event: FilesystemEvent): void => {
    this.all.push(event)
    this.#wake?.()
  }

  /** Resolves when this has been told; the test's own timeout ends the wait. */
  async has(type: string, name: string): Promise<FilesystemEvent> {
    for (;;) {
      const found = this.all.find((event) => event.type === type && event.name === name)
      if (found) return found
      await new Promise<void>((wake) => {
        this.#wake = wake
      })
    }
  }
}

async function failure(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'nothing failed',
    (error) => error.constructor.name,
  )
}

describe.skipIf(cannotNetwork).each(Object.entries(CLIENTS))('watching with %s', (name, Client) => {
  test('tells what happens to files', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { files, commands } = opened.sandbox
    await files.write('d/old', 'old')
    const events = new Events()
    const handle = await files.watchDir('d', events.add)
    await files.write('d/old', 'new')
    await events.has('write', 'old')
    await files.write('d/fresh', '1')
    await events.has('create', 'fresh')
    await events.has('write', 'fresh')
    await commands.run(
      'cd d && echo x > made && chmod 600 made && mv made moved && rm moved && mkdir -p deep/er',
    )
    await events.has('create', 'made')
    await events.has('write', 'made')
    await events.has('chmod', 'made')
    await events.has('rename', 'made')
    await events.has('create', 'moved')
    await events.has('remove', 'moved')
    await events.has('create', 'deep')
    expect(events.all.filter(({ name }) => name.includes('/'))).toEqual([])
    await handle.stop()
    const count = events.all.length
    await files.write('d/later', 'x')
    expect(events.all.length).toBe(count)
  })

  test('tells what is deeper when it is asked to', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { files, commands } = opened.sandbox
    await files.write('d/a/b', '')
    const events = new Events()
    const handle = await files.watchDir('d', events.add, { recursive: true })
    await files.write('d/a/c', 'x')
    await events.has('write', 'a/c')
    await files.makeDir('d/new/er')
    await files.write('d/new/er/f', 'x')
    await events.has('write', 'new/er/f')
    await commands.run('mkdir -p t/u && echo x > t/u/v && mv t d/')
    await events.has('create', 't/u/v')
    await events.has('write', 't/u/v')
    await handle.stop()
  })

  test('ends with the directory, and is refused for what is none', async ({ e2b }) => {
    await using opened = await open(Client, e2b)
    const { files } = opened.sandbox
    await files.write('d/f', '')
    const ended = Promise.withResolvers<unknown>()
    await files.watchDir('d', () => {}, { onExit: (error) => ended.resolve(error) })
    await files.remove('d')
    expect(await ended.promise).toBeUndefined()
    await files.write('f', '')
    expect(await failure(files.watchDir('f', () => {}))).toBe('InvalidArgumentError')
    const missing = name === 'Moru' ? 'NotFoundError' : 'FileNotFoundError'
    expect(await failure(files.watchDir('none', () => {}))).toBe(missing)
  })
})

describe.skipIf(cannotNetwork)('watching', () => {
  test('describes files when it is asked to', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { files, commands } = opened.sandbox
    await files.makeDir('d')
    const events = new Events()
    await files.watchDir('d', events.add, { includeEntry: true, recursive: true, allowNetworkMounts: true })
    await files.write('d/e/f', 'four', { metadata: { a: 'b' } })
    const { entry } = await events.has('write', 'e/f')
    expect(entry).toMatchObject({ path: '/home/user/d/e/f', size: 4, type: 'file', metadata: { a: 'b' } })
    await commands.run('rm d/e/f')
    expect((await events.has('remove', 'e/f')).entry).toBeUndefined()
  })

  test('ends with an error when the sandbox does, or the time is over', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { files } = opened.sandbox
    const over = Promise.withResolvers<unknown>()
    await files.watchDir('.', () => {}, { timeoutMs: 300, onExit: (error) => over.resolve(error) })
    expect((await over.promise)?.constructor.name).toBe('TimeoutError')
    const killed = Promise.withResolvers<unknown>()
    await files.watchDir('.', () => {}, { timeoutMs: 0, onExit: (error) => killed.resolve(error) })
    await opened.sandbox.kill()
    expect((await killed.promise)?.constructor.name).toBe('TimeoutError')
  })
})

describe.skipIf(cannotNetwork)('asking now and then', () => {
  async function call({ url }: E2b, sandbox: Sandbox, method: string, body: object) {
    const { envdAccessToken } = sandbox as unknown as { envdAccessToken: string }
    const answer = await fetch(`${url}/filesystem.Filesystem/${method}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'connect-protocol-version': '1',
        'e2b-sandbox-id': sandbox.sandboxId,
        'e2b-sandbox-port': '49983',
        'x-access-token': envdAccessToken,
      },
      body: JSON.stringify(body),
    })
    return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
  }

  test('tells what happened meanwhile, once', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    await using other = await open(Sandbox, e2b)
    const { sandbox } = opened
    const ask = (method: string, body: object) => call(e2b, sandbox, method, body)
    const made = await ask('CreateWatcher', { path: '.', recursive: true, includeEntry: true })
    const { watcherId } = made.body as { watcherId: string }
    expect(await ask('GetWatcherEvents', { watcherId })).toEqual({ status: 200, body: { events: [] } })
    await sandbox.files.write('d/f', 'x')
    const events: { name: string; type: string }[] = []
    while (!events.some(({ type }) => type === 'EVENT_TYPE_WRITE')) {
      const { body } = await ask('GetWatcherEvents', { watcherId })
      events.push(...(body.events as typeof events))
    }
    expect(events).toMatchObject([
      { name: 'd', type: 'EVENT_TYPE_CREATE', entry: { type: 'FILE_TYPE_DIRECTORY' } },
      { name: 'd/f', type: 'EVENT_TYPE_CREATE', entry: { path: '/home/user/d/f', size: '1' } },
      { name: 'd/f', type: 'EVENT_TYPE_WRITE' },
    ])
    const foreign = await call(e2b, other.sandbox, 'GetWatcherEvents', { watcherId })
    expect(foreign).toMatchObject({ status: 404, body: { code: 'not_found' } })
    expect((await call(e2b, other.sandbox, 'RemoveWatcher', { watcherId })).status).toBe(404)
    expect(await ask('RemoveWatcher', { watcherId })).toEqual({ status: 200, body: {} })
    expect((await ask('GetWatcherEvents', { watcherId })).status).toBe(404)
  })

  test('is bounded, and refused for what is no directory', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    const ask = (method: string, body: object) => call(e2b, sandbox, method, body)
    await sandbox.files.write('f', '')
    expect(await ask('CreateWatcher', { path: 'f' })).toMatchObject({ status: 400 })
    expect(await ask('CreateWatcher', { path: 'none' })).toMatchObject({ status: 404 })
    const ids: string[] = []
    for (;;) {
      const { status, body } = await ask('CreateWatcher', { path: '.' })
      if (status !== 200) {
        expect(body).toMatchObject({ code: 'resource_exhausted' })
        break
      }
      ids.push(body.watcherId as string)
    }
    expect(ids.length).toBe(32)
    for (const watcherId of ids) await ask('RemoveWatcher', { watcherId })
    expect((await ask('CreateWatcher', { path: '.' })).status).toBe(200)
  })

  test('says that events were lost', async ({ e2b }) => {
    await using opened = await open(Sandbox, e2b)
    const { sandbox } = opened
    const ask = (method: string, body: object) => call(e2b, sandbox, method, body)
    const { body } = await ask('CreateWatcher', { path: '/tmp' })
    const { watcherId } = body as { watcherId: string }
    await sandbox.commands.run('cd /tmp && for i in $(seq 20000); do : > $i; done', { timeoutMs: 0 })
    for (;;) {
      const { status, body } = await ask('GetWatcherEvents', { watcherId })
      if (status === 200) continue
      expect(body).toMatchObject({ code: 'data_loss' })
      break
    }
  })
})
