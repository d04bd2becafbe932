/** SECURITY D 33: when a part dies, what it decided stays refused; when it is back, all is as before. */
import type { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { isAlive, launcherPid } from '../crash/host.ts'
import {
  attempt,
  cannotNetwork,
  inside,
  PRIVATE,
  PUBLIC,
  setNetwork,
  test,
  until,
  type World,
} from './fixture.ts'
import { holderOf, onHost, plugged } from './host.ts'

const { example, evil } = PUBLIC

/** Sends a line and waits for its echo, whenever it is told to by a file; says what came of it. */
const HOLD = `import os, socket, time
s = socket.create_connection(('${example.v4}', 9000), 5)
s.settimeout(5)
n = 0
print('open', flush=True)
while True:
  n += 1
  while not os.path.exists('/tmp/go%d' % n): time.sleep(0.02)
  try: s.sendall(b'x'); print('alive' if s.recv(1) == b'x' else 'ended', flush=True)
  except OSError as e: print('broken', e, flush=True)`

const NOT = { deny: ['45.33.0.0/16'] }
const probes = {
  public: `tcp('${example.v4}', 9000, b'x')`,
  denied: `tcp('${evil.v4}', 9000)`,
  private: `tcp('${PRIVATE.lan}', 80)`,
  metadata: `tcp('${PRIVATE.metadata}', 80)`,
  host: "tcp('93.115.0.2', 80)",
}

/** A sandbox that lived through it has its network again, by itself, and no more than before. */
async function isAsBefore(world: World, box: Sandbox): Promise<void> {
  const said = await until(
    () => attempt(box, probes),
    (now) => now.public === 'ok',
  )
  expect(said.public).toBe('ok')
  for (const name of ['denied', 'private', 'metadata', 'host'] as const)
    expect.soft(said[name], name).not.toBe('ok')
  expect(await world.seenPrivate()).toEqual([])
}

describe.skipIf(cannotNetwork)('when a part dies', () => {
  test('the server: names are refused, addresses go on, open connections live, and a restart mends it', async ({
    world,
  }) => {
    await using server = await world.server()
    await using box = await inside(world, server, { allow: ['example.com', example.v4] })
    const held = await box.start(['python3', '-u', '-c', HOLD])
    const lines = held[Symbol.asyncIterator]()
    const next = async () =>
      Buffer.from((await lines.next()).value!.data)
        .toString()
        .trim()
    expect(await next()).toBe('open')
    const script = `for i in $(seq 1 600); do
  [ -e /tmp/stop ] && exit
  curl -sS -m 4 --cacert /tmp/ca.pem -o /dev/null https://example.com/ 2>/dev/null && echo name ok || echo name no
  curl -sS -m 4 -o /dev/null http://${example.v4}:8080/ && echo address ok || echo address no
  curl -sS -m 4 -o /dev/null http://${evil.v4}:8080/ 2>/dev/null && echo evil ok || echo evil no
  sleep 0.1
done`
    await box.files.write('/tmp/loop', script)
    const loop = await box.start(['sh', '-c', 'sh /tmp/loop >>/tmp/log 2>/dev/null'])
    const log = async () => (await box.sh('cat /tmp/log')).stdout
    await until(log, (text) => text.includes('name ok'))
    await server.kill9()
    // Nothing can ask the sandbox now; it goes on by itself and writes down what it sees.
    await new Promise((resolve) => setTimeout(resolve, 3000))
    await server.up()
    const text = await until(log, (text) => /name no[\s\S]*name ok/.test(text))
    expect(text).toMatch(/name ok[\s\S]*name no[\s\S]*name ok/)
    expect(text).not.toContain('address no')
    expect(text).not.toContain('evil ok')
    await box.files.write('/tmp/stop', '')
    await loop.kill()
    await box.files.write('/tmp/go1', '')
    const again = await box.attach(held.id)
    const output = async () => {
      let all = ''
      for await (const text of again.logs({ stream: 'stdout' })) all += text
      return all
    }
    expect(await until(output, (said) => said.split('\n').length > 2)).toBe('open\nalive\n')
  })

  test('the launcher: rules stay in force, and the next one goes on with them', async ({ world }) => {
    await using server = await world.server()
    await using box = await inside(world, server, NOT)
    const launcher = launcherPid(server)
    process.kill(launcher, 'SIGKILL')
    await until(
      async () => isAlive(launcher),
      (alive) => !alive,
    )
    const said = await attempt(box, probes)
    expect(said.public).toBe('ok')
    for (const name of ['denied', 'private', 'metadata', 'host'] as const)
      expect.soft(said[name], name).not.toBe('ok')
    await setNetwork(box, { allow: [evil.v4] })
    const after = await attempt(box, probes)
    expect(after.denied).toBe('ok')
    expect(after.public).not.toBe('ok')
    await using second = await inside(world, server, true)
    expect(await attempt(second, { public: probes.public })).toEqual({ public: 'ok' })
    expect((await plugged(world, server)).length).toBe(2)
    expect(await world.seenPrivate()).toEqual([])
  })

  test('the holder of the router: nothing is opened, and new sandboxes get a network', async ({ world }) => {
    await using server = await world.server()
    await using box = await inside(world, server, NOT)
    process.kill(holderOf(server)!, 'SIGKILL')
    const said = await attempt(box, probes)
    for (const name of ['denied', 'private', 'metadata', 'host'] as const)
      expect.soft(said[name], name).not.toBe('ok')
    await using second = await inside(world, server, NOT)
    const again = await attempt(second, probes)
    expect(again.public).toBe('ok')
    for (const name of ['denied', 'private', 'metadata', 'host'] as const)
      expect.soft(again[name], name).not.toBe('ok')
    await isAsBefore(world, box)
  })

  test('launcher and holder together: the same', async ({ world }) => {
    await using server = await world.server()
    await using box = await inside(world, server, NOT)
    for (const pid of [launcherPid(server), holderOf(server)!]) process.kill(pid, 'SIGKILL')
    const said = await attempt(box, probes)
    for (const name of ['denied', 'private', 'metadata', 'host'] as const)
      expect.soft(said[name], name).not.toBe('ok')
    await using second = await inside(world, server, true)
    expect(await attempt(second, { public: probes.public })).toEqual({ public: 'ok' })
    await isAsBefore(world, box)
  })

  const TOGETHER = {
    'everything at once': ['launcher', 'holder'],
    'the server and the router': ['holder'],
    'the server and the launcher': ['launcher'],
  } as const
  for (const [what, parts] of Object.entries(TOGETHER))
    test(`${what}: a new server gives living sandboxes their network again`, async ({ world }) => {
      await using server = await world.server()
      await using box = await inside(world, server, NOT)
      await server.kill9()
      for (const part of parts)
        process.kill(part === 'launcher' ? launcherPid(server) : holderOf(server)!, 'SIGKILL')
      await server.up()
      await isAsBefore(world, box)
    })

  test('the firewall of the host, flushed by its manager: nothing private becomes reachable, and the next start mends it', async ({
    world,
  }) => {
    await using server = await world.server()
    await using box = await inside(world, server, NOT)
    await world.host.exec('nft', 'flush', 'ruleset')
    await world.forget()
    const said = await attempt(box, {
      ...probes,
      door: "tcp('198.19.255.254', 10053)",
      api: "tcp('198.19.255.254', 22)",
    })
    for (const name of ['denied', 'private', 'metadata', 'host', 'door', 'api'] as const)
      expect.soft(said[name], name).not.toBe('ok')
    expect(await world.seenPrivate()).toEqual([])
    await server.restart()
    await isAsBefore(world, box)
  })

  test('an orderly end leaves no interface, no table and no process', async ({ world }) => {
    const server = await world.server()
    try {
      const box = await inside(world, server, true)
      expect((await onHost(world)).length).toBeGreaterThan(0)
      await box.delete()
    } finally {
      await server[Symbol.asyncDispose]()
    }
    expect(await onHost(world)).toEqual([])
    expect(holderOf(server)).toBeUndefined()
  })
})
