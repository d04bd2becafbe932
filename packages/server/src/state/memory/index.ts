import type { Store } from '../store.ts'
import { MemoryDestinations } from './destinations.ts'
import { MemoryEvents } from './events.ts'
import { MemoryExecutions } from './executions.ts'
import { MemoryKeys } from './keys.ts'
import { MemorySandboxes } from './sandboxes.ts'
import { MemorySshKeys } from './ssh-keys.ts'
import { MemoryUsage } from './usage.ts'

/** A store that forgets everything with the process; for tests and for trying things. */
export function createMemoryStore(): Store {
  const events = new MemoryEvents()
  const sandboxes = new MemorySandboxes(events)
  const executions = new MemoryExecutions(sandboxes, events)
  const destinations = new MemoryDestinations()
  sandboxes.onPurged = (id) => {
    destinations.forget(id)
    return executions.forget(id)
  }
  return {
    sandboxes,
    executions,
    events,
    usage: new MemoryUsage(),
    destinations,
    keys: new MemoryKeys(),
    sshKeys: new MemorySshKeys(),
    close: async () => {},
  }
}
