import { expect, test } from 'vitest'
import type { Route } from './route.ts'
import { Router } from './router.ts'

const route = (name: string): Route => {
  const [method, path] = name.split(' ') as [Route['method'], string]
  return { name, method, path, auth: 'anybody', handle: async () => ({ status: 204 }) }
}
const router = new Router(
  [
    'GET /things',
    'POST /things',
    'GET /things/{id}',
    'DELETE /things/{id}',
    'GET /things/special',
    'GET /things/{id}/parts',
    'GET /things/names/{name}',
  ].map(route),
)
const found = (method: string, path: string) => {
  const it = router.find(method, path)
  return it !== null && 'route' in it ? [it.route.name, { ...it.params }] : it
}

test('fixed segments win over parameters, which come decoded', () => {
  expect(found('GET', '/things')).toEqual(['GET /things', {}])
  expect(found('GET', '/things/special')).toEqual(['GET /things/special', {}])
  expect(found('DELETE', '/things/special')).toEqual(['DELETE /things/{id}', { id: 'special' }])
  expect(found('GET', '/things/a%2Fb%3A%C3%A4')).toEqual(['GET /things/{id}', { id: 'a/b:ä' }])
  expect(found('GET', '/things/names/parts')).toEqual(['GET /things/names/{name}', { name: 'parts' }])
  expect(found('GET', '/things/x/parts')).toEqual(['GET /things/{id}/parts', { id: 'x' }])
})

test('what is not there is told from what is not done there', () => {
  expect(found('PUT', '/things/x')).toEqual({ allowed: ['GET', 'DELETE'] })
  for (const path of [
    '/',
    '',
    '/thing',
    '/things/',
    '/things//',
    '/things/x/parts/',
    '/constructor',
    '/things/x/y',
  ])
    expect(found('GET', path)).toBeNull()
  expect(() => router.find('GET', '/things/%ff')).toThrow('not valid')
})

test('a list that contradicts itself is no list', () => {
  expect(() => new Router([route('GET /a'), route('GET /a')])).toThrow('two routes')
  expect(() => new Router([route('GET /a/{x}'), { ...route('GET /a/{x}'), name: 'other' }])).toThrow('twice')
  expect(() => new Router([route('GET /a/{x}'), route('PUT /a/{y}')])).toThrow('differently')
})
