import { randomBytes } from 'node:crypto'
import { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { cannotNetwork, test } from './fixture.ts'

describe.skipIf(cannotNetwork)('try', () => {
  test('everything', async ({ e2b }) => {
    const t0 = performance.now()
    const sandbox = await Sandbox.create(e2b.options)
    console.log('create', performance.now() - t0)
    const { files } = sandbox
    console.log(await files.write('a/b.txt', 'hello'))
    console.log(await files.read('a/b.txt'))
    console.log(await files.getInfo('a/b.txt'))
    console.log(await files.list('a'))
    console.log(await files.makeDir('x/y'), await files.makeDir('x/y'))
    console.log(await files.rename('a/b.txt', 'n/c.txt'))
    console.log(await files.exists('a/b.txt'), await files.exists('n/c.txt'))
    console.log(await files.write('m', 'data', { metadata: { Who: 'me' } }), await files.getInfo('m'))
    await files.remove('n')
    const events: unknown[] = []
    const handle = await files.watchDir('.', (event) => void events.push(event), { recursive: true, includeEntry: true })
    await files.write('w/one', 'x')
    await sandbox.commands.run('mv w/one w/two; touch t')
    await new Promise((wake) => setTimeout(wake, 300))
    console.log(events)
    await handle.stop()
    const big = randomBytes(50_000_000)
    let t = performance.now()
    await files.write('big', big)
    console.log('write', performance.now() - t)
    t = performance.now()
    const back = await files.read('big', { format: 'bytes' })
    console.log('read', performance.now() - t)
    expect(Buffer.compare(big, back)).toBe(0)
    await sandbox.kill()
  })
})
