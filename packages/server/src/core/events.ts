import { newId } from './ids.ts'
import type { EventRecord } from './records.ts'

/** What is told of a sandbox's life. Ordinary commands have no events: the list of executions is their history. */
export const EVENT_TYPES = [
  /** It was asked for. */
  'create',
  /** It is ready. */
  'lifecycle:started',
  /** Its description, metadata or times were changed: `changed`. */
  'update',
  /** Variables were set or deleted: `set`, `deleted`, names only. */
  'env',
  /** Its rules were replaced: the new ones. */
  'network',
  /** Something was refused: an entry of the network log. */
  'network:refused',
  /** So much is refused that no more is told. */
  'network:silenced',
  /** Its exposed ports changed: the new list. */
  'ports',
  /** It is paused: `depth`, `memory`, `reason` (`asked`, `idle-timeout`, `expired`, `session`). */
  'pause',
  /** It runs again: `depth`, `auto`, `by` (`asked`, `exec`, `file`, `ssh`, `port`, …), `ms`. */
  'resume',
  /** Pausing or resuming did not succeed: `what`, `reason`; it is as it was before. */
  'pause:failed',
  /** Its memory was put on disk, and its RAM given back: `bytes`. */
  'memory:saved',
  /** Its memory is gone, because the host was restarted; its files are there. */
  'memory:lost',
  /** `checkpoint`, `name`. */
  'checkpoint:created',
  'checkpoint:restored',
  'checkpoint:deleted',
  /** `snapshot`, `name`, `tag`. */
  'snapshot:created',
  /** It was copied: `sandboxes`, `memory`. */
  'fork',
  'job:started',
  'job:ended',
  /** Its agent does not answer: `reason`. */
  'unresponsive',
  /** It does again. */
  'responsive',
  /** A client asked for its end. */
  'destroy',
  /** The last event of each sandbox: it did what it was for, it broke, or it was ended by a rule. */
  'lifecycle:completed',
  'lifecycle:failed',
  'lifecycle:terminated',
] as const
export type EventType = (typeof EVENT_TYPES)[number]

/** An event of now, to be stored together with what it tells. The payload is shown to whoever may read: no secrets. */
export function newEvent(
  sandboxId: string,
  type: EventType,
  payload: Record<string, unknown> = {},
): EventRecord {
  return { id: newId('evt'), sandboxId, type, payload, createdAt: Date.now() }
}
