import { describe, expect, test } from 'vitest'
import { parseBulk } from '../../packages/protocol/src/frame-codec.ts'
import { FrameType } from '../../packages/protocol/src/frames.ts'
import { Agent, BUILDS, collect, isRoot, processesWith, run, until } from './harness.ts'

/** Needs a pid namespace, which only root may make everywhere. */
describe.runIf(isRoot).each(BUILDS)('as PID 1 ($name)', ({ name, binary }) => {
  const open = async () => {
    const args = ['--pid', '--fork', '--mount-proc', binary, '--listen-fd', '3']
    const agent = await Agent.start('/usr/bin/unshare', args, true)
    const client = await agent.connect()
    await client.expect(0, FrameType.HELLO)
    return { agent, client, [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose]() }
  }

  test('the agent sees itself first, and reaps what is left to it', async () => {
    await using o = await open()
    const orphans = 'for i in 1 2 3 4 5; do (sleep 0.01 &) ; done; sleep 0.1; cat /proc/1/comm'
    expect((await run(o.client, { argv: ['sh', '-c', orphans] })).stdout.toString()).toBe('agent\n')
    const seen = await run(o.client, { argv: ['sh', '-c', 'grep -l "^State:.*zombie" /proc/[0-9]*/status'] })
    expect(seen.stdout.toString()).toBe('')
  })

  test('a connection from inside the sandbox is refused', async () => {
    await using o = await open()
    const script = `import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(len(s.recv(100)))`
    const result = await run(o.client, { argv: ['python3', '-c', script, o.agent.socket] })
    expect(result.stdout.toString()).toBe('0\n')
    expect((await run(o.client, { argv: ['true'] })).exitCode).toBe(0)
  })

  test('the workload can neither signal, trace nor read the agent', async () => {
    await using o = await open()
    // The sanitizer itself handles these three, and ends the agent.
    const spared = name === 'sanitized' ? '{7, 8, 11}' : 'set()'
    const script = `import os
for number in set(range(1, 65)) - ${spared}:
  try: os.kill(1, number)
  except OSError: pass
for name in ('environ', 'maps', 'mem', 'fd', 'exe', 'cwd'):
  try:
    path = '/proc/1/' + name
    os.readlink(path) if name in ('exe', 'cwd') else os.listdir(path) if name == 'fd' else open(path, 'rb').read(1)
    print('could', name)
  except OSError: pass
print('tried')`
    for (const user of ['root', 'nobody']) {
      const result = await run(o.client, { argv: ['python3', '-c', script], user, cwd: '/' })
      // Root without CAP_SYS_PTRACE is refused as well; here it has all capabilities.
      if (user === 'nobody') expect(result.output.toString()).toBe('tried\n')
    }
    expect((await run(o.client, { argv: ['true'] })).exitCode).toBe(0)
  })

  test('the whole tree of an unprivileged user is found, daemons included', async () => {
    await using o = await open()
    const script = "setsid sh -c 'sleep 1001 & exec sleep 1001' & (setsid sleep 1001 &); echo ready; wait"
    const { stream } = o.client.start({ argv: ['sh', '-c', script], user: 'nobody', cwd: '/' })
    await o.client.expect(stream, FrameType.STARTED)
    const { bytes } = parseBulk((await o.client.next(stream)).payload)
    o.client.signal(stream, 9, 2)
    expect((await collect(o.client, stream, bytes.length)).signal).toBe(9)
    const left = await run(o.client, { argv: ['sh', '-c', 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'] })
    expect(left.stdout.toString()).not.toContain('sleep 1001')
  })

  test('nothing survives the end of the agent', async () => {
    const tag = `caisson-pid1-${process.pid}-${name}`
    {
      await using o = await open()
      const { stream } = o.client.start({ argv: ['python3', '-c', 'import time; time.sleep(1000)', tag] })
      await o.client.expect(stream, FrameType.STARTED)
      await until(() => processesWith(tag).length === 1)
    }
    await until(() => processesWith(tag).length === 0)
  })
})
