import { describe, expect } from 'vitest'
import { test } from '../fixture.ts'
import { FileDoor } from './door.ts'

describe('attributes', () => {
  test('are set, told when they are asked for, and removed', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('d/f', 'x')
    const set = (path: string, attributes: Record<string, string | null>) =>
      door.post('/attributes', {}, { path, attributes })
    const told = async (path: string) =>
      (await door.get('/stat', { path, attributes: 'true' })).json.attributes
    expect((await set('d/f', { author: 'mé', empty: '', 'a.b': '1' })).status).toBe(204)
    expect((await set('d', { on: 'directory' })).status).toBe(204)
    expect(await told('d/f')).toEqual({ author: 'mé', empty: '', 'a.b': '1' })
    expect((await door.get('/stat', { path: 'd/f' })).json).not.toHaveProperty('attributes')
    expect((await set('d/f', { author: null, never: null, empty: 'now' })).status).toBe(204)
    expect(await told('d/f')).toEqual({ empty: 'now', 'a.b': '1' })
    for (const depth of ['1', '3']) {
      const { json } = await door.get('', { path: '.', depth, attributes: 'true' })
      const files = json.files as { name: string; path: string; attributes?: object }[]
      expect(files.find(({ path }) => path.endsWith('/d'))?.attributes).toEqual({ on: 'directory' })
      const plain = await door.get('', { path: '.', depth })
      expect(JSON.stringify(plain.json)).not.toContain('attributes')
    }
    const deep = await door.get('', { path: 'd', depth: '1', attributes: 'true' })
    expect(deep.json.files[0].attributes).toEqual({ empty: 'now', 'a.b': '1' })
  })

  test('go with the contents that they belonged to', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'x')
    await door.post('/attributes', {}, { path: 'f', attributes: { a: '1' } })
    await door.write('f', 'y')
    expect((await door.get('/stat', { path: 'f', attributes: 'true' })).json.attributes).toEqual({})
  })

  test('that cannot be are refused', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.write('f', 'x')
    const set = (path: string, attributes: Record<string, string | null>) =>
      door.post('/attributes', {}, { path, attributes })
    const long = 'x'.repeat(16_000)
    expect((await set('f', { '': 'x' })).error).toBe('invalid_request')
    expect((await set('f', { 'a b': 'x' })).error).toBe('invalid_request')
    expect((await set('f', { ['x'.repeat(251)]: 'x' })).error).toBe('invalid_request')
    expect((await set('f', { a: long, b: long, c: long, d: long })).error).toBe('invalid_request')
    expect((await set('gone', { a: 'x' })).error).toBe('file_not_found')
    expect((await set('/dev/null', { a: 'x' })).error).toBe('file_wrong_type')
    expect((await door.get('/stat', { path: 'f', attributes: 'true' })).json.attributes).toEqual({})
  })

  test('come with where a link leads', async ({ server }) => {
    const door = await FileDoor.create(server)
    await door.sh('mkdir -p d/e && ln -s d/./e l && ln -s l m && ln -s gone n')
    const { json } = await door.get('', { path: '.', attributes: 'true' })
    const named = (name: string) => json.files.find((file: { name: string }) => file.name === name)
    const home = (await door.sh('cd . && pwd -P')).trim()
    for (const name of ['l', 'm'])
      expect(named(name).resolved).toEqual({
        path: `${home}/d/e`,
        type: 'directory',
        mode: expect.any(Number),
      })
    expect(named('n')).not.toHaveProperty('resolved')
    expect(named('d')).not.toHaveProperty('resolved')
  })
})
