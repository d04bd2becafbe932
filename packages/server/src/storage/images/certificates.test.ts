import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { certificates } from './certificates.ts'

const OURS = '-----BEGIN CERTIFICATE-----\nb3Vycw==\n-----END CERTIFICATE-----'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caisson-ca-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

test('has every certificate of the file once, and nothing else of it', async () => {
  const file = join(directory, 'ca.pem')
  await writeFile(
    file,
    `# a comment\n${OURS}\n-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n${OURS}\n`,
  )
  const text = await certificates(file)
  expect(text.split(OURS)).toHaveLength(2)
  expect(text).not.toContain('PRIVATE KEY')
  expect(text).not.toContain('comment')
})

test('a file that is absent or has no certificate is named', async () => {
  await expect(certificates(join(directory, 'absent.pem'))).rejects.toThrow(/build\.caFile.*absent\.pem/)
  const file = join(directory, 'empty.pem')
  await writeFile(file, 'nothing')
  await expect(certificates(file)).rejects.toThrow(/empty\.pem, has no PEM certificate/)
})
