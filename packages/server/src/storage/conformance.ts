import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { RootPlan } from '../core/plan.ts'
import type { Image, Layers } from './layers.ts'

const DIGEST = 'c'.repeat(64)
const IMAGE: Image = { runtime: 'base:latest', digest: DIGEST, rootfs: `images/base/${DIGEST}/rootfs` }

/** A promise that an implementation is excused from, and why. */
export type Skips = Partial<Record<'roots are on disk' | 'outlives the server', string>>

/** What every storage must do. `open` gives a new instance on a data directory, as a started server would. */
export function layersSuite(name: string, open: (dataDir: string) => Layers, skips: Skips = {}): void {
  const unless = (promise: keyof Skips) => (skips[promise] ? test.skip : test)
  const title = (text: string, promise: keyof Skips) =>
    skips[promise] ? `${text} [${skips[promise]}]` : text

  describe(`storage ${name}`, () => {
    let data: string
    let layers: Layers
    const here = (path: string) => join(data, path)

    beforeEach(async () => {
      data = await mkdtemp(join(tmpdir(), 'caisson-layers-'))
      await mkdir(here(`${IMAGE.rootfs}/etc`), { recursive: true })
      await writeFile(here(`${IMAGE.rootfs}/etc/name`), 'image\n')
      layers = open(data)
      await layers.open()
    })
    afterEach(() => rm(data, { recursive: true, force: true }))

    test('an image is named by the plan of a root and every path is beneath the data directory', async () => {
      const root = await layers.prepare('sb_1', IMAGE)
      for (const path of pathsOf(root)) expect(path).toMatch(/^(sandboxes\/sb_1|images\/base)\//)
      if (root.kind === 'overlay') expect(root.lowers).toEqual([IMAGE.rootfs])
    })

    test('a root is listed from its preparation to its removal, beside others', async () => {
      await layers.prepare('sb_1', IMAGE)
      await layers.prepare('sb_2', null)
      expect((await layers.list()).sort()).toEqual(['sb_1', 'sb_2'])
      await layers.remove('sb_1')
      expect(await layers.list()).toEqual(['sb_2'])
    })

    test('two roots share nothing that is written', async () => {
      const [one, two] = [await layers.prepare('sb_1', IMAGE), await layers.prepare('sb_2', IMAGE)]
      const written = (root: RootPlan) => pathsOf(root).filter((path) => !path.startsWith('images/'))
      expect(written(one).filter((path) => written(two).includes(path))).toEqual([])
    })

    test('removing is idempotent', async () => {
      await layers.prepare('sb_1', IMAGE)
      await layers.remove('sb_1')
      await layers.remove('sb_1')
      await layers.remove('sb_never')
      expect(await layers.list()).toEqual([])
    })

    test.each(['..', 'a/b', '', 'sb_1/../sb_2', 'A', 'x'.repeat(65), 'a\0b'])(
      'the id %j is refused',
      async (id) => {
        await expect(layers.prepare(id, IMAGE)).rejects.toThrow(RangeError)
      },
    )

    unless('roots are on disk')(
      title('without an image the root is an empty directory', 'roots are on disk'),
      async () => {
        const root = await layers.prepare('sb_1', null)
        expect(root.kind).toBe('directory')
        expect(await readdir(here(writable(root)))).toEqual([])
      },
    )

    unless('roots are on disk')(
      title('a root can be traversed by every user in it', 'roots are on disk'),
      async () => {
        const root = await layers.prepare('sb_1', null)
        expect((await stat(here(writable(root)))).mode & 0o777).toBe(0o755)
      },
    )

    unless('roots are on disk')(
      title('writing to a root or removing it leaves the image', 'roots are on disk'),
      async () => {
        const root = await layers.prepare('sb_1', IMAGE)
        await mkdir(here(join(writable(root), 'etc')), { recursive: true })
        await writeFile(here(join(writable(root), 'etc/name')), 'sandbox\n')
        await layers.remove('sb_1')
        expect(await readFile(here(`${IMAGE.rootfs}/etc/name`), 'utf8')).toBe('image\n')
        await expect(stat(here(writable(root)))).rejects.toThrow('ENOENT')
      },
    )

    unless('outlives the server')(
      title('another server finds the roots', 'outlives the server'),
      async () => {
        await layers.prepare('sb_1', IMAGE)
        const next = open(data)
        await next.open()
        expect(await next.list()).toEqual(['sb_1'])
        await next.remove('sb_1')
        expect(await layers.list()).toEqual([])
      },
    )
  })
}

const writable = (root: RootPlan): string => (root.kind === 'overlay' ? root.upper : root.path)
const pathsOf = (root: RootPlan): string[] =>
  root.kind === 'overlay' ? [...root.lowers, root.upper, root.work] : [root.path]
