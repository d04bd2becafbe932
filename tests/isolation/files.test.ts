import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import type { Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { ATTACKERS, another, cannotRun, codeOf, shell, test } from './world.ts'

/** What a request for a path may end with when there is nothing to give. */
const REFUSED =
  /^(file_not_found|file_denied|file_wrong_type|file_failed|file_exists|directory_not_empty|invalid_request)$/
const CANARY = 'canary of the host'

let canary: string
beforeAll(async () => {
  canary = join(await mkdtemp('/tmp/caisson-canary-'), 'canary')
  await writeFile(canary, CANARY, { mode: 0o644 })
})
afterAll(() => rm(dirname(canary), { recursive: true }))

/** Every operation on files, with a path in each place that takes one. */
const operations = (box: Sandbox, path: string, user: string): Record<string, () => Promise<unknown>> => ({
  read: () => box.files.readText(path, { user }),
  write: () => box.files.write(path, 'x', { user, parents: false }),
  'write with parents': () => box.files.write(`${path}/x`, 'x', { user }),
  list: () => box.files.list(path, { user }),
  stat: () => box.files.stat(path, { user, follow: true }),
  mkdir: () => box.files.mkdir(`${path}/made`, { user }),
  remove: () => box.files.remove(`${path}/x`, { user, recursive: true }),
  'rename from': () => box.files.rename(path, '/tmp/renamed', { user }),
  'rename to': () => box.files.rename('/tmp/own', `${path}/own`, { user }),
  chmod: () => box.files.chmod(path, 0o777, { user }),
  chown: () => box.files.chown(path, 1000, 1000, { user }),
})

async function outcomes(box: Sandbox, path: string, user: string): Promise<Record<string, string>> {
  await box.files.write('/tmp/own', 'own', { user: 'agent' })
  const found: Record<string, string> = {}
  for (const [name, call] of Object.entries(operations(box, path, user))) found[name] = await codeOf(call())
  return found
}

describe.skipIf(cannotRun)('a path that a client names', () => {
  test('stays inside in every form', async ({ box }) => {
    const forms = [
      canary,
      `../../../../../../../..${canary}`,
      `/home/../../../../..${canary}`,
      `/${canary}`,
      `./${canary}`,
      `/proc/self/root${canary}`,
      `/proc/1/root${canary}`,
      `/proc/self/fd/0/..${canary}`,
      canary.replaceAll('/', '%2f'),
      `%2e%2e/%2e%2e/%2e%2e${canary}`,
      `..\\..\\..${canary.replaceAll('/', '\\')}`,
      `\u2025/\uff0e\uff0e${canary}`,
      `file://${canary}`,
      `~root/../..${canary}`,
      `${canary}\n`,
    ]
    for (const path of forms) {
      expect(await codeOf(box.files.readText(path, { user: 'root' })), path).toMatch(REFUSED)
      expect(await box.files.exists(path, { user: 'root' }).catch(() => false), path).toBe(false)
    }
    for (const path of [`../../../../../..${canary}`, `/proc/self/root${canary}`])
      await outcomes(box, path, 'root')
    expect(await readdir(dirname(canary))).toEqual(['canary'])
    expect(await readFile(canary, 'utf8')).toBe(CANARY)
    await box.files.write('own.txt', 'own')
    for (const path of [
      '../agent/own.txt',
      '/../home/agent/own.txt',
      '//home//agent/./own.txt',
      '/proc/../home/agent/own.txt',
    ])
      expect(await box.files.readText(path), path).toBe('own')
  })

  test('that holds NUL or is too long is a typed refusal', async ({ box }) => {
    expect(await codeOf(box.files.read('own\0.txt'))).toBe('invalid_request')
    expect(await codeOf(box.files.read(''))).toBe('invalid_request')
    expect(await codeOf(box.files.read('a'.repeat(4096)))).toBe('invalid_request')
    expect(await codeOf(box.files.write('b'.repeat(256), 'x'))).toMatch(REFUSED)
    expect(await codeOf(box.files.read('a/'.repeat(2047)))).toMatch(REFUSED)
    expect(await codeOf(box.files.read('/'.repeat(4095)))).toBe('file_wrong_type')
    expect(await codeOf(box.files.write('c'.repeat(255), 'x'))).toBe('ok')
  })

  test('in bytes that are no UTF-8, or in an id, reaches nothing', async ({ server, box }) => {
    const id = box.id
    const targets = [
      `/v1/sandboxes/${id}/files/content?path=%c0%ae%c0%ae/%c0%ae%c0%ae${canary}`,
      `/v1/sandboxes/${id}/files/content?path=%00${canary}`,
      `/v1/sandboxes/${id}/files/content?path=${canary}&path=${canary}`,
      `/v1/sandboxes/..%2f..%2f${id}/files/content?path=/etc/hostname`,
      `/v1/sandboxes/../../${canary}`,
      `/v1/sandboxes/%2e%2e%2f%2e%2e${encodeURIComponent(canary)}`,
      `/v1/executions/..%2f..%2f${encodeURIComponent(canary)}/output`,
    ]
    for (const path of targets) {
      const { status, body } = await get(server, path)
      expect([400, 404], `${path}: ${status}`).toContain(status)
      expect(body).not.toContain(CANARY)
      expect(JSON.parse(body).error.code).toMatch(/_not_found$|^invalid_request$/)
    }
    const control = await get(server, `/v1/sandboxes/${id}/files/content?path=/etc/hostname`)
    expect(control).toEqual({ status: 200, body: `${id.replaceAll('_', '-')}\n` })
  })
})

describe.skipIf(cannotRun).each(ATTACKERS)('a path behind links, as %s', (user) => {
  test('leads to the sandbox’s files, never to the host’s', async ({ box }) => {
    await shell(
      box,
      `cd /tmp && rm -rf l && mkdir l && cd l && ln -s ${canary} file && ln -s / slash &&
      ln -s /proc/1/root one && ln -s /proc/self/root self && ln -s loop loop && ln -s /etc/hostname fine`,
    )
    for (const path of ['file', `slash${canary}`, `one${canary}`, `self${canary}`, 'loop'])
      expect(await codeOf(box.files.read(`/tmp/l/${path}`, { user })), path).toMatch(REFUSED)
    expect(await box.files.readText('/tmp/l/fine', { user })).toBe(
      await shell(box, 'hostname').then((s) => `${s}\n`),
    )
  })

  test('of /proc is not followed', async ({ box }) => {
    for (const link of [
      '/proc/self/root',
      '/proc/1/root',
      '/proc/1/cwd',
      '/proc/self/exe',
      '/proc/self/fd/3',
      '/proc/thread-self/root',
    ]) {
      const { stat, ...rest } = await outcomes(box, `${link}/tmp`, user)
      for (const [name, outcome] of Object.entries({ stat, ...rest }))
        expect(outcome, `${name} ${link}`).toMatch(REFUSED)
    }
    for (const path of ['/proc/self/environ', '/proc/1/mem', '/proc/self/maps', '/proc/1/stat'])
      expect(await codeOf(box.files.read(path, { user })), path).toMatch(/^file_(denied|failed)$/)
    expect(await box.files.readText('/proc/version', { user })).toMatch(/^Linux version/)
    const every = await outcomes(box, '/tmp', user)
    expect(every).toMatchObject({ list: 'ok', stat: 'ok', mkdir: 'ok', 'write with parents': 'ok' })
    await shell(box, 'rm -rf /tmp/made', { user: 'root' })
  })

  test('that is no regular file is refused at once', async ({ box }) => {
    await shell(
      box,
      `cd /tmp && rm -rf n && mkdir n && cd n && mkfifo fifo && ln -s /dev/zero zero && ln -s fifo link &&
      python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("socket")'`,
    )
    const paths = [
      '/tmp/n/fifo',
      '/tmp/n/link',
      '/tmp/n/socket',
      '/tmp/n/zero',
      '/dev/zero',
      '/dev/urandom',
      '/dev/tty',
      '/dev/ptmx',
      '/dev/stdin',
      '/tmp/n',
    ]
    for (const path of paths) {
      expect(await codeOf(box.files.read(path, { user })), path).toMatch(REFUSED)
      expect(await codeOf(box.files.write(path, 'x', { user })), path).toMatch(REFUSED)
      if (path !== '/tmp/n') expect(await codeOf(box.files.list(path, { user })), path).toMatch(REFUSED)
    }
    expect(await codeOf(box.files.write('/tmp/n/regular', 'x', { user }))).toBe('ok')
  })
})

describe.skipIf(cannotRun)('files that change under a request', () => {
  const TURNS = 2000
  const LANES = 8

  /** Runs a program that swaps names until it is killed, and `turn` many times meanwhile. */
  async function whileSwapping(box: Sandbox, program: string, turn: () => Promise<void>): Promise<void> {
    const swapper = await box.start(['python3', '-c', program])
    const lane = async () => {
      for (let i = 0; i < TURNS / LANES; i++) await turn()
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    expect((await swapper.refresh()).state).toBe('running')
    await swapper.kill()
  }

  const swap = (a: string, b: string) => `import ctypes
libc = ctypes.CDLL(None)
while True: libc.renameat2(-100, b'${a}', -100, b'${b}', 2)`

  test('never give what the user may not read', async ({ box }) => {
    await shell(box, 'echo secret > /root/secret; chmod 600 /root/secret', { user: 'root' })
    await shell(box, `mkdir -p race && cd race && echo own > a && ln -s /root/secret b && ln -s ${canary} c`)
    const seen = new Set<string>()
    const codes = new Set<string>()
    await whileSwapping(box, swap('race/a', 'race/b'), async () => {
      const path = Math.random() < 0.8 ? 'race/a' : 'race/c'
      const code = await codeOf(box.files.readText(path).then((text) => seen.add(text)))
      expect(code).toMatch(/^ok$|^file_(denied|not_found|wrong_type|failed)$/)
      codes.add(code)
    })
    // Both sides of the swap were met.
    expect(codes).toContain('file_denied')
    expect([...seen]).toEqual(['own\n'])
    expect(await box.files.readText('/root/secret', { user: 'root' })).toBe('secret\n')
  })

  test('never let a user write where it may not', async ({ box }) => {
    await shell(box, 'mkdir -p races/a races/c && ln -s /root races/b')
    let written = 0
    await whileSwapping(box, swap('races/a', 'races/b'), async () => {
      const code = await codeOf(box.files.write(`races/a/${written % 16}`, 'x'))
      if (code === 'ok') written++
      expect(code).toMatch(/^ok$|^file_(denied|not_found|wrong_type|failed|exists)$/)
    })
    expect(written).toBeGreaterThan(0)
    expect(await shell(box, 'ls /root', { user: 'root' })).not.toMatch(/^\d+$/m)
  })

  test('never make a recursive removal leave its tree', async ({ box }) => {
    await shell(box, 'mkdir -p kept/deep && touch kept/deep/file')
    for (let i = 0; i < 20; i++) {
      await shell(
        box,
        'rm -rf gone; mkdir -p gone/x/y gone/x/z && touch gone/x/y/1 gone/x/y/2 && ln -s ../../kept gone/x/link',
      )
      const swapper = await box.start(['python3', '-c', swap('gone/x/y', 'gone/x/link')])
      expect(await codeOf(box.files.remove('gone', { recursive: true }))).toMatch(
        /^ok$|^file_|^directory_not_empty$/,
      )
      await swapper.kill()
    }
    expect(await box.files.exists('kept/deep/file')).toBe(true)
  })

  test('never make a read wait: a FIFO in the place of a file is refused', async ({ box }) => {
    await shell(box, 'mkdir -p racef && cd racef && echo own > a && mkfifo b')
    const codes = new Set<string>()
    await whileSwapping(box, swap('racef/a', 'racef/b'), async () => {
      codes.add(await codeOf(box.files.read('racef/a')))
    })
    for (const code of codes) expect(code).toMatch(/^ok$|^file_(wrong_type|not_found|failed)$/)
    expect(codes).toContain('ok')
    expect(codes).toContain('file_wrong_type')
  })
})

describe.skipIf(cannotRun)('a download', () => {
  test('of a file without end stops when its reader leaves', async ({ box }) => {
    await shell(box, 'truncate -s 1T endless')
    let size = 0
    for await (const part of box.files.stream('endless')) {
      size += part.length
      if (size > 2 ** 20) break
    }
    expect((await box.files.read('endless', { offset: 2 ** 40 - 3 })).length).toBe(3)
    expect((await box.files.read('endless', { offset: 2 ** 39, length: 5 })).length).toBe(5)
    await shell(box, 'rm endless')
  })
})

describe.skipIf(cannotRun)('a recursive removal', () => {
  test('of the root, or of a mount, removes nothing and the sandbox goes on', async ({ box }) => {
    const agent = await readFile(new URL('../../native/build/agent', import.meta.url))
    await using own = await another(box)
    const before = await shell(own, 'ls -A / /dev /etc | sort')
    const roots = [
      '/',
      '//',
      '/.',
      '/..',
      '/tmp/..',
      '/usr/../',
      '.',
      '..',
      '/proc/self/root',
      '/proc/1/root/',
    ]
    const mounts = [
      '/proc',
      '/dev',
      '/dev/pts',
      '/dev/shm',
      '/dev/null',
      '/sys',
      '/proc/sys',
      '/.caisson',
      '/.caisson/agent',
      '/dev/',
    ]
    for (const path of [...roots, ...mounts])
      expect(await codeOf(own.files.remove(path, { recursive: true, user: 'root' })), path).toMatch(REFUSED)
    expect(await shell(own, 'ls -A / /dev /etc | sort')).toBe(before)
    // The same as a program, which may empty what is its own: the agent and the host's copy of it stay.
    await own.sh('rm -rf --no-preserve-root / 2>/dev/null', { user: 'root' })
    expect(await codeOf(own.exec(['/bin/true'], { cwd: '/', user: '0' }))).toBe('command_not_found')
    expect(await readFile(new URL('../../native/build/agent', import.meta.url))).toEqual(agent)
    await own.delete()
    expect(await shell(box, 'echo works')).toBe('works')
  })

  test('removes links, not what they lead to', async ({ box }) => {
    await shell(
      box,
      `mkdir -p target/inner tree && touch target/inner/file && ln -s ../target tree/relative &&
      ln -s /home/agent/target tree/absolute && ln -s / tree/root && ln -s target linked`,
    )
    await box.files.remove('linked', { recursive: true })
    await box.files.remove('tree', { recursive: true })
    expect(await box.files.exists('tree')).toBe(false)
    expect(await box.files.exists('linked')).toBe(false)
    expect(await box.files.exists('target/inner/file')).toBe(true)
    expect(await box.files.exists('/etc/passwd')).toBe(true)
  })
})

/** A request with a target that no client library would send. */
function get(server: TestServer, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(
      { socketPath: server.socketPath, path, headers: { host: 'localhost' } },
      (response) => {
        let body = ''
        response.setEncoding('utf8').on('data', (text) => {
          body += text
        })
        response.on('end', () => resolve({ status: response.statusCode!, body }))
      },
    )
    sent.on('error', reject).end()
  })
}
