import type {
  Build,
  BuildFrom,
  BuildLogEntry,
  BuildStep,
  CreateTemplate,
  Template,
} from '@caisson/protocol/resources'
import type { CallOptions, Client } from './client.ts'
import type { InputOf } from './contract.ts'
import { followBuild } from './follow-build.ts'

/** A step that copies files of this machine: `source` is a file, a directory or a pattern below the build directory. */
export type CopyStep = Omit<Extract<BuildStep, { type: 'copy' }>, 'files'>

/** One step of a build. */
export type TemplateStep = CopyStep | Exclude<BuildStep, { type: 'copy' }>

/** A template and how it is built. */
export interface TemplateDefinition {
  /** Of a new template, or of one that gets another build. */
  name: string
  /** Put on the build when it is ready. Default "latest". */
  tags?: string[] | undefined
  /** Of its sandboxes that ask for none. */
  resources?: CreateTemplate['resources'] | undefined
  /** Exactly one of `runtime`, `template`, `snapshot` and `image`. */
  from: BuildFrom
  steps?: TemplateStep[] | undefined
  /**
   * Who the steps and its sandboxes run as, with the home as their directory, unless they say otherwise; made where the
   * image does not have it. Default: what the image says.
   */
  user?: string | undefined
  /** Runs from the start of each sandbox on, in the background. */
  startCommand?: string | undefined
  /** Tried again and again until it ends with 0; a sandbox is there when it has. */
  readyCommand?: string | undefined
  /** Take no step from an earlier build. */
  force?: boolean | undefined
  /** Patterns of files that are never copied, as in a `.dockerignore`. */
  ignore?: string[] | undefined
}

/** How a template is built. */
export interface TemplateBuildOptions {
  signal?: AbortSignal | undefined
  /** What copy steps take their files from; default: the working directory. */
  directory?: string | undefined
  /** Called with each line of the build's log. */
  onLog?: ((entry: BuildLogEntry) => void) | undefined
}

/**
 * Templates: what sandboxes are made of that was built in steps, with a program that runs from their start. They are
 * referred to by id, by name, or by "name:tag".
 *
 * @example
 * ```ts
 * import { Client, Sandbox } from 'caisson'
 *
 * const { templates } = new Client()
 * await templates.build({
 *   name: 'greeter',
 *   from: { runtime: 'base' },
 *   steps: [{ type: 'run', command: 'echo hello > /etc/greeting', user: 'root' }],
 * })
 * const sandbox = await Sandbox.create({ template: 'greeter' })
 * console.log((await sandbox.exec(['cat', '/etc/greeting'])).stdout) // hello
 * await sandbox.delete()
 * await templates.delete('greeter')
 * ```
 */
export class Templates {
  readonly builds: Builds
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
    this.builds = new Builds(client)
  }

  /**
   * Builds a template: sends the files that its steps copy, if the server does not have them, and follows the build to its
   * end. Copy steps need Node, Bun or Deno. An abort cancels the build.
   *
   * @throws SandboxError `build_failed` with the reason and the end of the log; `runtime_not_found` …
   */
  async build(
    definition: TemplateDefinition,
    options: TemplateBuildOptions = {},
  ): Promise<{ template: Template; build: Build }> {
    const { name, tags, resources, from, user, startCommand, readyCommand, force } = definition
    const { signal, onLog, directory = '.' } = options
    const steps = await this.#steps(definition, directory, signal)
    const asked = { name, ...(tags && { tags }), ...(resources && { resources }) }
    const { template, build } = await this.#client.call('createTemplate', asked, { signal })
    const program = { ...(startCommand && { startCommand }), ...(readyCommand && { readyCommand }) }
    const started = {
      build: build.id,
      from,
      steps,
      ...(user && { user }),
      ...program,
      ...(force && { force }),
    }
    let begun = false
    try {
      await this.#client.call('startBuild', started, { signal })
      begun = true
      const ended = await followBuild(this.builds, { id: build.id, name }, { signal, onLog })
      return { template: await this.get(template.id, { signal }), build: ended }
    } catch (error) {
      // One that has begun goes on without us, unless that is not wanted.
      if (!begun || signal?.aborted) await this.builds.cancel(build.id).catch(() => {})
      throw error
    }
  }

  /** A page of templates, by name unless `sort` says otherwise. */
  async list(query: InputOf<'listTemplates'> = {}, options: CallOptions = {}): Promise<Template[]> {
    return (await this.#client.call('listTemplates', query, options)).templates
  }

  /** @throws SandboxError `template_not_found` */
  get(template: string, options: CallOptions = {}): Promise<Template> {
    return this.#client.call('getTemplate', { template }, options)
  }

  /**
   * Deletes a template and its builds; its sandboxes go on.
   *
   * @throws SandboxError `template_not_found`
   */
  delete(template: string, options: CallOptions = {}): Promise<void> {
    return this.#client.call('deleteTemplate', { template }, options)
  }

  /**
   * Puts tags on a build that is ready, by its id or one of its tags; others of the template lose them.
   *
   * @throws SandboxError `build_not_found`, `build_state`
   */
  tag(template: string, build: string, tags: string[], options: CallOptions = {}): Promise<Template> {
    return this.#client.call('tagTemplate', { template, build, tags }, options)
  }

  /** Takes tags away; those that it does not have are no failure. */
  untag(template: string, tags: string[], options: CallOptions = {}): Promise<Template> {
    return this.#client.call('untagTemplate', { template, tags }, options)
  }

  async #steps(
    { steps = [], ignore = [] }: TemplateDefinition,
    directory: string,
    signal: AbortSignal | undefined,
  ): Promise<BuildStep[]> {
    if (!steps.some(({ type }) => type === 'copy')) return steps as BuildStep[]
    const { sendFiles } = await import('./build/send-files.ts')
    return sendFiles(this.#client, steps, { directory, ignore, signal })
  }
}

/** Builds of templates, by their ids. */
export class Builds {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  /** @throws SandboxError `build_not_found` */
  get(build: string, options: CallOptions = {}): Promise<Build> {
    return this.#client.call('getBuild', { build }, options)
  }

  /** What it has told, from entry `offset` on. */
  async log(
    build: string,
    query: Omit<InputOf<'readBuildLog'>, 'build'> = {},
    options: CallOptions = {},
  ): Promise<BuildLogEntry[]> {
    return (await this.#client.call('readBuildLog', { ...query, build }, options)).entries
  }

  /** Ends it; one that has ended stays as it is. */
  cancel(build: string, options: CallOptions = {}): Promise<Build> {
    return this.#client.call('cancelBuild', { build }, options)
  }
}
