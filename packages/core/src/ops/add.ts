/** Addition of two values of the same shape, as at the end of a residual block: y = a + b. */
import { apply, block, type Layer, leaf, NoOptions, node, type Tensor } from "../graph/builder.ts"
import { expressed } from "./elementwise.ts"

export const addOp = expressed({
  name: "add",
  attributes: NoOptions,
  inputs: ["value", "value"],
  recompute: "sum",
  body: ([a, b]) => a!.plus(b!),
})

/** a + b. */
export const add = (a: Tensor, b: Tensor): Tensor =>
  leaf("add", NoOptions, {}, (x, name) => node(x, name, addOp, {}, [x, b]))(a)

/** A residual block: body(x) + shortcut(x). The default shortcut is the identity. */
export const residual = (body: Layer, shortcut: Layer = (x) => x): Layer =>
  block((x) => add(apply(body, x, "body"), apply(shortcut, x, "shortcut")))
