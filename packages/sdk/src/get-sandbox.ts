import { SandboxError } from '@caisson/protocol/errors'
import type { Client } from './client.ts'
import { type CreateOptions, clientOf } from './create-options.ts'
import { Sandbox } from './sandbox.ts'

/** Sandboxes by server and name, so that repeated calls give the same one. */
const known = new WeakMap<Client, Map<string, Promise<Sandbox>>>()

const ENDED = new Set(['stopping', 'terminated', 'failed'])

/**
 * The sandbox of this name, made when there is none; without a name, one for this process. Local on a laptop (the
 * server is started when it does not run), remote when `CAISSON_URL` is set. Repeated calls start nothing more; a
 * sandbox that has ended is made again. The handle does not own it: it ends by `delete()` or by its idle timeout.
 *
 * @example
 * ```ts
 * import { getSandbox } from 'caisson'
 *
 * const sandbox = await getSandbox()
 * console.log((await sandbox.sh('uname -s')).stdout) // Linux
 * await sandbox.delete()
 * ```
 */
export async function getSandbox(options: CreateOptions = {}): Promise<Sandbox> {
  const client = clientOf(options.client)
  const byName = known.get(client) ?? new Map<string, Promise<Sandbox>>()
  known.set(client, byName)
  const key = options.name ?? ''
  const before = byName.get(key)
  const wanted = before ? before.then((sandbox) => reuse(sandbox, options)) : obtain(client, options)
  byName.set(key, wanted)
  // A failure is not remembered: the next call tries again.
  wanted.catch(() => byName.get(key) === wanted && byName.delete(key))
  return wanted
}

async function reuse(sandbox: Sandbox, options: CreateOptions): Promise<Sandbox> {
  try {
    await sandbox.refresh({ signal: options.signal })
    if (!ENDED.has(sandbox.info.status)) return sandbox
  } catch (error) {
    if (!SandboxError.is(error, 'sandbox_not_found')) throw error
  }
  return obtain(sandbox.client, options)
}

async function obtain(client: Client, options: CreateOptions): Promise<Sandbox> {
  const { name } = options
  if (name === undefined) return (await Sandbox.create({ ...options, client })).keep()
  try {
    return (await Sandbox.create({ ...options, client })).keep()
  } catch (error) {
    if (!SandboxError.is(error, 'name_taken')) throw error
    return Sandbox.connect(name, { client, signal: options.signal })
  }
}
