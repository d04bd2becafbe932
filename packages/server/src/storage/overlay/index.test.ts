import { layersSuite } from '../conformance.ts'
import { LocalTreeHand } from '../local-tree-hand.ts'
import { OverlayLayers } from './index.ts'

layersSuite(
  'overlay',
  (dataDir) => ({ layers: new OverlayLayers({ dataDir, hand: new LocalTreeHand(dataDir) }) }),
  {
    saves: 'an overlay has none',
    volumes: 'they are directories of a pool',
    'keeps only': 'the hand of this test cannot; the launcher can',
    limits: 'the file system is shared',
    counts: 'the file system is shared',
  },
)
