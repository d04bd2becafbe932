import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox } from '@caisson/protocol/resources'
import { sha256 } from '../core/ids.ts'
import type { Stage } from '../core/plan.ts'
import type { BuiltRecord, SandboxRecord } from '../core/records.ts'
import { refuseLater } from '../core/spec.ts'
import { readyImage } from './builds/ready-image.ts'
import { assertPackages, type Packages, resolveLayers } from './builds/resolve-layers.ts'
import { type Context, join } from './context.ts'
import { type CreateInput, createLive, type Made } from './create-live.ts'
import { goOn, makeOrBeginAnew } from './go-on.ts'
import { showSandbox } from './lookup.ts'
import { imageOf } from './roots.ts'
import { findSnapshot } from './saved/find-snapshot.ts'
import { holdSave } from './saved/hold.ts'
import { Stopwatch } from './stopwatch.ts'
import { findTemplateBuild } from './templates/find-template.ts'
import type { Once } from './use-cases.ts'
import { resolveVolumes } from './volumes/mounts.ts'
import { warmLater } from './warm.ts'

type Created = { sandbox: Sandbox; stages: Stage[] }

/** Creates a sandbox, or returns the one that the same idempotency key made. */
export async function createSandbox(
  context: Context,
  input: CreateInput,
  options: Once = {},
  signal?: AbortSignal,
): Promise<Created> {
  const { live, stages } = await createAsked(context, input, 'interactive', options, signal)
  return { sandbox: showSandbox(context, live.record), stages }
}

/** The same, for one that the caller goes on to use. */
export async function createAsked(
  context: Context,
  input: CreateInput,
  mode: SandboxRecord['mode'],
  options: Once,
  signal?: AbortSignal,
): Promise<{ live: { record: SandboxRecord }; stages: Stage[] }> {
  const key = options.idempotencyKey
  if (key === undefined) return create(context, input, mode, null, signal)
  const digest = sha256(JSON.stringify(input))
  // A repeat that comes while the first is under way waits for it; one that comes later finds its record.
  const first = await join(context, `create ${key}`, async () => {
    const known = await context.store.sandboxes.findByIdempotencyKey(key)
    if (known === null) return { digest, ...(await create(context, input, mode, { key, digest }, signal)) }
    return {
      digest: known.requestDigest,
      live: { record: context.live.get(known.id)?.record ?? known },
      stages: [],
    }
  })
  if (first.digest !== digest) throw new SandboxError('idempotency_conflict', { key })
  return first
}

async function create(
  context: Context,
  input: CreateInput,
  mode: SandboxRecord['mode'],
  once: { key: string; digest: string } | null,
  signal?: AbortSignal,
): Promise<{ live: { record: SandboxRecord }; stages: Stage[] }> {
  const clock = new Stopwatch()
  using holds = new DisposableStack()
  const made = await goOn(context, await findMade(context, input, holds, signal), input, holds)
  clock.lap('image')
  const created = await makeOrBeginAnew(context, made, (each) =>
    createLive(context, input, mode, each, signal, once),
  )
  if (made.dump === undefined) warmLater(context, made)
  return { live: created.live, stages: [...clock.stages, ...created.stages] }
}

/**
 * What a sandbox that is asked for is made of; what is not there yet is built first.
 * @param holds keeps what is found from being collected, until they are named by a record
 * @throws SandboxError `not_supported`, `runtime_not_found`, `snapshot_not_found`, `template_not_found`,
 *   `volume_not_found`, `build_failed`
 */
export async function findMade(
  context: Context,
  input: CreateInput,
  holds: DisposableStack,
  signal?: AbortSignal,
): Promise<Made> {
  refuseLater(input)
  refuseSeveral(input)
  const { dependencies = [], packages = [] } = input
  assertPackages({ dependencies, packages })
  const volumes = await resolveVolumes(context, input.volumes ?? [], holds)
  const made = await findRoot(context, input, { dependencies, packages }, holds, signal)
  return { ...made, volumes }
}

async function findRoot(
  context: Context,
  { snapshot, template, runtime }: CreateInput,
  { dependencies, packages }: Packages,
  holds: DisposableStack,
  signal?: AbortSignal,
): Promise<Made> {
  const installs = dependencies.length + packages.length > 0
  if (snapshot !== undefined) return fromSnapshot(context, snapshot, holds)
  if (template !== undefined) return fromTemplate(context, template, holds)
  if (!hasImages(context)) {
    refuseImages(context, runtime, installs)
    return { image: null, layers: [], from: null }
  }
  const image = await readyImage(context, runtime ?? 'base:latest', signal)
  holds.use(holdSave(context, image.digest))
  if (!installs) return { image, layers: [], from: null }
  const layers = await resolveLayers(context, image, { dependencies, packages }, signal)
  holds.use(holdSave(context, ...layers))
  return { image, layers, from: null, record: { dependencies, packages } }
}

/** A sandbox is made from one thing. */
function refuseSeveral(input: CreateInput): void {
  const { dependencies = [], packages = [] } = input
  const named = (['template', 'snapshot', 'runtime'] as const).filter((key) => input[key] !== undefined)
  const [whole, other] = named
  if (whole === undefined) return
  if (other !== undefined)
    throw new SandboxError('not_supported', {
      what: `${other} "${input[other]}" beside a ${whole}`,
      reason: `a ${whole} has ${other === 'runtime' ? 'its runtime' : 'all files'} with it; leave one of the two out`,
    })
  if (whole === 'runtime' || dependencies.length + packages.length === 0) return
  throw new SandboxError('not_supported', {
    what: `dependencies or packages beside a ${whole}`,
    reason: `they would lie beneath its files; install them ${whole === 'template' ? 'in a step of the template' : 'in a sandbox and snapshot that one'}`,
  })
}

async function fromSnapshot(context: Context, reference: string, holds: DisposableStack): Promise<Made> {
  const found = await findSnapshot(context, reference)
  const { id: snapshotId, start } = found
  const made = await madeOf(context, found, { snapshotId, start }, holds)
  return found.memory ? { ...made, memory: 'processes' } : made
}

async function fromTemplate(context: Context, reference: string, holds: DisposableStack): Promise<Made> {
  const { template, build, made } = await findTemplateBuild(context, reference)
  const record = { templateId: template.id, start: build.start }
  return {
    ...(await madeOf(context, made, record, holds)),
    resources: template.resources,
    ...(made.memory && { memory: 'program' as const }),
  }
}

/** From saved files. */
async function madeOf(
  context: Context,
  found: BuiltRecord,
  more: Partial<SandboxRecord>,
  holds: DisposableStack,
): Promise<Made> {
  const { runtime, imageDigest, layers, save, env, user, workdir, dependencies, packages } = found
  holds.use(holdSave(context, save, imageDigest, ...layers))
  return {
    image: await imageOf(context, found),
    layers,
    from: save,
    record: { ...more, runtime, base: save, env, user, workdir, dependencies, packages },
  }
}

function hasImages({ driver }: Context): boolean {
  return driver.roots.some((kind) => kind !== 'directory')
}

/** A driver without images runs commands on what the host has, so there is no runtime to choose. */
function refuseImages({ driver }: Context, runtime: string | undefined, installs: boolean): void {
  if (runtime === undefined && !installs) return
  throw new SandboxError('not_supported', {
    what: runtime === undefined ? 'dependencies and packages' : `runtime "${runtime}"`,
    reason: `the ${driver.name} driver has no images`,
  })
}
