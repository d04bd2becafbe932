import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, digest, garbage, plant, startSaving, text } from './world.ts'

describe.skipIf(cannotSave !== null)('checkpoints', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test('put every file back as it was, while the sandbox stays who it is', async () => {
    await using box = await Sandbox.create({ client, env: { A: '1' } })
    const before = await plant(box)
    await box.checkpoints.create('planted')
    const running = await box.start(['sleep', '1000'])
    await box.sh('rm -rf ~/tree/.hidden; echo new > ~/tree/new; sudo rm /etc/motd; sudo touch /etc/issue')
    const damaged = await box.sh('ls -A ~/tree')
    expect(damaged.stdout).toContain('new')
    const restored = await box.checkpoints.restore('planted')
    expect(restored).toMatchObject({ id: box.id, status: 'idle', pause: null })
    expect(await digest(box)).toBe(before)
    expect(await text(box, 'echo $A; cat /etc/motd; hostname')).toContain('1\nchanged\n')
    expect(await client.call('getExecution', { execution: running.id })).toMatchObject({
      state: 'ended',
      ending: 'sandbox-ended',
    })
    expect(await garbage(client)).toEqual([])
  })

  test('lie beside each other: an older one does not lose a newer one', async () => {
    await using box = await Sandbox.create({ client })
    for (const name of ['one', 'two', 'three']) {
      await text(box, `echo ${name} > ~/state`)
      await box.checkpoints.create(name)
    }
    for (const name of ['one', 'three', 'two', 'one']) {
      await box.checkpoints.restore(name)
      expect(await text(box, 'cat ~/state')).toBe(name)
    }
    await box.checkpoints.delete('one')
    await box.checkpoints.restore('three')
    expect(await text(box, 'cat ~/state')).toBe('three')
  })

  test('are whole while programs write: two files that follow each other are never two steps apart', async () => {
    await using box = await Sandbox.create({ client })
    await box.start(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i > ~/a; echo $i > ~/b; done'])
    await text(box, 'until [ -s ~/b ]; do sleep 0.01; done')
    for (let count = 0; count < 5; count++) await box.checkpoints.create(`c${count}`)
    for (let count = 0; count < 5; count++) {
      await box.checkpoints.restore(`c${count}`)
      const [a = 0, b = 0] = (await text(box, 'cat ~/a ~/b')).split('\n').map(Number)
      // A file that is being rewritten is empty for a moment.
      if (a !== 0 && b !== 0) expect(a - b).toSatisfy((apart: number) => apart === 0 || apart === 1)
    }
  })

  test('survive a pause of every depth, and are restored while it lasts', async () => {
    await using box = await Sandbox.create({ client })
    const before = await plant(box)
    await box.checkpoints.create('planted')
    for (const depth of ['memory', 'filesystem', 'workspace'] as const) {
      await box.sh('rm -rf ~/tree')
      await box.pause({ depth })
      const restored = await box.checkpoints.restore('planted')
      expect(restored.status).toBe('suspended')
      expect(await digest(box)).toBe(before)
    }
  })

  test('of a paused sandbox are what it was when it was paused', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'echo kept > ~/state')
    await box.pause({ depth: 'filesystem' })
    await box.checkpoints.create('paused')
    expect((await box.refresh()).info.status).toBe('suspended')
    await text(box, 'echo lost > ~/state')
    await box.checkpoints.restore('paused')
    expect(await text(box, 'cat ~/state')).toBe('kept')
  })

  test('are counted, and free their disk with their sandbox', async () => {
    const box = (await Sandbox.create({ client })).keep()
    await text(box, 'head -c 1000000 /dev/zero > ~/a; ln ~/a ~/b')
    await box.checkpoints.create('counted')
    const counted = async () => (await box.checkpoints.list())[0]
    await expect.poll(async () => (await counted())?.sizeBytes, { timeout: 20_000 }).toBeGreaterThan(999_999)
    expect((await counted())?.fileCount).toBeGreaterThan(1)
    expect((await client.call('getDiskUsage')).saved.count).toBeGreaterThan(0)
    await box.delete()
    expect(await garbage(client)).toEqual([])
  })
})
