import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'
import { describe, expect, test } from 'vitest'
import { cannotSave, startSaving, text } from '../saved/world.ts'
import { loopsOf, nothingIsOrphaned, powerCut } from './world.ts'

/** How long a first start is given, in ms: it makes the pool somewhere in that time. */
const INSTANTS = [100, 200, 300, 400, 550, 700]

describe.skipIf(cannotSave !== null)('a first start that is cut off', () => {
  test('at any instant is made good by the next, with a pool that is whole', async () => {
    let cutOff = 0
    for (const instant of INSTANTS) {
      await using server = await startSaving({ started: false })
      const starting = server.up().then(
        () => 'ready',
        () => 'cut off',
      )
      await sleep(instant)
      await powerCut(server)
      if ((await starting) === 'cut off') cutOff += 1
      await server.up()
      const client = server.client()
      expect(existsSync(join(server.dataDir, 'pool.img'))).toBe(true)
      expect(loopsOf(server)).toHaveLength(1)
      await using box = await Sandbox.create({ client, resources: { disk: '64Mi' } })
      await text(box, 'echo kept > ~/kept')
      await box.checkpoints.create()
      await powerCut(server)
      await server.up()
      await nothingIsOrphaned(server, client)
    }
    expect(cutOff).toBeGreaterThan(0)
  })
})
