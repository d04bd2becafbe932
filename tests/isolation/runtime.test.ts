import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { KNOWN_BAD_CRUN } from '../../packages/server/src/runtime/oci/known-bad.ts'
import { TestServer, temporaryDirectory } from '../fixture.ts'
import { cannotRun } from './world.ts'

/** A program that calls itself crun of some version. */
async function pretender(dir: string, version: string): Promise<string> {
  const path = join(dir, `crun-${version}`)
  await writeFile(path, `#!/bin/sh\necho "crun version ${version}"\n`)
  await chmod(path, 0o755)
  return path
}

describe.skipIf(cannotRun)('a runtime with a known escape', () => {
  test.each([
    ['0.10.4', 'CVE-2019-18837'],
    ['1.4.3', 'CVE-2022-27650'],
  ])('keeps the server from starting, which names it: crun %s', async (version, cve) => {
    await using dir = await temporaryDirectory()
    const CAISSON_CRUN = await pretender(dir.path, version)
    await expect(TestServer.start({ env: { CAISSON_CRUN } })).rejects.toThrow(cve)
  })

  test('is what keeps it: a later version of the same program starts', async () => {
    await using dir = await temporaryDirectory()
    const last = KNOWN_BAD_CRUN.filter((row) => row.exposed).at(-1)!.fixedIn!
    await using server = await TestServer.start({ env: { CAISSON_CRUN: await pretender(dir.path, last) } })
    expect(server.pid).toBeGreaterThan(0)
  })

  test('is not started when it is missing or something else', async () => {
    for (const CAISSON_CRUN of ['/nonexistent/crun', '/bin/true'])
      await expect(TestServer.start({ env: { CAISSON_CRUN } })).rejects.toThrow(/crun/)
  })
})
