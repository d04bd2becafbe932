/** How a command ended is told by evidence, and an exit code is never invented. */
import { ExecFailed, Sandbox, SandboxError } from 'caisson'

await using sandbox = await Sandbox.create()

const failed = await sandbox.sh('exit 3')
console.log(failed.ending, failed.exitCode)

const killed = await sandbox.sh('kill -9 $$')
console.log(killed.ending, killed.signal, killed.exitCode)

const late = await sandbox.sh('sleep 60', { timeout: '200ms' })
console.log(late.ending, late.exitCode)

try {
  await sandbox.exec(['no-such-program'])
} catch (error) {
  if (SandboxError.is(error, 'command_not_found')) console.log(error.code, error.details.command)
}

try {
  ;(await sandbox.sh('echo broken >&2; exit 1')).throwIfFailed()
} catch (error) {
  if (error instanceof ExecFailed) console.log('failed:', error.result.stderr.trim())
}
