/** Which values the backward direction recomputes, if a policy asks for it. */
import type { Node } from "../graph/graph.ts"
import { opOf } from "../graph/nodes.ts"
import type { ValueType } from "../op.ts"
import { size } from "../shape.ts"
import type { Analysis } from "./lower/analysis.ts"

/**
 * The largest number of weight layers to run in order to recompute a value. Each runs at most once per step in any case; but all
 * recomputed values of a residual stream are alive at once, so without a limit, a policy that stores one step would need more
 * memory than without recomputation.
 */
const longestChain = 2

/**
 * The largest number of multiplications per output element for which recomputing a weight layer is worthwhile; the last layers of a
 * deep network need many for few elements. Measured with BPTT: if the outputs of layers of 3×3×256 are stored, VGG-11 (T = 20)
 * takes 1.79 s and 651 MB instead of 1.97 s and 580 MB, and ResNet-18 (T = 6) 1.39 s and 679 MB instead of 1.43 s and 635 MB.
 */
const mostMultiplications = 2048

/** Whether a node is a weight layer whose output costs more to recompute than to store. */
const isExpensive = ({ inputs: [, weight] }: Node, typeOf: (value: string) => ValueType): boolean => {
  const shape = weight === undefined ? [] : typeOf(weight).shape
  return size(shape.slice(0, -1)) > mostMultiplications
}

/**
 * The values to recompute: outputs of weight layers and cheap ops, and sums, of values that are stored anyway or recomputed
 * themselves. Along a residual stream, in which each value is the previous one plus a layer's output, some values are stored, so
 * that none is more than `longestChain` weight layers away from a stored value.
 */
export const recomputed = ({ repeated, isMeasured, typeOf, inputsOf }: Analysis): ReadonlySet<string> => {
  /** Number of weight layers to run; 0 if the value is stored, Infinity if it would have to be stored for this purpose alone. */
  const chains = new Map<string, number>()
  const found = new Set<string>()
  for (const node of repeated) {
    const { recompute } = opOf(node)
    const how = recompute === "weights" && isExpensive(node, typeOf) ? undefined : recompute
    const own = how === "weights" ? 1 : 0
    const chain = inputsOf(node).reduce((sum, input) => sum + (chains.get(input) ?? 0), own)
    // The loss needs it immediately, so recomputing it would save almost nothing.
    if (how !== undefined && chain <= longestChain && !isMeasured(node.name)) found.add(node.name)
    const isStored = typeOf(node.name).elements === "spikes" || (how !== undefined && Number.isFinite(chain))
    chains.set(node.name, found.has(node.name) ? chain : isStored ? 0 : Number.POSITIVE_INFINITY)
  }
  return found
}
