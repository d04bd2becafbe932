import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Driver } from '../runtime/driver.ts'
import type { MemoryDriver } from '../runtime/memory/index.ts'
import { follow, until, World } from './world.test-kit.ts'

let world: World
beforeEach(async () => {
  world = await World.make()
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
})

const disconnect = (id: string) => world.host.sandboxes.get(id)?.agent.disconnect()

test('a command that is started while the connection is made anew runs like any other', async () => {
  const server = await world.server()
  const { sandbox } = await server.useCases.createSandbox({})
  const running = await server.useCases.startExecution(sandbox.id, { argv: ['cat'], stdin: true })
  for (let round = 0; round < 5; round++) {
    disconnect(sandbox.id)
    // The break is noticed within some turns of the event loop: the starts fall before, into and after it.
    const starts = Array.from({ length: 20 }, async (_, n) => {
      for (let turn = 0; turn < n; turn++) await new Promise(setImmediate)
      return server.useCases.startExecution(sandbox.id, { argv: ['echo', String(n)] }).catch((error) => error)
    })
    for (const [n, started] of (await Promise.all(starts)).entries()) {
      if (started.code === 'agent_lost') continue
      expect(await follow(server, started.id)).toMatchObject({
        text: `${n}\n`,
        ending: 'exited',
        exitCode: 0,
      })
    }
  }
  await server.useCases.writeStdin(running.id, bytes('end'), true)
  expect(await follow(server, running.id)).toMatchObject({ text: 'end', exitCode: 0 })
  expect(await server.useCases.getSandbox(sandbox.id)).toMatchObject({ status: 'idle', health: 'ok' })
})

test('a start that failed for its caller leaves no program behind', async () => {
  const server = await world.server()
  const { sandbox } = await server.useCases.createSandbox({})
  const agent = world.host.sandboxes.get(sandbox.id)!.agent
  const starts = Array.from({ length: 50 }, async (_, n) => {
    if (n === 25) disconnect(sandbox.id)
    return server.useCases.startExecution(sandbox.id, { argv: ['sleep', '1000'] })
  })
  const started = (await Promise.allSettled(starts)).filter((one) => one.status === 'fulfilled')
  await until(() => agent.running === started.length)
  const { total } = await server.useCases.listExecutions(sandbox.id, {
    limit: 1,
    offset: 0,
    direction: 'asc',
  })
  expect(total).toBe(started.length)
})

test('an agent that hangs up at once is not asked again and again without a pause', async () => {
  let connections = 0
  const driver = (memory: MemoryDriver): Driver => {
    const connect = memory.connect.bind(memory)
    memory.connect = async (id, signal) => {
      const channel = await connect(id, signal)
      // The first one, of the creation, is good.
      if (connections++ > 0) setImmediate(() => disconnect(id))
      return channel
    }
    return memory
  }
  const server = await world.server({ driver })
  const { sandbox } = await server.useCases.createSandbox({})
  disconnect(sandbox.id)
  await until(() => connections >= 2)
  for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
  expect(connections).toBeLessThan(5)
})

test('deleting a sandbox ends a start that waits for its agent', async () => {
  let silent = false
  const driver = (memory: MemoryDriver): Driver => {
    const connect = memory.connect.bind(memory)
    memory.connect = (id, signal) => (silent ? new Promise(() => {}) : connect(id, signal))
    return memory
  }
  const server = await world.server({ driver })
  const { sandbox } = await server.useCases.createSandbox({})
  const running = await server.useCases.startExecution(sandbox.id, { argv: ['sleep', '1000'] })
  silent = true
  disconnect(sandbox.id)
  await until(() => server.context.live.get(sandbox.id)?.reached === false)
  const waiting = server.useCases.startExecution(sandbox.id, { argv: ['true'] }).catch((error) => error)
  await until(() => server.context.live.get(sandbox.id)?.executions.size === 2)
  await server.useCases.deleteSandbox(sandbox.id)
  expect(await follow(server, running.id)).toMatchObject({ ending: 'sandbox-ended' })
  expect((await waiting).code).toBe('sandbox_ended')
})

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
