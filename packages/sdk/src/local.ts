import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { SandboxError } from '@caisson/protocol/errors'
import { readEnvironment } from './environment.ts'

/**
 * Starts the local server in the background and waits until it answers; when two do so at once, one server runs.
 * The command is `CAISSON_BIN`, else `caisson` at the root of the repository that holds this package, else in PATH.
 *
 * @throws SandboxError `server_unreachable` with what the command said
 */
export async function startLocalServer(dataDir: string): Promise<void> {
  const bin = findCommand()
  if (bin === undefined) {
    const reason =
      'no local server runs and the "caisson" command is not in PATH; set CAISSON_BIN to its path'
    throw new SandboxError('server_unreachable', { url: dataDir, reason })
  }
  const { code, said } = await run(bin, ['serve', '--background', '--quiet', '--data-dir', dataDir])
  if (code === 0) return
  const reason = `"${bin} serve" failed (${code}): ${said.trim() || 'it said nothing'}`
  throw new SandboxError('server_unreachable', { url: dataDir, reason })
}

function findCommand(): string | undefined {
  const { bin, path } = readEnvironment()
  if (bin !== undefined) return bin
  const beside = fileURLToPath(new URL('../../../caisson', import.meta.url))
  const inPath = path
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, 'caisson'))
  return [beside, ...inPath].find((candidate) => existsSync(candidate))
}

/** The last of what a failed start said is enough to see why. */
const KEPT_TEXT = 8192

function run(command: string, args: string[]): Promise<{ code: number | string; said: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-KEPT_TEXT)
    })
    child.on('error', (error) => resolve({ code: 'cannot start', said: error.message }))
    child.on('close', (code, signal) => resolve({ code: code ?? signal ?? 'unknown', said }))
  })
}
