import type { Collected, DiskUsage } from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'

/**
 * The disk of a server.
 *
 * @example
 * ```ts
 * import { Client } from 'caisson'
 *
 * const { storage } = new Client()
 * console.log((await storage.usage()).sandboxes)
 * const { freedBytes, removed } = await storage.gc({ dryRun: true })
 * console.log(freedBytes, removed.length)
 * ```
 */
export class Storage {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /** What takes how much. */
  usage(options: CallOptions = {}): Promise<DiskUsage> {
    return this.#client.call('getDiskUsage', {}, options)
  }

  /** Removes what nothing needs any more, at any time; with `dryRun`, only tells what it would remove. */
  gc(options: CallOptions & { dryRun?: boolean | undefined } = {}): Promise<Collected> {
    const { signal, dryRun = false } = options
    return this.#client.call('collectGarbage', { dryRun }, { signal })
  }
}
