import { layersSuite } from '../conformance.ts'
import { MemoryLayers } from './index.ts'

layersSuite('memory', () => ({ layers: new MemoryLayers() }), {
  'roots are on disk': 'memory makes no directories',
  'outlives the server': 'memory is gone with its server',
  'keeps only': 'memory has no files',
  limits: 'memory has no files',
  counts: 'memory has no files',
})
