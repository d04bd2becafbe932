import { SandboxError } from '@caisson/protocol/errors'
import type { RuntimeImage } from '../../storage/images/catalogue.ts'
import { hostMirrors } from '../../storage/images/mirror.ts'
import { debianPackage, npmPackage } from '../../storage/images/package-names.ts'
import { digestOf } from '../../storage/images/recipe.ts'
import type { Context } from '../context.ts'
import { savesOf } from '../saved/saves.ts'
import { type Builder, withBuilder } from './builder.ts'
import { debianSources, installDebian } from './debian-packages.ts'
import { installNpm } from './npm-packages.ts'
import { type Progress, share } from './shared.ts'

/** Packages that a sandbox is to have beside its image. */
export interface Packages {
  /** Of Debian. */
  dependencies: string[]
  /** Of npm. */
  packages: string[]
}

/** Raise it when the same packages would be installed in another way. */
const INSTALLER = 1

/** @throws SandboxError `invalid_request` that tells of every entry that names no package */
export function assertPackages({ dependencies, packages }: Packages): void {
  const issues = [
    ...refused(
      dependencies,
      'dependencies',
      debianPackage,
      'Debian package such as "jq", "jq=1.6-2.1" or "jq/bookworm"',
    ),
    ...refused(
      packages,
      'packages',
      npmPackage,
      'npm package such as "prettier", "prettier@3" or "@scope/name@1.2.3"',
    ),
  ]
  if (issues.length > 0) throw new SandboxError('invalid_request', { issues })
}

function refused(texts: string[], path: string, parse: (text: string) => unknown, what: string) {
  return texts.flatMap((text, at) =>
    parse(text) === null
      ? [{ path: `${path}[${at}]`, message: `${JSON.stringify(text)} names no ${what}` }]
      : [],
  )
}

/**
 * The saves, topmost first, that give an image these packages. Each set of packages is installed once, in a builder
 * sandbox, and kept for all who ask for it; those who ask at the same time wait for the same.
 * @throws SandboxError `invalid_request` before anything is started; `not_supported`, `build_failed`
 */
export async function resolveLayers(
  context: Context,
  image: RuntimeImage,
  asked: Packages,
  signal?: AbortSignal,
  progress?: Progress,
): Promise<string[]> {
  assertPackages(asked)
  const [dependencies, packages] = [asked.dependencies, asked.packages].map((list) =>
    [...new Set(list)].sort(),
  )
  let layers: string[] = []
  if (dependencies!.length > 0)
    layers = await layer(context, image, layers, debianKind(dependencies!), signal, progress)
  if (packages!.length > 0)
    layers = await layer(context, image, layers, npmKind(context, packages!), signal, progress)
  return layers
}

/** What is installed, and how. */
interface Kind {
  name: 'debian' | 'npm'
  list: string[]
  sources: () => Promise<string[]>
  install: (builder: Builder, progress: Progress) => Promise<void>
}

function debianKind(list: string[]): Kind {
  const install: Kind['install'] = async (builder, progress) =>
    installDebian(builder, list, await hostMirrors(), progress)
  return { name: 'debian', list, sources: debianSources, install }
}

function npmKind({ config }: Context, list: string[]): Kind {
  const registry = config.build.npmRegistry
  const install: Kind['install'] = (builder, progress) => installNpm(builder, registry, list, progress)
  return { name: 'npm', list, sources: async () => [registry], install }
}

async function layer(
  context: Context,
  image: RuntimeImage,
  below: string[],
  kind: Kind,
  signal?: AbortSignal,
  progress?: Progress,
): Promise<string[]> {
  savesOf(context)
  const { name, list } = kind
  const digest = digestOf({ installer: INSTALLER, image: image.digest, below, kind: name, list })
  const known = await context.store.layers.find(digest, Date.now())
  if (known !== null) return [known.save, ...below]
  const save = await share(
    context,
    `layer ${digest}`,
    async (tell) => {
      // Another build may have ended since it was looked for.
      const made = await context.store.layers.find(digest, Date.now())
      return made?.save ?? install(context, image, below, kind, digest, tell)
    },
    progress,
    signal,
  )
  return [save, ...below]
}

async function install(
  context: Context,
  image: RuntimeImage,
  below: string[],
  { name, list, sources, install }: Kind,
  digest: string,
  progress: Progress,
): Promise<string> {
  const what = `${name === 'npm' ? 'npm' : 'Debian'} packages ${list.join(' ')} on ${image.runtime}`
  const tell = (step: string) => {
    context.log.info({ build: what, step }, 'building')
    progress(step)
  }
  const wanted = { what, image, layers: below, sources: await sources() }
  return withBuilder(
    context,
    wanted,
    async (builder) => {
      await install(builder, tell)
      tell('saving what was installed')
      return builder.keep(async (save) => {
        const now = Date.now()
        await context.store.layers.insert({ digest, save, what, createdAt: now, usedAt: now })
        context.failpoint('layer:recorded')
        return save
      })
    },
    tell,
  )
}
