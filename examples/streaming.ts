/** Output while it comes, and again after the command has ended. */
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create()

// A callback that returns a promise slows the command down to its own pace: nothing gathers in memory.
await sandbox.sh('for i in 1 2 3; do echo "line $i"; sleep 0.1; done', {
  onStdout: (text) => void process.stdout.write(text),
})

// A command that runs by itself: its output is kept by offset, and can be followed from any of them.
const execution = await sandbox.start(['sh', '-c', 'echo first; sleep 0.1; echo second >&2'])
for await (const { stream, offset, data } of execution) {
  console.log(`${stream} at ${offset}: ${new TextDecoder().decode(data).trim()}`)
}
const again = await sandbox.attach(execution.id, { offset: 6 })
console.log((await again.wait()).output.trim())
