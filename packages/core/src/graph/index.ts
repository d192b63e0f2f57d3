/** Graphs: what a network computes at one time step, and how it is built from layers. */
export {
  apply,
  block,
  type Layer,
  leaf,
  NoOptions,
  named,
  node,
  parameter,
  sequential,
  Tensor,
} from "./builder.ts"
export * from "./graph.ts"
export * from "./json.ts"
export { make, makeUnsafe, type Network } from "./make.ts"
