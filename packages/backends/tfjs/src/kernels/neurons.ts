/** Neurons and read-out, in core's order of operations: what is near the threshold must fall on the same side. */
import type { KernelAttributes } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"
import type { Composition, Operands } from "./composition.ts"
import { averagePoolBackward } from "./pooling.ts"
import { below } from "./rounding.ts"
import { bind } from "./surrogates.ts"

/** Core's attributes of a neuron. */
export type Attributes = KernelAttributes["neuron.forward"]

const fire = (tf: Workspace, u: Tensor, { threshold, surrogate, smooth }: Attributes): Tensor =>
  smooth
    ? bind(surrogate).primitive(tf, tf.sub(u, threshold))
    : tf.chain(
        u,
        (z) => tf.sub(z, below(threshold)),
        (z) => tf.positive(z),
      )

/** v, the potential after the reset. */
const resetPotential = (tf: Workspace, u: Tensor, attributes: Attributes): Tensor => {
  const { reset, threshold } = attributes
  if (reset === "none") return u
  const spike = (x: Tensor): Tensor => fire(tf, x, attributes)
  return reset === "soft"
    ? tf.chain(
        u,
        spike,
        (s) => tf.mul(threshold, s),
        (s) => tf.sub(u, s),
      )
    : tf.chain(
        u,
        spike,
        (s) => tf.sub(1, s),
        (s) => tf.mul(u, s),
      )
}

const factor = (tf: Workspace, decay: Tensor | undefined, attributes: Attributes): Tensor =>
  decay ? tf.flat(decay) : tf.scalar(attributes.decay ?? 1)

export const neuronForward: Composition<Operands<"x" | "before", "membrane" | "spikes", "decay">, Attributes> = (
  tf,
  { x, before, decay },
  attributes,
) => {
  const membrane = tf.chain(
    tf.flat(before),
    (u) => resetPotential(tf, u, attributes),
    (v) => tf.mul(factor(tf, decay, attributes), v),
    (v) => tf.add(v, tf.flat(x)),
  )
  return { membrane, spikes: fire(tf, membrane, attributes) }
}

export const neuronBackward: Composition<
  Operands<"membrane", never, "outputGradient" | "carry" | "before" | "decay", "inputGradient" | "decayGradient">,
  Attributes & { readonly resetGradient: boolean; readonly pool?: number }
> = (tf, { membrane, outputGradient, carry, before, decay, decayGradient }, attributes) => {
  const { threshold, reset, surrogate, resetGradient, pool } = attributes
  const arrived =
    pool && outputGradient
      ? averagePoolBackward(
          tf,
          { outputGradient, inputGradient: membrane },
          { kernelSize: pool, stride: pool, padding: 0 },
        ).inputGradient
      : outputGradient
  const u = tf.flat(membrane)
  const slope = tf.chain(
    u,
    (z) => tf.sub(z, threshold),
    (z) => bind(surrogate).gradient(tf, z),
  )
  const terms: Array<Tensor> = arrived ? [tf.mul(tf.flat(arrived), slope)] : []
  if (carry) {
    const arriving = tf.flat(carry)
    if (resetGradient && reset !== "none") {
      const bySpike = reset === "soft" ? tf.mul(-threshold, arriving) : tf.mul(-1, tf.mul(arriving, u))
      terms.push(tf.mul(bySpike, slope))
    }
    terms.push(reset === "hard" ? tf.mul(arriving, tf.sub(1, fire(tf, u, attributes))) : arriving)
  }
  const gradient = terms.length === 0 ? tf.fill(u.shape, 0) : terms.reduce((sum, term) => tf.add(sum, term))
  return {
    inputGradient: gradient,
    carry: carry && tf.mul(factor(tf, decay, attributes), gradient),
    decayGradient:
      decayGradient && before && tf.total(tf.mul(gradient, resetPotential(tf, tf.flat(before), attributes))),
  }
}

export const decayForward: Composition<Operands<"w", "decay">> = (tf, { w }) => ({
  decay: tf.div(1, tf.add(tf.exp(w), 1)),
})

export const decayBackward: Composition<Operands<"decay" | "outputGradient", "wGradient">> = (
  tf,
  { decay, outputGradient },
) => ({ wGradient: tf.mul(tf.mul(tf.mul(-1, decay), tf.sub(1, decay)), outputGradient) })

type Decay = KernelAttributes["readout.forward"]

export const readoutForward: Composition<Operands<"x" | "before", "membrane" | "y">, Decay> = (
  tf,
  { x, before },
  { decay },
) => {
  const membrane = tf.add(tf.mul(decay, tf.flat(before)), tf.flat(x))
  return { membrane, y: membrane }
}

export const readoutBackward: Composition<Operands<never, "inputGradient", "outputGradient" | "carry">, Decay> = (
  tf,
  { outputGradient, carry, inputGradient },
  { decay },
) => {
  const [first, second] = [outputGradient, carry].filter((term) => term !== undefined).map((term) => tf.flat(term))
  const gradient = first === undefined ? tf.fill(inputGradient.shape, 0) : second ? tf.add(first, second) : first
  return { inputGradient: gradient, carry: carry && tf.mul(decay, gradient) }
}
