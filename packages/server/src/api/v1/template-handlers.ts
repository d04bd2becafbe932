import type { UseCases } from '../../sandboxes/use-cases.ts'
import { done, type Handlers } from './call.ts'

type Names =
  | 'createTemplate'
  | 'startBuild'
  | 'getBuild'
  | 'readBuildLog'
  | 'cancelBuild'
  | 'hasBuildFiles'
  | 'putBuildFiles'
  | 'listTemplates'
  | 'getTemplate'
  | 'deleteTemplate'
  | 'tagTemplate'
  | 'untagTemplate'

/** Templates, their builds, and the files that those copy. */
export function templateHandlers(useCases: UseCases): Pick<Handlers, Names> {
  return {
    createTemplate: async ({ body }) => ({ json: await useCases.createTemplate(body) }),
    startBuild: async ({ params, body }) => ({ json: await useCases.startBuild(params.build, body) }),
    getBuild: async ({ params }) => ({ json: await useCases.getBuild(params.build) }),
    readBuildLog: async ({ params, query }) => ({
      json: { entries: await useCases.readBuildLog(params.build, query) },
    }),
    cancelBuild: async ({ params }) => ({ json: await useCases.cancelBuild(params.build) }),
    hasBuildFiles: async ({ params }) => ({ json: { present: await useCases.hasBuildFiles(params.hash) } }),
    putBuildFiles: async ({ params, upload, signal }) =>
      done(useCases.putBuildFiles(params.hash, upload, signal)),
    listTemplates: async ({ query }) => ({ json: await useCases.listTemplates(query) }),
    getTemplate: async ({ params }) => ({ json: await useCases.getTemplate(params.template) }),
    deleteTemplate: async ({ params }) => done(useCases.deleteTemplate(params.template)),
    tagTemplate: async ({ params, body }) => ({ json: await useCases.tagTemplate(params.template, body) }),
    untagTemplate: async ({ params, body }) => ({
      json: await useCases.untagTemplate(params.template, body.tags),
    }),
  }
}
