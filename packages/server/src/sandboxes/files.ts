import type { Context } from './context.ts'
import { asUser, quick, use } from './files/access.ts'
import { findAccount } from './files/accounts.ts'
import { downloadArchive } from './files/archives/pack.ts'
import { uploadArchive } from './files/archives/unpack.ts'
import { writeFiles } from './files/batch.ts'
import { checksumFile, readFile, writeFile } from './files/contents.ts'
import { listFiles } from './files/listing.ts'
import { readSigned, signFile, writeSigned } from './files/signed-files.ts'
import { deleteUpload, getUpload, putUpload } from './files/uploads.ts'
import { watchFiles } from './files/watch.ts'
import type { UseCases } from './use-cases.ts'

export { writeInitialFiles } from './files/batch.ts'

export type FileUseCases = Pick<
  UseCases,
  | 'readFile'
  | 'writeFile'
  | 'writeFiles'
  | 'putUpload'
  | 'getUpload'
  | 'deleteUpload'
  | 'checksumFile'
  | 'downloadArchive'
  | 'uploadArchive'
  | 'watchFiles'
  | 'signFile'
  | 'readSigned'
  | 'writeSigned'
  | 'statFile'
  | 'listFiles'
  | 'makeDirectory'
  | 'renameFile'
  | 'removeFile'
  | 'changeMode'
  | 'changeOwner'
  | 'setAttributes'
  | 'findAccount'
>

/** File operations: each is a request to the agent, made as the user that was asked for. */
export function fileUseCases(context: Context): FileUseCases {
  return {
    readFile: (...args) => readFile(context, ...args),
    writeFile: (...args) => writeFile(context, ...args),
    writeFiles: (...args) => writeFiles(context, ...args),
    putUpload: (...args) => putUpload(context, ...args),
    getUpload: (...args) => getUpload(context, ...args),
    deleteUpload: (...args) => deleteUpload(context, ...args),
    checksumFile: (...args) => checksumFile(context, ...args),
    downloadArchive: (...args) => downloadArchive(context, ...args),
    uploadArchive: (...args) => uploadArchive(context, ...args),
    watchFiles: (...args) => watchFiles(context, ...args),
    signFile: (...args) => signFile(context, ...args),
    readSigned: (...args) => readSigned(context, ...args),
    writeSigned: (...args) => writeSigned(context, ...args),
    listFiles: (...args) => listFiles(context, ...args),
    statFile: (id, { path, follow, attributes, user }) =>
      quick(context, id, (files, signal) =>
        files.stat(path, { ...asUser(context, id, user), follow, attributes }, signal),
      ),
    makeDirectory: (id, { path, mode, parents, owner, user }) => {
      const options = {
        ...asUser(context, id, user),
        ...(mode !== undefined && { mode }),
        ...(owner !== undefined && { owner }),
        parents,
      }
      return quick(context, id, (files, signal) => files.mkdir(path, options, signal))
    },
    setAttributes: (id, { path, attributes, user }) =>
      quick(context, id, (files, signal) =>
        files.setAttributes(path, attributes, asUser(context, id, user), signal),
      ),
    renameFile: (id, { path, target, user }) =>
      quick(context, id, (files, signal) => files.rename(path, target, asUser(context, id, user), signal)),
    removeFile: (id, { path, recursive, user }, signal) =>
      use(context, id, (files) => files.remove(path, { ...asUser(context, id, user), recursive }, signal)),
    findAccount: (...args) => findAccount(context, ...args),
    changeMode: (id, { path, mode, user }) =>
      quick(context, id, (files, signal) => files.chmod(path, mode, asUser(context, id, user), signal)),
    changeOwner: (id, { path, uid, gid, user }) =>
      quick(context, id, (files, signal) => files.chown(path, uid, gid, asUser(context, id, user), signal)),
  }
}
