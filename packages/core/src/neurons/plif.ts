/**
 * Parametric leaky integrate-and-fire neurons (Fang et al., ICCV 2021): the layer learns its time constant through one number
 * w, with 1/τ = σ(w) and so λ = 1 − σ(w). λ depends on a parameter alone: a program computes it once a batch.
 */
import { Schema } from "effect"
import { GraphError } from "../errors.ts"
import { type Layer, leaf, node, parameter } from "../graph/builder.ts"
import { elementwise, make as kernel } from "../kernel.ts"
import { make } from "../op.ts"
import type { LifOptions } from "./lif.ts"
import { firing, neuronOp } from "./neuron.ts"

/** λ = 1 − σ(w) = 1/(1 + eʷ) */
export const decayForward = kernel()({
  name: "decay.forward",
  operands: { w: "read", decay: "write" },
  cost: () => elementwise(1, 1, 1),
  run: ({ w, decay }) => {
    decay.data[0] = 1 / (1 + Math.exp(w.data[0]!))
  },
})

/** ∂w = −λ·(1 − λ)·∂λ */
export const decayBackward = kernel()({
  name: "decay.backward",
  operands: { decay: "read", outputGradient: "read", wGradient: "gradient" },
  cost: () => elementwise(1, 2, 2),
  run: ({ decay, outputGradient, wGradient }) => {
    wGradient.data[0]! -= decay.data[0]! * (1 - decay.data[0]!) * outputGradient.data[0]!
  },
})

export const decayOp = make({
  name: "decay",
  attributes: Schema.Struct({}),
  infer: ([w]) => w!,
  forward: ({ emit, input, output }) => emit(decayForward, { w: input(0), decay: output }),
  backward: ({ emit, output, outputGradient, gradient }) =>
    outputGradient && emit(decayBackward, { decay: output, outputGradient, wGradient: gradient(0) }),
})

/** Parametric LIF neurons; `tau` is where the time constant starts (more than 1, default 2), `<name>.w` the parameter. */
export const plif = ({ tau = 2, ...options }: LifOptions = {}): Layer =>
  leaf("plif", (x, name) => {
    if (!(tau > 1)) throw new GraphError({ node: name, reason: `plif: τ starts at ${tau}; it must be more than 1` })
    const w = parameter(x, `${name}.w`, [], { kind: "constant", value: Math.log(1 / (tau - 1)) })
    return node(x, name, neuronOp, firing(options), [x, node(x, `${name}.decay`, decayOp, {}, [w])])
  })
