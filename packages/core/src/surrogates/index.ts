/** The table of surrogate gradients: a file and a line here for each. */
import { Schema } from "effect"
import type { SurrogateExpression } from "../expressions/expression.ts"
import { AtanSchema, atan, atanExpression } from "./atan.ts"
import { FastSigmoidSchema, fastSigmoid, fastSigmoidExpression } from "./fast-sigmoid.ts"
import { RectangleSchema, rectangle, rectangleExpression } from "./rectangle.ts"
import { SigmoidSchema, sigmoid, sigmoidExpression } from "./sigmoid.ts"
import type { Surrogate } from "./surrogate.ts"
import { TriangleSchema, triangle, triangleExpression } from "./triangle.ts"

/** A surrogate and its parameters, as data. */
export type SurrogateOptions =
  | typeof TriangleSchema.Type
  | typeof RectangleSchema.Type
  | typeof SigmoidSchema.Type
  | typeof AtanSchema.Type
  | typeof FastSigmoidSchema.Type

export const SurrogateSchema: Schema.Codec<SurrogateOptions> = Schema.Union([
  TriangleSchema,
  RectangleSchema,
  SigmoidSchema,
  AtanSchema,
  FastSigmoidSchema,
]).annotate({ expected: "a surrogate with its parameter, as Surrogate.defaults has them" })

export { AtanSchema, FastSigmoidSchema, RectangleSchema, SigmoidSchema, TriangleSchema }

export type SurrogateName = SurrogateOptions["name"]

const surrogates: { readonly [N in SurrogateName]: Surrogate<Extract<SurrogateOptions, { readonly name: N }>> } = {
  triangle,
  rectangle,
  sigmoid,
  atan,
  fastSigmoid,
}

/** Each surrogate with its usual parameters, for neurons of threshold 1. */
export const defaults: { readonly [N in SurrogateName]: Extract<SurrogateOptions, { readonly name: N }> } = {
  triangle: { name: "triangle", alpha: 1 },
  rectangle: { name: "rectangle", width: 1 },
  sigmoid: { name: "sigmoid", alpha: 4 },
  atan: { name: "atan", alpha: 2 },
  fastSigmoid: { name: "fastSigmoid", alpha: 25 },
}

export const surrogateNames = Object.keys(defaults) as ReadonlyArray<SurrogateName>

/** g and G of a surrogate as functions of z alone. */
export const bind = (
  options: SurrogateOptions,
): { gradient: (z: number) => number; primitive: (z: number) => number } => {
  const { gradient, primitive } = surrogates[options.name] as Surrogate<SurrogateOptions>
  return { gradient: (z) => gradient(z, options), primitive: (z) => primitive(z, options) }
}

const expressions: {
  readonly [N in SurrogateName]: (options: Extract<SurrogateOptions, { readonly name: N }>) => SurrogateExpression
} = {
  triangle: triangleExpression,
  rectangle: rectangleExpression,
  sigmoid: sigmoidExpression,
  atan: atanExpression,
  fastSigmoid: fastSigmoidExpression,
}

/** A surrogate as expressions of z. */
export const expressionOf = (options: SurrogateOptions): SurrogateExpression =>
  (expressions[options.name] as (options: SurrogateOptions) => SurrogateExpression)(options)
