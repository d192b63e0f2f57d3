/** Which values the backward direction recomputes, where a policy asks for it. */
import type { Node } from "../graph/graph.ts"
import { opOf } from "../graph/nodes.ts"
import type { ValueType } from "../op.ts"
import { size } from "../shape.ts"
import type { Analysis } from "./lower/analysis.ts"

/**
 * The most weight layers that may have to run to recompute a value. Each runs once a step at most, whatever this is; but all values of a
 * stream that is recomputed are alive at once, so without a limit a policy that stores one step would need more memory than without.
 */
const longestChain = 2

/**
 * The most multiplications for each element of a weight layer's output for which recomputing it is worth its memory: the last layers of a
 * deep network take many for few. Measured under BPTT: with the outputs of layers of 3×3×256 stored, VGG-11 (T = 20) takes 1.79 s at
 * 651 MB rather than 1.97 s at 580 MB, and ResNet-18 (T = 6) 1.39 s at 679 MB rather than 1.43 s at 635 MB.
 */
const mostMultiplications = 2048

/** Whether a node is a weight layer whose output costs more to recompute than to store. */
const isExpensive = ({ inputs: [, weight] }: Node, typeOf: (value: string) => ValueType): boolean => {
  const shape = weight === undefined ? [] : typeOf(weight).shape
  return size(shape.slice(0, -1)) > mostMultiplications
}

/**
 * The values that are recomputed where a policy asks for it: outputs of weight layers and cheap ops, and sums, of values that are stored
 * anyway or recomputed themselves. Along a residual stream, where each value is the one before plus a layer's output, some are stored, so
 * that none is more than `longestChain` weight layers away from what is stored.
 */
export const recomputed = ({ repeated, isMeasured, typeOf, inputsOf }: Analysis): ReadonlySet<string> => {
  /** Weight layers that have to run; 0 if a value is stored, Infinity if it would have to be stored for this alone. */
  const chains = new Map<string, number>()
  const found = new Set<string>()
  for (const node of repeated) {
    const { recompute } = opOf(node)
    const how = recompute === "weights" && isExpensive(node, typeOf) ? undefined : recompute
    const own = how === "weights" ? 1 : 0
    const chain = inputsOf(node).reduce((sum, input) => sum + (chains.get(input) ?? 0), own)
    // The loss needs it at once: to recompute it would save next to nothing.
    if (how !== undefined && chain <= longestChain && !isMeasured(node.name)) found.add(node.name)
    const isStored = typeOf(node.name).elements === "spikes" || (how !== undefined && Number.isFinite(chain))
    chains.set(node.name, found.has(node.name) ? chain : isStored ? 0 : Number.POSITIVE_INFINITY)
  }
  return found
}
