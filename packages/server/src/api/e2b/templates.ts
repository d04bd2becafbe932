import { z } from 'zod'
import { invalid } from '../errors.ts'
import { Refused } from './errors.ts'
import {
  allTemplates,
  findSnapshot,
  findSource,
  findTemplate,
  getTemplateNamed,
  isReserved,
  parseNamed,
  unknownTemplate,
} from './names.ts'
import { numberIn, page } from './pages.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { buildRoutes } from './template-build.ts'
import { buildsOf, showTemplate, showWithBuilds } from './template-show.ts'
import { statusRoutes } from './template-status.ts'
import { tagRoutes } from './template-tags.ts'

const Update = z.object({ public: z.boolean().nullish() })

/** Templates, and deleting snapshots, which clients do as if they were templates. */
export function templateRoutes(dialect: Dialect): Route[] {
  const one = '/templates/{templateID}'
  const update = { method: 'PATCH', auth: 'exec', body: Update } as const
  return [
    ...buildRoutes(dialect),
    ...statusRoutes(dialect),
    ...tagRoutes(dialect),
    {
      name: 'templates.alias',
      method: 'GET',
      path: '/templates/aliases/{alias}',
      auth: 'read',
      handle: (call) => alias(dialect, call),
    },
    {
      name: 'templates.list',
      method: 'GET',
      path: '/templates',
      auth: 'read',
      handle: async () => ({ json: (await allTemplates(dialect.useCases)).map(showTemplate) }),
    },
    {
      name: 'templates.listV2',
      method: 'GET',
      path: '/v2/templates',
      auth: 'read',
      handle: (call) => list(dialect, call),
    },
    { name: 'templates.get', method: 'GET', path: one, auth: 'read', handle: (call) => get(dialect, call) },
    {
      name: 'templates.delete',
      method: 'DELETE',
      path: one,
      auth: 'exec',
      handle: (call) => remove(dialect, call),
    },
    { ...update, name: 'templates.update', path: one, handle: (call) => keepPrivate(dialect, call) },
    {
      ...update,
      name: 'templates.updateV2',
      path: `/v2${one}`,
      handle: (call) => keepPrivate(dialect, call),
    },
  ]
}

/** Whether something can be made from this name. */
async function alias({ useCases }: Dialect, { params }: Call): Promise<Answer> {
  const text = (params.alias ?? '').toLowerCase()
  const named = parseNamed(text)
  // One that is being built for the first time has its name already.
  const template =
    named?.tag === null && !isReserved(named.name) ? await findTemplate(useCases, named.name) : null
  if (template !== null) return { json: { templateID: template.id, public: false } }
  const source = await findSource(useCases, text)
  if (source === null) throw unknownTemplate(text)
  if ('template' in source) {
    const { id } = await getTemplateNamed(useCases, source.template)
    return { json: { templateID: id, public: false } }
  }
  return { json: { templateID: 'snapshot' in source ? source.snapshot : text, public: 'runtime' in source } }
}

async function list({ useCases }: Dialect, { query }: Call): Promise<Answer> {
  const limit = numberIn(query, 'limit', { min: 1, max: 100, fallback: 100 })
  const found = await allTemplates(useCases)
  const { items, headers } = page(found, { order: 'desc', limit, token: query.get('nextToken') })
  return { json: items.map(showTemplate), headers }
}

async function get({ useCases }: Dialect, { params, query }: Call): Promise<Answer> {
  const limit = numberIn(query, 'limit', { min: 1, max: 100, fallback: 100 })
  const template = await getTemplateNamed(useCases, params.templateID ?? '')
  const builds = await Promise.all(buildsOf(template).map((id) => useCases.getBuild(id)))
  const { items, headers } = page(builds, { order: 'desc', limit, token: query.get('nextToken') })
  return { json: showWithBuilds(template, items), headers }
}

async function remove({ useCases }: Dialect, { params }: Call): Promise<Answer> {
  const text = (params.templateID ?? '').toLowerCase()
  const named = parseNamed(text)
  if (named === null) throw unknownTemplate(text)
  if (isReserved(named.name))
    throw new Refused(403, `"${named.name}" belongs to this server and cannot be deleted here.`)
  const template = await findTemplate(useCases, named.name)
  if (template !== null && named.tag !== null)
    throw invalid(
      'templateID',
      'cannot have a tag: a template is deleted with all its builds; take the tag away instead',
    )
  if (template !== null) {
    await useCases.deleteTemplate(template.id)
    return { status: 204 }
  }
  const snapshot = await findSnapshot(useCases, named)
  if (snapshot === null) throw unknownTemplate(text)
  await useCases.deleteSnapshot(snapshot)
  return { status: 204 }
}

async function keepPrivate({ useCases }: Dialect, { params, body }: Call): Promise<Answer> {
  const { name } = await getTemplateNamed(useCases, params.templateID ?? '')
  if ((body as z.output<typeof Update>).public)
    throw invalid('public', 'is not supported: templates are there for whoever has a key of this server')
  return { json: { names: [name] } }
}
