/** Input of any size, in constant memory. */
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create()

async function* lines(count: number) {
  for (let i = 1; i <= count; i++) yield `${i}\n`
}
const sum = await sandbox.exec(['awk', '{ total += $1 } END { print total }'], { stdin: lines(10_000) })
console.log(sum.stdout.trim())

// A conversation: stdin stays open, and each answer is read before the next question.
const cat = await sandbox.start(['cat'], { stdin: true })
const answers = cat[Symbol.asyncIterator]()
for (const word of ['one', 'two']) {
  await cat.stdin.write(`${word}\n`)
  const { value } = await answers.next()
  console.log('answer:', new TextDecoder().decode(value?.data).trim())
}
await cat.stdin.end()
console.log('exit code', (await cat.wait()).exitCode)
