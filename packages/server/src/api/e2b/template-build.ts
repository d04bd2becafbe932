import { operations } from '@caisson/protocol/operations'
import type { Build, BuildFrom } from '@caisson/protocol/resources'
import { z } from 'zod'
import { invalid } from '../errors.ts'
import { parse } from '../input.ts'
import { Refused } from './errors.ts'
import { getSource, isReserved, isRuntime, isTheirs, parseNamed, UNTAGGED } from './names.ts'
import type { Answer, Call, Dialect, Route } from './route.ts'
import { showTemplate } from './template-show.ts'
import { fromImage, Step, toStep } from './template-steps.ts'

const resources = {
  cpuCount: z.int().min(1).max(1024).nullish(),
  memoryMB: z
    .int()
    .min(1)
    .max(2 ** 31 - 1)
    .nullish(),
}
const NewTemplate = z.object({
  ...resources,
  name: z.string().max(256).nullish(),
  alias: z.string().max(256).nullish(),
  tags: z.array(z.string()).max(16).nullish(),
  minFreeDiskMb: z.int().min(0).nullish(),
})
type NewTemplate = z.output<typeof NewTemplate>

const StartBuild = z.object({
  fromImage: z.string().max(512).nullish(),
  fromTemplate: z.string().max(256).nullish(),
  fromImageRegistry: z.unknown().optional(),
  steps: z.array(Step).max(512).nullish(),
  startCmd: z.string().nullish(),
  readyCmd: z.string().nullish(),
  force: z.boolean().nullish(),
})
type StartBuild = z.output<typeof StartBuild>

/** The user of all sandboxes, as these clients know them. */
const USER = 'user'

/** What a hash of files looks like; see `fileHash` of the protocol. */
const HASH = /^[0-9a-f]{64}$/

/** The steps of a client that builds a template, in their order. */
export function buildRoutes(dialect: Dialect): Route[] {
  const create = { method: 'POST', auth: 'exec', body: NewTemplate } as const
  return [
    { ...create, name: 'templates.create', path: '/v3/templates', handle: (call) => createV3(dialect, call) },
    {
      ...create,
      name: 'templates.createV2',
      path: '/v2/templates',
      handle: (call) => createV2(dialect, call),
    },
    {
      name: 'templates.files',
      method: 'GET',
      path: '/templates/{templateID}/files/{hash}',
      auth: 'exec',
      handle: (call) => linkFiles(dialect, call),
    },
    {
      name: 'templates.upload',
      method: 'PUT',
      path: '/build-files/{token}',
      auth: 'capability',
      upload: true,
      handle: (call) => putFiles(dialect, call),
    },
    {
      name: 'templates.start',
      method: 'POST',
      path: '/v2/templates/{templateID}/builds/{buildID}',
      auth: 'exec',
      body: StartBuild,
      handle: (call) => start(dialect, call),
    },
  ]
}

async function createV3({ useCases }: Dialect, { body }: Call): Promise<Answer> {
  const { input, told } = toTemplate(body as NewTemplate)
  const { template, build } = await useCases.createTemplate(input)
  const { name } = template
  const json = {
    templateID: template.id,
    buildID: build.id,
    names: [name],
    aliases: [name],
    tags: told,
    public: false,
  }
  return { status: 202, json }
}

async function createV2({ useCases }: Dialect, { body }: Call): Promise<Answer> {
  const { input } = toTemplate(body as NewTemplate)
  const { template, build } = await useCases.createTemplate(input)
  return { status: 202, json: { ...showTemplate(template), buildID: build.id } }
}

type TemplateInput = z.output<typeof operations.createTemplate.body>

