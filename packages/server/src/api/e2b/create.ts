import { operations } from '@caisson/protocol/operations'
import type { Sandbox } from '@caisson/protocol/resources'
import { z } from 'zod'
import { invalid } from '../errors.ts'
import { parse } from '../input.ts'
import { getSource, type Source } from './names.ts'
import { Egress, toNetwork } from './network.ts'
import type { Call, Dialect, Route } from './route.ts'
import { showCreated } from './show.ts'

/** Seconds to live that a sandbox gets whose client names none; each version of the endpoint has its own. */
const DEFAULT_TIMEOUT = { v1: 15, v2: 300 }
/** As large as clients can say. */
const MAX_SECONDS = 2 ** 31 - 1
const FALLBACK_TEMPLATE = 'base'

/** From 1 second on: a sandbox that begins at its end is a mistake. */
export const lifetime = z.int().min(1).max(MAX_SECONDS)

const Network = Egress.omit({ allow_internet_access: true }).extend({
  allowPublicTraffic: z.boolean().nullish(),
  maskRequestHost: z.string().nullish(),
  httpsPorts: z.array(z.unknown()).nullish(),
})

const NewSandbox = z.object({
  templateID: z.string().min(1).max(256).default(FALLBACK_TEMPLATE),
  timeout: lifetime.nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
  envVars: z.record(z.string(), z.string()).nullish(),
  allow_internet_access: z.boolean().nullish(),
  network: Network.nullish(),
  autoPause: z.boolean().nullish(),
  autoPauseMemory: z.boolean().nullish(),
  autoResume: z.object({ enabled: z.boolean().default(false) }).nullish(),
  volumeMounts: z.array(z.object({ name: z.string(), path: z.string() })).nullish(),
  volumeId: z.string().nullish(),
  volumeMountPath: z.string().nullish(),
  mcp: z.unknown().optional(),
  iam: z.object({ tokens: z.record(z.string(), z.unknown()).nullish() }).nullish(),
})
type NewSandbox = z.output<typeof NewSandbox>
type CreateInput = z.output<typeof operations.createSandbox.body>

export function createRoutes(dialect: Dialect): Route[] {
  const create = (version: 'v1' | 'v2') => async (call: Call) => ({
    status: 201,
    json: await showCreated(dialect, await createSandbox(dialect, call, DEFAULT_TIMEOUT[version])),
  })
  const common = { method: 'POST', auth: 'exec', body: NewSandbox } as const
  return [
    { ...common, name: 'sandboxes.create', path: '/sandboxes', handle: create('v1') },
    { ...common, name: 'sandboxes.createV2', path: '/v2/sandboxes', handle: create('v2') },
  ]
}

/** A client that has left does not know the id: what it asked for is not made, or ends. */
async function createSandbox({ useCases }: Dialect, call: Call, seconds: number): Promise<Sandbox> {
  const asked = call.body as NewSandbox
  refuseAbsent(asked)
  const source = await getSource(useCases, asked.templateID.toLowerCase())
  const input = toInput(asked, source, seconds)
  return (await useCases.createSandbox(input, {}, call.signal)).sandbox
}

/** @throws SandboxError `invalid_request` */
function toInput(asked: NewSandbox, source: Source, seconds: number): CreateInput {
  const { network, envVars, metadata } = asked
  const volumes = volumesOf(asked)
  return parse(operations.createSandbox.body, {
    ...source,
    ttl: (asked.timeout ?? seconds) * 1000,
    idleTimeout: 0,
    ...(envVars && { env: envVars }),
    ...(metadata && { metadata }),
    network: toNetwork({ ...network, allow_internet_access: asked.allow_internet_access }, 'network.'),
    allPorts: network?.allowPublicTraffic === false ? 'private' : 'public',
    ...(network?.maskRequestHost && { portHost: network.maskRequestHost }),
    ...lifecycle(asked),
    volumes,
    // They are mounted before any process begins.
    ...(volumes.length > 0 && { processes: false }),
  })
}

function lifecycle({ autoPause, autoPauseMemory, autoResume }: NewSandbox): Partial<CreateInput> {
  if (autoPauseMemory === false && autoPause !== true)
    throw invalid('autoPauseMemory', 'says how it is paused at its end, so that it needs autoPause')
  if (autoPauseMemory === false && autoResume?.enabled)
    throw invalid(
      'autoPauseMemory',
      'cannot be false beside autoResume: what has no memory is not resumed by requests',
    )
  return {
    onTimeout: autoPause ? 'pause' : 'kill',
    resumeOnRequest: autoResume?.enabled ?? false,
    ...(autoPauseMemory === false && { pauseDepth: 'filesystem' as const }),
  }
}

function volumesOf({
  volumeMounts,
  volumeId,
  volumeMountPath,
}: NewSandbox): NonNullable<CreateInput['volumes']> {
  if ((volumeId ?? '') !== '' && (volumeMountPath ?? '') === '')
    throw invalid('volumeMountPath', 'is missing: where the volume shall be mounted')
  const one = volumeId && volumeMountPath ? [{ volume: volumeId, path: volumeMountPath }] : []
  return [...(volumeMounts ?? []).map(({ name, path }) => ({ volume: name, path })), ...one]
}

function refuseAbsent({ mcp, iam, network }: NewSandbox): void {
  if ((mcp ?? null) !== null)
    throw invalid(
      'mcp',
      'is not supported: there is no gateway for tools here; start your own server in the sandbox',
    )
  if (Object.keys(iam?.tokens ?? {}).length > 0)
    throw invalid('iam', 'is not supported: this server issues no identity tokens')
  if ((network?.httpsPorts?.length ?? 0) > 0)
    throw invalid(
      'network.httpsPorts',
      'is not supported: ports are reached by plain HTTP; serve it without TLS',
    )
}
