import { operations } from '@caisson/protocol/operations'
import { z } from 'zod'
import { invalid } from '../errors.ts'
import { parse } from '../input.ts'
import { Refused } from './errors.ts'
import { getTemplateNamed, parseNamed, tagOf, unknownTemplate } from './names.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'

const Assign = z.object({ target: z.string().max(512), tags: z.array(z.string()).min(1).max(16) })
const Remove = z.object({ name: z.string().max(256), tags: z.array(z.string()).min(1).max(16) })

export function tagRoutes(dialect: Dialect): Route[] {
  const all = { path: '/templates/tags', auth: 'exec' } as const
  return [
    { ...all, name: 'templates.tag', method: 'POST', body: Assign, handle: (call) => assign(dialect, call) },
    {
      ...all,
      name: 'templates.untag',
      method: 'DELETE',
      body: Remove,
      handle: (call) => remove(dialect, call),
    },
    {
      name: 'templates.tags',
      method: 'GET',
      path: '/templates/{templateID}/tags',
      auth: 'read',
      handle: (call) => list(dialect, call),
    },
  ]
}

async function assign({ useCases }: Dialect, { body }: Call): Promise<Answer> {
  const { target, tags } = body as z.output<typeof Assign>
  const named = parseNamed(target.toLowerCase())
  const template = await getTemplateNamed(useCases, target)
  const build = tagOf(template, named?.tag ?? null)?.buildId
  if (build === undefined) throw unknownTemplate(target)
  await useCases.tagTemplate(template.id, parse(operations.tagTemplate.body, { build, tags }))
  return { status: 201, json: { buildID: build, tags } }
}

async function remove({ useCases }: Dialect, { body }: Call): Promise<Answer> {
  const { name, tags } = body as z.output<typeof Remove>
  if (parseNamed(name)?.tag) throw invalid('name', 'cannot have a tag: those that go are named in "tags"')
  const template = await getTemplateNamed(useCases, name)
  const missing = tags.find((tag) => !template.tags.some((has) => has.tag === tag))
  if (missing !== undefined)
    throw new Refused(404, `template '${template.name}' has no tag '${missing.slice(0, 128)}'`)
  await useCases.untagTemplate(template.id, parse(operations.untagTemplate.body, { tags }).tags)
  return { status: 204 }
}

async function list({ useCases }: Dialect, { params }: Call): Promise<Answer> {
  const { tags } = await getTemplateNamed(useCases, params.templateID ?? '')
  return { json: tags.map(({ tag, buildId, createdAt }) => ({ tag, buildID: buildId, createdAt })) }
}
