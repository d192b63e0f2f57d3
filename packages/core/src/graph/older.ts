/** Compatibility with files written before leaky neurons and read-outs were expressions. */
import { leakyReadout, lif, plif } from "../layers.ts"
import { type Layer, named } from "./builder.ts"
import type { NodeData } from "./graph.ts"
import { makeUnsafe } from "./make.ts"

type Attributes = NodeData["attributes"]

const tau = ({ decay }: Attributes): number => 1 / (1 - (decay as number))

/** The layer that replaces an older op. */
const layers: Readonly<Record<string, (attributes: Attributes) => Layer>> = {
  neuron: ({ decay, ...firing }) => (decay === undefined ? plif(firing) : lif({ ...firing, tau: tau({ decay }) })),
  decay: () => plif(),
  leakyReadout: (attributes) => leakyReadout({ tau: tau(attributes) }),
}

/** Converts a node to the current form. */
export const renewed = (node: NodeData): NodeData => {
  const layer = Object.hasOwn(layers, node.op) ? layers[node.op]?.(node.attributes) : undefined
  if (layer === undefined) return node
  const { nodes } = makeUnsafe([1], named(node.name, layer))
  const { op, attributes } = nodes.at(node.op === "decay" ? 0 : -1) as NodeData
  return { ...node, op, attributes }
}
