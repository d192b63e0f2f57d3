/** Surrogate gradients g(z) and their primitives G(z), as core defines them. */
import type { Surrogate } from "@spikeroute/core"
import type { Tensor, Workspace } from "../workspace.ts"
import { roundDown } from "./rounding.ts"

type Options = Surrogate.SurrogateOptions

interface Composed<O> {
  readonly gradient: (tf: Workspace, z: Tensor, options: O) => Tensor
  readonly primitive: (tf: Workspace, z: Tensor, options: O) => Tensor
}

const surrogates: { readonly [N in Options["name"]]: Composed<Extract<Options, { readonly name: N }>> } = {
  triangle: {
    gradient: (tf, z, { alpha }) =>
      tf.chain(
        z,
        tf.abs,
        (a) => tf.mul(alpha * alpha, a),
        (a) => tf.sub(alpha, a),
        tf.relu,
      ),
    primitive: (tf, z, { alpha }) => {
      const a = tf.clip(tf.abs(tf.mul(alpha, z)), 0, 1)
      return tf.add(tf.mul(tf.sign(z), tf.sub(a, tf.mul(0.5, tf.square(a)))), 0.5)
    },
  },
  rectangle: {
    gradient: (tf, z, { width }) =>
      tf.chain(
        z,
        tf.abs,
        (a) => tf.sub(a, roundDown(width / 2)),
        (a) => tf.positive(a),
        (outside) => tf.mul(1 / width, outside),
        (outside) => tf.sub(1 / width, outside),
      ),
    primitive: (tf, z, { width }) => tf.clip(tf.add(tf.div(z, width), 0.5), 0, 1),
  },
  sigmoid: {
    gradient: (tf, z, { alpha }) => {
      const s = tf.sigmoid(tf.mul(alpha, z))
      return tf.mul(tf.mul(alpha, s), tf.sub(1, s))
    },
    primitive: (tf, z, { alpha }) => tf.sigmoid(tf.mul(alpha, z)),
  },
  atan: {
    gradient: (tf, z, { alpha }) =>
      tf.chain(
        z,
        (a) => tf.mul((Math.PI / 2) * alpha, a),
        tf.square,
        (a) => tf.add(a, 1),
        (a) => tf.div(alpha / 2, a),
      ),
    primitive: (tf, z, { alpha }) => tf.add(tf.div(tf.atan(tf.mul((Math.PI / 2) * alpha, z)), Math.PI), 0.5),
  },
  fastSigmoid: {
    gradient: (tf, z, { alpha }) =>
      tf.chain(
        z,
        tf.abs,
        (a) => tf.mul(alpha, a),
        (a) => tf.add(a, 1),
        tf.square,
        (a) => tf.div(1, a),
      ),
    primitive: (tf, z, { alpha }) => tf.add(tf.div(z, tf.add(tf.mul(alpha, tf.abs(z)), 1)), 0.5),
  },
}

/** The composition of a surrogate. */
export const bind = (
  options: Options,
): { readonly [K in keyof Composed<never>]: (tf: Workspace, z: Tensor) => Tensor } => {
  const { gradient, primitive } = surrogates[options.name] as Composed<Options>
  return { gradient: (tf, z) => gradient(tf, z, options), primitive: (tf, z) => primitive(tf, z, options) }
}
