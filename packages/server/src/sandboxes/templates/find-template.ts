import { SandboxError } from '@caisson/protocol/errors'
import type { BuildRecord, BuiltRecord, TemplateRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import { LATEST } from '../saved/find-snapshot.ts'

/** A template by id or name. @throws SandboxError `template_not_found` */
export async function findTemplate(
  { store }: Pick<Context, 'store'>,
  idOrName: string,
): Promise<TemplateRecord> {
  const template = await store.templates.find(idOrName)
  if (template === null) throw new SandboxError('template_not_found', { template: idOrName })
  return template
}

/**
 * What sandboxes of a template are made of: the build that the tag behind its id or name means, `latest` when there is
 * no tag.
 * @throws SandboxError `template_not_found` for one without such a build, too
 */
export async function findTemplateBuild(
  context: Pick<Context, 'store'>,
  reference: string,
): Promise<{ template: TemplateRecord; build: BuildRecord; made: BuiltRecord }> {
  const [idOrName = '', tag = LATEST] = reference.split(':')
  const { templates, builds } = context.store
  const template = await templates.find(idOrName)
  if (template === null) throw new SandboxError('template_not_found', { template: reference })
  const found = (await templates.tags(template.id)).find((one) => one.tag === tag)
  const build = found === undefined ? null : await builds.get(found.buildId)
  if (build?.made == null) throw new SandboxError('template_not_found', { template: reference })
  return { template, build, made: build.made }
}
