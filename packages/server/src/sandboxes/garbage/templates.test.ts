import { expect, test } from 'vitest'
import { aBuild, aLayer, aTemplate } from '../../state/fixtures.ts'
import { World } from '../world.test-kit.ts'
import { usedDigests } from './images.ts'
import { findLayers } from './layers.ts'
import { findSaves } from './saves.ts'

const RECIPE = {
  runtime: 'base:latest',
  memory: false,
  env: {},
  user: null,
  workdir: null,
  dependencies: [],
  packages: [],
}

test('what templates are made of is nobody’s garbage, until they go', async () => {
  await using world = await World.make()
  const server = await world.server()
  const { context, useCases } = server
  const { sandbox } = await useCases.createSandbox({ idleTimeout: 0 })
  const saves = ['sav_own', 'sav_below', 'sav_nobodys']
  for (const save of saves) await world.layers.saves.save(sandbox.id, save)
  const layer = aLayer({ save: 'sav_below', usedAt: 1 })
  await world.store.layers.insert(layer)
  const template = await world.store.templates.findOrInsert(aTemplate())
  const made = { ...RECIPE, imageDigest: 'abc', save: 'sav_own', memory: false, layers: ['sav_below'] }
  await world.store.builds.insert(aBuild({ templateId: template.id, status: 'ready', made, endedAt: 1 }))

  const ids = async (found: Promise<{ id: string }[]>) => (await found).map(({ id }) => id)
  expect(await usedDigests(context)).toContain('abc')
  expect(await ids(findLayers(context))).toEqual([])
  expect(await ids(findSaves(context))).toEqual(['sav_nobodys'])

  await useCases.deleteTemplate(template.id)
  expect(await usedDigests(context)).not.toContain('abc')
  expect(await world.layers.saves.list()).toEqual(['sav_below', 'sav_nobodys'])
  expect(await ids(findLayers(context))).toEqual(['sav_below'])
})
