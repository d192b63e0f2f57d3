/** Which weight layers have a presynaptic trace, and how it decays. */
import { Effect } from "effect"
import { PolicyError } from "../errors.ts"
import type { Graph, Node } from "../graph/graph.ts"
import { opOf } from "../ops/index.ts"
import type { Policy } from "../policies/policy.ts"

/** The factor λ of a trace's leak: a number, or the value of the graph that holds it where neurons learn it. */
export type Decay = number | { readonly value: string }

/** The decay of a node with state. */
const decayOf = (node: Node): Decay | undefined => {
  const decay = opOf(node).state?.(node.attributes)?.decay
  return typeof decay === "object" ? { value: node.inputs[decay.input] as string } : decay
}

/**
 * By name, the weight layers whose input comes from neurons, with the decay of its trace; none if the policy keeps no traces.
 * Fails where the neurons that an input comes from have different decays and the policy names none.
 */
export const tracesOf = (
  graph: Graph,
  policy: Pick<Policy, "name" | "trace">,
): Effect.Effect<ReadonlyMap<string, Decay>, PolicyError> =>
  Effect.gen(function* () {
    const traces = new Map<string, Decay>()
    if (policy.trace === undefined) return traces
    const nodes = new Map(graph.nodes.map((node) => [node.name, node]))
    const known = new Map<string, ReadonlySet<Node>>()
    /** The nearest nodes with state that a value comes from. */
    const sources = (value: string): ReadonlySet<Node> => {
      const node = nodes.get(value)
      if (node === undefined) return new Set()
      if (opOf(node).state?.(node.attributes)) return new Set([node])
      const before = known.get(value)
      if (before) return before
      // Values that are fed back come from themselves as well.
      known.set(value, new Set())
      const found = new Set(node.inputs.flatMap((input) => [...sources(input)]))
      known.set(value, found)
      return found
    }
    for (const node of graph.nodes) {
      if (!opOf(node).hasWeights) continue
      const before = [...sources(node.inputs[0] as string)].map(decayOf)
      const [first] = before
      if (before.length === 0) continue
      if (policy.trace !== "presynaptic") traces.set(node.name, policy.trace)
      else if (first !== undefined && before.every((other) => same(other, first))) traces.set(node.name, first)
      else
        return yield* new PolicyError({
          policy: policy.name,
          reason: `the input of ${node.name} comes from neurons with different decays, so its trace needs one: Policy.trace(0.5)`,
        })
    }
    return traces
  })

const same = (a: Decay | undefined, b: Decay): boolean =>
  a === undefined || typeof a === "number" || typeof b === "number" ? a === b : a.value === b.value
