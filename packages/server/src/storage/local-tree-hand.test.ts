import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LocalTreeHand } from './local-tree-hand.ts'

let data: string
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'caisson-hand-'))
})
afterEach(() => rm(data, { recursive: true, force: true }))

test('removing a tree leaves what its links point at', async () => {
  await writeFile(join(data, 'kept'), 'kept')
  await mkdir(join(data, 'sandboxes/sb_1'), { recursive: true })
  await symlink(data, join(data, 'sandboxes/sb_1/out'))
  await new LocalTreeHand(data).removeTree('sandboxes/sb_1')
  expect(await readFile(join(data, 'kept'), 'utf8')).toBe('kept')
  expect(await readdir(join(data, 'sandboxes'))).toEqual([])
  expect(await readdir(join(data, 'trash'))).toEqual([])
})

test.each(['/etc', '..', 'sandboxes/../..', './x', 'a//b', ''])('the path %j is refused', async (path) => {
  await expect(new LocalTreeHand(data).removeTree(path)).rejects.toThrow('plain path')
})
