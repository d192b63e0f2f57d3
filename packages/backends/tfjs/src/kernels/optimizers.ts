/** The optimisers' updates of one parameter. */
import type { Composition, Operands } from "./composition.ts"

export const sgdUpdate: Composition<
  Operands<"parameter" | "gradient" | "velocity" | "hyperparameters", never>,
  { readonly momentum: number; readonly weightDecay: number }
> = (tf, operands, { momentum, weightDecay }) => {
  const parameter = tf.flat(operands.parameter)
  const kept = tf.add(tf.mul(momentum, tf.flat(operands.velocity)), tf.flat(operands.gradient))
  const velocity = weightDecay === 0 ? kept : tf.add(kept, tf.mul(weightDecay, parameter))
  const rate = tf.at(operands.hyperparameters, 0)
  return { velocity, parameter: tf.sub(parameter, tf.mul(rate, velocity)) }
}

export const adamUpdate: Composition<
  Operands<"parameter" | "gradient" | "firstMoment" | "secondMoment" | "hyperparameters", never>,
  {
    readonly beta1: number
    readonly beta2: number
    readonly epsilon: number
    readonly weightDecay: number
    readonly decoupled: boolean
  }
> = (tf, operands, { beta1, beta2, epsilon, weightDecay, decoupled }) => {
  const [rate, correction1, correction2] = [0, 1, 2].map((i) => tf.at(operands.hyperparameters, i))
  const old = tf.flat(operands.parameter)
  const raw = tf.flat(operands.gradient)
  const weight = decoupled && weightDecay !== 0 ? tf.mul(old, tf.sub(1, tf.mul(weightDecay, rate!))) : old
  const gradient = decoupled || weightDecay === 0 ? raw : tf.add(raw, tf.mul(weightDecay, weight))
  const firstMoment = tf.add(tf.mul(beta1, tf.flat(operands.firstMoment)), tf.mul(1 - beta1, gradient))
  const secondMoment = tf.add(
    tf.mul(beta2, tf.flat(operands.secondMoment)),
    tf.mul(tf.mul(1 - beta2, gradient), gradient),
  )
  const step = tf.mul(rate!, tf.div(firstMoment, correction1!))
  const scale = tf.add(tf.sqrt(tf.div(secondMoment, correction2!)), epsilon)
  return { firstMoment, secondMoment, parameter: tf.sub(weight, tf.div(step, scale)) }
}
