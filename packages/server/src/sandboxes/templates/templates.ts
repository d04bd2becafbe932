import { SandboxError } from '@caisson/protocol/errors'
import type { Build, Template } from '@caisson/protocol/resources'
import { newId } from '../../core/ids.ts'
import { LIVE_STATES } from '../../core/lifecycle.ts'
import type { BuildRecord, TemplateRecord } from '../../core/records.ts'
import { assertEnough } from '../../core/spec.ts'
import { toBuild, toTemplate } from '../../core/template-view.ts'
import type { Context } from '../context.ts'
import { LATEST } from '../saved/find-snapshot.ts'
import { removeSavesIfUnnamed } from '../saved/hold.ts'
import { savesOf } from '../saved/saves.ts'
import type { UseCases } from '../use-cases.ts'
import { findTemplate } from './find-template.ts'
import { cancelJobsOf } from './jobs.ts'

/** Builds that were not started yet, or have not ended. */
const MAX_OPEN = 1000

export async function createTemplate(
  context: Context,
  { name, tags = [LATEST], resources }: Parameters<UseCases['createTemplate']>[0],
): Promise<{ template: Template; build: Build }> {
  savesOf(context)
  const asked = { ...resources } as TemplateRecord['resources']
  assertEnough(asked)
  const { templates, builds } = context.store
  if ((await builds.open()).length >= MAX_OPEN)
    throw new SandboxError('too_many', { what: 'template builds that have not ended', limit: MAX_OPEN })
  const now = Date.now()
  const fresh = { id: newId('tpl'), name, resources: asked, createdAt: now, updatedAt: now }
  const known = await templates.findOrInsert(fresh)
  const isKnown = known.id !== fresh.id
  const template =
    isKnown && resources !== undefined
      ? await templates.update(known.id, { resources: asked, updatedAt: now })
      : known
  const build = newBuild(template.id, tags, now)
  await builds.insert(build)
  return { template: await showTemplate(context, template), build: toBuild(build) }
}

function newBuild(templateId: string, tags: string[], createdAt: number): BuildRecord {
  const nothing = { from: null, steps: [], start: null, reason: null, made: null }
  const times = { createdAt, startedAt: null, endedAt: null }
  return { id: newId('bld'), templateId, status: 'waiting', tags: [...new Set(tags)], ...nothing, ...times }
}

export async function listTemplates(
  context: Context,
  query: Parameters<UseCases['listTemplates']>[0],
): ReturnType<UseCases['listTemplates']> {
  const { items, total } = await context.store.templates.list(query)
  return { templates: await Promise.all(items.map((each) => showTemplate(context, each))), total }
}

export async function getTemplate(context: Context, template: string): Promise<Template> {
  return showTemplate(context, await findTemplate(context, template))
}

async function showTemplate(context: Context, record: TemplateRecord): Promise<Template> {
  const { sandboxes, templates } = context.store
  const page = { sort: 'created', direction: 'asc', limit: 1, offset: 0 } as const
  const { total } = await sandboxes.list({ states: LIVE_STATES, template: record.id, ...page })
  return toTemplate(record, await templates.tags(record.id), total)
}

/** Sandboxes keep the files that they began with, and name them for as long as they need them. */
export async function deleteTemplate(context: Context, template: string): Promise<void> {
  const { id } = await findTemplate(context, template)
  await cancelJobsOf(context, id)
  const made = (await context.store.builds.ready()).filter(({ templateId }) => templateId === id)
  await context.store.templates.remove(id)
  await removeSavesIfUnnamed(context, [
    ...new Set(made.flatMap((build) => (build.made === null ? [] : [build.made.save, ...build.made.layers]))),
  ])
}

export async function tagTemplate(
  context: Context,
  ...[template, { build, tags }]: Parameters<UseCases['tagTemplate']>
): Promise<Template> {
  const record = await findTemplate(context, template)
  const { templates, builds } = context.store
  const tagged = (await templates.tags(record.id)).find(({ tag }) => tag === build)
  const found = await builds.get(tagged?.buildId ?? build)
  if (found?.templateId !== record.id) throw new SandboxError('build_not_found', { build })
  const { id: buildId, status } = found
  if (status !== 'ready')
    throw new SandboxError('build_state', { build: buildId, status, event: 'be tagged' })
  const now = Date.now()
  await templates.tag(
    [...new Set(tags)].map((tag) => ({ templateId: record.id, tag, buildId, createdAt: now })),
  )
  return showTemplate(context, await templates.update(record.id, { updatedAt: now }))
}

export async function untagTemplate(
  context: Context,
  ...[template, tags]: Parameters<UseCases['untagTemplate']>
): Promise<Template> {
  const { id } = await findTemplate(context, template)
  const { templates } = context.store
  await templates.untag(id, tags)
  return showTemplate(context, await templates.update(id, { updatedAt: Date.now() }))
}
