import type { Examples } from './examples.ts'

const at = '2026-11-21T09:30:00.000Z'

const build = {
  id: 'bld_6g1h8j3k5l9z2x7c',
  templateId: 'tpl_9s4d7f2g5h8j1k6l',
  status: 'waiting' as const,
  tags: ['latest'],
  reason: null,
  createdAt: at,
  startedAt: null,
  endedAt: null,
}
const building = { ...build, status: 'building' as const, startedAt: at }

const template = {
  id: build.templateId,
  name: 'web-app',
  tags: [{ tag: 'latest', buildId: build.id, createdAt: at }],
  resources: { memory: '1Gi' },
  sandboxes: 2,
  createdAt: at,
  updatedAt: at,
}
const hash = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
const ofBuild = { build: build.id }
const ofTemplate = { template: 'web-app' }

/** Examples of what concerns templates. */
export const templateExamples = {
  createTemplate: {
    body: { name: 'web-app', resources: { memory: '1Gi' } },
    output: { template: { ...template, tags: [], sandboxes: 0 }, build },
  },
  startBuild: {
    params: ofBuild,
    body: {
      from: { runtime: 'base:latest' },
      steps: [
        { type: 'env' as const, env: { PORT: '8000' } },
        { type: 'run' as const, command: 'apt-get update && apt-get install -y nginx', user: 'root' },
        { type: 'copy' as const, files: hash, source: 'app', target: '/srv/app' },
        { type: 'workdir' as const, path: '/srv/app' },
      ],
      startCommand: 'python3 -m http.server 8000',
      readyCommand: 'curl -fs http://127.0.0.1:8000/',
    },
    output: building,
  },
  getBuild: { params: ofBuild, output: building },
  readBuildLog: {
    params: ofBuild,
    query: { offset: '0' },
    output: { entries: [{ at, level: 'info' as const, step: 2, message: 'Setting up nginx' }] },
  },
  cancelBuild: { params: ofBuild, output: building },
  hasBuildFiles: { params: { hash }, output: { present: false } },
  putBuildFiles: { params: { hash }, upload: 'a tar archive' },
  listTemplates: { query: { limit: '10' }, output: { templates: [template], total: 1 } },
  getTemplate: { params: ofTemplate, output: template },
  deleteTemplate: { params: ofTemplate },
  tagTemplate: { params: ofTemplate, body: { build: 'latest', tags: ['stable'] }, output: template },
  untagTemplate: { params: ofTemplate, body: { tags: ['stable'] }, output: template },
} satisfies Partial<Examples>
