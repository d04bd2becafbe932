/** `caisson doctor` says whether the firewall is in force by trying it, and leaves nothing behind. */
import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../packages/server/src/config.ts'
import { runDoctor } from '../../packages/server/src/doctor/index.ts'
import { processesOf, temporaryDirectory } from '../test-server.ts'
import { cannotNetwork } from './world.ts'

const images = process.env.CAISSON_IMAGES_DIR ?? '/var/lib/caisson/images'

describe.skipIf(cannotNetwork)('doctor', () => {
  test('tries a sandbox’s rules in a network of its own', async () => {
    await using directory = await temporaryDirectory()
    const config = loadConfig({ dataDir: directory.path, imagesDir: images, listen: null, driver: 'oci' })
    const interfaces = readdirSync('/sys/class/net')
    const report = await runDoctor(config)
    expect(report.checks.find(({ id }) => id === 'network')).toMatchObject({
      state: 'ok',
      detail: expect.stringMatching(/^tried: /),
    })
    expect(readdirSync(directory.path)).toEqual([])
    expect(processesOf(directory.path)).toEqual([])
    expect(readdirSync('/sys/class/net')).toEqual(interfaces)
  })

  test('says that there is no network to have where nothing makes one', async () => {
    await using directory = await temporaryDirectory()
    const absent = `${directory.path}/absent`
    const config = loadConfig({ dataDir: directory.path, imagesDir: images, launcher: absent, listen: null })
    const check = (await runDoctor(config)).checks.find(({ id }) => id === 'network')
    expect(check).toMatchObject({ state: 'missing', required: false })
  })
})
