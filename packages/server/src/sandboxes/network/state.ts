import type { Destination, NetworkLogEntry, NetworkState } from '@caisson/protocol/resources'
import { learned } from '../../core/network/learned.ts'
import { showNetwork } from '../../core/network/rules.ts'
import type { DestinationRecord, EventRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { findSandbox } from '../lookup.ts'
import { presentLive } from '../pausing/kept.ts'
import type { UseCases } from '../use-cases.ts'
import { LOG_TYPES, MAX_DESTINATIONS } from './ledger.ts'
import { addressesOf } from './subjects.ts'
import { trafficOf } from './traffic.ts'

/** What a sandbox may reach, and what it did so far. */
export async function getNetwork(context: Context, id: string): Promise<NetworkState> {
  const { networks, store } = context
  const record = await findSandbox(context, id)
  const live = presentLive(context, record.id)
  await networks?.ledger.flush(record.id)
  const all = { sandboxId: record.id, limit: MAX_DESTINATIONS, offset: 0 }
  const traffic = live === undefined ? record.trafficBefore : await trafficOf(context, live)
  const subject = networks?.subjects.get(record.id)
  return {
    network: showNetwork(record.network),
    addresses: subject === undefined ? [] : addressesOf(subject.plugged),
    uploadedBytes: traffic.up,
    downloadedBytes: traffic.down,
    learned: learned((await store.destinations.list(all)).items),
  }
}

export async function readNetworkLog(
  context: Context,
  id: string,
  query: Parameters<UseCases['readNetworkLog']>[1],
): Promise<{ entries: NetworkLogEntry[]; total: number }> {
  const { id: sandboxId } = await findSandbox(context, id)
  await context.networks?.ledger.flush(sandboxId)
  const { reverse, limit, offset } = query
  const direction = reverse === true ? 'desc' : 'asc'
  const found = await context.store.events.list({ sandboxId, type: LOG_TYPES, limit, offset, direction })
  return { entries: found.items.map(toEntry), total: found.total }
}

export async function listDestinations(
  context: Context,
  id: string,
  query: Parameters<UseCases['listDestinations']>[1],
): Promise<{ destinations: Destination[]; total: number }> {
  const { id: sandboxId } = await findSandbox(context, id)
  await context.networks?.ledger.flush(sandboxId)
  const { items, total } = await context.store.destinations.list({ sandboxId, ...query })
  return { destinations: items.map(toDestination), total }
}

/** Its payload is the entry, as the ledger wrote it. */
function toEntry({ payload, createdAt }: EventRecord): NetworkLogEntry {
  return { at: new Date(createdAt).toISOString(), ...(payload as Omit<NetworkLogEntry, 'at'>) }
}

function toDestination({ sandboxId: _id, ...record }: DestinationRecord): Destination {
  return {
    ...record,
    name: record.name === '' ? null : record.name,
    port: record.port === 0 ? null : record.port,
    firstAt: new Date(record.firstAt).toISOString(),
    lastAt: new Date(record.lastAt).toISOString(),
  }
}
