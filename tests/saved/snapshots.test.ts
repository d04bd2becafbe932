import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, digest, garbage, plant, startSaving, text } from './world.ts'

describe.skipIf(cannotSave !== null)('snapshots', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('are the files that new sandboxes begin with, and neither side sees what the other does', async () => {
    await using box = await Sandbox.create({ client })
    const before = await plant(box)
    const snapshot = await client.call('createSnapshot', { id: box.id, name: 'planted', tag: 'v1' })
    await box.sh('rm -rf ~/tree')
    await using one = await Sandbox.create({ client, snapshot: 'planted:v1' })
    await using two = await Sandbox.create({ client, snapshot: snapshot.id })
    expect(one.info.snapshotId).toBe(snapshot.id)
    expect(await digest(one)).toBe(before)
    await one.sh('echo mine > ~/tree/mine')
    expect(await digest(two)).toBe(before)
    expect(await client.call('getSnapshot', { snapshot: 'planted:v1' })).toMatchObject({ sandboxes: 2 })
  })

  test('may be deleted with everything that lies between, and what was made from them is whole', async () => {
    const box = (await Sandbox.create({ client })).keep()
    const before = await plant(box)
    await client.call('createSnapshot', { id: box.id, name: 'parent' })
    await box.delete()
    const child = (await Sandbox.create({ client, snapshot: 'parent' })).keep()
    await client.call('createSnapshot', { id: child.id, name: 'child' })
    await client.call('deleteSnapshot', { snapshot: 'parent' })
    expect(await digest(child)).toBe(before)
    await child.delete()
    await client.call('collectGarbage', {})
    await using grandchild = await Sandbox.create({ client, snapshot: 'child' })
    expect(await digest(grandchild)).toBe(before)
    await client.call('deleteSnapshot', { snapshot: 'child' })
    await client.call('collectGarbage', {})
    expect(await digest(grandchild)).toBe(before)
    expect(await garbage(client)).toEqual([])
  })

  test('are what a pause of depth workspace goes back to', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'echo tool > ~/tool; mkdir -p ~/workspace; echo old > ~/workspace/old')
    await client.call('createSnapshot', { id: box.id, name: 'tooled' })
    await using made = await Sandbox.create({ client, snapshot: 'tooled' })
    await client.call('deleteSnapshot', { snapshot: 'tooled' })
    await text(made, 'rm ~/tool ~/workspace/old; echo junk > ~/junk; echo new > ~/workspace/new')
    await made.pause({ depth: 'workspace' })
    await client.call('collectGarbage', {})
    expect(await text(made, 'cat ~/tool; ls ~/junk 2>&1 | grep -c "No such"; ls ~/workspace')).toBe(
      'tool\n1\nnew',
    )
  })

  test('are published without a key only when they look harmless', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'mkdir -p ~/.ssh; echo key > ~/.ssh/id_ed25519; echo pub > ~/.ssh/id_ed25519.pub')
    const create = (input: object) => client.call('createSnapshot', { id: box.id, public: true, ...input })
    await expect(create({})).rejects.toMatchObject({
      code: 'snapshot_unsafe',
      details: { files: ['/home/agent/.ssh/id_ed25519'] },
    })
    await text(box, 'rm ~/.ssh/id_ed25519')
    expect(await create({})).toMatchObject({ public: true })
  })
})
