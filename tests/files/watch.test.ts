import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { expect, onTestFinished } from 'vitest'
import { type TestServer, test } from '../fixture.ts'
import { FileDoor, fetch, open } from './door.ts'

interface Line {
  type: string
  path?: string
  target?: string | null
  fileType?: string | null
  error?: { code: string }
}

/** A watch whose lines are collected; ready when it is made. */
class Watch {
  readonly lines: Line[] = []
  ended = false
  readonly #response: IncomingMessage

  private constructor(response: IncomingMessage) {
    this.#response = response
    onTestFinished(() => void response.destroy())
    void (async () => {
      for await (const line of createInterface({ input: response })) this.lines.push(JSON.parse(line))
    })()
      .catch(() => {})
      .finally(() => {
        this.ended = true
      })
  }

  static async start(
    server: TestServer,
    door: FileDoor,
    path: string,
    query: Record<string, boolean | string> = {},
  ): Promise<Watch> {
    const response = await open(server, 'GET', door.path('/watch', { path, ...query }))
    expect([response.statusCode, response.headers['content-type']]).toEqual([200, 'application/x-ndjson'])
    const watch = new Watch(response)
    await expect.poll(() => watch.lines[0]).toEqual({ type: 'ready' })
    return watch
  }

  pause(): void {
    this.#response.pause()
  }

  resume(): void {
    this.#response.resume()
  }

  leave(): void {
    this.#response.destroy()
  }

  /** Waits for a change, in whatever order it came. */
  async saw(change: Line): Promise<void> {
    await expect.poll(() => this.lines, { timeout: 10_000 }).toContainEqual(expect.objectContaining(change))
  }
}

test('creates, writes, renames, modes and removals are told', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  const watch = await Watch.start(server, door, 'w')
  await door.sh("cd w && echo a > 'ü\n' && mv 'ü\n' b && chmod 600 b && rm b && mkdir d")
  await watch.saw({ type: 'create', path: 'ü\n' })
  await watch.saw({ type: 'write', path: 'ü\n' })
  await watch.saw({ type: 'rename', path: 'ü\n', target: 'b' })
  await watch.saw({ type: 'chmod', path: 'b' })
  await watch.saw({ type: 'remove', path: 'b' })
  await watch.saw({ type: 'create', path: 'd', fileType: 'directory' })
  await door.sh('echo x > w/d/deep && mv w/d away && mv away w/e')
  await watch.saw({ type: 'create', path: 'e' })
  expect(watch.lines.some(({ path }) => path?.includes('deep'))).toBe(false)
})

test('what the files API does is seen as well', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  const watch = await Watch.start(server, door, 'w', { recursive: true })
  await door.write('w/x/y', 'content')
  await watch.saw({ type: 'create', path: 'x', fileType: 'directory' })
  await watch.saw({ path: 'x/y' } as Line)
})

test('a recursive watch follows new, moved and nested directories', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir -p w/old/er')
  const watch = await Watch.start(server, door, 'w', { recursive: true })
  await door.sh('echo x > w/old/er/f && mkdir -p w/a/b/c && echo x > w/a/b/c/at-once')
  await watch.saw({ type: 'create', path: 'old/er/f' })
  await watch.saw({ type: 'create', path: 'a/b/c/at-once' })
  await door.sh('mv w/a w/z && echo x > w/z/b/c/later')
  await watch.saw({ type: 'rename', path: 'a', target: 'z' })
  await watch.saw({ type: 'create', path: 'z/b/c/later' })
  await door.sh('rm -r w/z && mkdir -p w/z/b && echo x > w/z/b/again')
  await watch.saw({ type: 'remove', path: 'z' })
  await watch.saw({ type: 'create', path: 'z/b/again' })
})

test('links are not followed, in circles or out', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir -p w/a out && ln -s .. w/a/up && ln -s ../out w/out && ln -s / w/root')
  const watch = await Watch.start(server, door, 'w', { recursive: true })
  await door.sh('echo x > out/unseen && echo x > w/a/seen')
  await watch.saw({ type: 'create', path: 'a/seen' })
  expect(watch.lines.filter(({ path }) => path?.includes('unseen') || path?.startsWith('root/'))).toEqual([])
})

test('ends when the directory is removed', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  const watch = await Watch.start(server, door, 'w')
  await door.sh('rmdir w')
  await watch.saw({ type: 'remove', path: '' })
  await expect.poll(() => watch.ended).toBe(true)
})

test('what can not be watched is refused before anything is sent', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.write('file', 'x')
  await door.sh('mkdir secret && chmod 0 secret')
  const error = async (path: string) => (await fetch(server, 'GET', door.path('/watch', { path }))).error
  expect([await error('none'), await error('file')]).toEqual(['file_not_found', 'file_wrong_type'])
  expect(await error('/root')).toBe('file_denied')
})

test('a flood is told as an overflow to who does not read', { timeout: 60_000 }, async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  const watch = await Watch.start(server, door, 'w')
  watch.pause()
  await door.sh(
    'cd w && python3 -c "import os\nfor i in range(40000): open(str(i), \'w\').close(); os.remove(str(i))"',
  )
  watch.resume()
  await watch.saw({ type: 'overflow' })
  await door.sh('echo x > w/after')
  await watch.saw({ type: 'create', path: 'after' })
})

test('more directories than can be watched are told as an overflow', { timeout: 60_000 }, async ({
  server,
}) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w && cd w && seq 10000 | xargs mkdir')
  const watch = await Watch.start(server, door, '.', { recursive: true })
  await watch.saw({ type: 'overflow' })
})

test('watching is no activity', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  await Watch.start(server, door, 'w')
  await expect
    .poll(async () => (await fetch(server, 'GET', `/v1/sandboxes/${door.id}`)).json.status)
    .toBe('idle')
  await fetch(server, 'PATCH', `/v1/sandboxes/${door.id}`, { body: { idleTimeout: 300 } })
  await expect
    .poll(async () => (await fetch(server, 'GET', `/v1/sandboxes/${door.id}`)).json.status, {
      timeout: 10_000,
    })
    .toBe('terminated')
})

test('the end of the sandbox is its last line', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  const watch = await Watch.start(server, door, 'w')
  await fetch(server, 'DELETE', `/v1/sandboxes/${door.id}`)
  await expect.poll(() => watch.ended, { timeout: 10_000 }).toBe(true)
  expect(watch.lines.at(-1)).toMatchObject({
    type: 'error',
    error: { code: expect.stringMatching(/^sandbox_|transition/) },
  })
})

test('watchers that leave are forgotten', async ({ server }) => {
  const door = await FileDoor.create(server)
  await door.sh('mkdir w')
  for (let i = 0; i < 300; i++) {
    const response = await open(server, 'GET', door.path('/watch', { path: 'w' }))
    await once(response, 'data')
    response.destroy()
  }
  const watch = await Watch.start(server, door, 'w')
  await door.sh('echo x > w/x')
  await watch.saw({ type: 'create', path: 'x' })
})
