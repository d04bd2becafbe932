import { SandboxError } from '@caisson/protocol/errors'
import type { NetworkExplanation } from '@caisson/protocol/resources'
import { type Asked, explain, explainNone, parseDestination } from '../../core/network/explain.ts'
import type { Context } from '../context.ts'
import { endedError, findSandbox } from '../lookup.ts'
import { networksOf } from './attach.ts'
import type { SandboxNetworks } from './index.ts'
import type { NetworkedSandbox } from './subjects.ts'

/** Whether a sandbox may reach a destination, by its rules as they are now. */
export async function explainNetwork(
  context: Context,
  id: string,
  destination: string,
  signal?: AbortSignal,
): Promise<NetworkExplanation> {
  const record = await findSandbox(context, id)
  const asked = parseDestination(destination)
  if (record.endedAt !== null) throw endedError(record)
  const { network } = record
  if (network === null) return explainNone(asked)
  const networks = networksOf(context)
  const subject = networks.subjects.get(record.id)
  const addresses = subject === undefined ? [] : await addressesOfName(networks, subject, asked, signal)
  const ipv6 = subject?.plugged.address6 !== null
  return explain(subject?.policy ?? networks.compile(network), asked, addresses, { ipv6 })
}

/** None where there is no answer: the explanation says that the name has none. */
async function addressesOfName(
  { router }: SandboxNetworks,
  subject: NetworkedSandbox,
  { host, kind }: Asked,
  signal?: AbortSignal,
): Promise<string[]> {
  const { doors } = router
  if (kind !== 'name' || doors === null || !subject.policy.judgeName(host).allowed) return []
  return doors.addressesOf(subject, host, signal).catch((error) => {
    signal?.throwIfAborted()
    if (SandboxError.is(error, 'aborted')) throw error
    return []
  })
}
