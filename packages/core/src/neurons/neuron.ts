/**
 * A spiking neuron with a decaying membrane, for one time step:
 *
 *     u[t] = λ·v[t−1] + x[t]        charge
 *     s[t] = [u[t] ≥ threshold]     fire
 *     v[t] = reset(u[t], s[t])      reset
 *
 * The state kept between steps is u, the potential before the reset: v follows from it exactly, and the backward direction
 * needs u itself. So a policy that trains each step as soon as it has run keeps nothing more than the state.
 *
 * Backward, with ∂v[t] the gradient that arrives from step t+1 where the policy routes it through the membrane:
 *
 *     ∂u[t] = (∂s[t] + ∂v[t]·∂v/∂s)·g(u[t] − threshold) + ∂v[t]·∂v/∂u
 *     ∂x[t] = ∂u[t],   ∂v[t−1] = λ·∂u[t],   ∂λ = Σ ∂u[t]·v[t−1]
 *
 * The term ∂v/∂s is the route through the reset.
 */
import { Schema } from "effect"
import type { Cell } from "../expressions/cell.ts"
import { type Code, encode, shared } from "../expressions/code.ts"
import { fire as fireAt, leaf } from "../expressions/expression.ts"
import { addCost, elementwise, make as kernel, type Operand, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { averagePoolBackwardReference } from "../ops/average-pool.ts"
import { tiles } from "../ops/pixels.ts"
import { Flag, must, type Of, Positive, Share } from "../options.ts"
import { mustBe, type Shape, size } from "../shape.ts"
import { bind, checkedExpressionOf, type SurrogateOptions, SurrogateSchema } from "../surrogates/index.ts"
import { type Reset, ResetSchema, resets } from "./reset.ts"
import { afterReset as resetExpression } from "./reset-expression.ts"

export interface Firing {
  readonly threshold: number
  readonly reset: Reset
  readonly surrogate: SurrogateOptions
  /**
   * Fire the surrogate's primitive G(u − threshold) in place of the step: for checking gradients. What G fires at the first
   * u = 0 counts as a spike like any other, so a soft reset starts v there at −threshold·G(−threshold).
   */
  readonly smooth?: true
}

/** Attributes of a neuron: λ is an attribute, or the second input where it is learnt. */
export const NeuronSchema = Schema.Struct({
  threshold: Positive,
  reset: ResetSchema,
  surrogate: SurrogateSchema,
  smooth: Schema.optionalKey(Schema.Literal(true)),
  decay: Schema.optionalKey(Share),
})

export interface NeuronAttributes extends Firing {
  readonly decay?: number
}

/** s as a function of z = u − threshold. */
const fire = ({ surrogate, smooth }: Firing): ((z: number) => number) =>
  smooth ? bind(surrogate).primitive : (z) => (z >= 0 ? 1 : 0)

/** v as a function of u. */
const resetPotential = (firing: Firing): ((u: number) => number) => {
  const spike = fire(firing)
  const { after } = resets[firing.reset]
  return (u) => after(u, spike(u - firing.threshold), firing.threshold)
}

export const neuronForward = kernel<NeuronAttributes>()({
  name: "neuron.forward",
  operands: { x: "read", before: "read", decay: "read?", membrane: "write", spikes: "write" },
})

export const neuronForwardReference: Reference<typeof neuronForward> = {
  cost: ({ x }) => elementwise(size(x.shape), 1, 2),
  run: ({ x, before, decay, membrane, spikes }, attributes) => {
    const spike = fire(attributes)
    const potential = resetPotential(attributes)
    const factor = decay?.data[0] ?? attributes.decay ?? 1
    for (let i = 0; i < x.data.length; i++) {
      const u = Math.fround(factor * potential(before.data[i]!) + x.data[i]!)
      membrane.data[i] = u
      spikes.data[i] = spike(u - attributes.threshold)
    }
  },
}

/** The gradient of each neuron from that of the pool behind them. */
const spread = (outputGradient: Operand, shape: Shape, pool: number): Operand => {
  const inputGradient = { shape, data: new Float32Array(size(shape)) }
  averagePoolBackwardReference.run({ outputGradient, inputGradient }, tiles(pool))
  return inputGradient
}

export interface NeuronBackwardAttributes extends NeuronAttributes {
  readonly resetGradient: boolean
  /** The output gradient is that of the average pool behind the neurons, whose windows have this size and lie side by side. */
  readonly pool?: number
}

export const neuronBackward = kernel<NeuronBackwardAttributes>()({
  name: "neuron.backward",
  operands: {
    membrane: "read",
    outputGradient: "read?",
    carry: "update?",
    before: "read?",
    decay: "read?",
    inputGradient: "gradient?",
    decayGradient: "gradient?",
  },
})

export const neuronBackwardReference: Reference<typeof neuronBackward> = {
  cost: ({ membrane, outputGradient, carry, decayGradient }, { pool }) => {
    const each = 2 + (carry ? 2 : 0) + (decayGradient ? 1 : 0)
    const own = elementwise(size(membrane.shape), each, each)
    return pool && outputGradient
      ? addCost(own, averagePoolBackwardReference.cost({ outputGradient, inputGradient: membrane }, tiles(pool)))
      : own
  },
  run: ({ membrane, outputGradient, carry, before, decay, inputGradient, decayGradient }, attributes) => {
    const { threshold, reset, surrogate, resetGradient, pool } = attributes
    const spike = fire(attributes)
    const potential = resetPotential(attributes)
    const { gradient } = bind(surrogate)
    const arrived = pool && outputGradient ? spread(outputGradient, membrane.shape, pool) : outputGradient
    const { byMembrane, bySpike } = resets[reset]
    const factor = decay?.data[0] ?? attributes.decay ?? 1
    let decaySum = 0
    for (let i = 0; i < membrane.data.length; i++) {
      const u = membrane.data[i]!
      let membraneGradient = (arrived?.data[i] ?? 0) * gradient(u - threshold)
      if (carry) {
        const arriving = carry.data[i]!
        if (resetGradient) membraneGradient += arriving * bySpike(u, threshold) * gradient(u - threshold)
        membraneGradient += arriving * byMembrane(spike(u - threshold))
        carry.data[i] = factor * membraneGradient
      }
      if (inputGradient) inputGradient.data[i]! += membraneGradient
      if (before) decaySum += membraneGradient * potential(before.data[i]!)
    }
    if (decayGradient) decayGradient.data[0]! += decaySum
  },
}

/** v of u and the output s, as code. */
const afterReset: { readonly [R in Reset]: (threshold: number) => Code } = {
  none: () => [["leaf", "before.0"]],
  soft: (threshold) => [
    ...([
      ["leaf", "before.0"],
      ["leaf", "x0"],
    ] as const),
    ["constant", threshold],
    ["multiply", 1, 2],
    ["subtract", 0, 3],
  ],
  hard: () => [
    ...([
      ["leaf", "before.0"],
      ["leaf", "x0"],
    ] as const),
    ["constant", 1],
    ["subtract", 2, 1],
    ["multiply", 0, 3],
  ],
}

const cells = new WeakMap<NeuronAttributes, Cell>()

/** The same as an expression. */
const cellOf = (attributes: NeuronAttributes): Cell => {
  const found = cells.get(attributes)
  if (found) return found
  const { threshold, reset, surrogate, smooth, decay } = attributes
  const u = leaf("s.0")
    .times(decay ?? leaf("p0"))
    .plus(leaf("x0"))
  const spike = fireAt(u.minus(threshold), checkedExpressionOf(surrogate))
  const { code, places } = encode(shared([resetExpression(reset, u, spike, threshold), spike]))
  const made: Cell = {
    inputs: 1,
    parameters: decay === undefined ? 1 : 0,
    states: ["membrane"],
    initial: [0],
    code,
    next: places.slice(0, 1),
    output: places[1] as number,
    ...(smooth ? { smooth } : {}),
  }
  cells.set(attributes, made)
  return made
}

export const neuronOp = make<NeuronAttributes>({
  name: "neuron",
  attributes: NeuronSchema,
  inputs: ["activation", "parameter?"],
  infer: ([x, learnt], { smooth, decay }, fail) => {
    if ((learnt === undefined) === (decay === undefined))
      fail("the decay must be either an attribute or the second input")
    if (learnt) mustBe("decay", learnt.shape, [], fail)
    return { shape: x!.shape, elements: smooth ? "float32" : "spikes", batched: true }
  },
  cell: (attributes) => cellOf(attributes),
  routes: ({ reset }) => (reset === "none" ? [] : ["reset"]),
  state: ({ decay, reset, threshold }) => ({
    planes: 1,
    rest: [0],
    edges: ["membrane"],
    kept: true,
    keptBefore: decay === undefined,
    decay: decay ?? { input: 1 },
    read: () => ({ code: afterReset[reset](threshold), y: reset === "none" ? 0 : 4, firstParameter: 1 }),
  }),
  forward: ({ emit, input, arity, output, state, attributes }) => {
    const { now, before } = state()
    const decay = arity > 1 ? input(1) : undefined
    emit(neuronForward, { x: input(0), before, decay, membrane: now, spikes: output }, attributes)
  },
  backward: ({ emit, input, arity, state, outputGradient, carry, gradient, isCut, attributes }) => {
    if (outputGradient === undefined && carry === undefined) return
    const learnt = arity > 1
    const { now, before } = state()
    emit(
      neuronBackward,
      {
        membrane: now,
        outputGradient,
        carry,
        before: learnt ? before : undefined,
        decay: learnt ? input(1) : undefined,
        inputGradient: gradient(0),
        decayGradient: learnt ? gradient(1) : undefined,
      },
      { ...attributes, resetGradient: !isCut("reset") },
    )
  },
})

export interface FiringOptions {
  /** Greater than 0. Default 1. */
  readonly threshold?: number
  /** Default "soft". */
  readonly reset?: Firing["reset"]
  /** Default triangle, α = 1. */
  readonly surrogate?: Firing["surrogate"]
  /** Fire the surrogate's primitive in place of the step: for checking gradients. */
  readonly smooth?: boolean
}

export const FiringSchema: Of<FiringOptions> = Schema.Struct({
  threshold: Schema.optionalKey(Positive),
  reset: Schema.optionalKey(ResetSchema),
  surrogate: Schema.optionalKey(SurrogateSchema),
  smooth: Schema.optionalKey(Flag),
})

/** A time constant in time steps. */
export const TimeConstant: Schema.Number = Schema.Number.check(must("a number of at least 1", (tau) => tau >= 1))

/** Options with their defaults filled in. */
export const firing = ({
  threshold = 1,
  reset = "soft",
  surrogate = { name: "triangle", alpha: 1 },
  smooth = false,
}: FiringOptions): Firing => ({ threshold, reset, surrogate, ...(smooth ? { smooth } : {}) })
