import { SandboxError } from '@caisson/protocol/errors'
import type { NetworkState } from '@caisson/protocol/resources'
import { newEvent } from '../../core/events.ts'
import { parseNetwork, showNetwork } from '../../core/network/rules.ts'
import type { NetworkRecord } from '../../core/network/types.ts'
import type { SandboxRecord } from '../../core/records.ts'
import type { SandboxChange } from '../../state/store.ts'
import { changeSandbox } from '../change-sandbox.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import { findLiving } from '../lookup.ts'
import { presentLive } from '../pausing/kept.ts'
import { inTurn } from '../pausing/turn.ts'
import type { UseCases } from '../use-cases.ts'
import { attach, detach, forget, networksOf, rememberDigest, replaceRules } from './attach.ts'
import { getNetwork } from './state.ts'
import { trafficOf } from './traffic.ts'

/**
 * Replaces the rules of a sandbox; one that is paused stays so, and has them when it goes on. They are remembered first, so that a server that dies on the way puts them in
 * force at its next start; an interface is taken away first, so that nothing is reached that nobody remembers.
 */
export async function setNetwork(
  context: Context,
  id: string,
  asked: Parameters<UseCases['setNetwork']>[1],
): Promise<NetworkState> {
  const rules = parseNetwork(asked, context.config.network)
  const { id: sandbox, network } = await findLiving(context, id)
  if (rules !== null || network !== null) {
    const { turns } = networksOf(context)
    await inTurn(context, sandbox, () => turns.take(sandbox, () => change(context, sandbox, rules)))
  }
  return getNetwork(context, sandbox)
}

async function change(context: Context, id: string, rules: NetworkRecord | null): Promise<void> {
  const { network: before, pause } = await findLiving(context, id)
  if (rules === null && before === null) return
  const live = presentLive(context, id)
  // One without an interface gets it, with its rules, when it is resumed.
  if (live === undefined || pause?.memory === 'disk') return setRecord(context, id, rules)
  if (rules === null) await takeAway(context, live)
  else await replace(context, live, rules, before)
  // It may have ended by itself meanwhile, and nobody looks after it then.
  if (presentLive(context, id) === undefined) forget(context, id)
}

async function setRecord(context: Context, id: string, rules: NetworkRecord | null): Promise<void> {
  const sandbox = await findLiving(context, id)
  if (sandbox.state !== 'paused')
    throw new SandboxError('invalid_transition', {
      sandbox: id,
      from: sandbox.state,
      event: 'be given a network',
    })
  await record(context, sandbox, { network: rules, rulesDigest: null }, rules)
}

async function takeAway(context: Context, live: Live): Promise<void> {
  const trafficBefore = await trafficOf(context, live)
  await detach(context, live.id)
  await record(context, live.record, { network: null, rulesDigest: null, trafficBefore }, null)
  context.failpoint('network:recorded')
}

async function replace(
  context: Context,
  live: Live,
  rules: NetworkRecord,
  before: NetworkRecord | null,
): Promise<void> {
  await record(context, live.record, { network: rules, rulesDigest: null }, rules)
  context.failpoint('network:recorded')
  try {
    await rememberDigest(context, live, await replaceRules(context, live.id, rules))
  } catch (error) {
    // One that has ended meanwhile has no rules to bring back.
    await findLiving(context, live.id)
    throw await back(context, live, before, error)
  }
  context.failpoint('network:ruled')
}

/** Brings the rules before back; where that fails too, takes the network away until the new ones can be put in force. */
async function back(
  context: Context,
  live: Live,
  before: NetworkRecord | null,
  cause: unknown,
): Promise<unknown> {
  context.log.warn({ sandbox: live.id, err: cause }, 'rules could not be put in force')
  try {
    const rulesDigest = before === null ? null : await attach(context, live.id, before)
    if (before === null) await detach(context, live.id)
    await record(context, live.record, { network: before, rulesDigest }, before)
    return cause
  } catch (err) {
    context.log.error({ sandbox: live.id, err }, 'nor could the rules before')
  }
  await networksOf(context)
    .hand.unplug(live.id)
    .catch((err) => context.log.error({ sandbox: live.id, err }, 'nor could the network be taken away'))
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new SandboxError(
    'host_not_ready',
    {
      what: `the rules are recorded, but could not be put in force (${reason})`,
      fix: 'The sandbox has no network until they are; that is tried every ten seconds. "caisson doctor" says more.',
    },
    { cause },
  )
}

/** No sandbox survives a loss of power, so that its rules need not either. */
async function record(
  context: Context,
  sandbox: SandboxRecord,
  change: SandboxChange,
  rules: NetworkRecord | null,
): Promise<void> {
  const told = () => [newEvent(sandbox.id, 'network', { network: showNetwork(rules) })]
  await changeSandbox(context, sandbox, () => ({ change, events: told() }), 'process')
}
