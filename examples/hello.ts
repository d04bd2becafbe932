/** A sandbox, a command, its result. Run it with: ./caisson setup && node examples/hello.ts */
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create()
const result = await sandbox.python('print(6 * 7)')
console.log(result.stdout.trim())
