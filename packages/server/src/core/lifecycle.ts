import { SandboxError } from '@caisson/protocol/errors'
import type { SandboxState } from './records.ts'

/**
 * What can happen to a sandbox: `started` its agent answers; `fail` it could not be made, or broke by itself;
 * `pause` somebody wants it paused; `paused` it is, or is again because resuming failed; `resume` somebody needs it;
 * `stop` somebody wants its end; `ended` nothing of it runs or is left on the host.
 */
export const EVENTS = ['started', 'fail', 'pause', 'paused', 'resume', 'stop', 'ended'] as const
export type SandboxEvent = (typeof EVENTS)[number]

/**
 * Every state, and where each event leads. A missing cell is a refusal. `stop` leads from `stopping` to itself: a
 * second request joins the first. A pause that fails leads back to `ready`, a resume that fails back to `paused`.
 * `failed` and `terminated` are final; whatever is in them holds no resources.
 */
export const LIFECYCLE = {
  creating: { started: 'ready', fail: 'failed', stop: 'stopping' },
  ready: { pause: 'pausing', fail: 'failed', stop: 'stopping', ended: 'terminated' },
  pausing: { paused: 'paused', started: 'ready', fail: 'failed', stop: 'stopping' },
  paused: { pause: 'pausing', resume: 'resuming', fail: 'failed', stop: 'stopping' },
  resuming: { started: 'ready', paused: 'paused', fail: 'failed', stop: 'stopping' },
  stopping: { fail: 'failed', stop: 'stopping', ended: 'terminated' },
  terminated: {},
  failed: {},
} as const satisfies Record<SandboxState, Partial<Record<SandboxEvent, SandboxState>>>

export const STATES = Object.keys(LIFECYCLE) as SandboxState[]

/** The states that hold a name, a uid range and files on disk. */
export const LIVE_STATES = STATES.filter((state) => Object.keys(LIFECYCLE[state]).length > 0)

/** The state that follows, or null when the event is not possible in this one. */
export function next(state: SandboxState, event: SandboxEvent): SandboxState | null {
  const row: Partial<Record<SandboxEvent, SandboxState>> = LIFECYCLE[state]
  return row[event] ?? null
}

/** @throws SandboxError `invalid_transition` when the event is not possible in the sandbox's state. */
export function transition(sandbox: { id: string; state: SandboxState }, event: SandboxEvent): SandboxState {
  const state = next(sandbox.state, event)
  if (state === null) {
    throw new SandboxError('invalid_transition', { sandbox: sandbox.id, from: sandbox.state, event })
  }
  return state
}

/** Whether a sandbox in this state will never change again. */
export function isFinal(state: SandboxState): boolean {
  return !LIVE_STATES.includes(state)
}
