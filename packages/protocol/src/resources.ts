import { duration, filePath, name, quantity, userName } from './resources/common.ts'

/** What the API speaks of. Answers tolerate fields that are new to a client; requests do not. */
export * from './resources/execution.ts'
export * from './resources/file.ts'
export * from './resources/network.ts'
export * from './resources/pause.ts'
export * from './resources/runtime.ts'
export * from './resources/sandbox.ts'
export * from './resources/server.ts'
export * from './resources/session.ts'
export * from './resources/snapshot.ts'
export * from './resources/storage.ts'
export * from './resources/template.ts'
export * from './resources/usage.ts'
export * from './resources/volume.ts'

export const Fields = { duration, quantity, filePath, userName, name }
