import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { buildTree, type MakeTree, type TreeEntry } from './build.ts'
import { Catalogue } from './catalogue.ts'
import { type DebianRecipe, Recipe, recipeDigest } from './recipe.ts'

const runtimesDir = resolve(import.meta.dirname, '../../../../../runtimes')
const base = (await new Catalogue({ runtimesDir, imagesDir: '/nowhere' }).entry('base')) as TreeEntry
const quiet = () => {}

let imagesDir: string
beforeEach(async () => {
  imagesDir = await mkdtemp(join(tmpdir(), 'caisson-images-'))
})
afterEach(() => rm(imagesDir, { recursive: true, force: true }))

/** What a package manager leaves, traces of the host included, in a moment. */
const makeTree: MakeTree = async (_recipe, target) => {
  for (const path of [
    'etc/apt/apt.conf.d',
    'etc/default',
    'etc/sudoers.d',
    'var/lib/dpkg',
    'var/tmp',
    'var/log',
    'tmp',
    'dev',
  ]) {
    await mkdir(join(target, path), { recursive: true })
  }
  await writeFile(
    join(target, 'var/lib/dpkg/status'),
    'Package: bash\nStatus: installed\nVersion: 5.2\n\nPackage: jq\nVersion: 1.6\n',
  )
  await writeFile(
    join(target, 'etc/apt/apt.conf.d/99mmdebstrap'),
    'Acquire::http::Proxy "http://host.example";',
  )
  await writeFile(join(target, 'etc/hostname'), 'the-host\n')
  await writeFile(join(target, 'var/log/dpkg.log'), 'log')
  await symlink('/etc/shadow', join(target, 'etc/resolv.conf'))
}

describe('recipes', () => {
  test('every recipe in runtimes/ is valid and its folder begins with its name', async () => {
    const entries = await new Catalogue({ runtimesDir, imagesDir }).entries()
    expect(entries.length).toBeGreaterThan(0)
    for (const { folder, recipe } of entries) expect(folder.startsWith(recipe.id.split(':')[0]!)).toBe(true)
  })

  test('the digest changes with what decides the tree and with nothing else', () => {
    const { recipe } = base
    const digest = recipeDigest(recipe, null, 'x64')
    expect(recipeDigest({ ...recipe, description: 'other', color: '#000000' }, null, 'x64')).toBe(digest)
    expect(
      recipeDigest(Object.fromEntries(Object.entries(recipe).reverse()) as DebianRecipe, null, 'x64'),
    ).toBe(digest)
    expect(recipeDigest({ ...recipe, env: { LANG: 'C' } }, null, 'x64')).not.toBe(digest)
    expect(recipeDigest({ ...recipe, user: { ...recipe.user, sudo: false } }, null, 'x64')).not.toBe(digest)
    expect(recipeDigest(recipe, null, 'arm64')).not.toBe(digest)
    expect(recipeDigest(recipe, 'f'.repeat(64), 'x64')).not.toBe(digest)
    expect(recipeDigest({ ...recipe, workdir: '/srv' }, null, 'x64')).not.toBe(digest)
    const start = { command: 'serve', ready: null }
    expect(recipeDigest({ ...recipe, start, ports: [80] }, null, 'x64')).not.toBe(digest)
  })

  test.each([
    { user: { ...base.recipe.user, name: 'a b' } },
    { user: { ...base.recipe.user, home: '/home/$(id)' } },
    { user: { ...base.recipe.user, uid: 0 } },
    { debian: { ...base.recipe.debian, packages: ['--force'] } },
    { env: { LANG: 'a"b' } },
    { surprise: true },
  ])('what could be read as something else is refused: %j', (change) => {
    expect(() => Recipe.parse({ ...base.recipe, ...change })).toThrow()
  })
})

