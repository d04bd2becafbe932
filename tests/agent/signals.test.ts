import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Field, FrameType } from '../../packages/protocol/src/frames.ts'
import { Agent, BUILDS, collect, isRoot, processesWith, until } from './harness.ts'

const SIGTERM = 15
const SIGKILL = 9
let serial = 0

describe.each(BUILDS)('signals ($name)', ({ binary }) => {
  /** Starts a shell script in which $TAG names processes for `alive`. */
  const begin = async (agent: Agent, script: string, expected?: number, user?: string) => {
    const tag = `caisson-signal-${process.pid}-${++serial}`
    const client = await agent.connect()
    await client.expect(0, FrameType.HELLO)
    const argv = ['python3', '-c', `import os, time\nTAG='${tag}'\n${script}`, tag]
    const { stream } = client.start({ argv, cwd: '/', ...(user !== undefined && { user }) })
    await client.expect(stream, FrameType.STARTED)
    const alive = () => processesWith(tag).filter((pid) => !isZombie(pid))
    await until(() => (expected === undefined ? alive().length > 0 : alive().length === expected))
    return { client, stream, alive }
  }
  const isZombie = (pid: number) => {
    try {
      return /State:\s+[ZX]/.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    } catch {
      return true
    }
  }
  const nap = 'time.sleep(1000)'
  /** A child in the group, one in a session of its own, and a daemon that was forked twice. */
  const family = `
if os.fork() == 0: ${nap}
if os.fork() == 0:
  os.setsid()
  ${nap}
if os.fork() == 0:
  os.setsid()
  if os.fork() == 0: ${nap}
  os._exit(0)
${nap}`

  test('scope 0 reaches the leader alone', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream, alive } = await begin(agent, family, 4)
    client.signal(stream, SIGTERM, 0)
    await client.expect(stream, FrameType.OK)
    await client.expect(stream, FrameType.EXIT)
    expect(alive().length).toBe(3)
  })

  test('scope 1 reaches the process group, also after its leader ended', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream, alive } = await begin(agent, family, 4)
    client.signal(stream, SIGTERM, 0)
    await client.expect(stream, FrameType.OK)
    await client.expect(stream, FrameType.EXIT)
    client.signal(stream, SIGTERM, 1)
    await client.expect(stream, FrameType.OK)
    await until(() => alive().length === 2)
    client.signal(stream, SIGTERM, 1)
    expect((await client.expect(stream, FrameType.ERROR)).u64(Field.ERRNO)).toBe(3)
  })

  test.each([SIGTERM, SIGKILL])('scope 2 reaches everybody, signal %i', async (signal) => {
    await using agent = await Agent.start(binary)
    const { client, stream, alive } = await begin(agent, family, 4)
    client.signal(stream, signal, 2)
    await until(() => alive().length === 0)
    const types = [await client.next(stream), await client.next(stream), await client.next(stream)]
    expect(types.map((f) => f.type).sort()).toEqual(
      [FrameType.EXIT, FrameType.OUTPUT_CLOSED, FrameType.OK].sort(),
    )
  })

  test('scope 2 finds a daemon after the leader ended', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream, alive } = await begin(
      agent,
      family.replace(/time\.sleep\(1000\)$/, 'os._exit(0)'),
      3,
    )
    client.signal(stream, SIGKILL, 2)
    await until(() => alive().length === 0)
  })

  test.runIf(isRoot)('scope 2 finds a daemon of another user', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream, alive } = await begin(agent, family, 4, 'nobody')
    client.signal(stream, SIGKILL, 2)
    await until(() => alive().length === 0)
  })

  test('scope 2 leaves the neighbours alone', async () => {
    await using agent = await Agent.start(binary)
    const one = await begin(agent, family, 4)
    const other = one.client.start({ argv: ['sleep', '1000'] })
    await one.client.expect(other.stream, FrameType.STARTED)
    one.client.signal(one.stream, SIGKILL, 2)
    await until(() => one.alive().length === 0)
    one.client.signal(other.stream, SIGTERM, 0)
    await one.client.expect(other.stream, FrameType.OK)
  })

  test('scope 2 ends a program that forks without pause', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream, alive } = await begin(
      agent,
      `import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for _ in range(4): os.fork() or os.setsid()
while True:
  time.sleep(0.01)
  if os.fork() == 0: time.sleep(0.05); os._exit(0)`,
    )
    await until(() => alive().length > 8)
    client.signal(stream, SIGKILL, 2)
    await until(() => alive().length === 0)
  })

  test('signals that do not exist are refused', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream } = await begin(agent, nap, 1)
    for (const signal of [0, 65, 2 ** 40]) {
      client.signal(stream, signal, 0)
      expect((await client.expect(stream, FrameType.ERROR)).u64(Field.ERRNO)).toBe(22)
    }
    client.signal(stream, SIGTERM, 0)
    await client.expect(stream, FrameType.OK)
    await collect(client, stream)
    client.signal(stream, SIGTERM, 0)
    expect((await client.expect(stream, FrameType.ERROR)).u64(Field.ERRNO)).toBe(3)
  })
})
