import type { Status } from '@caisson/protocol/resources'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLive } from './create-live.ts'
import { type Server, World } from './world.test-kit.ts'

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
})
afterEach(() => world[Symbol.asyncDispose]())

const page = { limit: 100, offset: 0, sort: 'created', direction: 'asc' } as const
type Query = Omit<Parameters<Server['useCases']['listSandboxes']>[0], keyof typeof page>

async function listed(query: Query): Promise<(string | null)[]> {
  const { sandboxes, total } = await server.useCases.listSandboxes({ ...page, ...query })
  expect(total).toBe(sandboxes.length)
  return sandboxes.map(({ name }) => name)
}

test('sandboxes are listed by one status or several', async () => {
  const { useCases } = server
  for (const name of ['idle', 'running', 'paused', 'suspended', 'ended'])
    await useCases.createSandbox({ name })
  await useCases.startExecution('running', { argv: ['sleep', '1000'] })
  await useCases.pauseSandbox('paused', { depth: 'memory' })
  await useCases.pauseSandbox('suspended', { depth: 'filesystem' })
  await useCases.deleteSandbox('ended')
  const all = ['idle', 'running', 'paused', 'suspended']
  const shown = (await useCases.listSandboxes(page)).sandboxes
  expect(shown.map(({ name, status }) => [name, status])).toEqual(all.map((name) => [name, name]))
  expect(await listed({})).toEqual(all)
  expect(await listed({ all: true })).toEqual([...all, 'ended'])
  expect(await listed({ status: ['terminated'] })).toEqual(['ended'])
  const statuses = all as Status[]
  for (const one of statuses) {
    expect(await listed({ status: [one] })).toEqual([one])
    for (const other of statuses)
      expect(await listed({ status: [one, other] }), `${one},${other}`).toEqual(
        all.filter((name) => name === one || name === other),
      )
  }
  expect(await listed({ status: statuses })).toEqual(all)
  expect(await listed({ status: ['running', 'suspended', 'terminated'] })).toEqual([
    ...['running', 'suspended', 'ended'],
  ])
})

test('sandboxes are listed by what they were made from, and since when', async () => {
  const { useCases, context } = server
  await useCases.createSandbox({ name: 'first' })
  const later = new Date(Date.now() + 60_000)
  const record = { templateId: 'tpl_a', createdAt: later.getTime() }
  const made = { image: null, layers: [], from: null, record }
  await createLive(context, { name: 'second' }, 'interactive', made)
  expect(await listed({ template: 'tpl_a' })).toEqual(['second'])
  expect(await listed({ template: 'memory' })).toEqual(['first', 'second'])
  expect(await listed({ template: 'none' })).toEqual([])
  expect(await listed({ createdAfter: later.toISOString() })).toEqual(['second'])
  expect(await listed({ createdAfter: new Date(later.getTime() + 1).toISOString() })).toEqual([])
})
