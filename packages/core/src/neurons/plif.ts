/**
 * Parametric leaky integrate-and-fire neurons (Fang et al., ICCV 2021): the layer learns its time constant through one number
 * w, with 1/τ = σ(w) and so λ = 1 − σ(w). λ depends on a parameter alone: a program computes it once a batch.
 */
import { Schema } from "effect"
import { type Layer, leaf, NoOptions, node, parameter } from "../graph/builder.ts"
import { elementwise, make as kernel, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { must } from "../options.ts"
import { mustBe } from "../shape.ts"
import type { LifOptions } from "./lif.ts"
import { FiringSchema, firing, neuronOp } from "./neuron.ts"

/** λ = 1 − σ(w) = 1/(1 + eʷ) */
export const decayForward = kernel()({
  name: "decay.forward",
  operands: { w: "read", decay: "write" },
})

export const decayForwardReference: Reference<typeof decayForward> = {
  cost: () => elementwise(1, 1, 1),
  run: ({ w, decay }) => {
    decay.data[0] = 1 / (1 + Math.exp(w.data[0]!))
  },
}

/** ∂w = −λ·(1 − λ)·∂λ */
export const decayBackward = kernel()({
  name: "decay.backward",
  operands: { decay: "read", outputGradient: "read", wGradient: "gradient" },
})

export const decayBackwardReference: Reference<typeof decayBackward> = {
  cost: () => elementwise(1, 2, 2),
  run: ({ decay, outputGradient, wGradient }) => {
    wGradient.data[0]! -= decay.data[0]! * (1 - decay.data[0]!) * outputGradient.data[0]!
  },
}

export const decayOp = make({
  name: "decay",
  attributes: NoOptions,
  inputs: ["parameter"],
  infer: ([w], _, fail) => {
    mustBe("parameter", w!.shape, [], fail)
    return w!
  },
  forward: ({ emit, input, output }) => emit(decayForward, { w: input(0), decay: output }),
  backward: ({ emit, output, outputGradient, gradient }) =>
    outputGradient && emit(decayBackward, { decay: output, outputGradient, wGradient: gradient(0) }),
})

export const PlifSchema: Schema.Codec<LifOptions> = Schema.Struct({
  ...FiringSchema.fields,
  // 1/(τ − 1) = eʷ, for a w that is finite.
  tau: Schema.optionalKey(Schema.Finite.check(must("a finite number greater than 1", (tau) => tau > 1))),
})

/**
 * Parametric LIF neurons; `tau` is where the time constant starts (finite and more than 1, default 2), `<name>.w` the parameter.
 */
export const plif = (options: LifOptions = {}): Layer =>
  leaf("plif", PlifSchema, options, (x, name, { tau = 2, ...given }) => {
    const w = parameter(x, `${name}.w`, [], { kind: "constant", value: Math.log(1 / (tau - 1)) })
    return node(x, name, neuronOp, firing(given), [x, node(x, `${name}.decay`, decayOp, {}, [w])])
  })
