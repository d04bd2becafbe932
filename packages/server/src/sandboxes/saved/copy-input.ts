import { invalid } from '../../core/invalid.ts'
import type { SandboxRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { CreateInput, Made } from '../create-live.ts'
import { imageOf } from '../roots.ts'
import type { UseCases } from '../use-cases.ts'

type ForkInput = Parameters<UseCases['forkSandbox']>[1]

/** How one copy is made. */
export interface Copy {
  input: CreateInput
  made: Made
}

const MAX_NAME = 63

/**
 * What copies of a sandbox are made of. They get what it was asked to be, and nothing that tells one sandbox from
 * another: not its id, name, session, executions, checkpoints, tokens and keys.
 * @param save what their files begin as
 * @throws SandboxError `invalid_request` when a name becomes too long
 */
export async function copiesOf(
  context: Context,
  original: SandboxRecord,
  { count, name, metadata }: Pick<ForkInput, 'count' | 'name' | 'metadata'>,
  { save, dump }: { save: string; dump: string | null },
): Promise<Copy[]> {
  const image = await imageOf(context, original)
  const made: Made = {
    // What it has of the image's environment is in its own.
    image: image === null ? null : { ...image, env: {} },
    layers: original.layers,
    from: save,
    record: inherited({ ...original, metadata: metadata ?? original.metadata }),
    ...(dump !== null && { dump }),
  }
  const base = { resources: original.asked }
  return namesOf(name, count).map((each) => ({
    input: each === null ? base : { ...base, name: each },
    made,
  }))
}

function namesOf(name: string | undefined, count: number): (string | null)[] {
  if (name === undefined) return Array.from({ length: count }, () => null)
  if (count === 1) return [name]
  if (`${name}-${count}`.length > MAX_NAME)
    throw invalid('name', `with "-${count}" added it has more than ${MAX_NAME} characters`)
  return Array.from({ length: count }, (_, index) => `${name}-${index + 1}`)
}

function inherited(original: SandboxRecord): Partial<SandboxRecord> {
  const { id, description, metadata, env, runtime, user, workdir, start, projectId, orgId } = original
  const { snapshotId, templateId, base, dependencies, packages, network, ttlMs, idleTimeoutMs } = original
  const { onTimeout, pauseDepth, pausedTimeoutMs, resumeOnRequest, granted, portHost, volumes } = original
  const now = Date.now()
  return {
    ...{ description, metadata, env, runtime, user, workdir, start, projectId, orgId },
    forkedFrom: id,
    // The save that copies begin as goes when they are made: "as it was made" (a pause of depth `workspace`) means the
    // same for them as for their original.
    ...{ snapshotId, templateId, base, dependencies, packages, network, volumes },
    // What was not asked for may have come from a template.
    granted,
    // Links to the original's ports were made before, and open no port of a copy.
    ports: original.ports.map(({ port, access }) => ({ port, access, since: now })),
    allPorts: original.allPorts && { ...original.allPorts, since: now },
    portHost,
    ...{ onTimeout, pauseDepth, pausedTimeoutMs, resumeOnRequest },
    ...{ ttlMs, idleTimeoutMs, expiresAt: ttlMs === null ? null : now + ttlMs },
  }
}
