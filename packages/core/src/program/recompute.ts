/** Which values are computed again in the backward direction, where a policy recomputes. */
import type { Node } from "../graph/graph.ts"
import type { AnyOp, ValueType } from "../op.ts"
import { ops } from "../ops/index.ts"
import { size } from "../shape.ts"

/**
 * Maps that may have to run to have a value again. Each runs once a step at most, whatever this is; but all values of a stream that is
 * computed again are alive at once, so with no limit a policy that keeps one step would need more memory than without.
 */
const greatestDetour = 2

/**
 * Multiplications for each number that a map gives, at most, for it to be worth them: the last layers of a deep network take many for
 * few. Measured under BPTT: with maps of 3×3×256 kept, VGG-11 (T = 20) takes 1.79 s at 651 MB rather than 1.97 s at 580 MB, and
 * ResNet-18 (T = 6) 1.39 s at 679 MB rather than 1.43 s at 635 MB.
 */
const greatestPrice = 2048

/** Whether a node is a map by weights that costs more than the memory of what it gives. */
const isDear = ({ inputs: [, weight] }: Node, typeOf: (value: string) => ValueType): boolean => {
  const shape = weight === undefined ? [] : typeOf(weight).shape
  return size(shape.slice(0, -1)) > greatestPrice
}

/**
 * The values that are computed again where a policy recomputes: what maps and cheap ops give, and sums, of values that are kept anyway
 * or computed again themselves. Along a residual stream, where each value is the one before and what a map gave, some are kept, so that
 * none is more than `greatestDetour` maps away from what is kept.
 */
export const recomputed = (
  nodes: ReadonlyArray<Node>,
  typeOf: (value: string) => ValueType,
  inputsOf: (node: Node) => ReadonlyArray<string>,
  output: string,
): ReadonlySet<string> => {
  /** Maps that have to run; 0 where a value is kept, Infinity where it would have to be kept for this alone. */
  const detours = new Map<string, number>()
  const again = new Set<string>()
  for (const node of nodes) {
    const able = (ops.get(node.op) as AnyOp).recompute
    const how = able === "map" && isDear(node, typeOf) ? undefined : able
    const own = how === "map" ? 1 : 0
    const detour = inputsOf(node).reduce((sum, input) => sum + (detours.get(input) ?? 0), own)
    // The loss needs the read-out at once: to run its map again would save next to nothing.
    if (how !== undefined && detour <= greatestDetour && node.name !== output) again.add(node.name)
    const free = typeOf(node.name).elements === "spikes" || (how !== undefined && Number.isFinite(detour))
    detours.set(node.name, again.has(node.name) ? detour : free ? 0 : Number.POSITIVE_INFINITY)
  }
  return again
}
