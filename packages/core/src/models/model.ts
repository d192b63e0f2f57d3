import { Schema } from "effect"
import { apply, check, type Layer } from "../graph/builder.ts"
import type { LifOptions } from "../layers.ts"
import { LifSchema } from "../neurons/lif.ts"
import { must, type Of, ShareBelowOne, whole } from "../options.ts"

export interface ModelOptions {
  /** A factor of all hidden layers' channels or features, rounded, at least one each; greater than 0, at most 1024. Default 1. */
  readonly width?: number
  /** Share of the activations that dropout drops in training, less than 1. Default 0. */
  readonly dropout?: number
  readonly neuron?: LifOptions
}

/** What models have in common. A label is a float32, which counts to 2^24. */
export const ModelSchema: Of<ModelOptions & { readonly classes: number }> = Schema.Struct({
  classes: whole(1, 2 ** 24),
  width: Schema.optionalKey(
    Schema.Finite.check(must("a number greater than 0 and at most 1024", (width) => width > 0 && width <= 1024)),
  ),
  dropout: Schema.optionalKey(ShareBelowOne),
  neuron: Schema.optionalKey(LifSchema),
})

/** A layer made of others that checks its own options. */
export const checked =
  <A>(kind: string, schema: Schema.Codec<A>, options: A, build: (options: A) => Layer): Layer =>
  (x, name) =>
    apply(build(check(name ?? kind, kind, schema, options)), x, name)

/** A model for a number of classes. Its input's shape comes with the graph: `Graph.make(shape, resnet18(10))`. */
export type Model = (classes: number, options?: ModelOptions) => Layer

const isRecord = (options: unknown): boolean => options?.constructor === Object && !("classes" in (options as object))

/** A model by its name, for messages, which checks what it is told. */
export const model =
  (name: string, build: (classes: number, options: Required<ModelOptions>) => Layer): Model =>
  (classes, options = {}) =>
    checked(
      name,
      ModelSchema,
      // Others are refused as the layer is built, by the Schema.
      isRecord(options) ? { classes, ...options } : (options as never),
      ({ width = 1, dropout = 0, neuron = {} }) => build(classes, { width, dropout, neuron }),
    )

/** So many channels under a width factor. */
export const widened = (channels: number, width: number): number => Math.max(1, Math.round(channels * width))
