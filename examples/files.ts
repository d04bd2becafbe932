/** Files in and out. */
import { Sandbox, SandboxError } from 'caisson'

await using sandbox = await Sandbox.create({ files: { 'data/numbers.txt': '3\n1\n2\n' } })

await sandbox.sh('sort data/numbers.txt > data/sorted.txt')
console.log((await sandbox.files.readText('data/sorted.txt')).split('\n').join(' ').trim())

await sandbox.files.write('bin/hello', '#!/bin/sh\necho hello\n', { mode: 0o755 })
console.log((await sandbox.exec(['./bin/hello'])).stdout.trim())

for (const file of await sandbox.files.list('data')) console.log(file.name, file.size)

try {
  await sandbox.files.read('missing.txt')
} catch (error) {
  if (SandboxError.is(error, 'file_not_found')) console.log('not found:', error.details.path)
}
