import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import type { Dialect } from './route.ts'

/** Not every process can be copied, such as one with a connection to elsewhere. */
const NO_PROCESSES: ReadonlySet<string> = new Set(['not_supported', 'save_failed'])

/** Copies a sandbox with its processes, as these clients expect it; where that cannot be, its files alone. */
export async function withProcesses<T>(
  { useCases }: Dialect,
  { volumes }: Sandbox,
  work: (memory: boolean) => Promise<T>,
): Promise<T> {
  const { memoryPause } = await useCases.getServer()
  // Others may change a volume meanwhile, so that processes that have it open cannot be copied.
  if (memoryPause !== 'disk' || volumes.length > 0) return work(false)
  try {
    return await work(true)
  } catch (error) {
    if (!(error instanceof SandboxError) || !NO_PROCESSES.has(error.code)) throw error
    return work(false)
  }
}
