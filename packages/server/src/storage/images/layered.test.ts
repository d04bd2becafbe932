import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Catalogue, type CatalogueEntry } from './catalogue.ts'
import type { ImageFile } from './image-file.ts'

const digest = (letter: string) => letter.repeat(64)
const TREE = digest('0')
const user = { name: 'agent', uid: 1000, home: '/home/agent', shell: '/bin/sh', sudo: false }
const described = {
  name: 'Name',
  description: 'What it is.',
  icon: 'icon',
  color: '#000000',
  url: 'https://example.com/',
  tags: [],
  requirements: { memory: '64Mi', cpu: '100m', disk: '64Mi' },
}
const RECIPES = {
  base: {
    ...described,
    id: 'base:latest',
    debian: { suite: 'bookworm', components: ['main'], packages: [] },
    user,
    env: { LANG: 'C' },
  },
  tool: { ...described, id: 'tool:1', from: 'base:latest', npm: { packages: ['tool'] } },
}

let directory: string
let catalogue: Catalogue
let tool: CatalogueEntry

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-catalogue-'))
  for (const [folder, recipe] of Object.entries(RECIPES)) {
    await mkdir(join(directory, 'recipes', folder), { recursive: true })
    await writeFile(join(directory, 'recipes', folder, 'recipe.json'), JSON.stringify(recipe))
  }
  await tree(TREE)
  catalogue = open('data/images')
  tool = (await catalogue.entry('tool:1'))!
})
afterEach(() => rm(directory, { recursive: true, force: true }))

function open(imagesDir: string): Catalogue {
  const [runtimesDir, dataDir] = [join(directory, 'recipes'), join(directory, 'data')]
  return new Catalogue({ runtimesDir, dataDir, imagesDir: join(directory, imagesDir) })
}

/** A Debian tree, which becomes the current one. */
async function tree(name: string, more: Partial<ImageFile> = {}): Promise<void> {
  const home = join(directory, 'data/images/base')
  await mkdir(join(home, name, 'rootfs'), { recursive: true })
  const described = { runtime: 'base:latest', digest: name, user, env: { LANG: 'C' } }
  const file = { ...described, packages: {}, builtAt: '', ...more }
  await writeFile(join(home, name, 'image.json'), JSON.stringify(file))
  await writeFile(join(home, 'current'), `${name}\n`)
}

const layered = (letter: string, more: Partial<ImageFile> = {}): ImageFile => ({
  runtime: 'tool:1',
  digest: digest(letter),
  source: digest('e'),
  user,
  env: {},
  packages: {},
  builtAt: '2026-01-01T00:00:00.000Z',
  rootfs: `images/base/${TREE}/rootfs`,
  layers: [`sav_${letter}`],
  ...more,
})

const imported = (letter: string) => ({
  described: { ...described, id: 'mine:v1', notes: null },
  image: layered(letter, { runtime: 'mine:v1', rootfs: `saves/sav_${letter}`, layers: [] }),
})

describe('images made of saves', () => {
  test('the last one added is in use; sandboxes of an older one still find theirs', async () => {
    await expect(catalogue.resolve('tool:1')).rejects.toMatchObject({ code: 'runtime_not_built' })
    expect(await catalogue.source(tool)).toBeNull()
    await catalogue.addLayered(tool, layered('a'))
    await catalogue.addLayered(tool, layered('b'))
    expect(await catalogue.resolve('tool:1')).toEqual({
      runtime: 'tool:1',
      digest: digest('b'),
      rootfs: `images/base/${TREE}/rootfs`,
      layers: ['sav_b'],
      user,
      env: {},
    })
    expect(await catalogue.byDigest('tool:1', digest('a'))).toMatchObject({ layers: ['sav_a'] })
    expect(await catalogue.source(tool)).toBe(digest('e'))
    expect(await catalogue.get('tool:1')).toMatchObject({
      built: true,
      source: 'recipe',
      createdAt: '2026-01-01T00:00:00.000Z',
    })
  })

  test('how their sandboxes start comes with them, and with trees', async () => {
    const program = { start: { command: 'serve', ready: null }, ports: [8000], workdir: '/srv' }
    await catalogue.addLayered(tool, layered('a', program))
    expect(await catalogue.resolve('tool:1')).toMatchObject(program)
    await tree(digest('2'), program)
    expect(await catalogue.resolve('base')).toMatchObject({ digest: digest('2'), ...program })
    expect(await catalogue.byDigest('base:latest', TREE)).not.toHaveProperty('start')
  })

  test('another server of the same trees and recipes has none of them', async () => {
    await catalogue.addLayered(tool, layered('a'))
    const other = new Catalogue({
      runtimesDir: join(directory, 'recipes'),
      imagesDir: join(directory, 'data/images'),
      dataDir: join(directory, 'other'),
    })
    expect((await other.get('tool:1')).built).toBe(false)
    expect((await other.get('base')).built).toBe(true)
    expect(await other.saves()).toEqual(new Set())
  })

  test.each([digest('f'), 'current', '../../x', ''])('there is no image %j', async (name) => {
    await expect(catalogue.byDigest('tool:1', name)).rejects.toMatchObject({ code: 'runtime_not_built' })
  })
})

