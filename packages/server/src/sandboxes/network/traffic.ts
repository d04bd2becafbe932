import type { Plugged } from '../../core/network/types.ts'
import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { Live } from '../live.ts'

export type TrafficMap = Map<string, { up: number; down: number } & Plugged>

/** What the kernel counts of all plugged sandboxes, or of one; empty when it can not be asked. */
export async function readTraffic(context: Context, id?: string): Promise<TrafficMap> {
  const { networks, log } = context
  // Nothing is plugged as long as this server has no router.
  if (networks === null || networks.router.doors === null) return new Map()
  return networks.hand.traffic(id).catch((err) => {
    log.warn({ err }, 'what sandboxes have sent could not be read')
    return new Map()
  })
}

/**
 * Bytes that a sandbox has sent and received so far, over all its interfaces. The kernel counts from the time when the
 * present one was made.
 */
export function sumTraffic(live: Live, traffic: TrafficMap): SandboxRecord['trafficBefore'] {
  const { network, trafficBefore } = live.record
  const now = network === null ? undefined : traffic.get(live.id)
  const { up, down } = trafficBefore
  return { ...trafficBefore, up: up + (now?.up ?? 0), down: down + (now?.down ?? 0) }
}

export async function trafficOf(context: Context, live: Live): Promise<SandboxRecord['trafficBefore']> {
  if (live.record.network === null) return live.record.trafficBefore
  return sumTraffic(live, await readTraffic(context, live.id))
}
