/** What the nodes of a graph are: their ops, states and temporal edges. */
import type { AnyOp, State } from "../op.ts"
import type { Graph, Node } from "./graph.ts"

/** The op of a node of a graph. */
export const opOf = ({ rule }: Pick<Node, "rule">): AnyOp => rule

/** What a node leaves from one time step for the next, if anything. */
export const stateOf = (node: Node): State | undefined => opOf(node).state?.(node.attributes)

/** The temporal edge by which a node gives a value of an earlier step, if it is such a node. */
export const lagOf = (node: Node): { readonly steps: number; readonly edge: string } | undefined =>
  opOf(node).lag?.(node.attributes)

/** Names of the temporal edges of a graph, and of those among them that lead from one step to a later one. */
export const edgesOf = ({
  nodes,
}: Pick<Graph, "nodes">): { readonly all: ReadonlySet<string>; readonly lagged: ReadonlySet<string> } => {
  const lagged = new Set(nodes.flatMap((node) => lagOf(node)?.edge ?? stateOf(node)?.edges ?? []))
  return { lagged, all: new Set([...lagged, ...nodes.flatMap((node) => opOf(node).routes?.(node.attributes) ?? [])]) }
}

/** The layers of spiking neurons, in order of execution. */
export const spikingLayers = ({ nodes, types }: Graph): ReadonlyArray<Node> =>
  nodes.filter((node) => stateOf(node) !== undefined && types.get(node.name)?.elements === "spikes")

/** The nodes of all read-outs by name, the first of them first; one that has no name goes by its node's. */
export const outputsOf = ({ output, outputs }: Pick<Graph, "output" | "outputs">): Readonly<Record<string, string>> =>
  outputs ?? { [output]: output }

/** Names of the states that a graph's nodes leave from step to step, as `lif1.membrane`. */
export const stateNames = ({ nodes }: Pick<Graph, "nodes">): ReadonlyArray<string> =>
  nodes.flatMap((node) => (stateOf(node)?.edges ?? []).map((edge) => `${node.name}.${edge}`))

/** The node of a state and which of its edges it is. */
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
