import type { Socket } from 'node:net'
import type { Judgement, Policy } from '../core/network/types.ts'
import type { Dial } from './dial.ts'
import { Refusal, Unreachable } from './refusal.ts'
import type { Subject } from './subject.ts'

/** What a sandbox wants to speak with: a canonical name, or an address where it gave one. */
export type Target = { name: string; address: null } | { name: null; address: string }

/** Finds the addresses of a name that a sandbox may reach; none: it has none. */
export interface NameResolver {
  resolve(subject: Subject, name: string, signal: AbortSignal): Promise<string[]>
}

export interface Reached {
  target: Target
  address: string
  port: number
  rule: string
  socket: Socket
}

export interface Ways {
  resolver: NameResolver
  dial: Dial
}

/** Milliseconds for finding the addresses of a name and connecting to one. */
const REACH_MS = 10_000

/** Whether a target may be reached at this address under these rules. */
export function judge(policy: Policy, target: Target, address: string): Judgement {
  if (target.name === null) return policy.judgeAddress(address)
  const name = policy.judgeName(target.name)
  if (!name.allowed) return name
  const pinned = policy.judgePinned(target.name, address)
  return pinned.allowed ? name : pinned
}

/**
 * Connects to a target at an address of its own: where the sandbox sent its packets plays no part.
 * @throws Refusal, Unreachable, or the signal's reason
 */
export async function reach(
  subject: Subject,
  target: Target,
  port: number,
  { resolver, dial }: Ways,
  signal: AbortSignal,
): Promise<Reached> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(REACH_MS)])
  const rule = ruleFor(subject.policy, target)
  const failed = (what: string, address: string | null) => (cause: NodeJS.ErrnoException) => {
    signal.throwIfAborted()
    const why = within.aborted ? 'nothing came in time' : (cause.code ?? cause.message)
    throw new Unreachable(rule, address, `${label(target)} could not be ${what}: ${why}.`, { cause })
  }
  const { name } = target
  const found =
    name === null
      ? [target.address]
      : await resolver.resolve(subject, name, within).catch(failed('resolved', null))
  if (found.length === 0) throw new Unreachable(rule, null, `${name} has no address that can be reached.`)
  const addresses = allowedOf(found, subject.policy, target)
  const reached = dial(addresses, port, within)
  const { socket, address } = await reached.catch(failed(`reached at port ${port}`, addresses[0]!))
  // The rules may have changed while it was connecting.
  const judgement = judge(subject.policy, target, address)
  if (judgement.allowed) return { target, address, port, rule: judgement.rule, socket }
  socket.destroy()
  throw Refusal.of(judgement, address)
}

function ruleFor(policy: Policy, { name, address }: Target): string {
  const judgement = name === null ? policy.judgeAddress(address) : policy.judgeName(name)
  if (!judgement.allowed) throw Refusal.of(judgement, address)
  return judgement.rule
}

/** At least one, or the refusal of the first. */
function allowedOf(addresses: string[], policy: Policy, target: Target): string[] {
  const judged = addresses.map((address) => ({ address, by: judge(policy, target, address) }))
  const allowed = judged.filter(({ by }) => by.allowed).map(({ address }) => address)
  if (allowed.length === 0) throw Refusal.of(judged[0]!.by, judged[0]!.address)
  return allowed
}

export function label(target: Target): string {
  return target.name ?? target.address
}
