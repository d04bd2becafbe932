import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { serverMain } from './server-process.ts'

const DEADLINE_MS = 60_000

/** What the server's program says of this host without a server: one JSON document. */
export async function askServerProgram(question: 'doctor' | 'config', dataDir?: string): Promise<unknown> {
  const args = [serverMain(), question, ...(dataDir === undefined ? [] : ['--data-dir', dataDir])]
  // A failed check is an answer as well: what counts is that there is a document.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    timeout: DEADLINE_MS,
  }).catch((error: { stdout: string; stderr: string }) => error)
  try {
    return JSON.parse(stdout)
  } catch {
    throw new Error(stderr?.trim() || `"${question}" gave no answer`)
  }
}
