/** Addition of two values of the same shape, as at the end of a residual block: y = a + b. */
import { apply, block, type Layer, leaf, NoOptions, node, type Tensor } from "../graph/builder.ts"
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { equals, format, size } from "../shape.ts"

export const addForward = kernel()({
  name: "add.forward",
  operands: { a: "read", b: "read", y: "write" },
})

export const addForwardReference: Reference<typeof addForward> = {
  cost: ({ y }) => elementwise(size(y.shape), 0, 1),
  run: ({ a, b, y }) => {
    for (let i = 0; i < y.data.length; i++) y.data[i] = a.data[i]! + b.data[i]!
  },
}

/** ∂a += ∂y; once for each of the two. */
export const addBackward = kernel()({
  name: "add.backward",
  operands: { outputGradient: "read", inputGradient: "gradient" },
})

export const addBackwardReference: Reference<typeof addBackward> = {
  cost: ({ outputGradient }) => elementwise(size(outputGradient.shape), 0, 1),
  run: ({ outputGradient, inputGradient }) => {
    for (let i = 0; i < outputGradient.data.length; i++) inputGradient.data[i]! += outputGradient.data[i]!
  },
}

export const addOp = make({
  name: "add",
  attributes: NoOptions,
  inputs: ["value", "value"],
  infer: ([a, b], _, fail) => {
    if (!equals(a!.shape, b!.shape))
      fail(`the two inputs are ${format(a!.shape)} and ${format(b!.shape)}; they must be the same`)
    if (a!.batched !== b!.batched) fail("one of the two inputs is an activation, the other is not")
    return { ...a!, elements: "float32" }
  },
  recompute: "sum",
  forward: ({ emit, input, output }) => emit(addForward, { a: input(0), b: input(1), y: output }),
  backward: ({ emit, outputGradient, gradient }) => {
    if (outputGradient === undefined) return
    for (const i of [0, 1]) {
      const inputGradient = gradient(i)
      if (inputGradient) emit(addBackward, { outputGradient, inputGradient })
    }
  },
})

/** a + b. */
export const add = (a: Tensor, b: Tensor): Tensor =>
  leaf("add", NoOptions, {}, (x, name) => node(x, name, addOp, {}, [x, b]))(a)

/** A residual block: body(x) + shortcut(x), the shortcut being x itself unless given. */
export const residual = (body: Layer, shortcut: Layer = (x) => x): Layer =>
  block((x) => add(apply(body, x, "body"), apply(shortcut, x, "shortcut")))
