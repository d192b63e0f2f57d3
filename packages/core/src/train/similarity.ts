/** Similarity of gradients. */
import { argument, type Kind, someFloats } from "../arguments.ts"
import { OptionError } from "../errors.ts"

/** Sums over two tensors a and b of the same shape. Sums over several pairs can be added. */
export interface Products {
  /** Σ a·b */
  readonly ab: number
  /** Σ a² */
  readonly aa: number
  /** Σ b² */
  readonly bb: number
  /** Σ (a − b)² */
  readonly difference: number
}

/** The sums over no pairs. */
export const noProducts: Products = { ab: 0, aa: 0, bb: 0, difference: 0 }

const someProducts: Kind = [
  "sums, as Train.products gives",
  (value) => typeof (value as Products | null)?.difference === "number",
]

/**
 * The sums over one pair, in float64.
 *
 * @throws OptionError if the lengths differ
 */
export const products = (a: Float32Array, b: Float32Array): Products => {
  argument(a, someFloats, "Train.products", "a")
  argument(b, someFloats, "Train.products", "b")
  if (a.length !== b.length)
    throw new OptionError({ owner: "Train.products", option: "b", value: b, expected: `of ${a.length} values, as a` })
  let [ab, aa, bb, difference] = [0, 0, 0, 0]
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!]
    ab += x * y
    aa += x * x
    bb += y * y
    difference += (x - y) ** 2
  }
  return { ab, aa, bb, difference }
}

/** Adds the sums over two sets of pairs. */
export const addProducts = (one: Products, other: Products): Products => ({
  ab: argument(one, someProducts, "Train.addProducts").ab + argument(other, someProducts, "Train.addProducts").ab,
  aa: one.aa + other.aa,
  bb: one.bb + other.bb,
  difference: one.difference + other.difference,
})

/** The similarity of a gradient a to the gradient b that it approximates. Undefined if b is 0; the cosine also if a is 0. */
export interface Similarity {
  /** a·b / (‖a‖·‖b‖) */
  readonly cosine: number | undefined
  /** ‖a‖ / ‖b‖ */
  readonly normRatio: number | undefined
  /** ‖a − b‖ / ‖b‖. For gradients of SLTT and BPTT: the fraction of BPTT's gradient that comes through time. */
  readonly distance: number | undefined
}

/**
 * The similarity of two gradients, from sums over their tensors.
 *
 * @example
 * Train.similarity(Train.products(Float32Array.of(0, 3), Float32Array.of(4, 3))) // cosine 0.6, norm ratio 0.6, distance 0.8
 */
export const similarity = (products: Products): Similarity => {
  const { ab, aa, bb, difference } = argument(products, someProducts, "Train.similarity")
  return {
    cosine: aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : undefined,
    normRatio: bb > 0 ? Math.sqrt(aa / bb) : undefined,
    distance: bb > 0 ? Math.sqrt(difference / bb) : undefined,
  }
}
