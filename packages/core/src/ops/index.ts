/** The table of ops: a file and a line here for each. */

import type { Graph, Node } from "../graph/graph.ts"
import { readoutOp } from "../neurons/leaky-readout.ts"
import { neuronOp } from "../neurons/neuron.ts"
import { decayOp } from "../neurons/plif.ts"
import type { AnyOp, State } from "../op.ts"
import { adaptiveAveragePoolOp } from "./adaptive-average-pool.ts"
import { addOp } from "./add.ts"
import { averagePoolOp } from "./average-pool.ts"
import { batchNormOp } from "./batch-norm.ts"
import { conv2dOp } from "./conv2d.ts"
import { delayOp } from "./delay.ts"
import { dropoutMaskOp, dropoutOp } from "./dropout.ts"
import { elementwiseOp } from "./elementwise.ts"
import { flattenOp } from "./flatten.ts"
import { gainOp } from "./gain.ts"
import { linearOp } from "./linear.ts"
import { maxPoolOp } from "./max-pool.ts"
import { scaleOp } from "./scale.ts"
import { weightStandardizationOp } from "./weight-standardization.ts"

/** Every op by name. */
export const ops: ReadonlyMap<string, AnyOp> = new Map(
  [
    linearOp,
    conv2dOp,
    weightStandardizationOp,
    batchNormOp,
    averagePoolOp,
    adaptiveAveragePoolOp,
    maxPoolOp,
    flattenOp,
    dropoutMaskOp,
    dropoutOp,
    addOp,
    scaleOp,
    gainOp,
    neuronOp,
    decayOp,
    readoutOp,
    elementwiseOp,
    delayOp,
  ].map((op: AnyOp) => [op.name, op]),
)

/** The op of a node of a graph. */
export const opOf = ({ op }: { readonly op: string }): AnyOp => ops.get(op) as AnyOp

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
