import { z } from 'zod'
import { duration, envMap, filePath, name, quantity, stringMap, text } from './common.ts'
import { ExposedPort, Network, NetworkAsked, PortAccess, PortAsked } from './network.ts'
import { PauseDepth, PauseState } from './pause.ts'
import { VolumeMount, VolumeMountAsked } from './volume.ts'

export const STATUSES = [
  'creating',
  'idle',
  'running',
  'paused',
  'suspended',
  'stopping',
  'terminated',
  'failed',
] as const
export const Status = z.enum(STATUSES).meta({
  id: 'Status',
  description: 'idle: ready, nothing runs; running: executions run; terminated and failed are final.',
})
export type Status = z.infer<typeof Status>

export const ResourcesAsked = z
  .strictObject({
    memory: quantity.optional(),
    cpu: quantity.optional(),
    disk: quantity.optional(),
    pids: z.int().min(8).max(1_000_000).optional(),
  })
  .meta({ id: 'ResourcesAsked' })

export const ResourcesGranted = z
  .object({
    memoryBytes: z.int(),
    cpuMillis: z.int().meta({ description: 'Thousandths of a CPU.' }),
    pids: z.int(),
    diskBytes: z.int().nullable().meta({ description: 'null: this storage enforces no disk limit.' }),
  })
  .meta({ id: 'ResourcesGranted' })

export const Ending = z
  .object({
    reason: z.enum([
      'deleted',
      'completed',
      'idle-timeout',
      'expired',
      'paused-timeout',
      'session-deleted',
      'create-failed',
      'agent-lost',
      'out-of-memory',
      'host-lost',
      'server-restarted',
    ]),
    message: z.string(),
  })
  .meta({ id: 'Ending', description: 'Why a sandbox is no more.' })
export type Ending = z.infer<typeof Ending>

export const Sandbox = z
  .object({
    id: z.string(),
    name: z.string().nullable(),
    description: z.string().nullable(),
    status: Status,
    health: z.enum(['ok', 'unresponsive']).meta({
      description: 'unresponsive: it runs, and its agent does not answer; calls fail until it does.',
    }),
    mode: z.enum(['oneshot', 'interactive']),
    runtime: z.string(),
    metadata: z.record(z.string(), z.string()),
    resources: z.object({ asked: ResourcesAsked, granted: ResourcesGranted }),
    isolation: z.object({ driver: z.string(), storage: z.string(), description: z.string() }),
    network: Network,
    ports: z.array(ExposedPort),
    allPorts: PortAccess.nullable().meta({
      description: 'Who reaches the ports that are not listed; null: nobody.',
    }),
    portHost: z.string().nullable().meta({
      description: 'The Host that programs behind exposed ports see; null: the one that was asked for.',
    }),
    volumes: z.array(VolumeMount),
    idleTimeoutMs: z.int().nullable(),
    expiresAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'null: never, or it is paused, and what was left of its time waits.' }),
    onTimeout: z.enum(['kill', 'pause']),
    pauseDepth: PauseDepth,
    pausedTimeoutMs: z.int().nullable(),
    resumeOnRequest: z.boolean(),
    pause: PauseState.nullable().meta({ description: 'null: it is not paused.' }),
    snapshotId: z.string().nullable().meta({ description: 'The snapshot that it was made from.' }),
    forkedFrom: z.string().nullable().meta({ description: 'The sandbox that it was forked from.' }),
    templateId: z.string().nullable().meta({ description: 'The template that it was made from.' }),
    sessionId: z.string().nullable(),
    workdir: z.string().nullable().meta({
      description: 'Where commands run that name no directory; null: the home of their user.',
    }),
    startCommand: z.string().nullable().meta({
      description: 'Runs from its start on, in the background; of its template or runtime.',
    }),
    dependencies: z.array(z.string()),
    packages: z.array(z.string()),
    projectId: z.string().nullable(),
    orgId: z.string().nullable(),
    executionCount: z.int(),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
    lastActiveAt: z.iso.datetime(),
    endedAt: z.iso.datetime().nullable(),
    ending: Ending.nullable(),
  })
  .meta({ id: 'Sandbox' })
export type Sandbox = z.infer<typeof Sandbox>

/** Options that name later abilities are part of the shape, so that asking for one is refused with its reason. */
export const CreateSandbox = z
  .strictObject({
    name: name.optional(),
    description: text.optional(),
    runtime: z.string().max(256).optional().meta({ description: 'Default "base:latest".' }),
    resources: ResourcesAsked.optional(),
    env: envMap.optional(),
    metadata: stringMap.optional(),
    files: z
      .array(
        z.strictObject({
          path: filePath,
          content: z.string(),
          encoding: z.enum(['utf8', 'base64']).default('utf8'),
          mode: z.int().min(0).max(0o7777).optional(),
        }),
      )
      .max(1000)
      .optional(),
    idleTimeout: duration
      .optional()
      .meta({ description: 'Deleted after so long with nothing running. Default: 10 minutes; 0: never.' }),
    ttl: duration
      .optional()
      .meta({ description: 'Deleted so long after creation, whatever runs. Default: never.' }),
    projectId: text.optional(),
    orgId: text.optional(),
    network: NetworkAsked.optional().meta({ description: 'Default: false, no network.' }),
    ports: z
      .array(PortAsked)
      .max(64)
      .optional()
      .meta({ description: 'Ports to expose; private unless said otherwise.' }),
    allPorts: PortAccess.optional().meta({
      description: 'Expose every other port, too: to whoever has the address, or a token. Default: none.',
    }),
    portHost: z
      .string()
      .min(1)
      .max(255)
      .optional()
      .meta({ description: `The Host that programs behind exposed ports see; "\${PORT}" is the port.` }),
    volumes: z.array(VolumeMountAsked).max(32).optional(),
    onTimeout: z
      .enum(['kill', 'pause'])
      .optional()
      .meta({ description: 'What the idle timeout and the end of its time to live do. Default: kill.' }),
    pauseDepth: PauseDepth.optional().meta({
      description:
        'How deep it is paused when nobody says. Default: memory where the server can, else filesystem.',
    }),
    pausedTimeout: duration.optional().meta({ description: 'Deleted after so long paused. Default: never.' }),
    resumeOnRequest: z
      .boolean()
      .optional()
      .meta({ description: 'A request to an exposed port resumes it. Default: false.' }),
    snapshot: text.optional().meta({
      description: 'Made from this snapshot instead of a runtime: an id, "name:tag", a name, or a tag.',
    }),
    processes: z.boolean().optional().meta({
      description:
        'Go on with the processes that its snapshot has, or its template’s or runtime’s program. Default: where there are any and nothing asked stands against it; true: fail where it cannot be; false: start anew.',
    }),
    template: text.optional().meta({
      description: 'Made from a template instead of a runtime: an id, a name, or "name:tag".',
    }),
    dependencies: z
      .array(text)
      .max(256)
      .optional()
      .meta({ description: 'Debian packages to install, "name" or "name=version".' }),
    packages: z
      .array(text)
      .max(256)
      .optional()
      .meta({ description: 'npm packages to install globally, "name" or "name@version".' }),
    scopes: z.array(text).max(64).optional(),
  })
  .meta({ id: 'CreateSandbox' })
export type CreateSandbox = z.input<typeof CreateSandbox>
