import { layersSuite } from '../conformance.ts'
import { MemoryLayers } from './index.ts'

layersSuite('memory', () => new MemoryLayers(), {
  'roots are on disk': 'memory makes no directories',
  'outlives the server': 'memory is gone with its server',
})
