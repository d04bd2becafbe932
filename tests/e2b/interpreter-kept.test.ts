import { Sandbox } from '@e2b/code-interpreter'
import { describe, expect } from 'vitest'
import { cannotNetwork, test } from './fixture.ts'

/** The directory of the Python kernel's sockets, whose name is chosen at random when the kernel is started. */
const KERNEL = 'ls -d /tmp/kernel-*'

describe.skipIf(cannotNetwork)('the program of the code interpreter', () => {
  test('is kept as it runs, for sandboxes that ask for nothing that matters to it', async ({ e2b, skip }) => {
    const { memoryPause } = await e2b.server.client().call('getServer', {})
    skip(memoryPause !== 'disk', 'this host keeps no processes on disk')
    await using made = new AsyncDisposableStack()
    const create = async (envs?: Record<string, string>) => {
      const sandbox = await Sandbox.create({ ...e2b.options, ...(envs && { envs }) })
      made.defer(() => sandbox.kill().then(() => {}))
      return sandbox
    }
    await create()
    await expect.poll(() => e2b.server.log(), { timeout: 60_000 }).toContain('its program is kept as it runs')
    const [one, other, told] = [await create(), await create(), await create({ WHO: 'me' })]
    const kernelOf = async (sandbox: Sandbox) => (await sandbox.commands.run(KERNEL)).stdout
    expect(await kernelOf(one)).toBe(await kernelOf(other))
    const RANDOM = 'import random, numpy; [random.random(), numpy.random.random()]'
    const [a, b] = [await one.runCode(RANDOM), await other.runCode(RANDOM)]
    expect(a.error).toBeUndefined()
    expect(JSON.parse(a.text!)).not.toEqual(JSON.parse(b.text!))
    for (const [index, value] of (JSON.parse(a.text!) as number[]).entries())
      expect(value).not.toBe((JSON.parse(b.text!) as number[])[index])
    expect(a.executionCount).toBe(1)
    expect((await told.runCode('import os; os.environ["WHO"]')).text).toBe('me')
    expect(await kernelOf(told)).not.toBe(await kernelOf(one))
  })
})
