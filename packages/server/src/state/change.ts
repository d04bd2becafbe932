import type { SandboxRecord } from '../core/records.ts'

/**
 * What an update may change. The rest is the store's own or never changes: a writer that passes a whole record it
 * read earlier must not set the count of executions back.
 */
export function changeable(change: Partial<SandboxRecord>): Partial<SandboxRecord> {
  const { id: _id, version: _version, executionCount: _count, createdAt: _created, ...rest } = change
  return rest
}
