import { Sandbox, SandboxError, SandboxNotFoundError } from 'e2b'
import { Sandbox as Sandbox245 } from 'e2b-2.45'
import { describe, expect } from 'vitest'
import { cannotNetwork, type E2b, test } from './fixture.ts'

async function all(e2b: E2b, options: Parameters<typeof Sandbox.listSnapshots>[0] = {}) {
  const pages = Sandbox.listSnapshots({ ...e2b.options, ...options })
  const found: Awaited<ReturnType<typeof pages.nextItems>> = []
  while (pages.hasNext) found.push(...(await pages.nextItems()))
  return found
}

describe.skipIf(cannotNetwork)('snapshots', { timeout: 120_000 }, () => {
  test('are made of a sandbox, and sandboxes of them', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options, envs: { GREETING: 'hello' } })
    await sandbox.files.write('note', 'saved')
    const snapshot = await sandbox.createSnapshot()
    expect(snapshot.names).toEqual([])
    await sandbox.files.write('note', 'later')
    const { snapshotId } = snapshot
    const copy = await Sandbox.create(snapshotId, e2b.options)
    expect(await copy.files.read('note')).toBe('saved')
    expect((await copy.commands.run('echo $GREETING')).stdout).toBe('hello\n')
    expect((await copy.getInfo()).templateId).toBe(snapshotId)
    const listed = await Sandbox.list({ ...e2b.options, query: { template: snapshotId } }).nextItems()
    expect(listed.map(({ sandboxId }) => sandboxId)).toEqual([copy.sandboxId])
    expect(await all(e2b, { sandboxId: sandbox.sandboxId })).toEqual([snapshot])
    await sandbox.kill()
    expect(await Sandbox.deleteSnapshot(snapshotId, e2b.options)).toBe(true)
    expect(await Sandbox.deleteSnapshot(snapshotId, e2b.options)).toBe(false)
    // What was made of it stays whole.
    expect(await copy.files.read('note')).toBe('saved')
    await copy.kill()
    await expect(Sandbox.create(snapshotId, e2b.options)).rejects.toThrow('404')
    await expect(Sandbox.createSnapshot(sandbox.sandboxId, e2b.options)).rejects.toThrow(SandboxNotFoundError)
  })

  test('have names and tags, of which a newer one takes over', async ({ e2b }) => {
    const sandbox = await Sandbox.create(e2b.options)
    const save = async (content: string, name: string) => {
      await sandbox.files.write('note', content)
      return sandbox.createSnapshot({ name })
    }
    const read = async (name: string) => {
      const made = await Sandbox.create(name, e2b.options)
      const content = await made.files.read('note')
      await made.kill()
      return content
    }
    const first = await save('first', 'My-Snap')
    expect(first.names).toEqual(['my-snap:latest'])
    expect((await save('tagged', 'my-snap:v1')).names).toEqual(['my-snap:v1'])
    expect(await read('my-snap')).toBe('first')
    expect(await read('my-snap:default')).toBe('first')
    const second = await save('second', 'my-snap')
    expect(await read('my-snap')).toBe('second')
    expect(await read('my-snap:v1')).toBe('tagged')
    expect(await read(first.snapshotId)).toBe('first')
    const named = (await all(e2b, { name: 'my-snap', limit: 1 })).map(({ snapshotId, names }) => [
      snapshotId,
      names,
    ])
    expect(named).toHaveLength(3)
    expect(named[0]).toEqual([second.snapshotId, ['my-snap:latest']])
    expect(named.at(-1)).toEqual([first.snapshotId, []])
    expect((await all(e2b, { name: 'my-snap:v1' })).map(({ names }) => names)).toEqual([['my-snap:v1']])
    expect(await all(e2b, { name: 'other' })).toEqual([])
    expect(await Sandbox.deleteSnapshot('my-snap:v1', e2b.options)).toBe(true)
    expect(await all(e2b, { name: 'my-snap:v1' })).toEqual([])
    for (const name of ['team/my-snap', 'a:b:c', 'not a name', 'under_score'])
      await expect(sandbox.createSnapshot({ name })).rejects.toThrow('400')
    expect(await Sandbox.deleteSnapshot('team/my-snap:v1', e2b.options)).toBe(false)
    await sandbox.kill()
  })

  test('of a sandbox that is paused, by the client before', async ({ e2b }) => {
    const sandbox = await Sandbox245.create(e2b.options)
    await sandbox.files.write('note', 'paused')
    await sandbox.pause()
    const { snapshotId } = await Sandbox245.createSnapshot(sandbox.sandboxId, e2b.options)
    const copy = await Sandbox245.create(snapshotId, e2b.options)
    expect(await copy.files.read('note')).toBe('paused')
    await copy.kill()
    await sandbox.kill()
    expect(await Sandbox245.deleteSnapshot(snapshotId, e2b.options)).toBe(true)
  })

  test('pages with bad input are refused', async ({ e2b }) => {
    await expect(all(e2b, { limit: 1000 })).rejects.toThrow(SandboxError)
    await expect(all(e2b, { nextToken: 'nonsense' })).rejects.toThrow('nextToken')
    expect(await all(e2b, { sandboxId: 'nonsense' })).toEqual([])
  })
})
