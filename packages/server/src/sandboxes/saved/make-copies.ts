import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { createLive } from '../create-live.ts'
import { endSandbox } from '../end-sandbox.ts'
import type { Live } from '../live.ts'
import type { Copy } from './copy-input.ts'

/** Started at the same time: more would wait for one another. */
const AT_ONCE = 4

/** The idempotency key of one copy; the request's own for all of them would not be unique. */
export interface CopyKey {
  key: string
  digest: string
}

/** Makes all of the copies, or none: when one fails, those that were made are ended. Answers in the order of `copies`. */
export async function makeCopies(
  context: Context,
  copies: Copy[],
  keys: CopyKey[] | null,
  signal?: AbortSignal,
): Promise<Live[]> {
  const made: Live[] = []
  const failed = new AbortController()
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal])
  const rest = copies.entries()
  const worker = async () => {
    for (const [index, copy] of rest) {
      either.throwIfAborted()
      made[index] = await makeCopy(context, copy, keys?.[index] ?? null, either)
      context.failpoint('fork:created')
    }
  }
  // The first failure is the one to tell: it cuts the others short.
  const workers = Array.from({ length: Math.min(AT_ONCE, copies.length) }, () =>
    worker().catch((error) => failed.abort(error)),
  )
  await Promise.all(workers)
  if (!failed.signal.aborted) return made
  const records = made.filter((live) => live !== undefined).map(({ record }) => record)
  await endAll(context, records)
  throw failed.signal.reason
}

/** Ends copies that nobody was told of; one that cannot be ended now is ended later. */
export async function endAll(context: Context, records: SandboxRecord[]): Promise<void> {
  await Promise.allSettled(records.map((record) => endSandbox(context, record, 'create-failed')))
}

async function makeCopy(
  context: Context,
  { input, made }: Copy,
  key: CopyKey | null,
  signal: AbortSignal,
): Promise<Live> {
  const { live } = await createLive(context, input, 'interactive', made, signal, key)
  return live
}
