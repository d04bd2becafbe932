import type { Sandbox } from 'e2b'
import { describe, expect } from 'vitest'
import { CLIENTS } from './clients.ts'
import { cannotNetwork, test } from './fixture.ts'

/** What a terminal has shown so far. */
class Screen {
  text = ''
  #wake: (() => void) | null = null

  readonly onData = (data: Uint8Array): void => {
    this.text += Buffer.from(data).toString()
    this.#wake?.()
  }

  async shows(expected: string | RegExp): Promise<void> {
    while (!this.text.match(expected)) await new Promise<void>((resolve) => (this.#wake = resolve))
  }
}

const type = (sandbox: Sandbox, pid: number, line: string) =>
  sandbox.pty.sendInput(pid, new TextEncoder().encode(line))

describe.skipIf(cannotNetwork).each(Object.entries(CLIENTS))('terminals of %s', (name, Client) => {
  test('a shell: input, size, a second viewer, its end', async ({ e2b }) => {
    const sandbox = await Client.create({ ...e2b.options, timeoutMs: 120_000 })
    try {
      const screen = new Screen()
      const terminal = await sandbox.pty.create({
        cols: 90,
        rows: 20,
        onData: screen.onData,
        envs: { GREETING: 'hello' },
        cwd: '/tmp',
      })
      await type(sandbox, terminal.pid, 'stty size; echo "$GREETING $TERM $PWD $(id -un)"\n')
      await screen.shows(/20 90\r\nhello xterm-256color \/tmp user\r\n/)
      await sandbox.pty.resize(terminal.pid, { cols: 133, rows: 44 })
      await type(sandbox, terminal.pid, 'stty size\n')
      await screen.shows(/44 133\r\n/)

      if (name !== 'Moru') {
        const other = new Screen()
        const viewer = await sandbox.pty.connect(terminal.pid, { onData: other.onData })
        await type(sandbox, terminal.pid, 'echo for-$((40 + 2))\n')
        await Promise.all([screen.shows('for-42'), other.shows('for-42')])
        expect(other.text).not.toContain('20 90')
        await viewer.disconnect()
      }

      expect(await sandbox.commands.list()).toMatchObject([{ pid: terminal.pid, cmd: '/bin/bash' }])
      await type(sandbox, terminal.pid, 'exit 5\n')
      expect(await terminal.wait().catch((error) => error.exitCode)).toBe(5)
      expect(await sandbox.pty.kill(terminal.pid)).toBe(false)
    } finally {
      await Client.kill(sandbox.sandboxId, e2b.options)
    }
  })

  test('is killed, and takes input as a terminal alone', async ({ e2b }) => {
    const sandbox = await Client.create({ ...e2b.options, timeoutMs: 120_000 })
    try {
      const terminal = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {} })
      await expect(sandbox.commands.sendStdin(terminal.pid, 'x')).rejects.toThrow(/terminal/)
      const command = await sandbox.commands.run('sleep 300', { background: true })
      await expect(sandbox.pty.sendInput(command.pid, new Uint8Array([65]))).rejects.toThrow(/no terminal/)
      await expect(sandbox.pty.resize(command.pid, { cols: 1, rows: 1 })).rejects.toThrow(/no terminal/)
      await expect(sandbox.pty.resize(terminal.pid, { cols: 0, rows: 1 })).rejects.toThrow()
      expect(await sandbox.pty.kill(terminal.pid)).toBe(true)
      await expect(terminal.wait()).rejects.toThrow('signal: killed')
      expect(await command.kill()).toBe(true)
      await expect(command.wait()).rejects.toThrow('signal: killed')
    } finally {
      await Client.kill(sandbox.sandboxId, e2b.options)
    }
  })
})
