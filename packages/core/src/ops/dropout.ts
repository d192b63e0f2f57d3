/**
 * Dropout (Srivastava et al., JMLR 2014): y = x·mask/(1 − rate), where each element of the mask is 1 with probability 1 − rate. All
 * time steps of a batch share one mask, as in the SLTT paper, drawn from the batch's key. In inference, y = x.
 */
import { Schema } from "effect"
import { select } from "../expressions/expression.ts"
import { type Layer, leaf, node } from "../graph/builder.ts"
import { make as kernel, noCost, type Reference } from "../kernel.ts"
import { make } from "../op.ts"
import { type Of, ShareBelowOne, whole } from "../options.ts"
import * as Key from "../random.ts"
import { expressed } from "./elementwise.ts"

/** Attributes of dropout: the fraction of elements to drop. */
export interface DropoutAttributes {
  readonly rate: number
}

/** The Schema of the options of {@link dropout}. */
export const DropoutSchema: Of<DropoutAttributes> = /* @__PURE__ */ Schema.Struct({ rate: ShareBelowOne })

/** mask[i] = [u[i] ≥ rate], with u the uniform numbers of the key. The key is two words, high word first. */
export const dropoutMask = kernel<DropoutAttributes>()({
  name: "dropout.mask",
  operands: { key: "read", mask: "write" },
})

export const dropoutMaskReference: Reference<typeof dropoutMask> = {
  cost: () => noCost,
  run: ({ key, mask }, { rate }) => {
    const [hi, lo] = new Uint32Array(key.data.buffer, key.data.byteOffset, 2) as unknown as [number, number]
    const draws = Key.uniform({ hi, lo }, new Float32Array(mask.data.length))
    for (let i = 0; i < draws.length; i++) mask.data[i] = draws[i]! >= rate ? 1 : 0
  },
}

/** The mask is a node without inputs: it does not change over time, so it is computed outside the time loop. */
export const dropoutMaskOp = /* @__PURE__ */ make<
  DropoutAttributes & { readonly shape: readonly [number, ...Array<number>] }
>({
  name: "dropoutMask",
  attributes: /* @__PURE__ */ Schema.Struct({
    ...DropoutSchema.fields,
    shape: /* @__PURE__ */ Schema.NonEmptyArray(/* @__PURE__ */ whole(1)),
  }),
  inputs: [],
  infer: (_, { shape }) => ({ shape, elements: "spikes", batched: true }),
  forward: ({ emit, key, output, attributes: { rate } }) => emit(dropoutMask, { key: key(), mask: output }, { rate }),
  backward: () => {},
})

export const dropoutOp = /* @__PURE__ */ expressed<DropoutAttributes>({
  name: "dropout",
  attributes: DropoutSchema,
  inputs: ["activation", "activation"],
  check: ([, mask], _, fail) => {
    if (mask!.elements !== "spikes") fail("the mask must consist of zeros and ones")
  },
  view: (mode) => mode === "inference",
  recompute: "cheap",
  body: ([x, mask], { rate }) => select(mask!, x!.dividedBy(1 - rate), 0),
})

/**
 * Sets a random fraction `rate` of the elements to 0 in training, the same elements at every time step of a batch, and scales the
 * others by 1/(1 − rate). With rate 0, the layer is omitted.
 */
export const dropout = (rate: number): Layer => {
  if (rate === 0) return (x) => x
  return leaf("dropout", DropoutSchema, { rate }, (x, name, options) => {
    const shape = x.shape as readonly [number, ...Array<number>]
    const mask = node(x, `${name}.mask`, dropoutMaskOp, { ...options, shape }, [])
    return node(x, name, dropoutOp, options, [x, mask])
  })
}
