import { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { cannotNetwork, test } from './fixture.ts'

describe.skipIf(cannotNetwork)('a server that is killed', () => {
  test('leaves what runs, and the tokens by which clients come back', async ({ e2b }) => {
    const sandbox = await Sandbox.create({ ...e2b.options, timeoutMs: 300_000 })
    const command = await sandbox.commands.run('echo before; read line; echo "after $line"; exit 6', {
      background: true,
      stdin: true,
      timeoutMs: 0,
    })
    const broken = command.wait().then(
      () => null,
      (error: Error) => error.constructor.name,
    )
    await e2b.server.kill9()
    expect(await broken).not.toBeNull()
    await e2b.server.up()
    expect(await sandbox.isRunning()).toBe(true)
    expect((await sandbox.commands.list()).map(({ pid }) => pid)).toEqual([command.pid])
    const again = await sandbox.commands.connect(command.pid)
    await sandbox.commands.sendStdin(command.pid, 'all\n')
    expect(await again.wait().catch((error) => error.exitCode)).toBe(6)
    expect(again.stdout).toBe('after all\n')
    const link = await sandbox.downloadUrl('/etc/hostname')
    expect((await fetch(link)).status).toBe(200)
    expect(await sandbox.kill()).toBe(true)
    expect((await fetch(link)).status).toBe(401)
  })
})
