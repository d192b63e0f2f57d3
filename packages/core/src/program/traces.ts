/** Which weight layers have a presynaptic trace, and the decay of each. */
import { Effect } from "effect"
import { PolicyError } from "../errors.ts"
import type { Graph, Node } from "../graph/graph.ts"
import { opOf, stateOf } from "../graph/nodes.ts"
import type { Policy } from "../policies/policy.ts"
import { size } from "../shape.ts"

/** The decay λ of a trace: a number, or the name of the graph's value that holds it if it is trained. */
export type Decay = number | { readonly value: string }

/** The decay of a node with state; `undefined` if its elements differ. */
const decayOf = (node: Node, { types }: Graph): Decay | undefined => {
  const decay = stateOf(node)?.decay
  if (typeof decay !== "object") return decay
  const value = node.inputs[decay.input] as string
  return size(types.get(value)?.shape ?? []) === 1 ? { value } : undefined
}

/**
 * The weight layers whose input comes from neurons, and the decays of their traces; empty if the policy keeps no traces. Fails with
 * a PolicyError if an input comes from neurons with different decays and the policy gives none.
 */
export const tracesOf = (
  graph: Graph,
  policy: Pick<Policy, "name" | "trace">,
): Effect.Effect<ReadonlyMap<string, Decay>, PolicyError> =>
  Effect.gen(function* () {
    const traces = new Map<string, Decay>()
    if (policy.trace === undefined) return traces
    const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
    /** The nearest nodes with state that a value is computed from. A value fed back also comes from itself. */
    const sources = (value: string, seen: Set<string> = new Set()): ReadonlyArray<Node> => {
      const node = nodes.get(value)
      if (node === undefined || seen.has(value)) return []
      seen.add(value)
      return stateOf(node) ? [node] : node.inputs.flatMap((input) => sources(input, seen))
    }
    for (const node of graph.nodes) {
      if (!opOf(node).hasWeights) continue
      const before = sources(node.inputs[0] as string).map((source) => decayOf(source, graph))
      const [first] = before
      if (before.length === 0) continue
      if (policy.trace !== "presynaptic") traces.set(node.name, policy.trace)
      else if (first !== undefined && before.every((other) => same(other, first))) traces.set(node.name, first)
      else
        return yield* new PolicyError({
          policy: policy.name,
          reason: `the input of ${node.name} comes from neurons with different decays; give the trace a decay: Policy.trace(0.5)`,
        })
    }
    return traces
  })

const same = (a: Decay | undefined, b: Decay): boolean =>
  a === undefined || typeof a === "number" || typeof b === "number" ? a === b : a.value === b.value