describe('imported runtimes', () => {
  test('are listed, used and deleted; what was made from one keeps its image', async () => {
    await catalogue.addImported(imported('c'))
    expect((await catalogue.list()).map(({ id, source }) => [id, source])).toEqual([
      ['base:latest', 'recipe'],
      ['mine:v1', 'image'],
      ['tool:1', 'recipe'],
    ])
    expect(await catalogue.resolve('mine:v1')).toMatchObject({ rootfs: 'saves/sav_c', layers: [] })
    expect(await catalogue.entry('mine:v1')).toBeNull()
    await catalogue.removeImported('mine:v1')
    await expect(catalogue.resolve('mine:v1')).rejects.toMatchObject({ code: 'runtime_not_found' })
    expect(await catalogue.byDigest('mine:v1', digest('c'))).toMatchObject({ rootfs: 'saves/sav_c' })
    expect(await catalogue.saves()).toEqual(new Set(['sav_c']))
    await catalogue.addImported(imported('d'))
    expect(await catalogue.resolve('mine:v1')).toMatchObject({ digest: digest('d') })
  })

  test('take no name that there is, and only they can be deleted', async () => {
    await catalogue.addImported(imported('c'))
    await expect(catalogue.addImported(imported('d'))).rejects.toMatchObject({ code: 'runtime_exists' })
    const base = { described: { ...described, id: 'base:latest', notes: null }, image: layered('d') }
    await expect(catalogue.addImported(base)).rejects.toMatchObject({ code: 'runtime_exists' })
    await expect(catalogue.removeImported('base')).rejects.toMatchObject({ code: 'not_supported' })
    for (const name of ['../x', 'mine:../v1', 'mine@v1', 'Mine:v1'])
      await expect(catalogue.removeImported(name)).rejects.toMatchObject({ code: 'runtime_not_found' })
  })
})

describe('what nothing needs', () => {
  const names = async (used: string[], from = catalogue) =>
    (await from.unused(new Set(used))).map((image) => image.digest[0]).sort()

  test('is neither in use, nor named, nor below what is', async () => {
    await catalogue.addLayered(tool, layered('a'))
    await tree(digest('1'))
    await catalogue.addLayered(tool, layered('b', { rootfs: `images/base/${digest('1')}/rootfs` }))
    await catalogue.addImported(imported('c'))
    expect(await names([])).toEqual(['0', 'a'])
    expect(await names([digest('a')])).toEqual([])
    expect(await names([TREE])).toEqual(['a'])
    await catalogue.removeImported('mine:v1')
    expect(await names([digest('a')])).toEqual(['c'])
  })

  test('is removed, and its saves are then named no more', async () => {
    await catalogue.addLayered(tool, layered('a', { layers: ['sav_a', 'sav_shared'] }))
    await catalogue.addLayered(tool, layered('b', { layers: ['sav_b', 'sav_shared'] }))
    for (const image of await catalogue.unused(new Set())) await catalogue.remove(image)
    expect(await catalogue.saves()).toEqual(new Set(['sav_b', 'sav_shared']))
    await tree(digest('1'))
    await catalogue.addLayered(tool, layered('c', { rootfs: `images/base/${digest('1')}/rootfs` }))
    for (const image of await catalogue.unused(new Set())) await catalogue.remove(image)
    expect((await catalogue.stored()).map((image) => image.digest[0])).toEqual(['1', 'c'])
    await expect(catalogue.byDigest('base:latest', TREE)).rejects.toMatchObject({ code: 'runtime_not_built' })
  })

  test('a tree that other data directories may use is not ours to remove', async () => {
    await tree(digest('1'))
    expect(await names([])).toEqual(['0'])
    const sharing = new Catalogue({
      runtimesDir: join(directory, 'recipes'),
      imagesDir: join(directory, 'data/images'),
      dataDir: join(directory, 'other'),
    })
    expect(await names([], sharing)).toEqual([])
  })
})
