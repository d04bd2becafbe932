import type { Config } from '../config.ts'
import { degraded, type Finding, missing, ok } from './check.ts'
import type { Abilities } from './launcher.ts'

const NOT_ASKED = 'not tried: the launcher does not answer'
const MEND_LAUNCHER = 'Mend the launcher first.'

/** @param storage as it is configured: it may do without a pool, or insist on one */
export function pool(abilities: Abilities, storage: Config['storage']): Finding {
  if (storage !== 'auto' && storage !== 'btrfs') return notWanted(storage)
  if (abilities instanceof Error) return missing(NOT_ASKED, MEND_LAUNCHER)
  const found = ['pool', 'btrfs'].map((name) => abilities.find((one) => one.name === name))
  const gap = found.find((one) => one?.ok === false)
  if (gap === undefined) return ok(found[0]?.detail ?? found[1]?.detail ?? 'a pool can be made')
  const fix = 'Install its tools (apt-get install btrfs-progs) and load the module: modprobe btrfs loop.'
  if (storage === 'btrfs') return missing(gap.detail, fix)
  return degraded(`${gap.detail}: no snapshots, checkpoints and forks`, fix)
}

function notWanted(storage: Config['storage']): Finding {
  const lacks = 'no snapshots, checkpoints and forks, no installed packages, no disk limits'
  return degraded(
    `the storage is set to "${storage}": ${lacks}`,
    'Set "storage" to "auto" or "btrfs" and restart the server.',
  )
}

export function diskLimits(abilities: Abilities, storage: Config['storage']): Finding {
  if (storage !== 'auto' && storage !== 'btrfs') return notWanted(storage)
  if (abilities instanceof Error) return missing(NOT_ASKED, MEND_LAUNCHER)
  const found = abilities.find(({ name }) => name === 'disk-limits')
  if (found?.ok) return ok(found.detail)
  const fix = 'Use Linux 6.7 or newer; on a btrfs of your own: btrfs quota enable --simple <data directory>.'
  return degraded(
    `${found?.detail ?? 'not tried: there is no pool to try'}: a sandbox can fill the disk`,
    fix,
  )
}

export function freezer(abilities: Abilities): Finding {
  if (abilities instanceof Error) return missing(NOT_ASKED, MEND_LAUNCHER)
  const found = abilities.find(({ name }) => name === 'freezer')
  if (found?.ok) return ok(found.detail)
  const lacks = found?.detail ?? 'the launcher knows none'
  return degraded(
    `${lacks}: a pause ends what runs`,
    'Mount cgroup2, or the freezer controller of cgroup v1.',
  )
}

export function memoryOnDisk(abilities: Abilities): Finding {
  if (abilities instanceof Error) return missing(NOT_ASKED, MEND_LAUNCHER)
  const found = abilities.find(({ name }) => name === 'dumps')
  if (found?.ok) return ok(found.detail)
  return degraded(
    `${found?.detail ?? 'criu is not installed'}: what is paused with its memory keeps it in RAM, and loses it when the host restarts`,
    'Run "caisson setup", which brings a criu that works with this kernel.',
  )
}
