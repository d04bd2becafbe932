import { execFileSync } from 'node:child_process'
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, type TestContext, test } from 'vitest'
import type { RootPlan } from '../core/plan.ts'
import type { Image, Layers, Saves, Volumes, WantedRoot } from './layers.ts'

const DIGEST = 'c'.repeat(64)
const IMAGE: Image = {
  runtime: 'base:latest',
  digest: DIGEST,
  rootfs: `images/base/${DIGEST}/rootfs`,
  layers: [],
}
const EMPTY: WantedRoot = { image: null, layers: [], from: null, diskBytes: null }
const ON_IMAGE: WantedRoot = { ...EMPTY, image: IMAGE }

/** A promise that an implementation is excused from, and why. */
export type Skips = Partial<
  Record<
    'roots are on disk' | 'outlives the server' | 'saves' | 'volumes' | 'keeps only' | 'limits' | 'counts',
    string
  >
>

/** A storage on a data directory, as a started server would have it. */
export interface Bench {
  layers: Layers
  /** Where a root's own files are for this test; absent: beneath the data directory as its plan says. */
  files?(id: string): string
  /** Where the files of a volume are for this test; absent: it has none. */
  volume?(id: string): string
  close?(): Promise<void>
}

/** What every storage must do. */
export function layersSuite(
  name: string,
  open: (dataDir: string) => Bench | Promise<Bench>,
  skips: Skips = {},
): void {
  const unless = (promise: keyof Skips) => {
    const reason = skips[promise]
    return (title: string, run: (context: TestContext) => Promise<void>) =>
      reason === undefined ? test(title, run) : test.skip(`${title} [${reason}]`, run)
  }

  describe(`storage ${name}`, () => {
    let data: string
    let bench: Bench
    let layers: Layers
    const here = (path: string) => join(data, path)
    const files = (id: string, on: WantedRoot = EMPTY) =>
      bench.files?.(id) ?? here(writable(layers.plan(id, on)))
    const write = async (id: string, path: string, text: string) => {
      await mkdir(dirname(join(files(id), path)), { recursive: true })
      await writeFile(join(files(id), path), text)
    }
    const volume = (id: string) => bench.volume?.(id) ?? ''
    const read = (id: string, path: string) => readFile(join(files(id), path), 'utf8')
    const saves = (): Saves => layers.saves as Saves
    const volumes = (): Volumes => layers.volumes as Volumes

    beforeEach(async () => {
      data = await mkdtemp(join(tmpdir(), 'caisson-layers-'))
      await mkdir(here(`${IMAGE.rootfs}/etc`), { recursive: true })
      await writeFile(here(`${IMAGE.rootfs}/etc/name`), 'image\n')
      bench = await open(data)
      layers = bench.layers
      await layers.open()
    })
    afterEach(async () => {
      for (const id of await layers.list()) await layers.remove(id)
      for (const save of (await layers.saves?.list()) ?? []) await layers.saves?.remove(save)
      for (const volume of (await layers.volumes?.list())?.keys() ?? []) await layers.volumes?.remove(volume)
      await bench.close?.()
      await rm(data, { recursive: true, force: true })
    })

    test('an image is named by the plan of a root and every path is beneath the data directory', async () => {
      const root = await layers.prepare('sb_1', ON_IMAGE)
      for (const path of pathsOf(root)) expect(path).toMatch(/^(sandboxes\/sb_1|images\/base)\//)
      if (root.kind !== 'directory') expect(root.lowers).toEqual([IMAGE.rootfs])
      expect(layers.plan('sb_1', ON_IMAGE)).toEqual(root)
    })

    test('a root is listed from its preparation to its removal, beside others', async () => {
      await layers.prepare('sb_1', ON_IMAGE)
      await layers.prepare('sb_2', EMPTY)
      expect((await layers.list()).sort()).toEqual(['sb_1', 'sb_2'])
      await layers.remove('sb_1')
      expect(await layers.list()).toEqual(['sb_2'])
    })

    test('two roots share nothing that is written', async () => {
      const one = await layers.prepare('sb_1', ON_IMAGE)
      const two = await layers.prepare('sb_2', ON_IMAGE)
      const written = (root: RootPlan) => pathsOf(root).filter((path) => !path.startsWith('images/'))
      expect(written(one).filter((path) => written(two).includes(path))).toEqual([])
    })

    test('removing is idempotent', async () => {
      await layers.prepare('sb_1', ON_IMAGE)
      await layers.remove('sb_1')
      await layers.remove('sb_1')
      await layers.remove('sb_never')
      expect(await layers.list()).toEqual([])
    })

    test.each(['..', 'a/b', '', 'sb_1/../sb_2', 'A', 'x'.repeat(65), 'a\0b'])(
      'the id %j is refused',
      async (id) => {
        await expect(layers.prepare(id, ON_IMAGE)).rejects.toThrow(RangeError)
        expect(() => layers.plan(id, ON_IMAGE)).toThrow(RangeError)
      },
    )

    test('what the storage cannot do is refused, and leaves nothing', async () => {
      const refused = expect.objectContaining({ code: 'not_supported' })
      if (!layers.quota)
        await expect(layers.prepare('sb_1', { ...ON_IMAGE, diskBytes: 2 ** 30 })).rejects.toEqual(refused)
      if (layers.saves === undefined)
        for (const more of [{ from: 'sav_1' }, { layers: ['sav_1'] }])
          await expect(layers.prepare('sb_1', { ...ON_IMAGE, ...more })).rejects.toEqual(refused)
      expect(await layers.list()).toEqual([])
    })

    unless('roots are on disk')('without an image the root is an empty directory', async () => {
      await layers.prepare('sb_1', EMPTY)
      expect(await readdir(files('sb_1'))).toEqual([])
    })

    unless('roots are on disk')('a root can be traversed by every user in it', async () => {
      await layers.prepare('sb_1', EMPTY)
      expect((await stat(files('sb_1'))).mode & 0o777).toBe(0o755)
    })

    unless('roots are on disk')('writing to a root or removing it leaves the image', async () => {
      await layers.prepare('sb_1', ON_IMAGE)
      const own = files('sb_1', ON_IMAGE)
      await mkdir(join(own, 'etc'), { recursive: true })
      await writeFile(join(own, 'etc/name'), 'sandbox\n')
      await layers.remove('sb_1')
      expect(await readFile(here(`${IMAGE.rootfs}/etc/name`), 'utf8')).toBe('image\n')
      await expect(stat(own)).rejects.toThrow('ENOENT')
    })

    unless('outlives the server')('another server finds the roots', async () => {
      await layers.prepare('sb_1', ON_IMAGE)
      const next = await open(data)
      await next.layers.open()
      expect(await next.layers.list()).toEqual(['sb_1'])
      await next.layers.remove('sb_1')
      expect(await layers.list()).toEqual([])
      await next.close?.()
    })

    const saving = unless('saves')
    saving('a save is listed until it is removed, and made once', async () => {
      await layers.prepare('sb_1', EMPTY)
      await saves().save('sb_1', 'sav_1')
      await expect(saves().save('sb_1', 'sav_1')).rejects.toThrow()
      await expect(saves().save('sb_never', 'sav_2')).rejects.toThrow()
      expect(await saves().list()).toEqual(['sav_1'])
      expect(await layers.list()).toEqual(['sb_1'])
      await saves().remove('sav_1')
      await saves().remove('sav_1')
      expect(await saves().list()).toEqual([])
    })

    saving('layers lie above the image, topmost first, and those of an image above its tree', async () => {
      await layers.prepare('sb_0', EMPTY)
      for (const save of ['sav_1', 'sav_2', 'sav_3']) await saves().save('sb_0', save)
      const image = { ...IMAGE, layers: ['sav_3'] }
      const root = await layers.prepare('sb_1', { ...ON_IMAGE, image, layers: ['sav_1', 'sav_2'] })
      const lowers = ['saves/sav_1', 'saves/sav_2', 'saves/sav_3', IMAGE.rootfs]
      expect(root).toMatchObject({ lowers })
    })

    saving('what has no save to begin as is not made', async () => {
      await expect(layers.prepare('sb_1', { ...EMPTY, from: 'sav_never' })).rejects.toThrow()
      expect(await layers.list()).toEqual([])
    })

    const onDisk = unless(skips['roots are on disk'] ? 'roots are on disk' : 'saves')
    onDisk('a root that begins as a save has what the other had then, and is its own', async () => {
      await layers.prepare('sb_1', EMPTY)
      await write('sb_1', 'file', 'then')
      await saves().save('sb_1', 'sav_1')
      await write('sb_1', 'file', 'later')
      await layers.prepare('sb_2', { ...EMPTY, from: 'sav_1' })
      expect(await read('sb_2', 'file')).toBe('then')
      await saves().remove('sav_1')
      await write('sb_2', 'file', 'other')
      expect(await read('sb_1', 'file')).toBe('later')
      await layers.remove('sb_1')
      expect(await read('sb_2', 'file')).toBe('other')
    })

    onDisk('a root is put back to a save, again and again', async () => {
      await layers.prepare('sb_1', EMPTY)
      await write('sb_1', 'file', 'then')
      await saves().save('sb_1', 'sav_1')
      await write('sb_1', 'file', 'later')
      await write('sb_1', 'more', '')
      for (let round = 0; round < 2; round++) {
        await saves().replace('sb_1', 'sav_1', null)
        expect(await read('sb_1', 'file')).toBe('then')
        expect(await readdir(files('sb_1'))).toEqual(['file'])
        await write('sb_1', 'file', 'again')
      }
      await expect(saves().replace('sb_1', 'sav_never', null)).rejects.toThrow()
      expect(await read('sb_1', 'file')).toBe('again')
    })

    onDisk('a save counts its own files, links once', async () => {
      await layers.prepare('sb_1', EMPTY)
      await write('sb_1', 'a/b', 'xyz')
      await symlink('/etc/passwd', join(files('sb_1'), 'a/link'))
      await saves().save('sb_1', 'sav_1')
      expect(await saves().measure('sav_1')).toEqual({ bytes: 3, files: 3 })
    })

    const withVolumes = unless('volumes')
    withVolumes('a volume is listed from its making to its removal, and made once', async () => {
      await volumes().create('vol_1', null)
      await volumes().create('vol_2', null)
      await expect(volumes().create('vol_1', null)).rejects.toThrow()
      expect([...(await volumes().list()).keys()].sort()).toEqual(['vol_1', 'vol_2'])
      await volumes().remove('vol_1')
      await volumes().remove('vol_1')
      await volumes().remove('vol_never')
      expect([...(await volumes().list()).keys()]).toEqual(['vol_2'])
      expect(await layers.list()).toEqual([])
    })

    withVolumes(
      'a volume is refused that has no proper id, a limit that cannot be kept, or no time',
      async () => {
        for (const id of ['..', 'a/b', '', 'A', 'new-vol'])
          await expect(volumes().create(id, null)).rejects.toThrow(RangeError)
        if (!layers.quota)
          await expect(volumes().create('vol_1', 2 ** 30)).rejects.toMatchObject({ code: 'not_supported' })
        await expect(volumes().create('vol_1', null, AbortSignal.abort())).rejects.toThrow()
        expect(await volumes().list()).toEqual(new Map())
      },
    )

    const onVolumes = unless(skips['roots are on disk'] ? 'roots are on disk' : 'volumes')
    onVolumes('a new volume is an empty directory that everybody may write to', async () => {
      await volumes().create('vol_1', null)
      expect(await readdir(volume('vol_1'))).toEqual([])
      const { mode, uid } = await stat(volume('vol_1'))
      expect({ mode: mode & 0o7777, uid }).toEqual({ mode: 0o777, uid: 0 })
    })

    onVolumes('a volume keeps to its limit, and what it holds is counted', async (context) => {
      if (!layers.quota) context.skip('the file system of the test has no simple quotas')
      await volumes().create('vol_1', 16 * 2 ** 20)
      await volumes().create('vol_2', null)
      const some = Buffer.alloc(32 * 2 ** 20, 1)
      const fill = (id: string) => writeFile(join(volume(id), 'some'), some, { flush: true })
      await expect(fill('vol_1')).rejects.toThrow(/EDQUOT|122/)
      await fill('vol_2')
      const held = await volumes().list()
      expect(held.get('vol_2')).toBeGreaterThanOrEqual(32 * 2 ** 20)
      expect(held.get('vol_1')).toBeLessThanOrEqual(16 * 2 ** 20)
    })

    unless('keeps only')('everything outside a directory goes, and what is in it stays', async () => {
      await layers.prepare('sb_1', EMPTY)
      for (const path of ['home/agent/workspace/a/b', 'home/agent/other', 'etc/x', 'top'])
        await write('sb_1', path, path)
      for (let round = 0; round < 2; round++) {
        await layers.keepOnly?.('sb_1', '/home/agent/workspace', false)
        const left = await readdir(files('sb_1'), { recursive: true })
        const workspace = 'home/agent/workspace'
        expect(left.sort()).toEqual(['home', 'home/agent', workspace, `${workspace}/a`, `${workspace}/a/b`])
      }
    })

    unless('keeps only')(
      'a link on the way is no directory: everything goes, nothing behind it',
      async () => {
        await writeFile(here('outside'), 'outside')
        await layers.prepare('sb_1', EMPTY)
        await mkdir(join(files('sb_1'), 'home'))
        await symlink(data, join(files('sb_1'), 'home/agent'))
        await layers.keepOnly?.('sb_1', '/home/agent/workspace', false)
        await expect(lstat(join(files('sb_1'), 'home/agent'))).rejects.toThrow('ENOENT')
        expect(await readFile(here('outside'), 'utf8')).toBe('outside')
      },
    )

    unless('limits')('a limit is enforced on one root and leaves its neighbour alone', async (context) => {
      if (!layers.quota) context.skip('the file system of the test has no simple quotas')
      await layers.prepare('sb_1', { ...EMPTY, diskBytes: 16 * 2 ** 20 })
      await layers.prepare('sb_2', { ...EMPTY, diskBytes: 64 * 2 ** 20 })
      const some = Buffer.alloc(32 * 2 ** 20, 1)
      const fill = (id: string) => writeFile(join(files(id), 'some'), some, { flush: true })
      await expect(fill('sb_1')).rejects.toThrow(/EDQUOT|122/)
      await fill('sb_2')
    })

    unless('counts')('what roots and saves hold is counted', async (context) => {
      if (!layers.quota) context.skip('the file system of the test has no simple quotas')
      await layers.prepare('sb_1', EMPTY)
      const file = join(files('sb_1'), 'file')
      await writeFile(file, Buffer.alloc(8 * 2 ** 20, 1))
      // Counts are of the last commit of the file system, which is up to half a minute old.
      execFileSync('sync', ['--file-system', file])
      await saves().save('sb_1', 'sav_1')
      const usage = await layers.usage?.()
      expect(usage?.roots.get('sb_1')).toBeGreaterThanOrEqual(8 * 2 ** 20)
      expect([...(usage?.saves.keys() ?? [])]).toEqual(['sav_1'])
      expect(usage?.pool?.usedBytes).toBeGreaterThan(0)
      expect(usage?.pool?.maxBytes).toBe(layers.maxDiskBytes)
    })
  })
}

function writable(root: RootPlan): string {
  if (root.kind === 'pool') throw new TypeError('a pool is not beneath the data directory')
  return root.kind === 'overlay' ? root.upper : root.path
}

function pathsOf(root: RootPlan): string[] {
  if (root.kind === 'directory') return [root.path]
  return root.kind === 'overlay' ? [...root.lowers, root.upper, root.work] : root.lowers
}
