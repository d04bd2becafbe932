import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import type { Fields } from '@caisson/protocol/frame-codec'
import { LauncherConnection, LauncherLost } from './connection.ts'

/** Where the launcher and what it needs are; absolute paths. Its command line is made of these. */
export interface LauncherProgram {
  program: string
  socket: string
  dataDir: string
  /** What `images/` in a plan's layers stands for. */
  imagesDir: string
  agent: string
  crun: string
  /** For dumps; not given: none are made. */
  criu?: string
  /** Compiled filter, made by the build. */
  seccomp: string
  /** Names this data directory in cgroup names; `[a-z0-9_]{1,64}`. */
  instance: string
  /** Uid of the server when it is not root: may connect, and owns the agents' sockets. */
  allowUid?: number
}

type OnEvent = (type: number, fields: Fields) => void

/** Exit status of a launcher that found another one serving the data directory. */
const RUNNING_ALREADY = 75
const START_TIMEOUT_MS = 15_000

/** The command that starts the launcher, program first. */
export function launcherCommand(p: LauncherProgram): string[] {
  const options = {
    socket: p.socket,
    'data-dir': p.dataDir,
    'images-dir': p.imagesDir,
    agent: p.agent,
    crun: p.crun,
    seccomp: p.seccomp,
    instance: p.instance,
    ...(p.criu !== undefined && { criu: p.criu }),
    ...(p.allowUid !== undefined && { 'allow-uid': String(p.allowUid) }),
  }
  return [p.program, ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])]
}

/** Connects to the launcher; when none answers, starts one that outlives this process. Which of two wins is the launcher's lock to decide. */
export async function startLauncher(program: LauncherProgram, onEvent: OnEvent): Promise<LauncherConnection> {
  const running = await tryConnect(program.socket, onEvent)
  if (typeof running === 'object') return running
  if (process.getuid?.() === 0) return await spawnAndConnect(program, onEvent)
  const command = launcherCommand({ ...program, allowUid: process.getuid?.() ?? 0 }).join(' ')
  throw new SandboxError('host_not_ready', {
    what:
      running === 'absent'
        ? 'the launcher does not run, and this server is not root and cannot start it'
        : 'the launcher closes the connection: it serves another user, or too many connections',
    fix: `As root, run: ${command}`,
  })
}

async function spawnAndConnect(program: LauncherProgram, onEvent: OnEvent): Promise<LauncherConnection> {
  const logPath = `${program.dataDir}/run/launcher.log`
  await mkdir(dirname(logPath), { recursive: true, mode: 0o700 })
  const deadline = Date.now() + START_TIMEOUT_MS
  let child = spawnDetached(program, logPath)
  for (let pause = 2; Date.now() < deadline; pause = Math.min(pause * 2, 50)) {
    await sleep(pause)
    const connection = await tryConnect(program.socket, onEvent)
    if (typeof connection === 'object') return connection
    // The other one that it found may have been dying: without a socket already, not yet without its lock.
    if (child.ended === RUNNING_ALREADY) child = spawnDetached(program, logPath)
    else if (child.ended !== null) break
  }
  const text = (await readFile(logPath, 'utf8').catch(() => '')).trim()
  throw new SandboxError('host_not_ready', {
    what: `the launcher could not be started: ${text || `it ended with ${child.ended}`}`,
    fix: '"caisson doctor" checks this host.',
  })
}

/** `ended` becomes the exit status, or why there is none. */
function spawnDetached(program: LauncherProgram, logPath: string): { ended: number | string | null } {
  const [file = '', ...args] = launcherCommand(program)
  const log = openSync(logPath, 'w', 0o600)
  const child = spawn(file, args, { detached: true, stdio: ['ignore', log, log], cwd: '/', env: {} })
  closeSync(log)
  child.unref()
  const state: { ended: number | string | null } = { ended: null }
  child.on('error', (error) => {
    state.ended = error.message
  })
  child.on('exit', (code, signal) => {
    state.ended = code ?? signal
  })
  return state
}

/** `absent` when nothing listens; `closed` when it closes without a greeting, because it is dying or refuses this client. */
async function tryConnect(path: string, onEvent: OnEvent): Promise<LauncherConnection | 'absent' | 'closed'> {
  try {
    return await LauncherConnection.open(path, onEvent)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return 'absent'
    if (error instanceof LauncherLost || code === 'ECONNRESET' || code === 'EPIPE') return 'closed'
    if (code !== 'EACCES') throw error
    const fix = 'Start it with --allow-uid and the uid of the server.'
    throw new SandboxError(
      'host_not_ready',
      { what: 'this user may not use the launcher', fix },
      { cause: error },
    )
  }
}
