import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { filesDigest, readRecipeFiles, writeRecipeFiles } from './recipe-files.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-files-'))
  await mkdir(join(directory, 'files/opt/tool/inner'), { recursive: true })
  await writeFile(join(directory, 'files/opt/tool/run'), '#!/bin/sh\n')
  await chmod(join(directory, 'files/opt/tool/run'), 0o700)
  await writeFile(join(directory, 'files/opt/tool/inner/data'), Buffer.from([0, 255]))
  await chmod(join(directory, 'files/opt/tool/inner/data'), 0o600)
})
afterEach(() => rm(directory, { recursive: true, force: true }))

const read = () => readRecipeFiles(join(directory, 'files'))

test('come into the tree with what everybody needs to read and run them', async () => {
  const files = await read()
  expect(files.map(({ path, executable }) => [path, executable])).toEqual([
    ['opt/tool/inner/data', false],
    ['opt/tool/run', true],
  ])
  const before = process.umask(0o077)
  try {
    await mkdir(join(directory, 'rootfs/opt'), { recursive: true })
    await writeRecipeFiles(join(directory, 'rootfs'), files)
  } finally {
    process.umask(before)
  }
  const mode = async (path: string) => (await stat(join(directory, 'rootfs/opt/tool', path))).mode & 0o777
  expect([await mode(''), await mode('inner'), await mode('inner/data'), await mode('run')]).toEqual([
    0o755, 0o755, 0o644, 0o755,
  ])
  expect(await readFile(join(directory, 'rootfs/opt/tool/inner/data'))).toEqual(Buffer.from([0, 255]))
})

test('what a package left at the place of one is replaced and not followed', async () => {
  await mkdir(join(directory, 'rootfs/opt/tool'), { recursive: true })
  await writeFile(join(directory, 'elsewhere'), 'kept')
  await symlink(join(directory, 'elsewhere'), join(directory, 'rootfs/opt/tool/run'))
  await writeRecipeFiles(join(directory, 'rootfs'), await read())
  expect(await readFile(join(directory, 'elsewhere'), 'utf8')).toBe('kept')
  expect(await readFile(join(directory, 'rootfs/opt/tool/run'), 'utf8')).toBe('#!/bin/sh\n')
})

test('have a digest of their names, contents and whether they run, and of nothing else', async () => {
  const digest = filesDigest(await read())
  await chmod(join(directory, 'files/opt/tool/inner/data'), 0o640)
  expect(filesDigest(await read())).toBe(digest)
  await chmod(join(directory, 'files/opt/tool/inner/data'), 0o740)
  const executable = filesDigest(await read())
  await writeFile(join(directory, 'files/opt/tool/inner/data'), 'x')
  const changed = filesDigest(await read())
  expect(new Set([digest, executable, changed]).size).toBe(3)
})

test('are files and directories and nothing else', async () => {
  await symlink('/etc/shadow', join(directory, 'files/link'))
  await expect(read()).rejects.toThrow(/files\/link is neither/)
})
