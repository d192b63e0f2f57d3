/**
 * Parametric leaky integrate-and-fire neurons (Fang et al., ICCV 2021): the layer trains its time constant through one number w,
 * with 1/τ = σ(w), so λ = 1 − σ(w) = σ(−w). λ depends on a parameter alone, so a program computes it once per batch.
 */
import { Schema } from "effect"
import { sigmoid } from "../expressions/expression.ts"
import { learn } from "../expressions/layer.ts"
import { type Layer, leaf } from "../graph/builder.ts"
import { must } from "../options.ts"
import { build, type Definition } from "./define.ts"
import { FiringSchema, leaky } from "./leaky.ts"
import type { LifOptions } from "./lif.ts"

/** The Schema of {@link LifOptions}, for {@link plif}. */
export const PlifSchema: Schema.Codec<LifOptions> = Schema.Struct({
  ...FiringSchema.fields,
  // 1/(τ − 1) = eʷ, with w finite.
  tau: Schema.optionalKey(Schema.Finite.check(must("a finite number greater than 1", (tau) => tau > 1))),
})

const parametric: Definition<"w" | "threshold", "membrane", "reset"> = {
  ...leaky,
  parameters: { w: 0, threshold: 1 },
  step: ({ p, ...given }) => leaky.step({ ...given, p: { threshold: p.threshold, decay: sigmoid(p.w.negated()) } }),
}

/**
 * Parametric LIF neurons, which train their time constant. `tau` is its initial value (finite, greater than 1, default 2); the
 * parameter is `<name>.w`.
 */
export const plif = (options: LifOptions = {}): Layer =>
  leaf("plif", PlifSchema, options, (x, name, { tau = 2, ...given }) =>
    build("plif", parametric, { ...given, w: learn(Math.log(1 / (tau - 1))) }, x, name),
  )
