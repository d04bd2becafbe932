import type { Context } from '../context.ts'
import type { Live } from '../live.ts'
import { forget, rememberDigest, restore } from './attach.ts'
import type { SandboxNetworks } from './index.ts'
import type { NetworkedSandbox } from './subjects.ts'
import type { TrafficMap } from './traffic.ts'

const TEND_MS = 10_000
/** Sandboxes whose rules are set at the same time. */
const AT_ONCE = 16

/**
 * Keeps networks as they should be: tells router and rules when the host's addresses change, and gives sandboxes back
 * what they have lost, as when the router was killed. @returns the undo.
 */
export function tendNetworks(context: Context): () => void {
  const { networks, log } = context
  if (networks === null) return () => {}
  const work = () =>
    networks.turns
      .take('tend', () => tend(context))
      .catch((err) => log.error({ err }, 'networks could not be looked after'))
  const timer = setInterval(work, TEND_MS).unref()
  return () => clearInterval(timer)
}

/** Looks once, and mends what it finds. A server that has just started finds everything so. */
export async function tend(context: Context): Promise<void> {
  const { networks } = context
  const sandboxes = networked(context)
  if (networks === null || sandboxes.length === 0) return
  const { router, subjects, hand } = networks
  const fresh = router.doors === null || router.outdated
  if (fresh || router.due) await router.refresh()
  let traffic = await readOrNull(context, networks)
  // The router itself may be what was lost.
  if (traffic === null || sandboxes.some(({ id }) => subjects.get(id) && !traffic?.has(id))) {
    await router.refresh()
    traffic = await hand.traffic()
  }
  const plugged = traffic
  const found = sandboxes.map((live) => ({
    live,
    lost: !plugged.has(live.id),
    subject: subjects.get(live.id),
  }))
  const rest = found.filter(({ lost, subject }) => fresh || lost || subject?.stale !== false).values()
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const one of rest) await mend(context, networks, one)
    }),
  )
}

/** A sandbox, as it was found. */
interface Found {
  live: Live
  /** It has no interface. */
  lost: boolean
  subject: NetworkedSandbox | undefined
}

function networked({ live, stopping }: Context): Live[] {
  if (stopping) return []
  return [...live.values()].filter(({ record }) => record.state === 'ready' && record.network !== null)
}

async function readOrNull(context: Context, { hand }: SandboxNetworks): Promise<TrafficMap | null> {
  return hand.traffic().catch((err) => {
    context.log.warn({ err }, 'the router does not tell what is plugged')
    return null
  })
}

async function mend(
  context: Context,
  { turns, subjects }: SandboxNetworks,
  { live, lost, subject }: Found,
): Promise<void> {
  try {
    await turns.take(live.id, async () => {
      const { network, state } = live.record
      // Whoever had the turn before may have given it an interface, or taken its network away.
      if (network === null || state !== 'ready' || subjects.get(live.id) !== subject) return
      if (lost) await forgetInterface(context, live)
      const inForce = subject?.stale ? null : live.record.rulesDigest
      await rememberDigest(context, live, await restore(context, live.id, network, inForce))
      if (live.record.state !== 'ready') forget(context, live.id)
    })
  } catch (err) {
    context.log.error({ sandbox: live.id, err }, 'rules are not in force; it is tried again')
  }
}

/** A new interface has no rules and counts from nothing. What was stored of the last one is all that is known of it. */
async function forgetInterface({ store }: Context, live: Live): Promise<void> {
  const { egressBytes } = await store.usage.ofSandbox(live.id)
  const { up, ...rest } = live.record.trafficBefore
  const change = { rulesDigest: null, trafficBefore: { ...rest, up: Math.max(up, egressBytes) } }
  live.renew(await store.sandboxes.update(live.id, change, { durability: 'process' }))
}
