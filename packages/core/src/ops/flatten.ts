/**
 * Flatten: merges all axes into one, in memory order (channels last). It is a view: no instruction runs. PyTorch flattens channels
 * first, so weights that index these features are reordered on import and export.
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

/** Merges all axes into one: x [height, width, channels] → y [height·width·channels]. */
export const flatten = (options: Readonly<Record<string, never>> = {}): Layer =>
  leaf("flatten", NoOptions, options, (x, name) => node(x, name, flattenOp, {}, [x]))
