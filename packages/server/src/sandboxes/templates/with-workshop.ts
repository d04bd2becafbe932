import type { BuildRecord } from '../../core/records.ts'
import {
  BUILD_DIR,
  CA_BUNDLE,
  NO_SURROUNDINGS,
  type Surroundings,
  surroundingsOf,
} from '../builds/surroundings.ts'
import type { Context } from '../context.ts'
import { createLive } from '../create-live.ts'
import { endSandbox } from '../end-sandbox.ts'
import { networksOf } from '../network/attach.ts'
import type { Base } from './base.ts'
import type { BuildLog } from './build-log.ts'
import { Workshop } from './workshop.ts'

interface Wanted {
  record: BuildRecord
  base: Base
  /** What its own files begin as. */
  save: string | null
  log: BuildLog
  signal: AbortSignal
}

/** Makes a sandbox in which a template is built, lets `work` use it, and ends it. */
export async function withWorkshop<T>(
  context: Context,
  { record, base, save, log, signal }: Wanted,
  work: (workshop: Workshop) => Promise<T>,
): Promise<T> {
  const { network, env, certificates } = await surroundings(context)
  if (network !== null) await networksOf(context).router.vouch(network.vouched)
  const { image, layers, runtime } = base
  const template = await context.store.templates.find(record.templateId)
  const own = { internal: 'build' as const, network, runtime, base: save, env: base.env, user: base.user }
  const made = {
    ...{ image, layers, from: save, resources: template?.resources ?? {} },
    record: { ...own, workdir: null, start: null, ports: [] },
  }
  const input = { metadata: { caisson: 'build' }, idleTimeout: 0, description: `build ${record.id}` }
  const { live } = await createLive(context, input, 'oneshot', made, signal)
  try {
    const workshop = new Workshop(context, live, { log, env, signal })
    if (certificates !== null) await writeCertificates(workshop, certificates)
    return await work(workshop)
  } finally {
    await endSandbox(context, live.record, 'completed').catch((err) =>
      context.log.error({ sandbox: live.id, err }, 'a builder sandbox could not be ended at once'),
    )
  }
}

/** Templates install what they like from where they like: the whole internet, or the operator's proxy. */
async function surroundings(
  context: Context,
): Promise<Omit<Surroundings, 'network'> & { network: Surroundings['network'] | null }> {
  if (context.networks === null) return { ...NO_SURROUNDINGS, network: null }
  const found = await surroundingsOf(context.config, [])
  return { ...found, network: { ...found.network, default: 'allow' } }
}

async function writeCertificates({ files, signal }: Workshop, certificates: string): Promise<void> {
  const hand = await files
  await hand.mkdir(BUILD_DIR, { parents: true }, signal)
  await hand.write(CA_BUNDLE, Buffer.from(certificates), { mode: 0o644 }, signal)
}
