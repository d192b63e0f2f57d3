import { Schema } from "effect"
import { apply, check, type Layer } from "../graph/builder.ts"
import type { LifOptions } from "../layers.ts"
import { LifSchema } from "../neurons/lif.ts"
import { must, type Of, ShareBelowOne, whole } from "../options.ts"

/** Options of all models. */
export interface ModelOptions {
  /**
   * A factor on the number of channels or features of all hidden layers, rounded, at least one each; greater than 0, at most 1024.
   * Default 1.
   */
  readonly width?: number
  /** Fraction of activations that dropout sets to 0 in training, less than 1. Default 0. */
  readonly dropout?: number
  /** Options of all LIF neurons. */
  readonly neuron?: LifOptions
}

/** The Schema of {@link ModelOptions}. Labels are float32, which represents integers exactly up to 2^24. */
export const ModelSchema: Of<ModelOptions & { readonly classes: number }> = Schema.Struct({
  classes: whole(1, 2 ** 24),
  width: Schema.optionalKey(
    Schema.Finite.check(must("a number greater than 0 and at most 1024", (width) => width > 0 && width <= 1024)),
  ),
  dropout: Schema.optionalKey(ShareBelowOne),
  neuron: Schema.optionalKey(LifSchema),
})

/** A composite layer that checks its own options. */
export const checked =
  <A>(kind: string, schema: Schema.Codec<A>, options: A, build: (options: A) => Layer): Layer =>
  (x, name) =>
    apply(build(check(name ?? kind, kind, schema, options)), x, name)

/**
 * A model: a function from a number of classes to a layer. The input shape comes with the graph: `Graph.make(shape, resnet18(10))`.
 */
export type Model = (classes: number, options?: ModelOptions) => Layer

const isRecord = (options: unknown): boolean => options?.constructor === Object && !("classes" in (options as object))

/** Defines a model. Its name appears in error messages; its options are checked while the graph is built. */
export const model =
  (name: string, build: (classes: number, options: Required<ModelOptions>) => Layer): Model =>
  (classes, options = {}) =>
    checked(
      name,
      ModelSchema,
      // Other values fail the Schema while the layer is built.
      isRecord(options) ? { classes, ...options } : (options as never),
      ({ width = 1, dropout = 0, neuron = {} }) => build(classes, { width, dropout, neuron }),
    )

/** The number of channels multiplied by a width factor. */
export const widened = (channels: number, width: number): number => Math.max(1, Math.round(channels * width))
