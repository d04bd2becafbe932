import { layersSuite } from '../conformance.ts'
import { LocalTreeHand } from '../local-tree-hand.ts'
import { OverlayLayers } from './index.ts'

layersSuite('overlay', (dataDir) => new OverlayLayers({ dataDir, hand: new LocalTreeHand(dataDir) }))
