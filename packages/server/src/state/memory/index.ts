import type { SandboxRecord } from '../../core/records.ts'
import type { Store } from '../store.ts'
import { MemoryBuilds } from './builds.ts'
import { MemoryCheckpoints } from './checkpoints.ts'
import { MemoryDestinations } from './destinations.ts'
import { MemoryEvents } from './events.ts'
import { MemoryExecutions } from './executions.ts'
import { MemoryKeys } from './keys.ts'
import { MemoryLayers } from './layers.ts'
import { MemorySandboxes } from './sandboxes.ts'
import { MemorySessions } from './sessions.ts'
import { MemorySnapshots } from './snapshots.ts'
import { MemorySshKeys } from './ssh-keys.ts'
import { MemoryTemplates } from './templates.ts'
import { MemoryUsage } from './usage.ts'
import { MemoryVolumes } from './volumes.ts'

/** A store that forgets everything with the process; for tests and for trying things. */
export function createMemoryStore(): Store {
  const events = new MemoryEvents()
  const sandboxes = new MemorySandboxes(events)
  const executions = new MemoryExecutions(sandboxes, events)
  const destinations = new MemoryDestinations()
  const checkpoints = new MemoryCheckpoints(sandboxes, events)
  const snapshots = new MemorySnapshots(events)
  const sessions = new MemorySessions(sandboxes)
  const layers = new MemoryLayers()
  const builds = new MemoryBuilds()
  sandboxes.onPurged = (id) => {
    destinations.forget(id)
    checkpoints.forget(id)
    sessions.forget(id)
    return executions.forget(id)
  }
  const saves = () => [
    ...layers.all().map(({ save }) => save),
    ...builds.all().flatMap(({ made }) => (made === null ? [] : savesOf(made))),
    ...[...snapshots.all(), ...sandboxes.live().flatMap(({ id }) => checkpoints.of(id))].flatMap(savesOf),
    ...sandboxes.live().flatMap(savesOfSandbox),
  ]
  return {
    sandboxes,
    executions,
    events,
    usage: new MemoryUsage(),
    destinations,
    keys: new MemoryKeys(),
    sshKeys: new MemorySshKeys(),
    checkpoints,
    snapshots,
    sessions,
    layers,
    volumes: new MemoryVolumes(),
    templates: new MemoryTemplates(builds),
    builds,
    namedSaves: async () => new Set(saves()),
    close: async () => {},
  }
}

function savesOf({ save, layers }: { save: string; layers: string[] }): string[] {
  return [save, ...layers]
}

function savesOfSandbox({ base, layers, restoring }: SandboxRecord): string[] {
  return [...layers, ...(base === null ? [] : [base]), ...(restoring === null ? [] : savesOf(restoring))]
}
