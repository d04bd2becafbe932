import { SandboxError } from '@caisson/protocol/errors'
import type { Sandbox, Template } from '@caisson/protocol/resources'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { Refused } from './errors.ts'

/** What a client's "template" may be here; each is an option of `createSandbox` and a field of `BuildFrom`. */
export type Source = { runtime: string } | { template: string } | { snapshot: string }

/** Names that these clients use unasked, and the runtimes that do what is expected of them. */
const RUNTIMES: Readonly<Record<string, string>> = {
  base: 'e2b-base:latest',
  'code-interpreter-v1': 'code-interpreter:v1',
}

/** The tag that is meant when none is given: the clients' word, and ours. */
export const UNTAGGED = ['default', 'latest'] as const

const NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/

/** `name` or `name:tag`, as clients write it. */
export interface Named {
  name: string
  tag: string | null
}

/**
 * @returns null for what can be no name here; there are no namespaces, so that "team/name" is none
 */
export function parseNamed(text: string): Named | null {
  const [name = '', tag = null, ...rest] = text.split(':')
  if (rest.length > 0 || !NAME.test(name) || (tag !== null && !NAME.test(tag))) return null
  return { name, tag }
}

/** Whether a runtime has been made for these clients, so that it has the user that they expect. */
export function isTheirs(runtime: string): boolean {
  return Object.values(RUNTIMES).includes(runtime)
}

/** Whether a name belongs to a runtime, so that no template can have it. */
export function isReserved(name: string): boolean {
  return Object.hasOwn(RUNTIMES, name)
}

/**
 * What the name or id of a template means: a runtime under the name that clients know, a template, a snapshot, any other
 * runtime. @returns null: nothing
 */
export async function findSource(useCases: UseCases, text: string): Promise<Source | null> {
  const named = parseNamed(text)
  if (named === null) return null
  const { name, tag } = named
  const known = Object.hasOwn(RUNTIMES, name) ? RUNTIMES[name] : undefined
  if (known !== undefined) return isUntagged(tag) ? { runtime: known } : null
  const template = await findTemplate(useCases, name)
  if (template !== null) return templateSource(template, tag)
  const snapshot = await findSnapshot(useCases, named)
  if (snapshot !== null) return { snapshot }
  return (await isRuntime(useCases, text)) ? { runtime: text } : null
}

export async function isRuntime(useCases: UseCases, name: string): Promise<boolean> {
  return (await existing(useCases.getRuntime(name))) !== null
}

/** By its id or name. */
export function findTemplate(useCases: UseCases, name: string): Promise<Template | null> {
  return existing(useCases.getTemplate(name))
}

/** By its id or name, whatever tag is added. @throws Refused 404 */
export async function getTemplateNamed(useCases: UseCases, text: string): Promise<Template> {
  const named = parseNamed(text.toLowerCase())
  const template = named && (await findTemplate(useCases, named.name))
  if (template === null) throw unknownTemplate(text)
  return template
}

/** @throws Refused 404 */
export async function getSource(useCases: UseCases, text: string): Promise<Source> {
  const found = await findSource(useCases, text)
  if (found === null) throw unknownTemplate(text)
  return found
}

export function unknownTemplate(text: string): Refused {
  const why = text.includes('/') ? '; this server has no namespaces, so leave out what is before the "/"' : ''
  return new Refused(404, `template '${text.slice(0, 300)}' not found${why}`)
}

/** Which tag of a template is meant: of those without one, `default` before `latest`. */
export function tagOf(template: Template, tag: string | null): Template['tags'][number] | undefined {
  const wanted = tag === null ? UNTAGGED : [tag]
  return wanted.flatMap((one) => template.tags.find((has) => has.tag === one) ?? [])[0]
}

function templateSource(template: Template, tag: string | null): Source | null {
  const found = tagOf(template, tag)
  return found === undefined ? null : { template: `${template.name}:${found.tag}` }
}

/** The id of the snapshot that is meant; a name without a tag, or with the clients' own, means the latest. */
export async function findSnapshot(useCases: UseCases, { name, tag }: Named): Promise<string | null> {
  const isId = name.startsWith('snp_')
  if (isId && !isUntagged(tag)) return null
  const reference = isId ? name : `${name}:${tag === null || tag === 'default' ? 'latest' : tag}`
  return (await existing(useCases.getSnapshot(reference)))?.id ?? null
}

/** What clients are told as a sandbox's template, which they may make another one from. */
export function templateIdOf({ templateId, snapshotId, runtime }: Sandbox): string {
  return templateId ?? snapshotId ?? runtimeAlias(runtime)
}

/** The name that clients know a runtime by. */
export function runtimeAlias(runtime: string): string {
  return Object.entries(RUNTIMES).find(([, ours]) => ours === runtime)?.[0] ?? runtime
}

/** Ids of templates to their names, for lists. */
export async function templateNames(useCases: UseCases): Promise<Map<string, string>> {
  return new Map((await allTemplates(useCases)).map(({ id, name }) => [id, name]))
}

export async function allTemplates(useCases: UseCases): Promise<Template[]> {
  const found: Template[] = []
  for (;;) {
    const page = { sort: 'created', direction: 'asc', limit: 100, offset: found.length } as const
    const { templates } = await useCases.listTemplates(page)
    found.push(...templates)
    if (templates.length < page.limit) return found
  }
}

/** The name of a sandbox's template, where it has one. */
export async function aliasOf(useCases: UseCases, sandbox: Sandbox): Promise<string | undefined> {
  if (sandbox.templateId !== null) return (await findTemplate(useCases, sandbox.templateId))?.name
  return sandbox.snapshotId === null ? runtimeAlias(sandbox.runtime) : undefined
}

function isUntagged(tag: string | null): boolean {
  return tag === null || UNTAGGED.some((one) => one === tag)
}

/** null for what does not exist, or is not named unmistakably. */
async function existing<T>(looked: Promise<T>): Promise<T | null> {
  try {
    return await looked
  } catch (error) {
    if (error instanceof SandboxError && ABSENT.has(error.code)) return null
    throw error
  }
}

const ABSENT: ReadonlySet<string> = new Set([
  'template_not_found',
  'snapshot_not_found',
  'snapshot_ambiguous',
  'runtime_not_found',
  'invalid_request',
])
