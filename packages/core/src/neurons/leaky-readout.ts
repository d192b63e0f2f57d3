/**
 * Leaky read-out: a membrane that never fires, and whose potential is the output: y[t] = v[t] = λ·v[t−1] + x[t].
 * Backward: ∂x[t] = ∂y[t] + ∂v[t],  ∂v[t−1] = λ·∂x[t], the latter where the policy routes gradient through the membrane.
 */
import { Schema } from "effect"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make, sameShape } from "../op.ts"
import { type Of, Share } from "../options.ts"
import { size } from "../shape.ts"
import { TimeConstant } from "./neuron.ts"

export interface ReadoutAttributes {
  readonly decay: number
}

export const readoutForward = kernel<ReadoutAttributes>()({
  name: "readout.forward",
  operands: { x: "read", before: "read", membrane: "write", y: "write" },
})

export const readoutForwardReference: Reference<typeof readoutForward> = {
  cost: ({ x }) => elementwise(size(x.shape), 1, 1),
  run: ({ x, before, membrane, y }, { decay }) => {
    for (let i = 0; i < x.data.length; i++) {
      membrane.data[i] = decay * before.data[i]! + x.data[i]!
      y.data[i] = membrane.data[i]!
    }
  },
}

export const readoutBackward = kernel<ReadoutAttributes>()({
  name: "readout.backward",
  operands: { outputGradient: "read?", carry: "update?", inputGradient: "gradient" },
})

export const readoutBackwardReference: Reference<typeof readoutBackward> = {
  cost: ({ inputGradient }) => elementwise(size(inputGradient.shape), 1, 2),
  run: ({ outputGradient, carry, inputGradient }, { decay }) => {
    for (let i = 0; i < inputGradient.data.length; i++) {
      const gradient = (outputGradient?.data[i] ?? 0) + (carry?.data[i] ?? 0)
      inputGradient.data[i]! += gradient
      if (carry) carry.data[i] = decay * gradient
    }
  },
}

export const readoutOp = make<ReadoutAttributes>({
  name: "leakyReadout",
  attributes: Schema.Struct({ decay: Share }),
  inputs: ["activation"],
  infer: sameShape,
  cell: ({ decay }) => ({
    ...{ inputs: 1, parameters: 0, states: ["membrane"], initial: [0], next: [4], output: 4 },
    code: [
      ["leaf", "s.0"],
      ["constant", decay],
      ["multiply", 0, 1],
      ["leaf", "x0"],
      ["add", 2, 3],
    ],
  }),
  state: ({ decay }) => ({
    ...{ planes: 1, rest: [0], edges: ["membrane"], kept: false, keptBefore: false, decay },
    read: () => ({ code: [["leaf", "before.0"]], y: 0, firstParameter: 1 }),
  }),
  forward: ({ emit, input, output, state, attributes }) => {
    const { now, before } = state()
    emit(readoutForward, { x: input(0), before, membrane: now, y: output }, { ...attributes })
  },
  backward: ({ emit, outputGradient, carry, gradient, attributes }) => {
    if (outputGradient === undefined && carry === undefined) return
    const inputGradient = gradient(0)
    if (inputGradient) emit(readoutBackward, { outputGradient, carry, inputGradient }, { ...attributes })
  },
})

export const LeakyReadoutSchema: Of<{ readonly tau?: number }> = Schema.Struct({
  tau: Schema.optionalKey(TimeConstant),
})

/** A leaky read-out. `tau` is its time constant in time steps (at least 1, default 2); λ = 1 − 1/τ. */
export const leakyReadout = (options: { readonly tau?: number } = {}): Layer =>
  leaf("leakyReadout", LeakyReadoutSchema, options, (x, name, { tau = 2 }) =>
    node(x, name, readoutOp, { decay: 1 - 1 / tau }, [x]),
  )
