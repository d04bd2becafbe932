import { expect, test } from 'vitest'
import { loadConfig } from '../../config.ts'
import { assertPublicRegistry } from './registry.ts'

const config = loadConfig({ dataDir: '/nowhere', driver: 'memory' }, {})
const ADDRESSES: Record<string, string[]> = {
  'ghcr.io': ['140.82.121.34'],
  'registry.example': ['93.184.216.34', '2606:2800:220:1::1'],
  'registry.corp': ['10.20.0.5'],
  'both.example': ['93.184.216.34', '192.168.1.1'],
  localhost: ['127.0.0.1', '::1'],
  'metadata.example': ['169.254.169.254'],
}
const find = async (host: string) => ADDRESSES[host] ?? Promise.reject(new Error('no such name'))

test.each([
  'alpine',
  'python:3.13-slim',
  'library/python:3.13',
  'oven/bun:1',
  'ghcr.io/a/b:c',
  'registry.example:5000/a',
  '93.184.216.34/a',
  'unknown.example/a',
])('%s may be fetched', async (reference) => {
  await expect(assertPublicRegistry({ config }, reference, find)).resolves.toBeUndefined()
})

test.each([
  'localhost/a',
  'localhost:5000/a:b',
  '127.0.0.1:5000/a',
  '10.0.0.1/a',
  'registry.corp/a',
  'registry.corp:443/a/b:c',
  'both.example/a',
  'metadata.example/latest',
  '169.254.169.254/latest',
])('%s is left to who may import', async (reference) => {
  const refused = expect(assertPublicRegistry({ config }, reference, find)).rejects
  await refused.toMatchObject({ code: 'not_supported', details: { what: `image "${reference}"` } })
})

test('an operator’s proxy decides by itself', async () => {
  const proxied = { ...config, build: { ...config.build, proxy: 'http://proxy.corp:3128' } }
  await expect(assertPublicRegistry({ config: proxied }, 'registry.corp/a', find)).resolves.toBeUndefined()
})
