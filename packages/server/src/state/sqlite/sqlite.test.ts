import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { storeSuite } from '../conformance.ts'
import { openSqliteStore } from './index.ts'

const root = mkdtempSync(join(tmpdir(), 'caisson-store-'))
afterAll(() => rmSync(root, { recursive: true }))

storeSuite('sqlite', () => openSqliteStore(mkdtempSync(join(root, 'data-'))))
