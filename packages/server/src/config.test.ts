import { expect, test } from 'vitest'
import { loadConfig } from './config.ts'

const dataDir = '/nonexistent/caisson'

test.each(['dumpAfter', 'sessionPause', 'layerRetention'])('%s has to be a duration', (name) => {
  expect(() => loadConfig({ dataDir, [name]: 'soon' }, {})).toThrow(`${name}: `)
  expect(loadConfig({ dataDir, [name]: '90s' }, {})).toMatchObject({ [name]: '90s' })
})

test('memory is never put on disk where that is off', () => {
  expect(loadConfig({ dataDir }, { CAISSON_DUMP_AFTER: 'off' }).dumpAfter).toBeNull()
  expect(loadConfig({ dataDir, dumpAfter: null }, {}).dumpAfter).toBeNull()
})
