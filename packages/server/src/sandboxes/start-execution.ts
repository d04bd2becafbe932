import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import { sha256 } from '../core/ids.ts'
import type { ExecutionRecord } from '../core/records.ts'
import { awaken } from './awake.ts'
import { type Context, join } from './context.ts'
import type { StartInput } from './execution-record.ts'
import { start } from './launch-execution.ts'
import { showExecution } from './lookup.ts'
import type { Once } from './use-cases.ts'

type Kind = ExecutionRecord['kind']

export async function startExecution(
  context: Context,
  idOrName: string,
  input: StartInput,
  options: Once = {},
): Promise<Execution> {
  return showExecution(context, await startAs('command', context, idOrName, input, options))
}

/** Starts a command or a job, or returns the execution that the same idempotency key started. */
export async function startAs(
  kind: Kind,
  context: Context,
  idOrName: string,
  input: StartInput,
  options: Once,
): Promise<ExecutionRecord> {
  const { live, resumed } = await awaken(context, idOrName, 'exec')
  const key = options.idempotencyKey
  const started = { kind, autoResumed: resumed }
  if (key === undefined) return (await start(context, live, input, null, started)).record
  const digest = sha256(JSON.stringify([kind, input]))
  const first = await join(context, `exec ${live.id} ${key}`, async () => {
    const known = await context.store.executions.findByIdempotencyKey(live.id, key)
    return known ?? (await start(context, live, input, { key, digest }, started)).record
  })
  if (first.requestDigest !== digest) throw new SandboxError('idempotency_conflict', { key })
  return first
}
