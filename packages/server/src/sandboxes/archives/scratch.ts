import type { GuestFiles } from '../../guest/guest.ts'
import { ask } from '../connection.ts'
import type { Context } from '../context.ts'
import { createLive, type Made } from '../create-live.ts'
import { endSandbox } from '../end-sandbox.ts'
import type { Live } from '../live.ts'

/**
 * A sandbox in which nothing runs but the agent, to read or write a whole file system: paths of an archive mean
 * something only in there. Without a network, and nobody's default limits apply but that of memory.
 * @param description what it is for, in words
 * @throws SandboxError `create_failed`, `too_many`, `shutting_down`
 */
export async function createScratch(
  context: Context,
  description: string,
  made: Made,
  signal?: AbortSignal,
): Promise<Live> {
  const { quota, maxDiskBytes } = context.layers
  const whole = quota && maxDiskBytes !== undefined ? { resources: { disk: String(maxDiskBytes) } } : {}
  const input = { metadata: { caisson: 'archive' }, idleTimeout: 0, description, ...whole }
  // What an image or a snapshot runs in its sandboxes is not wanted here.
  const plain = { ...made, record: { ...made.record, internal: 'build' as const, start: null, ports: [] } }
  const { live } = await createLive(context, input, 'oneshot', plain, signal)
  return live
}

/** Never fails: what cannot be ended at once is ended later. */
export async function endScratch(context: Context, { id, record }: Live): Promise<void> {
  await endSandbox(context, record, 'completed').catch((err) =>
    context.log.error({ sandbox: id, err }, 'a sandbox of an archive could not be ended at once'),
  )
}

/** One whose root is empty. It ends with `work`. */
export async function withEmptyScratch<T>(
  context: Context,
  description: string,
  work: (live: Live) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const made = { image: null, layers: [], from: null, record: { env: {} } }
  const live = await createScratch(context, description, made, signal)
  try {
    return await work(live)
  } finally {
    await endScratch(context, live)
  }
}

/** Its files, for requests of any length. @throws SandboxError `agent_lost` */
export async function filesOf(context: Context, live: Live): Promise<GuestFiles> {
  return (await ask(context, live, async (guest) => guest)).files
}
