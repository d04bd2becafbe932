import { SandboxError } from '@caisson/protocol/errors'
import type { Build, BuildLogEntry } from '@caisson/protocol/resources'
import { assertEnvironment } from '../../core/environment.ts'
import { invalid } from '../../core/invalid.ts'
import type { BuildRecord } from '../../core/records.ts'
import { toBuild, toBuildLogEntry } from '../../core/template-view.ts'
import type { Context } from '../context.ts'
import { savesOf } from '../saved/saves.ts'
import type { UseCases } from '../use-cases.ts'
import { assertBase } from './base.ts'
import { hasBuildFiles } from './build-files.ts'
import { cancelJob, enqueue } from './jobs.ts'
import { runBuild } from './run-build.ts'

type StartInput = Parameters<UseCases['startBuild']>[1]

async function findBuild({ store }: Context, id: string): Promise<BuildRecord> {
  const build = await store.builds.get(id)
  if (build === null) throw new SandboxError('build_not_found', { build: id })
  return build
}

export async function getBuild(context: Context, id: string): Promise<Build> {
  return toBuild(await findBuild(context, id))
}

/** Records what is to be built; the rest goes on when this has been answered. */
export async function startBuild(context: Context, id: string, input: StartInput): Promise<Build> {
  if (context.stopping) throw new SandboxError('shutting_down', {})
  savesOf(context)
  const { templateId } = await findBuild(context, id)
  const prepare = async () => {
    const { status, from } = await findBuild(context, id)
    if (status !== 'waiting' || from !== null)
      throw new SandboxError('build_state', { build: id, status, event: 'start' })
    await assertSteps(context, input.steps)
    await assertBase(context, input.from)
    const { startCommand: command, readyCommand: ready = null } = input
    const start = command === undefined ? null : { command, ready }
    const asked = { from: input.from, steps: input.steps, start }
    const stored = await context.store.builds.update(id, asked, { ifStatus: 'waiting' })
    context.failpoint('build:recorded')
    return stored
  }
  const started = await enqueue(context, { id, templateId }, prepare, (record, signal) =>
    runBuild(context, record, input, signal),
  )
  return toBuild(started)
}

async function assertSteps(context: Context, steps: StartInput['steps']): Promise<void> {
  for (const [at, step] of steps.entries()) {
    if (step.type === 'env') assertEnvironment(step.env, `steps[${at}].env`)
    if (step.type === 'copy' && step.source.split('/').includes('..'))
      throw invalid(`steps[${at}].source`, 'must not lead out of the files that were uploaded')
    if (step.type === 'copy' && !(await hasBuildFiles(context, step.files))) {
      const message = `The files ${step.files} of step ${at + 1} were not uploaded. Upload them and start the build again.`
      throw new SandboxError('file_not_found', { path: step.files }, { message })
    }
  }
}

export async function readBuildLog(
  context: Context,
  ...[id, { offset, limit }]: Parameters<UseCases['readBuildLog']>
): Promise<BuildLogEntry[]> {
  await findBuild(context, id)
  return (await context.store.builds.readLog(id, offset, limit)).map(toBuildLogEntry)
}

/** Waits until it has ended; one that has ended stays as it is. */
export async function cancelBuild(context: Context, id: string): Promise<Build> {
  const { status } = await findBuild(context, id)
  if (status === 'ready' || status === 'failed') return getBuild(context, id)
  if (!(await cancelJob(context, id))) {
    const reason = { message: 'It was cancelled.', step: null }
    const ended = { status: 'failed', reason, endedAt: Date.now() } as const
    await context.store.builds.update(id, ended, { ifStatus: 'waiting' })
  }
  return getBuild(context, id)
}
