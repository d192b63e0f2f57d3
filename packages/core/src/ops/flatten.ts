/**
 * Flatten: all axes become one, in memory order (channels last). It is a view: no instruction runs. PyTorch flattens channels
 * first; what has numbers for these features is reordered when weights are imported or exported.
 */
import { type Layer, leaf, NoOptions, node } from "../graph/builder.ts"
import { make } from "../op.ts"
import { size } from "../shape.ts"

export const flattenOp = make({
  name: "flatten",
  attributes: NoOptions,
  inputs: ["value"],
  infer: ([x]) => ({ ...x!, shape: [size(x!.shape)] }),
  view: () => true,
  forward: () => {},
  backward: () => {},
})

/** All axes as one. */
export const flatten = (options: Readonly<Record<string, never>> = {}): Layer =>
  leaf("flatten", NoOptions, options, (x, name) => node(x, name, flattenOp, {}, [x]))
