import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config.ts'
import { Launcher } from '../launcher/client.ts'
import { type LauncherProgram, launcherCommand } from '../launcher/start.ts'
import type { Undo } from '../undo.ts'
import type { TrialNetwork } from './trial-network.ts'

const END_MS = 5000

/** A launcher on a directory of its own whose host is the trial's network: this host's own is never touched. */
export async function trialLauncher(
  config: Config,
  network: TrialNetwork,
  undo: Undo,
  signal?: AbortSignal,
): Promise<Launcher> {
  const dataDir = await mkdtemp(join(config.dataDir, 'doctor-'))
  undo.add(() => rm(dataDir, { recursive: true, force: true }))
  await mkdir(join(dataDir, 'run'), { mode: 0o700 })
  const { launcher: program, agent, crun, seccomp, imagesDir } = config
  const socket = join(dataDir, 'run/launcher.sock')
  const instance = `doctor_net_${process.pid}`
  const settings = { program, socket, dataDir, imagesDir, agent, crun, seccomp, instance }
  await startInside(settings, network, undo, signal)
  const launcher = new Launcher(settings)
  undo.add(async () => {
    await launcher.shutdown(AbortSignal.timeout(END_MS)).catch(() => {})
    await launcher.close()
  })
  return launcher
}

/** Waits until it listens: a client that found none would start one on this host's network. */
async function startInside(
  settings: LauncherProgram,
  network: TrialNetwork,
  undo: Undo,
  signal?: AbortSignal,
): Promise<void> {
  const [file, args] = network.command(launcherCommand(settings))
  const child = spawn(file, args, { stdio: 'ignore', cwd: '/', env: {} })
  let ended: string | null = null
  child.on('error', (error) => {
    ended = error.message
  })
  child.on('exit', (code, by) => {
    ended = `it ended with ${code ?? by}`
  })
  undo.add(() => child.kill('SIGKILL'))
  while (!existsSync(settings.socket)) {
    if (ended !== null) throw new Error(`the launcher could not be started: ${ended}`)
    await sleep(5, undefined, signal ? { signal } : {})
  }
}
