import type { Pin, Policy } from '../../core/network/types.ts'
import type { Subject } from '../subject.ts'
import type { NamesTold } from './names-told.ts'

/** Pins that fit one message to the launcher. */
const MAX_PINS = 256

/** Pins that are set again after a change of rules: a sandbox that knows thousands of names must not make it fail. */
const MAX_AGAIN = 2048

/** Seconds that a client may take to use an answer whose lifetime is over, and that it is good for at least. */
const GRACE = 60
const LEAST = 60

/** How long addresses may be reached that were told with this lifetime, in seconds. */
export function pinSeconds(ttl: number): number {
  return Math.max(ttl, LEAST) + GRACE
}

/** What must be pinned so that these addresses can be reached at the ports that rules open for a name; none for most names. */
export function pinsOf(policy: Policy, name: string, addresses: Iterable<string>, seconds: number): Pin[] {
  const ports = policy.portsOf(name)
  if (ports.length === 0) return []
  const allowed = [...addresses].filter((address) => policy.judgePinned(name, address).allowed)
  return allowed.flatMap((address) => ports.map((port) => ({ address, port, seconds })))
}

/** The same for names that were told before the rules changed, the latest first, as many as surely fit. */
export function pinsAgain(policy: Policy, names: NamesTold): Pin[] {
  const all = [...names.recent()].reverse()
  return all
    .flatMap(([name, { addresses }]) => pinsOf(policy, name, addresses, LEAST + GRACE))
    .slice(0, MAX_AGAIN)
}

/**
 * Resolves when all of them are in force. What was judged by rules that were replaced meanwhile is left out: the
 * router has forgotten the pins with them.
 */
export async function pinAll(subject: Subject, policy: Policy, pins: readonly Pin[]): Promise<void> {
  for (let at = 0; at < pins.length && subject.policy === policy; at += MAX_PINS)
    await subject.pin(pins.slice(at, at + MAX_PINS))
}
