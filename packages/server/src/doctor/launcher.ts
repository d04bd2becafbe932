import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Config, criuOf } from '../config.ts'
import { type Ability, Launcher } from '../launcher/client.ts'
import { type Finding, missing, ok, reason } from './check.ts'
import { tryPool } from './trial-pool.ts'

const DEADLINE_MS = 15_000

/** What a launcher of this installation can do, or why there is none to ask. */
export type Abilities = Ability[] | Error

/**
 * Starts a launcher on a directory of its own, lets it try what a sandbox's start does, and ends it. Without root,
 * the launcher that serves the data directory is asked.
 */
export async function askLauncher(config: Config, signal?: AbortSignal): Promise<Abilities> {
  const deadline = AbortSignal.any([AbortSignal.timeout(DEADLINE_MS), ...(signal ? [signal] : [])])
  try {
    if (process.getuid?.() !== 0) return await ask(config, config.dataDir, false, deadline)
    const directory = await mkdtemp(join(config.dataDir, 'doctor-'))
    await using _ = { [Symbol.asyncDispose]: () => rm(directory, { recursive: true, force: true }) }
    return await ask(config, directory, true, deadline)
  } catch (error) {
    return error as Error
  }
}

async function ask(config: Config, dataDir: string, own: boolean, signal: AbortSignal): Promise<Ability[]> {
  const { launcher: program, agent, crun, seccomp } = config
  const imagesDir = own ? join(dataDir, 'images') : config.imagesDir
  if (own) await mkdir(imagesDir)
  const instance = `doctor_${process.pid}`
  const socket = join(dataDir, 'run/launcher.sock')
  const settings = { program, socket, dataDir, imagesDir, agent, crun, seccomp, instance, ...criuOf(config) }
  const launcher = new Launcher(settings)
  try {
    const abilities = await launcher.check(signal)
    return own ? [...abilities, ...(await tryPool(launcher, signal))] : abilities
  } finally {
    // Only ours is ended; a launcher that serves sandboxes goes on.
    if (own) await launcher.shutdown(AbortSignal.timeout(DEADLINE_MS)).catch(() => {})
    await launcher.close()
  }
}

export function launcherAnswers(abilities: Abilities): Finding {
  if (!(abilities instanceof Error)) return ok('it starts and answers')
  return missing(
    reason(abilities),
    'Run "caisson setup"; without root, have root start the launcher for this user.',
  )
}

export function idmappedLayers(abilities: Abilities): Finding {
  if (abilities instanceof Error)
    return missing('not tried: the launcher does not answer', 'Mend the launcher first.')
  const failed = ['user-namespaces', 'idmapped-overlay'].map((name) =>
    abilities.find((one) => one.name === name),
  )
  const gap = failed.find((one) => one && !one.ok)
  if (gap) {
    const fix =
      'Put the data directory on ext4, XFS or btrfs, under Linux 5.19 or newer, outside of other containers.'
    return missing(`${gap.name}: ${gap.detail}`, fix)
  }
  return ok('an overlay of idmapped layers mounts and takes writes; each sandbox has 65536 ids of its own')
}
