export * from './errors.ts'
export * from './operations.ts'
export * from './resources.ts'
export * from './stream.ts'