/** Names are folded to lower case, as the service of these clients does. */
function toTemplate(asked: NewTemplate): { input: TemplateInput; told: string[] } {
  const { cpuCount, memoryMB, minFreeDiskMb } = asked
  if (minFreeDiskMb)
    throw invalid(
      'minFreeDiskMb',
      'is not supported: disks of sandboxes have no size of their own that could be raised',
    )
  const text = asked.name ?? asked.alias ?? ''
  const named = parseNamed(text.toLowerCase())
  if (named === null)
    throw invalid(
      'name',
      `${JSON.stringify(text)} must be "name" or "name:tag"; there are no namespaces here`,
    )
  if (isReserved(named.name))
    throw new Refused(403, `The name "${named.name}" belongs to a runtime of this server.`)
  const asTag = named.tag === null ? [] : [named.tag]
  const tags = [...new Set([...asTag, ...(asked.tags ?? [])])]
  const input = parse(operations.createTemplate.body, {
    name: named.name,
    tags: tags.length > 0 ? tags : [...UNTAGGED],
    resources: {
      ...(cpuCount && { cpu: String(cpuCount) }),
      ...(memoryMB && { memory: `${memoryMB}Mi` }),
    },
  })
  return { input, told: tags.length > 0 ? tags : [UNTAGGED[0]] }
}

/** A link is given for files that are there, too: the client may want to send them again. */
async function linkFiles({ useCases, url }: Dialect, { params }: Call): Promise<Answer> {
  const { hash = '', templateID = '' } = params
  if (!HASH.test(hash)) throw invalid('hash', 'must be 64 hexadecimal digits')
  await useCases.getTemplate(templateID)
  const present = await useCases.hasBuildFiles(hash)
  return { status: 201, json: { present, url: url(`/build-files/${useCases.buildFilesToken(hash)}`) } }
}

async function putFiles({ useCases }: Dialect, { params, upload, signal }: Call): Promise<Answer> {
  const hash = useCases.buildFilesOf(params.token ?? '')
  if (hash === null)
    throw new Refused(403, 'The link is not valid, or was used already. Ask for another one.')
  await useCases.putBuildFiles(hash, upload, signal)
  return { json: {} }
}

async function start(dialect: Dialect, { params, body }: Call): Promise<Answer> {
  const asked = body as StartBuild
  const { id } = await buildOf(dialect, params)
  const from = await toFrom(dialect, asked)
  const input = parse(operations.startBuild.body, {
    from,
    ...(lacksUser(from) && { user: USER }),
    steps: (asked.steps ?? []).map(toStep),
    ...(asked.startCmd && { startCommand: asked.startCmd }),
    ...(asked.readyCmd && { readyCommand: asked.readyCmd }),
    ...(asked.force && { force: true }),
  })
  await dialect.useCases.startBuild(id, input)
  return { status: 202, json: {} }
}

/** Whatever a template is made of, clients expect their user in it. What is made of other templates has it. */
function lacksUser({ image, runtime }: BuildFrom): boolean {
  return image !== undefined || (runtime !== undefined && !isTheirs(runtime))
}

/** The build that a path names. @throws Refused 404 for one of another template */
export async function buildOf({ useCases }: Dialect, params: Call['params']): Promise<Build> {
  const { templateID = '', buildID = '' } = params
  const [build, template] = await Promise.all([useCases.getBuild(buildID), useCases.getTemplate(templateID)])
  if (build.templateId === template.id) return build
  throw new Refused(404, `Template '${templateID.slice(0, 100)}' has no build '${buildID.slice(0, 100)}'`)
}

async function toFrom({ useCases }: Dialect, asked: StartBuild): Promise<BuildFrom> {
  if ((asked.fromImageRegistry ?? null) !== null)
    throw invalid(
      'fromImageRegistry',
      'is not supported: credentials of registries are not taken; import the image on the server with "caisson runtime import"',
    )
  const { fromImage: image, fromTemplate: template } = asked
  if (Boolean(image) === Boolean(template))
    throw invalid('', 'needs either fromImage or fromTemplate, and not both')
  if (template) return getSource(useCases, template.toLowerCase())
  return fromImage(image as string, (name) => isRuntime(useCases, name))
}
