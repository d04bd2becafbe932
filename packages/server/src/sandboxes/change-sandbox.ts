import { SandboxError } from '@caisson/protocol/errors'
import type { EventRecord, SandboxRecord } from '../core/records.ts'
import type { Durability, SandboxChange } from '../state/store.ts'
import type { Context } from './context.ts'
import { endedError } from './lookup.ts'
import { rememberPaused } from './pausing/kept.ts'

/** Writers that meet often are strangers: then the caller is told, with `conflict`. */
const ATTEMPTS = 10

/**
 * Changes what is remembered of a sandbox that lives, with the events that tell it. `decide` sees the record that the
 * change is made to, and is asked again when another writer was faster.
 * @throws SandboxError `sandbox_ended`, `conflict`
 */
export async function changeSandbox(
  context: Context,
  record: SandboxRecord,
  decide: (record: SandboxRecord) => { change: SandboxChange; events: EventRecord[] },
  durability: Durability = 'power',
): Promise<SandboxRecord> {
  let seen = record
  for (let attempt = 1; ; attempt++) {
    assertLives(seen)
    const { change, events } = decide(seen)
    try {
      const { version } = seen
      const options = { ifVersion: version, events, durability }
      const updated = await context.store.sandboxes.update(seen.id, change, options)
      const live = context.live.get(seen.id)
      live?.renew(updated)
      if (context.paused.has(seen.id)) rememberPaused(context, updated)
      return live?.record ?? updated
    } catch (error) {
      if (!SandboxError.is(error, 'conflict') || attempt === ATTEMPTS) throw error
      seen = (await context.store.sandboxes.get(seen.id)) ?? seen
    }
  }
}

function assertLives(record: SandboxRecord): void {
  if (record.endedAt !== null) throw endedError(record)
}
