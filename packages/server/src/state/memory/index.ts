import type { Store } from '../store.ts'
import { MemoryExecutions } from './executions.ts'
import { MemoryKeys } from './keys.ts'
import { MemorySandboxes } from './sandboxes.ts'

/** A store that forgets everything with the process; for tests and for trying things. */
export function createMemoryStore(): Store {
  const sandboxes = new MemorySandboxes()
  const executions = new MemoryExecutions(sandboxes)
  sandboxes.onPurged = (id) => executions.forget(id)
  return { sandboxes, executions, keys: new MemoryKeys(), close: async () => {} }
}
