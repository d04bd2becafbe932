import { Sandbox, SandboxNotFoundError, type SandboxOpts } from 'e2b'
import { describe, expect } from 'vitest'
import { PUBLIC } from '../network/places.ts'
import { cannotNetwork, type E2b, test } from './fixture.ts'

const { example, other, evil } = PUBLIC

/** Whether a sandbox reaches each of some destinations. */
async function reaches(sandbox: Sandbox, destinations: string[]): Promise<boolean[]> {
  const tries = destinations.map(async (destination) => {
    const { exitCode } = await sandbox.commands
      .run(`curl -fsko /dev/null -m 10 ${destination}`)
      .catch((error) => ({ exitCode: error.exitCode as number }))
    return exitCode === 0
  })
  return Promise.all(tries)
}

const create = (e2b: E2b, options: SandboxOpts = {}) => Sandbox.create({ ...e2b.options, ...options })

describe.skipIf(cannotNetwork)('what a sandbox reaches', { timeout: 120_000 }, () => {
  test('everything public unless it is said otherwise', async ({ e2b }) => {
    const open = await create(e2b)
    expect(await reaches(open, ['https://example.com/', `http://${other.v4}/`])).toEqual([true, true])
    await open.kill()
    const closed = await create(e2b, { allowInternetAccess: false })
    expect(await reaches(closed, ['https://example.com/', `http://${other.v4}/`])).toEqual([false, false])
    expect((await closed.getInfo()).allowInternetAccess).toBe(false)
    await closed.kill()
  })

  test('what is allowed wins over what is denied', async ({ e2b }) => {
    const denyOut = ['151.101.0.0/16', `${evil.v4}/32`, example.v4]
    const sandbox = await create(e2b, { network: { allowOut: [other.v4, '93.0.0.0/8'], denyOut } })
    const places = [`http://${other.v4}/`, `http://${evil.v4}/`, `http://${example.v4}/`]
    expect(await reaches(sandbox, places)).toEqual([true, false, true])
    await sandbox.kill()
  })

  test('an update replaces all rules of a sandbox that runs', async ({ e2b }) => {
    const sandbox = await create(e2b, { allowInternetAccess: false })
    const places = ['https://example.com/', `http://${other.v4}/`, `http://${evil.v4}/`]
    await sandbox.updateNetwork({ allowOut: ['example.com', other.v4], denyOut: ['0.0.0.0/0'] })
    expect(await reaches(sandbox, places)).toEqual([true, true, false])
    expect((await sandbox.getInfo()).network).toMatchObject({
      allowOut: [other.v4, 'example.com'],
      denyOut: ['0.0.0.0/0'],
    })
    await sandbox.updateNetwork({ denyOut: [evil.v4] })
    expect(await reaches(sandbox, places)).toEqual([true, true, false])
    await sandbox.updateNetwork({ allowInternetAccess: false })
    expect(await reaches(sandbox, places)).toEqual([false, false, false])
    await sandbox.updateNetwork({})
    expect(await reaches(sandbox, places)).toEqual([true, true, true])
    await sandbox.kill()
    await expect(Sandbox.updateNetwork(sandbox.sandboxId, {}, e2b.options)).rejects.toThrow(
      SandboxNotFoundError,
    )
  })
})
