import { getSandbox, Sandbox, SandboxError } from 'caisson'
import { describe, expect } from 'vitest'
import { DRIVER, test } from '../fixture.ts'

describe('a sandbox', () => {
  test('that was created ends with its scope, one that was connected does not', async ({ server }) => {
    const client = server.client()
    let id = ''
    {
      await using made = await Sandbox.create({ client, name: 'owned' })
      id = made.id
      {
        await using again = await Sandbox.connect('owned', { client })
        expect(again.id).toBe(id)
      }
      expect((await made.refresh()).info.status).toBe('idle')
    }
    expect((await Sandbox.connect(id, { client })).info.status).toBe('terminated')
    await expect(Sandbox.connect('owned', { client })).rejects.toMatchObject({ code: 'sandbox_not_found' })
  })

  test('stays when its handle gives up ownership', async ({ server }) => {
    const client = server.client()
    let kept: Sandbox
    {
      await using made = await Sandbox.create({ client })
      kept = made.keep()
    }
    expect((await kept.refresh()).info.status).toBe('idle')
    await kept.delete()
    await kept.delete()
    expect(kept.info.status).toBe('terminated')
    await expect(kept.exec(['true'])).rejects.toMatchObject({ code: 'sandbox_ended' })
  })

  test('has the files, environment and metadata that it was asked for', async ({ server }) => {
    await using sandbox = await Sandbox.create({
      client: server.client(),
      env: { COLOR: 'blue' },
      metadata: { team: 'a' },
      files: { 'text.txt': 'text', 'deep/bytes.bin': Uint8Array.of(0, 255) },
    })
    expect((await sandbox.sh('cat text.txt; echo "$COLOR"; wc -c < deep/bytes.bin')).stdout).toBe(
      'textblue\n2\n',
    )
    expect(sandbox.info.metadata).toEqual({ team: 'a' })
  })

  test('can be changed, and given more time', async ({ server }) => {
    await using sandbox = await Sandbox.create({ client: server.client(), ttl: '5m' })
    const first = Date.parse(sandbox.info.expiresAt!)
    await sandbox.extend('1h')
    expect(Date.parse(sandbox.info.expiresAt!)).toBeGreaterThan(first)
    await sandbox.update({ description: 'changed', metadata: { a: '1' }, idleTimeout: 0 })
    expect(sandbox.info).toMatchObject({ description: 'changed', metadata: { a: '1' }, idleTimeoutMs: null })
  })

  test('asking for what is not there is refused with its reason', async ({ server }) => {
    const client = server.client()
    await expect(Sandbox.create({ client, snapshot: 'x' })).rejects.toMatchObject({
      code: 'snapshot_not_found',
    })
    // biome-ignore lint/suspicious/noExplicitAny: a misspelt option is what is tested.
    await expect(Sandbox.create({ client, memroy: '1Gi' } as any)).rejects.toThrow(/memroy/)
  })

  test.runIf(DRIVER === 'oci')(
    'of an unknown runtime is refused, with those that there are',
    async ({ server }) => {
      const client = server.client()
      await expect(Sandbox.create({ client, runtime: 'no-such:1' })).rejects.toMatchObject({
        code: 'runtime_not_found',
        details: {
          runtime: 'no-such:1',
          available: expect.arrayContaining([expect.stringContaining('base')]),
        },
      })
    },
  )

  test('with a name that is taken says whose it is', async ({ server }) => {
    const client = server.client()
    await using first = await Sandbox.create({ client, name: 'taken' })
    const error = await Sandbox.create({ client, name: 'taken' }).catch((e: unknown) => e)
    expect(SandboxError.is(error, 'name_taken') && error.details).toEqual({
      name: 'taken',
      sandbox: first.id,
    })
  })
})

describe('the list of sandboxes', () => {
  test('goes through all pages', async ({ server }) => {
    const client = server.client()
    await using one = await Sandbox.create({ client, metadata: { group: 'pages', n: '1' } })
    await using two = await Sandbox.create({ client, metadata: { group: 'pages', n: '2' } })
    await using three = await Sandbox.create({ client, metadata: { group: 'pages', n: '3' } })
    const page = await Sandbox.list({ metadata: { group: 'pages' }, limit: 2, direction: 'asc' }, { client })
    expect(page.total).toBe(3)
    expect(page.sandboxes.length).toBe(2)
    const ids: string[] = []
    for await (const sandbox of page) ids.push(sandbox.id)
    expect(ids).toEqual([one.id, two.id, three.id])
    const [found] = (await Sandbox.list({ metadata: { n: '2' } }, { client })).sandboxes
    expect(found?.id).toBe(two.id)
  })
})

describe('getSandbox', () => {
  test('gives the same sandbox by name and by process, and a new one when that has ended', async ({
    server,
  }) => {
    const client = server.client()
    const [a, b, named] = await Promise.all([
      getSandbox({ client }),
      getSandbox({ client }),
      getSandbox({ client, name: 'shared' }),
    ])
    expect(b.id).toBe(a.id)
    expect(named.id).not.toBe(a.id)
    const elsewhere = await getSandbox({ client: server.client(), name: 'shared' })
    expect(elsewhere.id).toBe(named.id)
    await a.delete()
    const next = await getSandbox({ client })
    expect(next.id).not.toBe(a.id)
    await Promise.all([next.delete(), named.delete()])
  })
})
