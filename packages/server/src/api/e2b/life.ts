import type { Sandbox } from '@caisson/protocol/resources'
import { z } from 'zod'
import { invalid } from '../errors.ts'
import { lifetime } from './create.ts'
import { Refused } from './errors.ts'
import { Egress, toNetwork } from './network.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { findSandbox, hasEnded, isPaused, sandboxId, showCreated, showDetail } from './show.ts'

const CONNECT_DEFAULT = 300
const RESUME_DEFAULT = 15
const REFRESH_DEFAULT = 15
/** A time to live of 0 means none at all to us, and "now" to these clients. */
const NOW_MS = 1

const seconds = z
  .int()
  .min(-(2 ** 31))
  .max(2 ** 31 - 1)
const Connect = z.object({ timeout: lifetime, memory: z.boolean().nullish() })
const ConnectV2 = Connect.extend({
  timeout: lifetime.nullish().transform((given) => given ?? CONNECT_DEFAULT),
})
type Connect = z.output<typeof Connect>
const Resume = z.object({
  timeout: lifetime.default(RESUME_DEFAULT),
  autoPause: z.boolean().nullish(),
  memory: z.boolean().nullish(),
})
const Pause = z.object({ memory: z.boolean().nullish() })
const Timeout = z.object({ timeout: seconds })
const Refresh = z.object({ duration: seconds.nullish() })

const NOTHING: Answer = { status: 204 }

/** The life of one sandbox. */
export function lifeRoutes(dialect: Dialect): Route[] {
  const { useCases } = dialect
  const find = (call: Call) => findSandbox(dialect, call.params.sandboxID ?? '')
  const one = (name: string, rest: string) => ({
    name: `sandboxes.${name}`,
    path: `/sandboxes/{sandboxID}${rest}`,
  })
  return [
    {
      ...one('get', ''),
      method: 'GET',
      auth: 'read',
      handle: async (call) => ({ json: await showDetail(dialect, await find(call)) }),
    },
    {
      ...one('kill', ''),
      method: 'DELETE',
      auth: 'exec',
      handle: async ({ params }) => {
        const sandbox = await useCases.getSandbox(sandboxId(params.sandboxID ?? ''))
        if (sandbox.endedAt !== null) throw hasEnded(sandbox)
        await useCases.deleteSandbox(sandbox.id)
        return NOTHING
      },
    },
    ...(['v1', 'v2'] as const).map(
      (version): Route => ({
        name: version === 'v1' ? 'sandboxes.connect' : 'sandboxes.connectV2',
        method: 'POST',
        path: `${version === 'v1' ? '' : '/v2'}/sandboxes/{sandboxID}/connect`,
        auth: 'exec',
        body: version === 'v1' ? Connect : ConnectV2,
        handle: (call) => connect(dialect, call.params.sandboxID ?? '', call.body as Connect),
      }),
    ),
    {
      ...one('resume', '/resume'),
      method: 'POST',
      auth: 'exec',
      body: Resume,
      handle: async (call) => resume(dialect, await find(call), call.body as z.output<typeof Resume>),
    },
    {
      ...one('pause', '/pause'),
      method: 'POST',
      auth: 'exec',
      body: Pause,
      handle: async (call) => {
        const sandbox = await find(call)
        if (isPaused(sandbox)) throw new Refused(409, `Sandbox ${call.params.sandboxID} is paused already.`)
        const { memory } = call.body as z.output<typeof Pause>
        await useCases.pauseSandbox(sandbox.id, { depth: memory === false ? 'filesystem' : 'memory' })
        return NOTHING
      },
    },
    {
      ...one('timeout', '/timeout'),
      method: 'POST',
      auth: 'exec',
      body: Timeout,
      handle: async (call) => {
        const { id } = await find(call)
        const ttl = Math.max(NOW_MS, (call.body as z.output<typeof Timeout>).timeout * 1000)
        await useCases.updateSandbox(id, { ttl })
        return NOTHING
      },
    },
    {
      ...one('refresh', '/refreshes'),
      method: 'POST',
      auth: 'exec',
      body: Refresh,
      handle: async (call) => {
        const { duration } = call.body as z.output<typeof Refresh>
        await extend(dialect, await find(call), duration ?? REFRESH_DEFAULT)
        return NOTHING
      },
    },
    {
      ...one('network', '/network'),
      method: 'PUT',
      auth: 'exec',
      body: Egress,
      handle: async (call) => {
        await useCases.setNetwork((await find(call)).id, toNetwork(call.body as Egress))
        return NOTHING
      },
    },
  ]
}

/** Resumes a sandbox that is paused; one that runs lives at least so long from now on. */
async function connect(dialect: Dialect, text: string, { timeout, memory }: Connect): Promise<Answer> {
  const known = await dialect.useCases.getSandbox(sandboxId(text))
  if (known.status === 'stopping') throw new Refused(409, `Sandbox ${text} is being ended.`)
  const sandbox = await findSandbox(dialect, text)
  if (isPaused(sandbox)) return wake(dialect, sandbox, timeout, memory)
  // One that was paused meanwhile is resumed, too.
  const running = await dialect.useCases.resumeSandbox(sandbox.id, {})
  await extend(dialect, running, timeout)
  return { json: await showCreated(dialect, running) }
}

async function resume(
  dialect: Dialect,
  sandbox: Sandbox,
  { timeout, autoPause, memory }: z.output<typeof Resume>,
): Promise<Answer> {
  if (!isPaused(sandbox)) throw new Refused(409, 'The sandbox is running.')
  if (typeof autoPause === 'boolean' && autoPause !== (sandbox.onTimeout === 'pause'))
    throw invalid(
      'autoPause',
      'cannot be changed here: what a sandbox does at its end is said when it is made',
    )
  return wake(dialect, sandbox, timeout, memory)
}

/** @param memory false: its processes are ended first, so that it starts on its files alone */
async function wake(
  dialect: Dialect,
  { id, pause }: Sandbox,
  timeout: number,
  memory: boolean | null | undefined,
): Promise<Answer> {
  const { useCases } = dialect
  if (memory === false && pause?.depth === 'memory') await useCases.pauseSandbox(id, { depth: 'filesystem' })
  const resumed = await useCases.resumeSandbox(id, { ttl: timeout * 1000 })
  return { status: 201, json: await showCreated(dialect, resumed) }
}

/** Moves its end away, never nearer. */
async function extend({ useCases }: Dialect, { id, expiresAt }: Sandbox, seconds: number): Promise<void> {
  const ms = seconds * 1000
  if (expiresAt !== null && Date.now() + ms > Date.parse(expiresAt))
    await useCases.updateSandbox(id, { ttl: ms })
}
