import { posix } from 'node:path'
import type { FileUseCases } from '../../sandboxes/files.ts'
import type { UseCases } from '../../sandboxes/use-cases.ts'
import { done, type Handlers } from './call.ts'
import { openPart, openRange } from './file-ranges.ts'
import { type FileStat, toFileInfo, toHeaderJson } from './map.ts'
import { watchLines } from './watch-stream.ts'

type FileHandlers = Pick<Handlers, Exclude<keyof FileUseCases, 'findAccount'>>

/** A browser that opens a link must never take what a sandbox wrote for a page of this server. */
const HARMLESS = { 'content-security-policy': "sandbox; default-src 'none'" }

/** Files of a sandbox. */
export function fileHandlers(useCases: UseCases): FileHandlers {
  return {
    readFile: async ({ params, query, headers, signal }) => {
      let stat: FileStat | undefined
      const open = async ({ offset, length }: { offset: number; length?: number }) => {
        const opened = await useCases.readFile(params.id, { ...query, offset, length }, signal)
        stat = opened.stat
        return opened
      }
      const isPart = query.offset > 0 || query.length !== undefined
      const answer = isPart
        ? await openPart(open, {
            offset: query.offset,
            ...(query.length !== undefined && { length: query.length }),
          })
        : await openRange(open, headers)
      const info = stat && { 'x-caisson-file': toHeaderJson(toFileInfo(query.path, stat)) }
      return { ...answer, headers: { ...answer.headers, ...info } }
    },
    writeFile: async ({ params, query, upload, signal }) => {
      const { stat, created } = await useCases.writeFile(params.id, query, upload, signal)
      return { json: { ...toFileInfo(query.path, stat), directoriesCreated: created } }
    },
    writeFiles: async ({ params, body, signal }) => {
      const { files, bytes, created } = await useCases.writeFiles(params.id, body, signal)
      return { json: { files, bytes, directoriesCreated: created } }
    },
    putUpload: async ({ params, query, upload, signal }) => {
      const part = await useCases.putUpload(params.id, params.upload, query, upload, signal)
      const file = part.stat && toFileInfo(query.path, part.stat)
      const complete = file !== null
      return { json: { offset: part.offset, complete, file, directoriesCreated: part.created } }
    },
    getUpload: async ({ params, query }) => ({
      json: { offset: await useCases.getUpload(params.id, params.upload, query) },
    }),
    deleteUpload: async ({ params, query }) => done(useCases.deleteUpload(params.id, params.upload, query)),
    checksumFile: async ({ params, query, signal }) => ({
      json: await useCases.checksumFile(params.id, query, signal),
    }),
    downloadArchive: async ({ params, query, signal }) => {
      const { data, skipped } = await useCases.downloadArchive(params.id, query, signal)
      const name = `${posix.basename(posix.resolve('/', query.path)) || 'files'}.${query.format}`
      return {
        body: data,
        headers: { 'content-disposition': attachment(name) },
        trailers: {
          names: ['x-caisson-skipped'],
          values: () => ({ 'x-caisson-skipped': String(skipped()) }),
        },
      }
    },
    uploadArchive: async ({ params, query, upload, signal }) => ({
      json: await useCases.uploadArchive(params.id, query, upload, signal),
    }),
    watchFiles: async ({ params, query, signal }) => ({
      body: watchLines(await useCases.watchFiles(params.id, query, signal), signal),
    }),
    signFile: async ({ params, body }) => {
      const { token, expiresAt } = await useCases.signFile(params.id, body)
      const { url } = await useCases.getServer()
      const path = `/v1/signed/${token}`
      return {
        json: {
          path,
          url: url && url.replace(/\/$/, '') + path,
          expiresAt: new Date(expiresAt).toISOString(),
        },
      }
    },
    readSigned: async ({ params, headers, signal }) => {
      let name = ''
      const answer = await openRange(async (part) => {
        const opened = await useCases.readSigned(params.token, part, signal)
        name = posix.basename(opened.path)
        return opened
      }, headers)
      const safe = { ...HARMLESS, 'content-disposition': attachment(name) }
      return { ...answer, headers: { ...answer.headers, ...safe } }
    },
    writeSigned: async ({ params, upload, signal }) => ({
      json: { bytes: (await useCases.writeSigned(params.token, upload, signal)).size },
    }),
    statFile: async ({ params, query }) => ({
      json: toFileInfo(query.path, await useCases.statFile(params.id, query)),
    }),
    listFiles: async ({ params, query, signal }) => {
      const base = query.path.endsWith('/') ? query.path : `${query.path}/`
      const entries = await useCases.listFiles(params.id, query, signal)
      return { json: { files: entries.map(({ name, ...stat }) => toFileInfo(base + name, stat)) } }
    },
    makeDirectory: async ({ params, body }) => ({
      json: { directoriesCreated: await useCases.makeDirectory(params.id, body) },
    }),
    renameFile: async ({ params, body }) => done(useCases.renameFile(params.id, body)),
    removeFile: async ({ params, query, signal }) => done(useCases.removeFile(params.id, query, signal)),
    changeMode: async ({ params, body }) => done(useCases.changeMode(params.id, body)),
    setAttributes: async ({ params, body }) => done(useCases.setAttributes(params.id, body)),
    changeOwner: async ({ params, body }) => done(useCases.changeOwner(params.id, body)),
  }
}

/** Names the file that a browser saves; everything that a header or a file name must not hold is escaped. */
function attachment(name: string): string {
  const escaped = encodeURIComponent(name.toWellFormed()).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  )
  return `attachment; filename*=UTF-8''${escaped}`
}
