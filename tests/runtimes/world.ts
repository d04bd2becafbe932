import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { cannotNetwork, PRIVATE, World } from '../network/world.ts'
import type { ServerOptions, TestServer } from '../test-server.ts'

const run = promisify(execFile)
const root = resolve(import.meta.dirname, '../..')
const node = join(root, 'node_modules/.bin/node')
const PORT = 4873
const PROXY_PORT = 3128

export const cannotBuild = cannotNetwork

/** A world with a registry at a private address of the operator's, and the catalogue of a test. */
export class Registry implements AsyncDisposable {
  readonly world: World
  /** As `runtimesDir`: `base`, and what `recipe` adds. */
  readonly recipes: string
  readonly #directory: string
  #process: Promise<unknown> = Promise.resolve()

  private constructor(world: World, directory: string) {
    this.world = world
    this.#directory = directory
    this.recipes = join(directory, 'runtimes')
  }

  static async start(): Promise<Registry> {
    const directory = await mkdtemp(join(tmpdir(), 'caisson-registry-'))
    const registry = new Registry(await World.create({ ipv6: false }), directory)
    await cp(join(root, 'runtimes/base'), join(registry.recipes, 'base'), { recursive: true })
    await registry.world.setZone('registry.test', [{ type: 'A', data: PRIVATE.lan }])
    const argv = [node, join(import.meta.dirname, 'registry.ts'), directory, `${PORT}`, `${PROXY_PORT}`]
    registry.#process = registry.world.onLan(...argv)
    for (let tries = 0; tries < 200; tries++)
      if ((await registry.#get('forget').catch(() => null)) !== null) return registry
      else await sleep(25)
    throw new Error('the registry does not answer')
  }

  /** A server whose configuration names this registry. */
  server(options: ServerOptions & { build?: Record<string, unknown> } = {}): Promise<TestServer> {
    const { build, config, ...rest } = options
    return this.world.server({
      ...rest,
      // Here is no private authority that builds would have to trust.
      env: { NODE_EXTRA_CA_CERTS: '', ...rest.env },
      config: {
        runtimesDir: this.recipes,
        build: { npmRegistry: `http://registry.test:${PORT}/`, ...build },
        ...config,
      },
    })
  }

  get proxy(): string {
    return `http://${PRIVATE.lan}:${PROXY_PORT}`
  }

  /** Publishes a package of one program. @param tampered the tarball is another than the registry says */
  async publish(name: string, version: string, script: string, tampered = false): Promise<void> {
    const work = await mkdtemp(join(this.#directory, 'pack-'))
    await mkdir(join(work, 'package/bin'), { recursive: true })
    await writeFile(join(work, 'package/bin', name), script, { mode: 0o755 })
    const file = join(this.#directory, `${name}-${version}.tgz`)
    await run('tar', ['-czf', file, '-C', work, 'package'])
    const bytes = await readFile(file)
    if (tampered) await writeFile(file, Buffer.concat([bytes, Buffer.from('x')]))
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`
    const dist = { tarball: `http://registry.test:${PORT}/${name}/-/${name}-${version}.tgz`, integrity }
    const packument = { name, 'dist-tags': { latest: version }, versions: { [version]: { dist } } }
    await writeFile(join(this.#directory, `${name}.json`), JSON.stringify(packument))
  }

  /** Adds a runtime `<name>:latest` that is base with a package of this name. */
  async recipe(name: string, verify: string[][] = [[name]]): Promise<void> {
    const base = JSON.parse(await readFile(join(this.recipes, 'base/recipe.json'), 'utf8'))
    const { icon, color, url, tags, requirements } = base
    const described = { id: `${name}:latest`, name, description: name, icon, color, url, tags, requirements }
    const unpack = [{ package: name, version: 'latest', into: '/usr/local' }]
    const recipe = { ...described, from: 'base:latest', npm: { unpack }, verify }
    await mkdir(join(this.recipes, name), { recursive: true })
    await writeFile(join(this.recipes, name, 'recipe.json'), JSON.stringify(recipe))
  }

  /** What it was asked for since it was asked this last; what came by the proxy has `proxy` before it. */
  async seen(): Promise<string[]> {
    const seen = JSON.parse(await this.#get('seen')) as string[]
    await this.#get('forget')
    return seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#get('quit').catch(() => {})
    await this.#process.catch(() => {})
    await this.world[Symbol.asyncDispose]()
    await rm(this.#directory, { recursive: true, force: true })
  }

  #get(path: string): Promise<string> {
    return this.world.onLan('curl', '-sS', '--max-time', '5', `http://127.0.0.1:${PORT}/${path}`)
  }
}

/** How many builder sandboxes there are that have not ended. */
export async function builders({ dataDir }: TestServer): Promise<number> {
  // No list of the server's shows them.
  const database = new DatabaseSync(join(dataDir, 'caisson.db'), { readOnly: true })
  try {
    const [row] = database
      .prepare("select count(*) as count from sandboxes where internal = 'build' and endedAt is null")
      .all()
    return Number(row?.count)
  } finally {
    database.close()
  }
}
