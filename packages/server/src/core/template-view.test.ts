import { Build, BuildLogEntry, Template } from '@caisson/protocol/resources'
import { expect, test } from 'vitest'
import { aBuild, aTemplate } from '../state/fixtures.ts'
import { toBuild, toBuildLogEntry, toTemplate } from './template-view.ts'

test('a template is shown in the shape of the API, with its tags', () => {
  const template = aTemplate({ name: 'web', resources: { memory: '1Gi' } })
  const tag = { templateId: template.id, tag: 'latest', buildId: 'bld_1', createdAt: 0 }
  const shown = toTemplate(template, [tag], 3)
  expect(Template.strict().parse(shown)).toEqual(shown)
  expect(shown).toMatchObject({
    name: 'web',
    sandboxes: 3,
    tags: [{ tag: 'latest', buildId: 'bld_1', createdAt: '1970-01-01T00:00:00.000Z' }],
  })
})

test('a build is shown without what it is made of: variables may be secrets', () => {
  const build = aBuild({
    templateId: 'tpl_1',
    status: 'failed',
    from: { runtime: 'canary' },
    steps: [{ type: 'env', env: { TOKEN: 'canary' } }],
    start: { command: 'canary', ready: null },
    reason: { message: 'no', step: 2 },
    startedAt: 1,
    endedAt: 2,
  })
  const shown = toBuild(build)
  expect(Build.strict().parse(shown)).toEqual(shown)
  expect(JSON.stringify(shown)).not.toContain('canary')
  const entry = { buildId: build.id, entry: 7, at: 5, level: 'warn', step: null, message: 'x' } as const
  const said = toBuildLogEntry(entry)
  expect(BuildLogEntry.strict().parse(said)).toEqual({
    at: '1970-01-01T00:00:00.005Z',
    level: 'warn',
    step: null,
    message: 'x',
  })
})
