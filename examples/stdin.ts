/** Input of any size, in constant memory. */
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create()

async function* lines(count: number) {
  for (let i = 1; i <= count; i++) yield `${i}\n`
}
const sum = await sandbox.exec(['awk', '{ total += $1 } END { print total }'], { stdin: lines(10_000) })
console.log(sum.stdout.trim())

// A conversation: stdin stays open, and each answer is read before the next question.
const questions = ['one', 'two', 'three']
const cat = await sandbox.start(['cat'], { stdin: true })
await cat.stdin.write(`${questions.shift()}\n`)
for await (const { data } of cat) {
  console.log('answer:', new TextDecoder().decode(data).trim())
  const next = questions.shift()
  if (next) await cat.stdin.write(`${next}\n`)
  else await cat.stdin.end()
}
console.log('exit code', (await cat.wait()).exitCode)
