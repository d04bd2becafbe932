import { type Client, Sandbox, SandboxError } from 'caisson'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { leftovers, untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, crash, garbage, startSaving, text } from './world.ts'

const COUNT = 'i=0; while :; do i=$((i+1)); echo $i > /tmp/i; echo line $i; sleep 0.02; done'

describe.skipIf(cannotSave !== null)('forks with memory', () => {
  let server: TestServer
  let client: Client
  let box: Sandbox
  let counter: string
  /** Why this host has none; null when it has. */
  let cannot: string | null = null

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
    box = (await Sandbox.create({ client, env: { A: '1' } })).keep()
    counter = (await box.start(['sh', '-c', COUNT])).id
    await text(box, 'until [ -s /tmp/i ]; do sleep 0.01; done')
    await box.fork({ memory: true }).then(
      (forks) => Promise.all(forks.map((fork) => fork.delete())),
      (error) => {
        if (!SandboxError.is(error, 'not_supported')) throw error
        cannot = error.details.reason
      },
    )
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  beforeEach((context) => {
    if (cannot !== null) context.skip(cannot)
  })

  const counted = async (of: Sandbox) => Number(await text(of, 'cat /tmp/i'))

  async function counts(of: Sandbox): Promise<void> {
    const seen = await counted(of)
    await expect.poll(() => counted(of), { timeout: 20_000 }).toBeGreaterThan(seen)
  }

  test('go on where the original is, as somebody else, and it goes on too', async () => {
    const before = await counted(box)
    await using copies = new AsyncDisposableStack()
    const forks = (await box.fork({ count: 3, memory: true })).map((fork) => copies.use(fork))
    const identities = new Set<string>()
    for (const fork of forks) {
      expect(await counted(fork)).toBeGreaterThanOrEqual(before)
      await counts(fork)
      identities.add(await text(fork, 'hostname; cat /etc/machine-id'))
      expect(
        (await client.call('listExecutions', { id: fork.id })).executions.every((e) => e.id !== counter),
      ).toBe(true)
    }
    expect(identities.size).toBe(3)
    await counts(box)
    expect(await client.call('getExecution', { execution: counter })).toMatchObject({ state: 'running' })
    expect(await garbage(client)).toEqual([])
  })

  test('keep the output of the original whole', async () => {
    const running = await box.start(['sh', '-c', 'for i in $(seq 1 300); do echo $i; sleep 0.005; done'])
    const [fork] = await box.fork({ memory: true })
    await fork!.delete()
    const { stdout } = await (await box.attach(running.id)).wait()
    expect(stdout).toBe(Array.from({ length: 300 }, (_, index) => `${index + 1}\n`).join(''))
  })

  test.each(['fork:dumped', 'fork:saved', 'fork:created'])(
    'leave nothing of them when the server dies at %s, and the original goes on',
    async (failpoint) => {
      const fork = (signal?: AbortSignal) =>
        client.call(
          'forkSandbox',
          { id: box.id, count: 2, memory: true },
          { idempotencyKey: failpoint, signal },
        )
      await crash(server, failpoint, fork)
      await counts(box)
      await untilNone('nothing is left behind', async () => {
        const { sandboxes } = await client.call('listSandboxes')
        const ids = sandboxes.map(({ id }) => id)
        return [...leftovers(server, ids), ...(await garbage(client))]
      })
      const { sandboxes } = await fork()
      for (const { id } of sandboxes) {
        const copy = await Sandbox.connect(id, { client })
        await counts(copy)
        await copy.delete()
      }
    },
  )
})
