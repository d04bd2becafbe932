import { Sandbox, SandboxError } from 'caisson'
import { describe, expect, test } from 'vitest'
import { leftovers, untilNone } from '../crash/host.ts'
import { cannotSave, garbage, startSaving, text } from './world.ts'

/** What may be answered about a sandbox that is being stopped, or has gone. */
const REFUSALS = [
  'sandbox_ended',
  'sandbox_not_found',
  'invalid_transition',
  'agent_lost',
  'resume_failed',
  'save_failed',
  'checkpoint_not_found',
]

describe.skipIf(cannotSave !== null)('saving, restoring, forking, pausing and deleting at once', () => {
  test('loses nothing, leaves nothing, and refuses by name', async () => {
    await using server = await startSaving()
    const client = server.client()
    const made: Sandbox[] = []
    await using box = await Sandbox.create({ client })
    await text(box, 'echo kept > ~/state')
    await box.checkpoints.create('first')
    const { id } = await client.call('createSnapshot', { id: box.id, name: 'kept' })
    const works: (() => Promise<unknown>)[] = [
      () => box.checkpoints.create(),
      () => box.checkpoints.restore('first'),
      () => box.pause({ depth: 'memory' }),
      () => box.pause({ depth: 'filesystem' }),
      () => box.resume(),
      () => box.sh('cat ~/state'),
      async () => made.push(...(await box.fork({ count: 2 }))),
      async () => made.push(await Sandbox.create({ client, snapshot: 'kept' })),
      () => client.call('createSnapshot', { id: box.id, name: 'more' }),
      () => client.call('collectGarbage', {}),
    ]
    const refused: string[] = []
    const run = (work: () => Promise<unknown>) =>
      work().catch((error) => {
        refused.push(error instanceof SandboxError ? error.code : String(error))
      })
    await Promise.all([...works, ...works, ...works].map(run))
    expect(refused.filter((code) => code !== 'invalid_transition')).toEqual([])
    expect(await text(box, 'cat ~/state')).toBe('kept')
    for (const copy of made) expect(await text(copy, 'cat ~/state')).toBe('kept')

    // Once more, while the sandbox and the snapshot go.
    const before = made.length
    const deletions = [() => box.delete(), () => client.call('deleteSnapshot', { snapshot: id })]
    await Promise.all([...works, ...deletions, ...works].map(run))
    const others = refused.filter((code) => !REFUSALS.includes(code) && code !== 'snapshot_not_found')
    expect(others).toEqual([])
    for (const copy of made.slice(before)) expect(await text(copy, 'cat ~/state')).toBe('kept')
    await untilNone('nothing is left behind', async () => {
      const { sandboxes } = await client.call('listSandboxes', { limit: 100 })
      const strangers = leftovers(
        server,
        sandboxes.map((sandbox) => sandbox.id),
      )
      return [...strangers, ...(await garbage(client))]
    })
    for (const copy of made) await copy.delete()
    for (const { id: snapshot } of (await client.call('listSnapshots')).snapshots)
      await client.call('deleteSnapshot', { snapshot })
    await client.call('collectGarbage', {})
    expect((await client.call('getDiskUsage')).saved.count).toBe(0)
  })
})
