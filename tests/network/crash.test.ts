/** The server dies at every step that makes or changes a network: nothing is orphaned, and what holds is what is told. */
import { Sandbox, SandboxError } from 'caisson'
import { describe, expect } from 'vitest'
import type { Failpoint } from '../../packages/server/src/failpoint.ts'
import type { TestServer } from '../fixture.ts'
import { attempt, cannotNetwork, inside, PUBLIC, setNetwork, test, until } from './fixture.ts'
import { plugged } from './host.ts'

const { example, evil } = PUBLIC

/** Runs the server until it dies at `failpoint`, to which `work` drives it; then a new one. */
async function crash(server: TestServer, failpoint: Failpoint, work: () => Promise<unknown>): Promise<void> {
  await server.kill9()
  await server.up({ failpoint })
  const answer = work().catch((error) => {
    if (!(error instanceof SandboxError)) throw error
  })
  await server.died()
  await server.up()
  await answer
}

describe.skipIf(cannotNetwork)('a server that dies at', () => {
  for (const failpoint of [
    'create:recorded',
    'create:started',
    'network:plugged',
    'create:connected',
  ] as const)
    test(`${failpoint} leaves no interface, and a repeat succeeds`, async ({ world, server }) => {
      const client = server.client()
      const body = { name: 'made', network: { allow: [example.v4] } }
      const create = () => client.call('createSandbox', body, { idempotencyKey: failpoint })
      await crash(server, failpoint, create)
      const made = await create()
      await using box = await Sandbox.connect(made.id, { client })
      expect(await attempt(box, { tcp: `tcp('${example.v4}', 22, b'x')` })).toEqual({ tcp: 'ok' })
      expect(
        await until(
          () => plugged(world, server),
          (links) => links.length === 1,
        ),
      ).toHaveLength(1)
      await box.delete()
      expect(await plugged(world, server)).toEqual([])
    })

  for (const failpoint of ['network:recorded', 'network:ruled'] as const)
    test(`${failpoint} has the rules in force that are told afterwards`, async ({ world, server }) => {
      await using box = await inside(world, server, { allow: [example.v4] })
      await crash(server, failpoint, () => setNetwork(box, { allow: [evil.v4] }))
      const { network } = await box.client.call('getNetwork', { id: box.id })
      const [open, closed] = network.allow[0] === evil.v4 ? [evil.v4, example.v4] : [example.v4, evil.v4]
      const look = () => attempt(box, { open: `tcp('${open}', 22)`, closed: `tcp('${closed}', 22)` })
      const said = await until(look, (now) => now.open === 'ok' && now.closed !== 'ok')
      expect(said.open).toBe('ok')
      expect(said.closed).not.toBe('ok')
    })

  for (const [from, to] of [
    [false, true],
    [true, false],
  ])
    test(`network:recorded, from ${from} to ${to}, ends with what is told`, async ({ world, server }) => {
      await using box = await inside(world, server, from!)
      await crash(server, 'network:recorded', () => setNetwork(box, to!))
      const { network } = await box.client.call('getNetwork', { id: box.id })
      const wanted = network.mode === 'public' ? /^ok$/ : /^(ENETUNREACH|EHOSTUNREACH)$/
      const look = () => attempt(box, { tcp: `tcp('${example.v4}', 22)` })
      expect((await until(look, ({ tcp }) => wanted.test(tcp))).tcp).toMatch(wanted)
      expect(await plugged(world, server)).toHaveLength(network.mode === 'public' ? 1 : 0)
    })
})
