import { isDeepStrictEqual } from 'node:util'
import { SandboxError } from '@caisson/protocol/errors'
import type { NetworkRecord } from '../../core/network/types.ts'
import type { PlugLimits } from '../../runtime/driver.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import type { SandboxNetworks } from './index.ts'
import type { NetworkedSandbox } from './subjects.ts'

/** @throws SandboxError `not_supported` when sandboxes of this driver have no network */
export function networksOf({ networks, driver }: Context): SandboxNetworks {
  if (networks !== null) return networks
  throw new SandboxError('not_supported', {
    what: 'A network',
    reason: `the ${driver.name} driver gives sandboxes none`,
  })
}

/**
 * Gives a running sandbox its interface and puts its rules in force. When it fails, the sandbox can reach what the rules
 * before allow, or these, or nothing.
 * @returns the digest of the rules that are in force now
 */
export async function attach(context: Context, id: string, rules: NetworkRecord): Promise<string> {
  const subject = await plugIn(context, id, rules)
  context.failpoint('network:plugged')
  return enforce(context, subject, rules, null)
}

/**
 * The same for a sandbox of an earlier server, or for one that has lost something.
 * @param inForce digest of the rules that the kernel is known to have: if these are the same, they are left alone, and
 *   so is every open connection
 */
export async function restore(
  context: Context,
  id: string,
  rules: NetworkRecord,
  inForce: string | null,
): Promise<string> {
  return enforce(context, await plugIn(context, id, rules), rules, inForce)
}

/** The same for one that has its interface: quicker where the limits stay. */
export async function replaceRules(context: Context, id: string, rules: NetworkRecord): Promise<string> {
  const subject = networksOf(context).subjects.get(id)
  const before = subject === undefined || subject.stale ? null : subject.rules
  const sameLimits = before !== null && isDeepStrictEqual(limits(context, before), limits(context, rules))
  if (!sameLimits || subject === undefined) return attach(context, id, rules)
  // An interface that was lost is noticed here.
  return enforce(context, subject, rules, null).catch(() => attach(context, id, rules))
}

async function plugIn(context: Context, id: string, rules: NetworkRecord): Promise<NetworkedSandbox> {
  const { hand, router, subjects } = networksOf(context)
  await router.open()
  const plug = () => hand.plug(id, limits(context, rules))
  // The router may have been lost since it was opened.
  const plugged = await plug().catch(() => router.refresh().then(plug))
  return subjects.add(id, plugged)
}

/** The server's own doors go by new rules before the kernel does, so that what they answer in between is not left over. */
async function enforce(
  context: Context,
  subject: NetworkedSandbox,
  rules: NetworkRecord,
  inForce: string | null,
): Promise<string> {
  const networks = networksOf(context)
  const doors = await networks.router.open()
  subject.rules = rules
  subject.policy = networks.compile(rules)
  const digest = networks.digestOf(subject.policy.packets)
  subject.stale = true
  if (digest !== inForce) await subject.setRules(doors.pinsOf(subject))
  subject.stale = false
  doors.cut(subject.id)
  return digest
}

function limits({ config }: Context, rules: NetworkRecord): PlugLimits {
  const { uploadBytesPerSecond, downloadBytesPerSecond, connections } = rules
  return {
    uploadBytesPerSecond,
    downloadBytesPerSecond,
    connections: connections ?? config.network.connections,
  }
}

/** Lets the next server know what the kernel has. Where it does not, it tells the kernel anew. */
export async function rememberDigest(context: Context, live: Live, rulesDigest: string): Promise<void> {
  if (live.record.rulesDigest === rulesDigest) return
  const { id } = live
  const stored = await context.store.sandboxes.update(id, { rulesDigest }, { durability: 'process' })
  live.renew(stored)
  if (context.paused.has(id)) context.paused.set(id, stored)
}

/** Takes the interface of a running sandbox away, and with it every connection. */
export async function detach(context: Context, id: string): Promise<void> {
  forget(context, id)
  await networksOf(context).hand.unplug(id)
}

/** A sandbox that has ended or lost its interface has no part in the network any more. */
export function forget({ networks }: Context, id: string): void {
  networks?.subjects.remove(id)
  networks?.router.doors?.cut(id)
}