describe('building', () => {
  test('a built image is current, described, and has nothing of the host', async () => {
    const { digest, built } = await buildTree(base, { imagesDir, progress: quiet }, undefined, makeTree)
    expect(built).toBe(true)
    const catalogue = new Catalogue({ runtimesDir, imagesDir })
    const image = await catalogue.resolve('base')
    expect(image).toMatchObject({ runtime: 'base:latest', digest, rootfs: `images/base/${digest}/rootfs` })
    expect(await catalogue.get('base')).toMatchObject({ id: 'base:latest', built: true })
    const inside = (path: string) => join(imagesDir, 'base', digest, 'rootfs', path)
    expect(await readFile(inside('etc/hostname'), 'utf8')).toBe('sandbox\n')
    expect(await readFile(inside('etc/apt/sources.list'), 'utf8')).toContain('deb.debian.org')
    expect((await lstat(inside('etc/resolv.conf'))).isFile()).toBe(true)
    expect(await readdir(inside('etc/apt/apt.conf.d'))).toEqual([])
    expect(await readdir(inside('var/log'))).toEqual([])
    expect((await stat(inside('tmp'))).mode & 0o7777).toBe(0o1777)
    expect((await stat(inside('etc/sudoers.d/agent'))).mode & 0o777).toBe(0o440)
    for (const path of ['proc', 'sys', 'dev', 'run', '.caisson'])
      expect(await readdir(inside(path))).toEqual([])
    const file = JSON.parse(await readFile(join(imagesDir, 'base', digest, 'image.json'), 'utf8'))
    expect(file.packages).toEqual({ bash: '5.2', jq: '1.6' })
  })

  test('has the files of its recipe, and how its sandboxes start', async () => {
    const files = [{ path: 'opt/mine/run', executable: true, data: Buffer.from('#!/bin/sh\n') }]
    const program = { start: { command: '/opt/mine/run', ready: 'true' }, ports: [8000], workdir: '/srv' }
    const entry = { ...base, files, recipe: { ...base.recipe, ...program } }
    const { digest } = await buildTree(entry, { imagesDir, progress: quiet }, undefined, makeTree)
    const rootfs = join(imagesDir, 'base', digest, 'rootfs')
    expect(await readFile(join(rootfs, 'opt/mine/run'), 'utf8')).toBe('#!/bin/sh\n')
    expect(await new Catalogue({ runtimesDir, imagesDir }).resolve('base')).toMatchObject(program)
    const again = await buildTree(entry, { imagesDir, progress: quiet }, undefined, makeTree)
    expect(again).toEqual({ digest, built: false })
    files[0]!.data = Buffer.from('#!/bin/sh\nexit\n')
    const changed = await buildTree(entry, { imagesDir, progress: quiet }, undefined, makeTree)
    expect(changed).toMatchObject({ built: true, digest: expect.not.stringMatching(digest) })
  })

  test('an image that is there is not built again', async () => {
    await buildTree(base, { imagesDir, progress: quiet }, undefined, makeTree)
    const never: MakeTree = () => Promise.reject(new Error('built again'))
    expect((await buildTree(base, { imagesDir, progress: quiet }, undefined, never)).built).toBe(false)
  })

  test('two builds at once both succeed and leave one image', async () => {
    const build = () => buildTree(base, { imagesDir, progress: quiet }, undefined, makeTree)
    const [one, two] = await Promise.all([build(), build()])
    expect(one.digest).toBe(two.digest)
    expect((await readdir(join(imagesDir, 'base'))).filter((name) => !name.endsWith('.log')).sort()).toEqual(
      [one.digest, 'current'].sort(),
    )
  })

  test('a changed recipe is built beside the old image, which serves until then', async () => {
    const old = await buildTree(base, { imagesDir, progress: quiet }, undefined, makeTree)
    const changed = { ...base, recipe: { ...base.recipe, env: { LANG: 'C' } } }
    const catalogue = new Catalogue({ runtimesDir, imagesDir })
    expect((await catalogue.resolve('base')).digest).toBe(old.digest)
    const next = await buildTree(changed, { imagesDir, progress: quiet }, undefined, makeTree)
    expect(next.digest).not.toBe(old.digest)
    expect(await catalogue.resolve('base:latest')).toMatchObject({ digest: next.digest, env: { LANG: 'C' } })
  })

  test('by force it is built again beside the old one, and then is as it should be', async () => {
    const options = { imagesDir, progress: quiet }
    const old = await buildTree(base, options, undefined, makeTree)
    const anew = await buildTree(base, { ...options, force: true }, undefined, makeTree)
    expect(anew).toMatchObject({ built: true, digest: expect.not.stringMatching(old.digest) })
    const catalogue = new Catalogue({ runtimesDir, imagesDir })
    expect((await catalogue.resolve('base')).digest).toBe(anew.digest)
    expect((await catalogue.byDigest('base:latest', old.digest)).digest).toBe(old.digest)
    expect(await buildTree(base, options, undefined, makeTree)).toEqual({ digest: anew.digest, built: false })
  })

  test('what does not pass its check does not become the current one', async () => {
    const options = { imagesDir, progress: quiet }
    const old = await buildTree(base, options, undefined, makeTree)
    const check = () => Promise.reject(new Error('it lacks something'))
    await expect(buildTree(base, { ...options, force: true, check }, undefined, makeTree)).rejects.toThrow(
      'lacks',
    )
    expect((await new Catalogue({ runtimesDir, imagesDir }).resolve('base')).digest).toBe(old.digest)
  })

  test("the operator's proxy reaches the tools, and his authorities with those of the host", async () => {
    const caFile = join(imagesDir, 'ca.pem')
    const certificate = '-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----'
    await writeFile(caFile, certificate)
    const seen: unknown[] = []
    const noting: MakeTree = async (recipe, target, how, signal) => {
      seen.push(how.apt.proxy, await readFile(how.apt.caFile!, 'utf8'))
      await makeTree(recipe, target, how, signal)
    }
    const options = { imagesDir, progress: quiet, proxy: 'http://proxy.example:3128', caFile }
    await buildTree(base, options, undefined, noting)
    expect(seen).toEqual(['http://proxy.example:3128', expect.stringContaining(certificate)])
  })

  test('a failed build names its log, shows its end and leaves no image', async () => {
    const broken: MakeTree = async (_recipe, target, { log }) => {
      await mkdir(target)
      await log.write('E: the mirror is away\n')
      throw new Error('mmdebstrap ended with 25')
    }
    const failed = buildTree(base, { imagesDir, progress: quiet }, undefined, broken)
    await expect(failed).rejects.toMatchObject({ code: 'build_failed' })
    await expect(failed).rejects.toThrow(/ended with 25[\s\S]*the mirror is away[\s\S]*\.log/)
    expect((await readdir(join(imagesDir, 'base'))).every((name) => name.endsWith('.log'))).toBe(true)
    const resolved = new Catalogue({ runtimesDir, imagesDir }).resolve('base')
    await expect(resolved).rejects.toMatchObject({ code: 'runtime_not_built' })
  })

  test("what a killed build left is removed; a living one's is not", async () => {
    const dead = join(imagesDir, 'base/.building-4194999-a')
    const alive = join(imagesDir, `base/.building-${process.pid}-b`)
    for (const path of [dead, alive]) await mkdir(path, { recursive: true })
    await buildTree(base, { imagesDir, progress: quiet }, undefined, makeTree)
    const names = await readdir(join(imagesDir, 'base'))
    expect(names).not.toContain('.building-4194999-a')
    expect(names).toContain(`.building-${process.pid}-b`)
  })
})

test('an unknown runtime is refused with the ones there are', async () => {
  const catalogue = new Catalogue({ runtimesDir, imagesDir })
  for (const name of ['nope', 'base:1', '../base', '']) {
    const refused = catalogue.resolve(name)
    await expect(refused).rejects.toMatchObject({ code: 'runtime_not_found' })
    await expect(refused).rejects.toThrow('base:latest')
  }
})

test('a recipe that is not valid is named, and read again once it is mended', async () => {
  const folder = join(imagesDir, 'recipes/mine')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'recipe.json'), '{"id": "mine:latest"}')
  const catalogue = new Catalogue({ runtimesDir: join(imagesDir, 'recipes'), imagesDir })
  await expect(catalogue.list()).rejects.toThrow('mine/recipe.json')
  await writeFile(join(folder, 'recipe.json'), JSON.stringify({ ...base.recipe, id: 'mine:latest' }))
  expect((await catalogue.list()).map(({ id }) => id)).toEqual(['mine:latest'])
})
