import { storeSuite } from '../conformance.ts'
import { createMemoryStore } from './index.ts'

storeSuite('memory', async () => createMemoryStore())
