import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Client, SandboxError } from 'caisson'

const READY_DEADLINE_MS = 60_000
const LOOK_EVERY_MS = 20
const TAIL_BYTES = 4096

/** The server's entry; the CLI runs it as a process and never loads it. */
export const serverMain = (): string => fileURLToPath(import.meta.resolve('@caisson/server/main'))

/**
 * What Node is started with to be a server. V8 would let the space for young objects grow to 48 MiB and keep it, for
 * output that flows through and leaves nothing behind; and with a heap as small as a server's it would look through all of it
 * after every few MiB of buffers, which take most of the time of a transfer, unless the heap may begin larger.
 */
export const serveArguments = (flags: readonly string[]): string[] => [
  '--max-semi-space-size=1',
  '--initial-old-space-size=96',
  serverMain(),
  'serve',
  ...flags,
]

/**
 * Starts the server of a data directory and waits until it is ready. Several callers at once start one.
 *
 * @returns `started: false` when one ran already
 * @throws SandboxError `host_not_ready` with the end of the server's log
 */
export async function startInBackground(
  dataDir: string,
  flags: readonly string[] = [],
): Promise<{ started: boolean; log: string }> {
  mkdirSync(join(dataDir, 'run'), { recursive: true, mode: 0o700 })
  const log = join(dataDir, 'server.log')
  using _lock = await startLock(join(dataDir, 'run/start.lock'))
  if (await isReady(dataDir)) return { started: false, log }
  const from = sizeOf(log)
  const child = spawnServer(log, ['--data-dir', dataDir, ...flags])
  await waitUntilReady(dataDir, child, () => tailOf(log, from))
  return { started: true, log }
}

/** A lock that the kernel lets go when its holder dies, however it dies: SQLite's on a file of its own. */
async function startLock(path: string): Promise<Disposable> {
  const database = new DatabaseSync(path, { timeout: 0 })
  for (const end = Date.now() + READY_DEADLINE_MS; ; await sleep(LOOK_EVERY_MS)) {
    try {
      database.exec('BEGIN EXCLUSIVE')
      return { [Symbol.dispose]: () => database.close() }
    } catch (error) {
      const held = (error as { errcode?: number }).errcode === 5
      if (held && Date.now() < end) continue
      database.close()
      throw held ? notReady(`another start has held ${path} for a minute`, 'End it and try again.') : error
    }
  }
}

/** Detached, with the log for both streams: it outlives us and our terminal. */
function spawnServer(log: string, flags: readonly string[]): ChildProcess {
  const file = openSync(log, 'a', 0o600)
  try {
    const child = spawn(process.execPath, serveArguments(flags), {
      detached: true,
      stdio: ['ignore', file, file],
      cwd: '/',
    })
    child.unref()
    return child
  } finally {
    closeSync(file)
  }
}

async function waitUntilReady(dataDir: string, child: ChildProcess, tail: () => string): Promise<void> {
  let gone: string | undefined
  child.once('error', (error) => {
    gone = error.message
  })
  child.once('exit', (code, signal) => {
    gone = `it ended with ${signal ?? `exit code ${code}`}`
  })
  for (const end = Date.now() + READY_DEADLINE_MS; Date.now() < end; await sleep(LOOK_EVERY_MS)) {
    if (await isReady(dataDir)) return
    // One that was started by other means may have the directory: then it is the one to use.
    if (gone !== undefined && !(await isReady(dataDir))) throw failedStart(gone, tail())
  }
  child.kill('SIGTERM')
  throw failedStart(`it was not ready after ${READY_DEADLINE_MS / 1000} s`, tail())
}

/** Whether a server answers at the socket of this data directory and has found its sandboxes. */
export async function isReady(dataDir: string): Promise<boolean> {
  const client = new Client({ dataDir, start: false })
  try {
    await client.json('/readyz', { signal: AbortSignal.timeout(5000) })
    return true
  } catch {
    return false
  } finally {
    await client.close()
  }
}

const notReady = (what: string, fix: string) => new SandboxError('host_not_ready', { what, fix })

function failedStart(why: string, tail: string): SandboxError {
  const said = tail.trim() || '(its log is empty)'
  return notReady(
    `the local server could not be started: ${why}`,
    `"caisson doctor" checks this host. Its log:\n${said}`,
  )
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** What was written since `from`, at most the last few kilobytes. */
function tailOf(path: string, from: number): string {
  const size = sizeOf(path)
  const start = Math.max(from, size - TAIL_BYTES)
  const buffer = Buffer.alloc(Math.max(0, size - start))
  if (buffer.length === 0) return ''
  const file = openSync(path, 'r')
  try {
    return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, start)).toString('utf8')
  } finally {
    closeSync(file)
  }
}
