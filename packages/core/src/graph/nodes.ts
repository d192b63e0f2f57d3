/** Properties of a graph's nodes: ops, states and temporal edges. */
import type { AnyOp, State } from "../op.ts"
import type { Graph, Node } from "./graph.ts"

/** The op of a node. */
export const opOf = ({ rule }: Pick<Node, "rule">): AnyOp => rule

/** The state that a node passes between time steps, if any. */
export const stateOf = (node: Node): State | undefined => opOf(node).state?.(node.attributes)

/** The temporal edge of a node that returns a value of an earlier step; `undefined` for other nodes. */
export const lagOf = (node: Node): { readonly steps: number; readonly edge: string } | undefined =>
  opOf(node).lag?.(node.attributes)

/** Names of all temporal edges of a graph, and of those that lead from one step to a later one. */
export const edgesOf = ({
  nodes,
}: Pick<Graph, "nodes">): { readonly all: ReadonlySet<string>; readonly lagged: ReadonlySet<string> } => {
  const lagged = new Set(nodes.flatMap((node) => lagOf(node)?.edge ?? stateOf(node)?.edges ?? []))
  return { lagged, all: new Set([...lagged, ...nodes.flatMap((node) => opOf(node).routes?.(node.attributes) ?? [])]) }
}

/** The nodes of spiking neurons, in order of execution. */
export const spikingLayers = ({ nodes, types }: Graph): ReadonlyArray<Node> =>
  nodes.filter((node) => stateOf(node) !== undefined && types.get(node.name)?.elements === "spikes")

/** The nodes of all read-outs by name, in order. An unnamed read-out has the name of its node. */
export const outputsOf = ({ output, outputs }: Pick<Graph, "output" | "outputs">): Readonly<Record<string, string>> =>
  outputs ?? { [output]: output }

/** Names of all states that a graph's nodes pass between steps, such as `lif1.membrane`. */
export const stateNames = ({ nodes }: Pick<Graph, "nodes">): ReadonlyArray<string> =>
  nodes.flatMap((node) => (stateOf(node)?.edges ?? []).map((edge) => `${node.name}.${edge}`))

/** The node of a state, and the index of its edge. */
export const stateNamed = (
  { nodes }: Pick<Graph, "nodes">,
  name: string,
): { readonly node: Node; readonly edge: number } | undefined => {
  for (const node of nodes) {
    const edge = (stateOf(node)?.edges ?? []).findIndex((each) => `${node.name}.${each}` === name)
    if (edge >= 0) return { node, edge }
  }
  return undefined
}
