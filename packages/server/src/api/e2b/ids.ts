export { fromSandboxId, toSandboxId } from '../../core/sandbox-id.ts'
