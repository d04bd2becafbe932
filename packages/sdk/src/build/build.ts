import type { Snapshot, WORKSPACE as Workspace } from '@caisson/protocol/resources'
import type { Client } from '../client.ts'
import { type ConnectOptions, clientOf } from '../create-options.ts'
import { Sandbox } from '../sandbox.ts'
import { type BuildPlan, type PlanOptions, planSnapshot } from './plan.ts'
import { refused } from './refused.ts'
import { tar } from './tar.ts'
import { unchangedEntries } from './unchanged.ts'

/** How a snapshot is built, and on which server. */
export interface BuildOptions extends PlanOptions, ConnectOptions {
  /** Default "latest". */
  tag?: string | undefined
  /** Build although a snapshot with the same content is there. */
  force?: boolean | undefined
  /** Whoever reaches the server may export it, without a key. */
  public?: boolean | undefined
  /** Make it public although it has files that look like secrets. */
  confirm?: boolean | undefined
  /** Called with each step, a line of text. */
  onProgress?: ((line: string) => void) | undefined
}

/** A snapshot as a build file says it. */
export interface BuildResult {
  snapshot: Snapshot
  /** False: it was there already. */
  built: boolean
  plan: BuildPlan
}

/** Where files go; the type keeps it the server's. */
const WORKSPACE: typeof Workspace = '/home/agent/workspace'

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** Long enough for any upload; a build that was cut off leaves its sandbox no longer. */
const TTL = '1h'

/**
 * Builds a snapshot as a build file says. When `name:tag` has the same content already, nothing is built. Files are read
 * here; all else happens in a sandbox, which is deleted however the build ends.
 *
 * @throws SandboxError as `planSnapshot()`, `Sandbox.create()` and `client.snapshots.create()`
 */
export async function buildSnapshot(directory: string, options: BuildOptions = {}): Promise<BuildResult> {
  const { onProgress: tell = () => {}, signal, force, tag = 'latest' } = options
  // Else it would be told when all else is done.
  if (!TAG.test(tag))
    throw refused('tag', `The tag "${tag}" must be letters, digits, "_", "." and "-", at most 128.`)
  const client = clientOf(options.client)
  const plan = await planSnapshot(directory, options)
  for (const note of plan.notes) tell(note)
  tell(`${sizeOf(plan)}, content ${plan.contentHash.slice(0, 12)}`)
  const same = force ? undefined : await findSame(client, plan, options)
  if (same) {
    tell(`unchanged: ${plan.name}:${same.tag} is ${same.id}`)
    return { snapshot: same, built: false, plan }
  }
  const { runtime, dependencies, packages, env } = plan.spec
  const installed = [...dependencies, ...packages]
  tell(`creating a sandbox of ${runtime}${installed.length > 0 ? ` with ${installed.join(', ')}` : ''}`)
  await using sandbox = await Sandbox.create({
    client,
    signal,
    runtime,
    ttl: TTL,
    metadata: { caisson: 'build' },
    ...(dependencies.length > 0 && { dependencies }),
    ...(packages.length > 0 && { packages }),
    ...(Object.keys(env).length > 0 && { env }),
  })
  await upload(sandbox, plan, tell, signal)
  tell('saving')
  const snapshot = await save(sandbox, plan, options)
  tell(`built ${snapshot.name}:${snapshot.tag}, ${snapshot.id}`)
  return { snapshot, built: true, plan }
}

/**
 * The snapshot that a build would make once more. One that has the content without a tag gets it; one that has another
 * tag keeps that, and does not count.
 */
async function findSame(
  client: Client,
  plan: BuildPlan,
  options: BuildOptions,
): Promise<Snapshot | undefined> {
  const { signal, tag = 'latest', public: open = false } = options
  const query = { name: plan.name, contentHash: plan.contentHash, limit: 100 }
  const found = await client.snapshots.list(query, { signal })
  const same = found.filter((snapshot) => snapshot.public === open)
  const tagged = same.find((snapshot) => snapshot.tag === tag)
  const free = same.find((snapshot) => snapshot.tag === null)
  return tagged ?? (free && client.snapshots.tag(free.id, tag, { signal }))
}

async function upload(
  sandbox: Sandbox,
  plan: BuildPlan,
  tell: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (plan.files.length === 0) return
  tell(`sending ${sizeOf(plan)}`)
  await sandbox.files.upload(tar(unchangedEntries(plan.directory, plan.files)), {
    path: WORKSPACE,
    format: 'tar',
    signal,
  })
}

const sizeOf = ({ files, bytes }: BuildPlan): string =>
  `${files.length} ${files.length === 1 ? 'file' : 'files'}, ${bytes} bytes`

function save(sandbox: Sandbox, plan: BuildPlan, options: BuildOptions): Promise<Snapshot> {
  const { tag = 'latest', public: open = false, confirm = false, signal } = options
  const { description, env, metadata } = plan.spec
  return sandbox.snapshot(
    {
      name: plan.name,
      tag,
      public: open,
      confirm,
      metadata,
      env: Object.keys(env).length > 0,
      contentHash: plan.contentHash,
      ...(description !== undefined && { description }),
    },
    { signal },
  )
}
